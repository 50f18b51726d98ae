"""Captioners by name."""

from __future__ import annotations

from real2sam2real.errors import UserError
from real2sam2real.lab.curate.captions.interface import Captioner
from real2sam2real.lab.curate.captions.template import TemplateCaptioner
from real2sam2real.lab.curate.captions.vlm import VlmCaptioner

VLM = "vlm:"


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
