"""What captioning a clip takes and gives, whoever does it; captioners by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from real2sam2real.arrays import UInt8
from real2sam2real.errors import UserError
from real2sam2real.lab.curate.captions.template import TemplateCaptioner
from real2sam2real.lab.curate.captions.vlm import VlmCaptioner

VLM = "vlm:"


class Captioner(Protocol):
    """Says in words what a clip shows."""

    name: str  # by which `load_captioner` knows it

    def caption(self, video: UInt8, labels: Mapping[int, str]) -> str:
        """One caption, a single line.

        Args:
            video: `(T, H, W, 3)` uint8 sRGB.
            labels: what each instance is, by its id.

        Raises:
            UserError: there is nothing to say about this clip.
        """
        ...


def load_captioner(name: str) -> Captioner:
    """A captioner, ready to be used.

    Args:
        name: "template", or "vlm:MODEL" with a folder or the hub name of a model that transformers knows as
            image-text-to-text.

    Raises:
        UserError: there is no such captioner, or the model is none that can caption.
        MissingPartError: a package or the weights are missing; the message says how to get them.
    """
    if name == "template":
        return TemplateCaptioner()
    if name.startswith(VLM) and len(name) > len(VLM):
        return VlmCaptioner.load(name.removeprefix(VLM))
    raise UserError(f"there is no captioner '{name}'; take 'template' or 'vlm:MODEL'")
