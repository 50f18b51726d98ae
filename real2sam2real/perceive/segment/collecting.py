"""All the ways to name objects together: one set of disjoint, named masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from numpy.typing import ArrayLike

from real2sam2real.arrays import Mask
from real2sam2real.errors import UserError
from real2sam2real.perceive.masks import clean_masks
from real2sam2real.perceive.segment.found import Found
from real2sam2real.perceive.segment.overlaps import resolve_overlaps
from real2sam2real.perceive.segment.segmenter import OpenedPhoto


@dataclass(frozen=True, kw_only=True)
class MaskRequest:
    """Which objects are wanted. Pixels are those of the photo as it was opened.

    Attributes:
        masks: `(H, W)` bool by name, from files.
        boxes: left, top, right, bottom by name.
        points: those inside `(N, 2)` and those outside `(M, 2)` by name; a box of the same name helps them.
        words: by word, the name that its objects get; empty for the word itself.
        propose: look for the foreground's objects unasked.
    """

    masks: Mapping[str, Mask] = field(default_factory=dict)
    boxes: Mapping[str, Sequence[float]] = field(default_factory=dict)
    points: Mapping[str, tuple[ArrayLike, ArrayLike]] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)
    propose: bool = False


def collect_masks(opened: OpenedPhoto, request: MaskRequest, notes: list[str]) -> dict[str, Mask]:
    """Disjoint masks `(H, W)` bool by name: files, boxes and points first, then words, then proposals.

    Args:
        opened: the photo.
        request: which objects are wanted.
        notes: receives what was found, dropped or resolved, in words.

    Raises:
        UserError: nothing is asked for, something is not found or cannot be used, or a name comes twice.
        MissingPartError: a model is needed that is not there.
    """
    prompted = dict.fromkeys((*request.boxes, *request.points))
    if double := request.masks.keys() & prompted.keys():
        raise UserError(f"two objects are called '{min(double)}'; give each its own name")
    named = {**request.masks, **{name: _from_prompt(opened, request, name) for name in prompted}}
    found: list[Found] = []
    if request.words:
        found += opened.from_text(list(request.words))
    if request.propose:
        found += opened.propose()
    names = {" ".join(word.lower().split()): name for word, name in request.words.items()}
    return clean_masks(resolve_overlaps(named, found, notes, names), notes=notes)


def _from_prompt(opened: OpenedPhoto, request: MaskRequest, name: str) -> Mask:
    """The object of a box, of points, or of both under one name."""
    if name not in request.points:
        return opened.from_box(request.boxes[name])
    inside, outside = request.points[name]
    return opened.from_points(inside, outside, box_xyxy=request.boxes.get(name))
