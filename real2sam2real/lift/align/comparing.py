"""How much of a drawing agrees with the photo, beside its area: edges and depths. Shares 0…1 of H × W pixels."""

from __future__ import annotations

import numpy as np

from real2sam2real.arrays import Bool, Float, Int
from real2sam2real.lift.align.target import Target, edge_pixels, signed_distance

EDGE_TOLERANCE = 0.012  # of the mask's size
DEPTH_TOLERANCE = 0.08  # of the object's radius
LEAST_DEPTHS = 50


def edges_met(covered: Bool, target: Target) -> float:
    """How much of the two edges lies on one another: the mean of 1 / (1 + (distance / tolerance)²), both ways.

    A part that the mask misses spoils a part of the edges, but much of the area.
    """
    if not covered.any() or not len(target.edge):
        return 0.0
    pixels = edge_pixels(covered)
    pixels = pixels[target.counted[pixels[:, 1], pixels[:, 0]]]
    tolerance = max(1.0, EDGE_TOLERANCE * target.size)
    distance = signed_distance(covered)
    ours, theirs = (
        1 / (1 + ((target.distance[y, x] - distance[y, x]) / tolerance) ** 2) for x, y in (pixels.T, target.edge.T)
    )
    return float((ours.mean() if len(ours) else 0.0) + theirs.mean()) / 2


def depths_met(drawn: Float, target: Target, radius: float) -> list[float]:
    """How well depths agree, once they agree in the median; nothing where too few are known.

    Args:
        drawn: `(h, w)` inverse depth.
        target: with the depths of the photo.
        radius: of the object, in the scene's unit.
    """
    pixels = known_depths(drawn, target)
    if len(pixels) < LEAST_DEPTHS:
        return []
    depth, seen = matched_depths(drawn, target, pixels)
    return [float(np.mean(1 / (1 + ((depth - seen) / (DEPTH_TOLERANCE * radius)) ** 2)))]


def known_depths(drawn: Float, target: Target) -> Int:
    """`(N, 2)` columns and rows where the depth is drawn and known."""
    if target.depth is None:
        return np.zeros((0, 2), np.int64)
    return np.argwhere((drawn > 0) & target.mask & np.isfinite(target.depth))[:, ::-1]


def matched_depths(drawn: Float, target: Target, pixels: Int) -> tuple[Float, Float]:
    """`(N,)` drawn depths, and those of the photo times the factor that makes them agree in the median.

    Args:
        drawn: `(h, w)` inverse depth.
        target: with the depths of the photo.
        pixels: `(N, 2)` of `known_depths`.
    """
    if target.depth is None:
        return np.zeros(0), np.zeros(0)
    x, y = pixels.T
    depth, seen = 1 / drawn[y, x], target.depth[y, x]
    return depth, seen * np.median(depth / seen)
