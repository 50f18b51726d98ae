"""Masks that compete for the same pixels: doubles, groups, parts, and things in front of others.

The rules, in this order:

1. Two masks that are nearly the same are one object; the one that was named, else the surer one, stays.
2. A mask that its own kind fills ("person" around three persons) is a group; the single ones stay.
3. A mask within another of its kind, or a proposal within anything, is a part of it and goes. A thing of another kind
   that the user named stays: it is in front, or a part that is to move by itself.
4. Contested pixels go to the smaller mask, which is in front more often than not: what lies behind reaches around it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from real2sam2real.arrays import Mask
from real2sam2real.errors import UserError
from real2sam2real.perceive.masks import MIN_PIXELS, SPECK_SHARE
from real2sam2real.perceive.segment.found import SAME, Found, box_of, mask_iou, name_found

WITHIN = 0.85  # share of a mask inside another from which it lies within it
FILLED = 0.7  # share of a group that its members cover
LEFT = 0.2  # a found object that others hide further than this is dropped


@dataclass(frozen=True, eq=False)
class _Entry:
    label: str  # for notes
    mask: Mask
    found: Found | None = None  # None for a mask that the user named

    @property
    def rank(self) -> tuple[int, float]:
        """Which of two doubles stays: the higher."""
        if self.found is None:
            return 2, 1.0
        return int(self.found.asked), self.found.score

    def within(self, other: _Entry) -> bool:
        area = int(self.mask.sum())
        return area < int(other.mask.sum()) and int((self.mask & other.mask).sum()) >= WITHIN * area

    def same_kind(self, other: _Entry) -> bool:
        return self.found is not None and other.found is not None and self.found.word == other.found.word


def resolve_overlaps(
    named: Mapping[str, Mask],
    found: Sequence[Found],
    notes: list[str],
    names: Mapping[str, str] | None = None,
) -> dict[str, Mask]:
    """Disjoint masks `(H, W)` bool by name: those that the user named, then those that were found.

    Args:
        named: masks from files, boxes and points; each stays, though it may lose pixels to one in front of it.
        found: masks from words and proposals; what stays of them gets its name here (see `name_found`).
        notes: receives what was found, what was dropped and why, in words.
        names: by word, the name that its objects get in place of it.

    Raises:
        UserError: two named masks are the same object.
    """
    entries = [_Entry(f"'{name}'", mask) for name, mask in named.items()]
    entries += [_Entry(_place(each), each.mask, each) for each in found if each.mask.any()]
    for rule in (_without_doubles, _without_groups, _without_parts):
        entries = rule(entries, notes)
    survivors = name_found([entry.found for entry in entries if entry.found is not None], set(named), names)
    for name, each in survivors.items():
        notes.append(f"'{name}' was {'found' if each.asked else 'proposed'} as '{each.word}', score {each.score:.2f}")
    return _split(named, survivors, notes)


def _place(found: Found) -> str:
    """What is not named yet: the word and the middle of its box, in pixels."""
    left, top, right, bottom = box_of(found.mask)
    return f"the {found.word} at {(left + right) // 2},{(top + bottom) // 2}"


def _without_doubles(entries: list[_Entry], notes: list[str]) -> list[_Entry]:
    kept: list[_Entry] = []
    for entry in sorted(entries, key=lambda each: each.rank, reverse=True):
        twin = next((other for other in kept if mask_iou(entry.mask, other.mask) >= SAME), None)
        if twin is None:
            kept.append(entry)
        elif entry.found is None:
            raise UserError(f"{twin.label} and {entry.label} are the same object; leave one of them out")
        else:
            notes.append(f"{entry.label} is the same object as {twin.label} and is left out")
    return [entry for entry in entries if entry in kept]


def _without_groups(entries: list[_Entry], notes: list[str]) -> list[_Entry]:
    kept = []
    for entry in entries:
        members = [other for other in entries if other.same_kind(entry) and other.within(entry)]
        covered = np.any([other.mask for other in members], axis=0) if len(members) > 1 else None
        if covered is not None and (covered & entry.mask).sum() >= FILLED * entry.mask.sum():
            notes.append(f"{entry.label} is a group of {len(members)} and is left out; its members stay")
        else:
            kept.append(entry)
    return kept


def _without_parts(entries: list[_Entry], notes: list[str]) -> list[_Entry]:
    kept = []
    for entry in entries:
        proposed = entry.found is not None and not entry.found.asked
        whole = next(
            (other for other in entries if entry.within(other) and (proposed or entry.same_kind(other))),
            None,
        )
        if whole is None:
            kept.append(entry)
        else:
            notes.append(f"{entry.label} is a part of {whole.label} and is left out")
    return kept


def _split(named: Mapping[str, Mask], found: Mapping[str, Found], notes: list[str]) -> dict[str, Mask]:
    """Every pixel to one mask at most; what is hidden almost wholly goes, unless the user named it."""
    masks = {**named, **{name: each.mask for name, each in found.items()}}
    result: dict[str, Mask] = {}
    for name in sorted(masks, key=lambda name: int(masks[name].sum())):
        mask = masks[name]
        taken = np.any(list(result.values()), axis=0) if result else np.zeros_like(mask)
        contested = int((mask & taken).sum())
        left = _without_slivers(mask & ~taken) if contested else mask
        if name in found and left.sum() < max(LEFT * mask.sum(), MIN_PIXELS):
            notes.append(f"'{name}' is almost wholly hidden, or tiny, and is left out")
            continue
        if contested:
            notes.append(f"{contested} pixels of '{name}' also belong to smaller masks and are left to those")
        result[name] = left
    return {name: result[name] for name in masks if name in result}


def _without_slivers(mask: Mask) -> Mask:
    """Without the crumbs that stay where another mask was cut out."""
    count, parts, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if count <= 2:
        return mask
    areas = stats[1:, cv2.CC_STAT_AREA]
    return np.concatenate([[False], areas >= SPECK_SHARE * areas.max()])[parts]
