"""How far an instance that was followed through a clip can be believed."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from real2sam2real.arrays import Bool, UInt8
from real2sam2real.lab.curate.instances.interface import Box
from real2sam2real.perceive.segment.detections import box_of, box_overlaps

_NEAR = 3  # pixels from the picture's border, or from another instance, where an instance may go out of sight
_STEADY = 3  # frames over which an area is averaged before it counts as the largest


@dataclass(frozen=True, kw_only=True)
class MaskLimits:
    """Which instances are of no use."""

    min_area: float = 0.003  # least share of the picture, in the median of the frames that show the instance
    max_area: float = 0.85  # most share of it
    min_seen: float = 0.4  # least share of the frames that show it
    max_lost: float = 0.1  # most share of the frames after it vanished in the open, not at the border or behind another
    max_growth: float = 6.0  # times its area where it was shown, at most
    min_box: float = 0.4  # least overlap (IoU) of the box that was drawn and the box around its mask there


@dataclass(frozen=True, kw_only=True)
class InstanceQuality:
    """What was measured of an instance; see `MaskLimits` for the units."""

    seen: float
    area: float
    lost: float
    growth: float
    box: float | None = None  # where it was shown by a box on this clip

    @classmethod
    def measure(cls, ids: UInt8, number: int, *, frame: int, box: Box | None = None) -> InstanceQuality:
        """Measure the instance `number` of `ids` `(T, H, W)`, shown on `frame`, by a `box` in pixels or otherwise."""
        masks = ids == number
        areas = masks.mean(axis=(1, 2))
        seen = np.flatnonzero(areas)
        if not len(seen):
            return cls(seen=0.0, area=0.0, lost=1.0, growth=0.0, box=None if box is None else 0.0)
        steady = np.convolve(areas, np.full(_STEADY, 1 / _STEADY), "valid") if len(areas) >= _STEADY else areas
        start = areas[seen[np.abs(seen - frame).argmin()]]
        away = sum(
            beyond for at, beyond in ((seen[0], seen[0]), (seen[-1], len(areas) - 1 - seen[-1]))
            if beyond and not _hidden_next(ids[at], number)
        )  # fmt: skip
        return cls(
            seen=len(seen) / len(areas),
            area=float(np.median(areas[seen])),
            lost=float(away / len(areas)),
            growth=float(steady.max() / start),
            box=None if box is None else _box_overlap(masks[frame], box),
        )

    def reasons(self, label: str, limits: MaskLimits) -> list[str]:
        """Why the instance is dropped, in words; empty where it is kept."""
        found = []
        if self.seen < limits.min_seen:
            found.append(f"is seen in {self.seen:.0%} of the frames, less than {limits.min_seen:.0%}")
        elif not limits.min_area <= self.area <= limits.max_area:
            found.append(
                f"takes {self.area:.1%} of the picture; {limits.min_area:.1%} to {limits.max_area:.0%} are allowed"
            )
        if self.seen and self.lost > limits.max_lost:
            found.append(f"is lost from sight in the open, for {self.lost:.0%} of the frames")
        if self.growth > limits.max_growth:
            found.append(f"grows to {self.growth:.1f} times its size, more than {limits.max_growth:g}")
        if self.box is not None and self.box < limits.min_box:
            found.append(f"was cut out with an overlap of {self.box:.2f} with its box, less than {limits.min_box:g}")
        return [f"'{label}' {reason}" for reason in found]


def _hidden_next(ids: UInt8, number: int) -> bool:
    """Whether an instance `number` of a frame's ids `(H, W)` can go out of sight there."""
    mask = ids == number
    if mask[:_NEAR].any() or mask[-_NEAR:].any() or mask[:, :_NEAR].any() or mask[:, -_NEAR:].any():
        return True
    near = cv2.dilate(mask.astype(np.uint8), np.ones((2 * _NEAR + 1, 2 * _NEAR + 1), np.uint8)) > 0
    return bool(((ids > 0) & ~mask & near).any())


def _box_overlap(mask: Bool, box: Box) -> float:
    """IoU of a box in pixels with that around a mask `(H, W)`; 0 where that is empty."""
    return float(box_overlaps(box, np.array([box_of(mask)], float))[0]) if mask.any() else 0.0
