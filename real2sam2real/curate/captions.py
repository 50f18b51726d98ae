"""Captions of clips: from the labels of their instances, or by a vision-language model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from real2sam2real.errors import UserError

UInt8 = NDArray[np.uint8]

VLM = "vlm:"
_MANY = ("no", "a", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_IRREGULAR = {"person": "people", "child": "children", "man": "men", "woman": "women", "mouse": "mice", "foot": "feet"}
_UNCHANGED = {"people", "children", "sheep", "deer", "fish"}


class Captioner(Protocol):
    """Says in words what a clip shows.

    Attributes:
        name: by which `load_captioner` knows it.
    """

    name: str

    def caption(self, video: UInt8, labels: Mapping[int, str]) -> str:
        """One caption.

        Args:
            video: `(T, H, W, 3)` uint8 sRGB.
            labels: what each instance is, by its id.
        """
        ...


def load_captioner(name: str) -> Captioner:
    """A captioner, ready to be used.

    Args:
        name: "template", or "vlm:MODEL" with a folder or the hub name of a model that transformers knows as
            image-text-to-text.

    Raises:
        UserError: there is no such captioner.
        MissingPartError: a package or the weights are missing; the message says how to get them.
    """
    if name == "template":
        return TemplateCaptioner()
    if name.startswith(VLM) and len(name) > len(VLM):
        raise UserError("captions by a model are not there yet; take 'template'")
    raise UserError(f"there is no captioner '{name}'; take 'template' or 'vlm:MODEL'")


class TemplateCaptioner:
    """See `Captioner`. Lists the labels: "A video of a child and two beds."."""

    name = "template"

    def caption(self, video: UInt8, labels: Mapping[int, str]) -> str:
        """See `Captioner`; the video is not looked at."""
        names = Counter(" ".join(label.split()) for _, label in sorted(labels.items()) if label.strip())
        if not names:
            return "A video."
        phrases = [_counted(name, number) for name, number in names.items()]
        return f"A video of {_joined(phrases)}."


def _counted(name: str, number: int) -> str:
    if number > 1:
        many = _MANY[number] if number < len(_MANY) else str(number)
        return f"{many} {_plural(name)}"
    first, *_ = name.lower().split()
    if first in {"a", "an", "the", "his", "her", "their"} or name.split()[-1].lower() in _UNCHANGED - {"deer", "fish"}:
        return name
    return f"{'an' if first[0] in 'aeiou' and not first.startswith(('uni', 'one', 'eu')) else 'a'} {name}"


def _plural(name: str) -> str:
    *before, last = name.split()
    low = last.lower()
    if low in _UNCHANGED:
        many = last
    elif low in _IRREGULAR:
        many = _IRREGULAR[low]
    elif low.endswith(("s", "x", "z", "ch", "sh")):
        many = f"{last}es"
    elif low.endswith("y") and low[-2:-1] not in set("aeiou"):
        many = f"{last[:-1]}ies"
    else:
        many = f"{last}s"
    return " ".join([*before, many])


def _joined(phrases: list[str]) -> str:
    return phrases[0] if len(phrases) == 1 else f"{', '.join(phrases[:-1])} and {phrases[-1]}"
