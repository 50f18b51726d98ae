"""Soft outlines: a mesh ends at a line, and what was out of focus in its photo must not."""

from __future__ import annotations

import cv2
import numpy as np

from real2sam2real.arrays import Bool, Float32, UInt8


def window_of(area: Bool) -> tuple[slice, slice]:
    """Rows and columns that hold every pixel of `area` `(H, W)`."""
    rows, columns = np.flatnonzero(area.any(axis=1)), np.flatnonzero(area.any(axis=0))
    if not len(rows):
        return slice(0, 0), slice(0, 0)
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def soften(coverage: Float32, color: UInt8, ids: UInt8, number: int, sigma: float) -> tuple[Float32, UInt8]:
    """A frame's coverage `(H, W)` and colours `(H, W, 3)` with one instance's outline blurred.

    Its colours go on beyond it as those of its rim. Pixels of other instances stay as they are.

    Args:
        coverage: how much of each pixel is any instance, 0…1.
        color: of what covers it.
        ids: `(H, W)`, the instance of each pixel, 0 where there is none.
        number: the instance.
        sigma: standard deviation of the blur in pixels.
    """
    own = ids == number
    rows, columns = window_of(own)
    reach = int(np.ceil(3 * sigma)) + 2
    window = (
        slice(max(0, rows.start - reach), rows.stop + reach),
        slice(max(0, columns.start - reach), columns.stop + reach),
    )
    if not own.any():
        return coverage, color
    # A pixel that it covers in part may have no id.
    part = own[window] | (
        (ids[window] == 0) & (coverage[window] > 0) & (cv2.dilate(own[window].view(np.uint8), _CROSS) > 0)
    )
    share = coverage[window] * part
    soft = cv2.GaussianBlur(share, (0, 0), sigma)
    weight = share[..., None] * (share[..., None] > 0.99)
    total = cv2.GaussianBlur(weight[..., 0], (0, 0), sigma)[..., None]
    spread = cv2.GaussianBlur(color[window] * weight, (0, 0), sigma) / np.maximum(total, 1e-4)
    free = part | ((ids[window] == 0) & (coverage[window] == 0))
    coverage, color = coverage.copy(), color.copy()
    coverage[window][free] = soft[free]
    outside = free & (weight[..., 0] == 0) & (total[..., 0] > 1e-4)
    color[window][outside] = np.rint(spread[outside]).astype(np.uint8)
    return coverage, color


_CROSS = np.ones((3, 3), np.uint8)
