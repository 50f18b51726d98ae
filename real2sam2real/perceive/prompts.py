"""Points and boxes that a person gives, checked against the photo. Pixels as in docs/conventions.md."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from real2sam2real.arrays import Float
from real2sam2real.errors import UserError

MIN_BOX_SIDE = 8


def box_text(box: Sequence[float]) -> str:
    """A box as it is written on the command line: `"120,80,340,300"`."""
    return ",".join(f"{value:g}" for value in box)


def checked_box(width: int, height: int, box: Sequence[float]) -> tuple[int, int, int, int]:
    """A box in whole pixels, cut at the photo's edges.

    Args:
        width: the photo's width in pixels.
        height: the photo's height in pixels.
        box: left, top, right, bottom in pixels, right and bottom not included.

    Raises:
        UserError: the box is not four finite numbers in order, misses the photo, or is tiny.
    """
    if len(box) != 4 or not np.isfinite(np.asarray(box, np.float64)).all():
        raise UserError(f"a box is left, top, right, bottom in pixels, not '{box}'")
    left, top, right, bottom = (float(value) for value in box)
    if right <= left or bottom <= top:
        raise UserError(f"the box {box_text(box)} has no area; its order is left, top, right, bottom")
    if left >= width or top >= height or right <= 0 or bottom <= 0:
        raise UserError(f"the box {box_text(box)} lies outside the photo of {width}×{height} pixels")
    x0, y0 = max(0, round(left)), max(0, round(top))
    x1, y1 = min(width, round(right)), min(height, round(bottom))
    if min(x1 - x0, y1 - y0) < MIN_BOX_SIDE:
        raise UserError(f"the box {box_text(box)} is only {x1 - x0}×{y1 - y0} pixels; draw it around the whole object")
    return x0, y0, x1, y1


def checked_points(width: int, height: int, points: ArrayLike, which: str) -> Float:
    """Points as `(N, 2)` float64 pixels x, y; `(0, 2)` where there is none.

    Args:
        width: the photo's width in pixels.
        height: the photo's height in pixels.
        points: `(N, 2)` pixels x, y.
        which: what they are, for the message: "inside" or "outside" the object.

    Raises:
        UserError: a point is not finite or lies outside the photo.
    """
    array = np.asarray(points, np.float64).reshape(-1, 2) if np.size(points) else np.zeros((0, 2))
    bad = ~np.isfinite(array).all(axis=1) | (array < 0).any(axis=1) | (array >= [width, height]).any(axis=1)
    if bad.any():
        x, y = array[bad][0]
        raise UserError(f"the point {x:g},{y:g} ({which}) lies outside the photo of {width}×{height} pixels")
    return array


def checked_inside(width: int, height: int, points: ArrayLike) -> Float:
    """Points on an object, at least one, as `checked_points` gives them.

    Raises:
        UserError: there is none, or one lies outside the photo.
    """
    inside = checked_points(width, height, points, "inside")
    if not len(inside):
        raise UserError("no point inside the object is given; click it at least once")
    return inside
