"""How far a lens bends the picture: a camera path holds pinholes, so a little of it is told and more is refused.

Poses do not depend on it; what is drawn with the path differs from the photo by as much. The models are COLMAP's and
OpenCV's: x' = x·(1 + k1·r² + k2·r⁴ + k3·r⁶) / (1 + k4·r² + k5·r⁴ + k6·r⁶) + tangential terms in p1 and p2.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from real2sam2real.errors import UserError

MOST = 0.01  # of the image's diagonal, that a pixel may move
_REMEDY = "undistort the images first (colmap image_undistorter), which leaves PINHOLE cameras"
_logger = logging.getLogger(__name__)


def check_distortion(
    lens: Sequence[float], size: tuple[float, float], radial: Sequence[float], tangential: Sequence[float], where: str
) -> None:
    """Say by how many pixels a lens (fx, fy, cx, cy) distorts an image of `size` (width, height).

    Raises:
        UserError: by more than `MOST`.
    """
    if not any((*radial, *tangential)):
        return
    pixels = shift(lens, size, radial, tangential)
    share = pixels / float(np.hypot(*size))
    if not share <= MOST:
        raise UserError(
            f"{where}: the lens distortion moves pixels by up to {pixels:.0f} ({100 * share:.1f} % of the diagonal), "
            f"which a camera path cannot hold; {_REMEDY}"
        )
    told = f"the lens distortion, which moves pixels by up to {pixels:.1f}, is left out: a camera path is a pinhole's"
    _logger.warning("%s: %s", where, told)


def shift(
    lens: Sequence[float], size: tuple[float, float], radial: Sequence[float], tangential: Sequence[float]
) -> float:
    """The largest distance in pixels that the distortion moves a point of the picture by."""
    fx, fy, cx, cy = lens
    columns, rows = np.meshgrid(np.linspace(0, size[0], 17), np.linspace(0, size[1], 17))
    x, y = (columns - cx) / fx, (rows - cy) / fy
    square = x * x + y * y
    k1, k2, k3, k4, k5, k6 = [*radial, *[0.0] * 6][:6]
    p1, p2 = [*tangential, 0.0, 0.0][:2]
    ratio = (1 + square * (k1 + square * (k2 + square * k3))) / (1 + square * (k4 + square * (k5 + square * k6)))
    moved_x = x * ratio + 2 * p1 * x * y + p2 * (square + 2 * x * x)
    moved_y = y * ratio + p1 * (square + 2 * y * y) + 2 * p2 * x * y
    return float(np.hypot(fx * (moved_x - x), fy * (moved_y - y)).max())


def refuse_fisheye(model: str, where: str) -> None:
    """Refuse a lens that is no pinhole whatever its coefficients are.

    Raises:
        UserError: always.
    """
    raise UserError(f"{where}: the camera model {model} is no pinhole, and a camera path holds pinholes; {_REMEDY}")
