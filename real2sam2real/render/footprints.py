"""Which of the photo's pixels an object changes: those that show it, and the ground its shadow darkens."""

from __future__ import annotations

import cv2
import numpy as np

from real2sam2real.arrays import Bool, UInt8
from real2sam2real.render.inpaint import prevailing

# A pixel is in contact shadow when it is darker than this share of what prevails around it.
_DARKER = 0.72


def outline(mask: Bool, pixels: float) -> Bool:
    """`mask` `(H, W)` grown by some pixels: masks seldom take in an object's soft edge."""
    side = 2 * round(pixels) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    return cv2.dilate(mask.astype(np.uint8), kernel) > 0


def with_shadow(photo: UInt8, mask: Bool, objects: Bool) -> Bool:
    """An object's mask together with the contact shadow found around its foot.

    Args:
        photo: `(H, W, 3)` uint8.
        mask: `(H, W)` bool, the object.
        objects: `(H, W)` bool, all objects; none of their pixels is a shadow, nor do they say how bright the ground is.

    Returns:
        `(H, W)` bool, a superset of `mask`.
    """
    rows, columns = np.nonzero(mask)
    if not len(rows):
        return mask
    reach = max(2, round(0.35 * np.sqrt(len(rows))))
    top, bottom = max(0, int(rows.max()) - reach), min(mask.shape[0], int(rows.max()) + reach + 1)
    left, right = max(0, int(columns.min()) - reach), min(mask.shape[1], int(columns.max()) + reach + 1)
    window = (slice(max(0, top - reach), min(mask.shape[0], bottom + reach)), slice(left, right))
    crop = photo[window].astype(np.float32)
    ground = prevailing(crop, objects[window], reach=0.3).mean(axis=-1)
    gray = cv2.GaussianBlur(crop, (0, 0), max(0.6, 0.04 * reach)).mean(axis=-1)
    dark = (gray < _DARKER * ground) & ~outline(objects & ~mask, 1)[window]
    below = np.zeros_like(mask)
    below[top:bottom, left:right] = True
    candidates = (dark & below[window] & outline(mask, reach)[window]) | mask[window]
    _, labels = cv2.connectedComponents(candidates.astype(np.uint8))
    touching = np.unique(labels[mask[window]])
    found = mask.copy()
    found[window] |= np.isin(labels, touching[touching > 0]) & candidates
    return found
