"""All the ways to name objects together: one set of disjoint, named masks.

Masks may compete for the same pixels: doubles, groups, parts, and things in front of others. The rules, in this order:

1. Two masks that are nearly the same are one object; the one that was named, else the surer one, stays.
2. A mask that its own kind fills ("person" around three persons) is a group; the single ones stay.
3. A mask within another of its kind, or a proposal within anything, is a part of it and goes. A thing of another kind
   that the user named stays: it is in front, or a part that is to move by itself.
4. Contested pixels go to the smaller mask, which is in front more often than not: what lies behind reaches around it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import ArrayLike

from real2sam2real.arrays import Mask
from real2sam2real.errors import UserError
from real2sam2real.perceive.masks import MIN_PIXELS, SPECK_SHARE, Masks, clean_masks
from real2sam2real.perceive.segment.detections import SAME, Detection, box_of, mask_iou, name_detections
from real2sam2real.perceive.segment.segmenter import OpenedPhoto

WITHIN = 0.85  # share of a mask inside another from which it lies within it
FILLED = 0.7  # share of a group that its members cover
LEFT = 0.2  # a found object that others hide further than this is dropped


@dataclass(frozen=True, eq=False)
class _Candidate:
    label: str  # for notes
    mask: Mask
    found: Detection | None = None  # None for a mask that the user named

    @property
    def rank(self) -> tuple[int, float]:
        """Which of two doubles stays: the higher."""
        if self.found is None:
            return 2, 1.0
        return int(self.found.asked), self.found.score

    def within(self, other: _Candidate) -> bool:
        area = int(self.mask.sum())
        return area < int(other.mask.sum()) and int((self.mask & other.mask).sum()) >= WITHIN * area

    def same_kind(self, other: _Candidate) -> bool:
        return self.found is not None and other.found is not None and self.found.word == other.found.word


def resolve_overlaps(
    named: Mapping[str, Mask], found: Sequence[Detection], names: Mapping[str, str] | None = None
) -> Masks:
    """Disjoint masks `(H, W)` bool by name: those that the user named, then those that were found.

    Args:
        named: masks from files, boxes and points; each stays, though it may lose pixels to one in front of it.
        found: masks from words and proposals; what stays of them gets its name here (see `name_detections`).
        names: by word, the name that its objects get in place of it.

    Returns:
        With notes on what was found, and on what was dropped and why.

    Raises:
        UserError: two named masks are the same object.
    """
    entries = [_Candidate(f"'{name}'", mask) for name, mask in named.items()]
    entries += [_Candidate(_place(each), each.mask, each) for each in found if each.mask.any()]
    notes: list[str] = []
    for rule in (_doubles, _groups, _parts):
        dropped = rule(entries)
        notes += [f"{entry.label} is {reason}" for entry, reason in dropped.items()]
        entries = [entry for entry in entries if entry not in dropped]
    survivors = name_detections([entry.found for entry in entries if entry.found is not None], set(named), names)
    for name, each in survivors.items():
        notes.append(f"'{name}' was {'found' if each.asked else 'proposed'} as '{each.word}', score {each.score:.2f}")
    split = _split(named, survivors)
    return Masks(split, [*notes, *split.notes])


def _place(found: Detection) -> str:
    """What is not named yet: the word and the middle of its box, in pixels."""
    left, top, right, bottom = box_of(found.mask)
    return f"the {found.word} at {(left + right) // 2},{(top + bottom) // 2}"


def _doubles(entries: list[_Candidate]) -> dict[_Candidate, str]:
    """Which entries go, and why; likewise for the other rules."""
    kept: list[_Candidate] = []
    dropped = {}
    for entry in sorted(entries, key=lambda each: each.rank, reverse=True):
        twin = next((other for other in kept if mask_iou(entry.mask, other.mask) >= SAME), None)
        if twin is None:
            kept.append(entry)
        elif entry.found is None:
            raise UserError(f"{twin.label} and {entry.label} are the same object; leave one of them out")
        else:
            dropped[entry] = f"the same object as {twin.label} and is left out"
    return dropped


def _groups(entries: list[_Candidate]) -> dict[_Candidate, str]:
    dropped = {}
    for entry in entries:
        members = [other for other in entries if other.same_kind(entry) and other.within(entry)]
        covered = np.any([other.mask for other in members], axis=0) if len(members) > 1 else None
        if covered is not None and (covered & entry.mask).sum() >= FILLED * entry.mask.sum():
            dropped[entry] = f"a group of {len(members)} and is left out; its members stay"
    return dropped


def _parts(entries: list[_Candidate]) -> dict[_Candidate, str]:
    dropped = {}
    for entry in entries:
        proposed = entry.found is not None and not entry.found.asked
        for whole in entries:
            if entry.within(whole) and (proposed or entry.same_kind(whole)):
                dropped[entry] = f"a part of {whole.label} and is left out"
                break
    return dropped


def _split(named: Mapping[str, Mask], found: Mapping[str, Detection]) -> Masks:
    """Every pixel to one mask at most; what is hidden almost wholly goes, unless the user named it."""
    masks = {**named, **{name: each.mask for name, each in found.items()}}
    result = Masks()
    for name in sorted(masks, key=lambda name: int(masks[name].sum())):
        mask = masks[name]
        taken = np.any(list(result.values()), axis=0) if result else np.zeros_like(mask)
        contested = int((mask & taken).sum())
        left = _without_slivers(mask & ~taken) if contested else mask
        if name in found and left.sum() < max(LEFT * mask.sum(), MIN_PIXELS):
            result.notes.append(f"'{name}' is almost wholly hidden, or tiny, and is left out")
            continue
        if contested:
            result.notes.append(f"{contested} pixels of '{name}' also belong to smaller masks and are left to those")
        result[name] = left
    return Masks({name: result[name] for name in masks if name in result}, result.notes)


def _without_slivers(mask: Mask) -> Mask:
    """Without the crumbs that stay where another mask was cut out."""
    _, components, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    areas = stats[1:, cv2.CC_STAT_AREA]
    return np.concatenate([[False], areas >= SPECK_SHARE * areas.max(initial=0)])[components]


@dataclass(frozen=True, kw_only=True)
class MaskRequest:
    """Which objects are wanted. Pixels are those of the photo as it was opened."""

    masks: Mapping[str, Mask] = field(default_factory=dict)  # `(H, W)` bool by name, from files
    # left, top, right, bottom by name, or several such boxes around the parts of one object
    boxes: Mapping[str, Sequence[float] | Sequence[Sequence[float]]] = field(default_factory=dict)
    # those inside `(N, 2)` and those outside `(M, 2)` by name; a box of the same name helps them
    points: Mapping[str, tuple[ArrayLike, ArrayLike]] = field(default_factory=dict)
    # by word, the name that its objects get; empty for the word itself
    words: Mapping[str, str] = field(default_factory=dict)
    propose: bool = False  # look for the foreground's objects unasked


def collect_masks(
    opened: OpenedPhoto, request: MaskRequest, advance: Callable[[int, int], None] = lambda done, total: None
) -> Masks:
    """Disjoint masks `(H, W)` bool by name: files, boxes and points first, then words, then proposals.

    Their notes say what was found, dropped or resolved.

    Args:
        opened: the photo.
        request: which objects are wanted.
        advance: called with how many boxes and points of how many are cut out.

    Raises:
        UserError: nothing is asked for, something is not found or cannot be used, or a name comes twice.
        MissingPartError: a model is needed that is not there.
    """
    prompted = dict.fromkeys((*request.boxes, *request.points))
    if double := request.masks.keys() & prompted.keys():
        raise UserError(
            f"two objects are called '{min(double)}', one with a mask and one with a box or points; give each its own "
            "name. The parts of one object are given by masks alone, or by boxes alone"
        )
    named = dict(request.masks)
    for done, name in enumerate(prompted, start=1):
        named[name] = _from_prompt(opened, request, name)
        advance(done, len(prompted))
    found: list[Detection] = []
    if request.words:
        found += opened.from_text(list(request.words))
    if request.propose:
        found += opened.propose()
    names = {" ".join(word.lower().split()): name for word, name in request.words.items()}
    masks = clean_masks(resolve_overlaps(named, found, names))
    masks.notes += [note for name, given in request.points.items() for note in _disobeyed(masks[name], name, *given)]
    return masks


def _disobeyed(mask: Mask, name: str, inside: ArrayLike, outside: ArrayLike) -> list[str]:
    """Notes on points that the mask does not obey, though its segmenter was told of them."""
    notes = []
    for points, wanted, where in ((inside, True, "outside"), (outside, False, "inside")):
        for x, y in np.reshape(np.asarray(points, np.float64), (-1, 2)):
            if mask[int(y), int(x)] != wanted:
                sign = "+" if wanted else "-"
                notes.append(
                    f"the point {sign}{x:g},{y:g} of '{name}' ends {where} its mask; give more points near it, or a "
                    "mask file"
                )
    return notes


def _from_prompt(opened: OpenedPhoto, request: MaskRequest, name: str) -> Mask:
    boxes = [tuple(box) for box in np.reshape(np.asarray(request.boxes.get(name, ())), (-1, 4)).tolist()]
    if name not in request.points:
        return np.any([opened.from_box(box) for box in boxes], axis=0)
    if len(boxes) > 1:
        raise UserError(f"'{name}' has points and {len(boxes)} boxes; give one box with points, or boxes alone")
    inside, outside = request.points[name]
    return opened.from_points(inside, outside, box_xyxy=boxes[0] if boxes else None)
