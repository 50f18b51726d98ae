"""Masks that compete for the same pixels: doubles, groups, parts, and things in front of others.

The rules, in this order:

1. Two masks that are nearly the same are one object; the one that was named, else the surer one, stays.
2. A mask that its own kind fills ("person" around three persons) is a group; the single ones stay.
3. A mask within another of its kind, or a proposal within anything, is a part of it and goes. A thing of another kind
   that the user named stays: it is in front, or a part that is to move by itself.
4. Contested pixels go to the smaller mask, which is in front more often than not: what lies behind reaches around it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from real2sam2real.errors import UserError
from real2sam2real.perceive.masks import MIN_PIXELS, SPECK_SHARE, Mask
from real2sam2real.perceive.segment.found import SAME, Found, mask_iou

WITHIN = 0.85  # share of a mask inside another from which it lies within it
FILLED = 0.7  # share of a group that its members cover
LEFT = 0.2  # a found object that others hide further than this is dropped


@dataclass(frozen=True, eq=False)
class _Entry:
    name: str
    mask: Mask
    found: Found | None  # None for a mask that the user named

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


def resolve_overlaps(named: Mapping[str, Mask], found: Mapping[str, Found], notes: list[str]) -> dict[str, Mask]:
    """Disjoint masks `(H, W)` bool by name: those that the user named, then those that were found.

    Args:
        named: masks from files, boxes and points; each stays, though it may lose pixels to one in front of it.
        found: masks from words and proposals.
        notes: receives what was dropped and why, in words.

    Raises:
        UserError: two named masks are the same object.
    """
    entries = [_Entry(name, mask, None) for name, mask in named.items()]
    entries += [_Entry(name, each.mask, each) for name, each in found.items()]
    for rule in (_without_doubles, _without_groups, _without_parts, _split):
        entries = rule(entries, notes)
    return {entry.name: entry.mask for entry in entries}


def _without_doubles(entries: list[_Entry], notes: list[str]) -> list[_Entry]:
    kept: list[_Entry] = []
    for entry in sorted(entries, key=lambda each: each.rank, reverse=True):
        twin = next((other for other in kept if mask_iou(entry.mask, other.mask) >= SAME), None)
        if twin is None:
            kept.append(entry)
        elif entry.found is None:
            raise UserError(f"'{twin.name}' and '{entry.name}' are the same object; leave one of them out")
        else:
            notes.append(f"'{entry.name}' is the same object as '{twin.name}' and is left out")
    return [entry for entry in entries if entry in kept]


def _without_groups(entries: list[_Entry], notes: list[str]) -> list[_Entry]:
    kept = []
    for entry in entries:
        members = [other for other in entries if other.same_kind(entry) and other.within(entry)]
        covered = np.any([other.mask for other in members], axis=0) if len(members) > 1 else None
        if covered is not None and (covered & entry.mask).sum() >= FILLED * entry.mask.sum():
            notes.append(f"'{entry.name}' is a group of {', '.join(other.name for other in members)} and is left out")
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
            notes.append(f"'{entry.name}' is a part of '{whole.name}' and is left out")
    return kept


def _split(entries: list[_Entry], notes: list[str]) -> list[_Entry]:
    """Every pixel to one mask at most; what is hidden almost wholly goes, unless the user named it."""
    result: dict[str, _Entry] = {}
    taken = np.zeros_like(entries[0].mask) if entries else np.zeros((0, 0), bool)
    for entry in sorted(entries, key=lambda each: int(each.mask.sum())):
        contested = int((entry.mask & taken).sum())
        left = _without_slivers(entry.mask & ~taken) if contested else entry.mask
        if entry.found is not None and left.sum() < max(LEFT * entry.mask.sum(), MIN_PIXELS):
            notes.append(f"'{entry.name}' is almost wholly hidden, or tiny, and is left out")
            continue
        if contested:
            notes.append(f"{contested} pixels of '{entry.name}' also belong to smaller masks and are left to those")
        result[entry.name] = _Entry(entry.name, left, entry.found)
        taken |= left
    return [result[entry.name] for entry in entries if entry.name in result]


def _without_slivers(mask: Mask) -> Mask:
    """Without the crumbs that stay where another mask was cut out."""
    count, parts, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if count <= 2:
        return mask
    areas = stats[1:, cv2.CC_STAT_AREA]
    return np.concatenate([[False], areas >= SPECK_SHARE * areas.max()])[parts]
