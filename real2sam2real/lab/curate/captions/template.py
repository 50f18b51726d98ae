"""Captions from labels alone, by a rule."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from real2sam2real.arrays import UInt8

_MANY = ("no", "a", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_IRREGULAR = {"person": "people", "child": "children", "man": "men", "woman": "women", "mouse": "mice", "foot": "feet"}
_UNCHANGED = {"people", "children", "sheep", "deer", "fish"}


class TemplateCaptioner:
    """See `Captioner`. Lists the labels: "A video of a child and two beds."."""

    name = "template"

    def caption(self, video: UInt8, labels: Mapping[int, str]) -> str:
        """See `Captioner`; the video is not looked at."""
        things = listed(label for _, label in sorted(labels.items()))
        return f"A video of {things}." if things else "A video."


def listed(labels: Iterable[str]) -> str:
    """Labels as one phrase, alike ones counted: "a child and two beds"; empty where there are none."""
    names = Counter(" ".join(label.split()) for label in labels if label.strip())
    return _joined([_counted(name, number) for name, number in names.items()])


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
    *before, last = phrases or [""]
    return f"{', '.join(before)} and {last}" if before else last
