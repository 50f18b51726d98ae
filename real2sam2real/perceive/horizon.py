"""Where the horizon lies, from how objects of similar size shrink towards it."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike

from real2sam2real.arrays import Mask

MIN_OBJECTS = 4  # three points lie near almost any line
MIN_SPREAD = 0.1  # of the image height, between the highest and the lowest lower edge
MIN_SLOPE = 0.02
MAX_RESIDUAL = 0.25  # of the median height


def horizon_row(bottoms: ArrayLike, heights: ArrayLike, image_height: int) -> float | None:
    """The image row of the horizon, or None where the objects do not tell.

    Objects of similar size on one plane have heights in pixels that grow linearly with the distance of their lower
    edge from the horizon. The line is the median of all pairs' slopes (Theil-Sen), so a few odd sizes do no harm.

    Args:
        bottoms: `(N,)` image rows of the lower edges of objects that stand on the ground in full view.
        heights: `(N,)` their heights in pixels.
        image_height: in pixels.
    """
    bottoms, heights = np.asarray(bottoms, np.float64), np.asarray(heights, np.float64)
    if len(bottoms) < MIN_OBJECTS or np.ptp(bottoms) < MIN_SPREAD * image_height:
        return None
    least = 0.02 * image_height
    slopes = [
        (heights[i] - heights[j]) / (bottoms[i] - bottoms[j])
        for i, j in combinations(range(len(bottoms)), 2)
        if abs(bottoms[i] - bottoms[j]) >= least
    ]
    slope = float(np.median(slopes)) if slopes else 0.0
    if slope <= MIN_SLOPE:
        return None
    intercept = float(np.median(heights - slope * bottoms))
    residual = np.median(np.abs(heights - slope * bottoms - intercept)) / np.median(heights)
    return -intercept / slope if residual < MAX_RESIDUAL else None


def extents(masks: Iterable[Mask]) -> tuple[list[int], list[int]]:
    """Lower edges (rows, one past the last) and heights in pixels of the masks that the lower border does not cut."""
    bottoms, heights = [], []
    for mask in masks:
        rows = np.nonzero(mask.any(axis=1))[0]
        if len(rows) and rows[-1] < mask.shape[0] - 2:
            bottoms.append(int(rows[-1]) + 1)
            heights.append(int(rows[-1] - rows[0]) + 1)
    return bottoms, heights
