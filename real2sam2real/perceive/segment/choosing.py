"""Which of the masks that a model offers for one prompt is meant."""

from __future__ import annotations

import numpy as np

from real2sam2real.arrays import Bool, Float, Int, Mask
from real2sam2real.perceive.segment.found import box_of, box_overlaps

NEARLY = 0.05  # a difference of the guessed IoU that says nothing


def consistency(
    mask: Mask,
    inside: Float,
    outside: Float,
    box: Float | None,
) -> float:
    """How well a mask agrees with its prompt, 0…1; 0 for an empty mask.

    Args:
        mask: `(H, W)` bool.
        inside: `(N, 2)` points x, y that it should hold, in pixels.
        outside: `(M, 2)` points x, y that it should not hold.
        box: `(4,)` left, top, right, bottom that it should fill, or None.

    Returns:
        The share of the points that are as they should be, times the IoU of the box and the mask's own box.
    """
    if not mask.any():
        return 0.0
    agreement = 1.0
    if len(inside) + len(outside):
        agreement *= float(np.concatenate([_holds(mask, inside), ~_holds(mask, outside)]).mean())
    if box is not None:
        agreement *= float(box_overlaps(box_of(mask), box[None])[0])
    return agreement


def preferred(scores: Float, areas: Int | None = None) -> int:
    """Index of the highest score; with `areas`, of the largest mask among those that score nearly as high."""
    if areas is None:
        return int(np.argmax(scores))
    near = scores >= scores.max() - NEARLY
    return int(np.argmax(np.where(near, areas, -1)))


def _holds(mask: Mask, points: Float) -> Bool:
    columns, rows = points.astype(int).T
    return mask[rows, columns]
