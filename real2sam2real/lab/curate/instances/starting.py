"""Instances on the frame that shows them, and what else moves there.

Shape legend: h w work size in pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from real2sam2real.arrays import Bool
from real2sam2real.lab.curate.instances.appearance import Appearance
from real2sam2real.lab.curate.instances.following import FrameFeatures, around, cut_out, signed_distance, tidied
from real2sam2real.lab.curate.instances.interface import Box

_MOVES = 16  # grey levels from which a pixel differs from the background behind it
_TELLING = 2.5  # times as much must differ inside a box as elsewhere
_MOST_MOVES = 0.3  # of the picture; where more differs, the background is not known well enough to name movers
_LEAST_AREA = 0.004  # of the picture, for something that moves by itself
_GAP = 7  # pixels between an instance and what moves beside it


def sharpened(mask: Bool, box: Box, features: FrameFeatures) -> Bool:
    """The instance in a box, without what stands still behind it; the mask as it was where that cannot be told.

    Args:
        mask: `(h, w)` bool, what colours alone found in the box.
        box: left, top, right, bottom in pixels at work size.
        features: the frame.
    """
    inside = np.zeros(mask.shape, np.bool_)
    left, top, right, bottom = (round(value) for value in box)
    inside[max(0, top) : max(0, bottom), max(0, left) : max(0, right)] = True
    beside = around(inside)
    moves = features.difference > _MOVES
    if not inside.any() or moves[inside].mean() < _TELLING * max(0.02, moves[~inside].mean()):
        return mask
    seed = tidied(moves & inside)
    for _ in range(2):
        still = inside & ~moves & ~seed
        if seed.sum() < 32 or not (still | beside).any():
            return mask
        appearance = Appearance(features.colors, features.steps, seed, still | beside)
        evidence = 0.7 * appearance.color_evidence(features.colors) + 0.8 * appearance.difference_evidence(
            features.steps
        )
        evidence += np.clip(signed_distance(seed) / 3, -2, 2)
        evidence = np.where(inside, cv2.GaussianBlur(evidence, (0, 0), 0.8), -20).astype(np.float32)
        seed = tidied(cut_out(evidence, ~inside, features.picture))
    # What both agree on: too little grows into its place within a few frames, too much would be followed.
    shared, either = tidied(seed & mask), (seed | mask).sum()
    return shared if shared.sum() > 0.3 * either else mask


def movers(features: FrameFeatures, taken: Sequence[Bool]) -> list[Bool]:
    """What moves by itself and is none of the instances: they must not be mistaken for it.

    Args:
        features: the frame.
        taken: `(h, w)` bool, the instances known already.

    Returns:
        `(h, w)` bool each.
    """
    moves = cv2.morphologyEx(
        (features.difference > _MOVES).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8)
    )
    moves = cv2.morphologyEx(moves, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    if moves.mean() > _MOST_MOVES:
        return []
    for mask in taken:
        moves[cv2.dilate(mask.astype(np.uint8), np.ones((2 * _GAP + 1, 2 * _GAP + 1), np.uint8)) > 0] = 0
    _, parts, stats, _ = cv2.connectedComponentsWithStats(moves, connectivity=8)
    large = [k for k in range(1, len(stats)) if stats[k, cv2.CC_STAT_AREA] > _LEAST_AREA * moves.size]
    return [parts == k for k in large]
