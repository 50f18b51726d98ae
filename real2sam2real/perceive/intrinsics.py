"""The camera's intrinsics: what the user says, else what the photo's EXIF data says, else a stated default."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike

from real2sam2real.arrays import Float, Mask
from real2sam2real.errors import UserError
from real2sam2real.geometry import Intrinsics
from real2sam2real.perceive.photo import Photo

DEFAULT_FOV_DEGREES = 55.0  # across the longer side: a phone's main camera, slightly cropped
USUAL_PITCH_DEGREES, PITCH_SPREAD_DEGREES = 8.0, 10.0
FOCAL_SPREAD = 0.45  # of the focal length's logarithm
LONGEST = 4.0  # times the default focal length
# Of a horizon that the sizes of objects tell.
MIN_OBJECTS = 4  # three points lie near almost any line
MIN_SPREAD = 0.1  # of the image height, between the highest and the lowest lower edge
MIN_SLOPE = 0.02
MAX_RESIDUAL = 0.25  # of the median height


def estimate_intrinsics(
    photo: Photo, horizontal_fov_degrees: float | None = None, *, masks: Mapping[str, Mask] | None = None
) -> tuple[Intrinsics, str]:
    """Intrinsics of a photo with square pixels and a centred principal point, and where they come from.

    Args:
        photo: the photo, at the size that the intrinsics are for.
        horizontal_fov_degrees: the user's own knowledge; wins over EXIF.
        masks: `(H, W)` bool of the objects. Where the focal length must be guessed and their sizes put the horizon
            so far above the picture that a camera of usual focal length would look steeply down, a longer one is
            likelier.

    Returns:
        The intrinsics, and one sentence that says how the focal length was found.

    Raises:
        UserError: the field of view is outside 1…150°.
    """
    width, height = photo.width, photo.height
    if horizontal_fov_degrees is not None:
        if not 1 <= horizontal_fov_degrees <= 150:
            raise UserError(
                f"a horizontal field of view of {horizontal_fov_degrees}° is outside 1…150°; phones have 50…75°"
            )
        intrinsics = Intrinsics.from_fov(width, height, horizontal_degrees=horizontal_fov_degrees)
        return intrinsics, f"field of view {horizontal_fov_degrees:g}°, as given"
    if photo.focal_px is not None:
        intrinsics = Intrinsics.from_focal(width, height, photo.focal_px)
        seen = f"field of view {intrinsics.horizontal_fov_degrees:.0f}°"
        return intrinsics, f"focal length {photo.focal_px:.0f} px ({seen}) from EXIF"
    longer = Intrinsics.from_fov(max(width, height), min(width, height), horizontal_degrees=DEFAULT_FOV_DEGREES)
    factor = 1.0 if masks is None else _focal_factor(longer.fx, height, masks)
    intrinsics = Intrinsics.from_focal(width, height, longer.fx * factor)
    if factor > 1:
        fov = intrinsics.horizontal_fov_degrees
        reason = f"how the objects shrink suggests a field of view near {fov:.0f}°"
    else:
        reason = f"a field of view of {DEFAULT_FOV_DEGREES:g}° across the longer side is assumed"
    return intrinsics, f"no focal length in the photo: {reason}"


def _focal_factor(usual_focal: float, image_height: int, masks: Mapping[str, Mask]) -> float:
    """By how much the focal length is longer than usual, at least 1.

    The horizon's row fixes the product of focal length and tan(pitch). Along that curve the likeliest pair is taken.
    """
    bottoms, heights = extents(masks.values())
    horizon = horizon_row(bottoms, heights, image_height)
    if horizon is None:
        return 1.0
    factors = np.exp(np.linspace(0.0, np.log(LONGEST), 200))
    pitch = np.degrees(np.arctan((image_height / 2 - horizon) / (usual_focal * factors)))
    return float(factors[np.argmin(lens_surprise(factors, pitch))])


def lens_surprise(factors: ArrayLike, pitch_degrees: ArrayLike) -> Float:
    """`(...)` how unusual a camera is that looks down by so much through a lens so many times as long as usual.

    Twice the negative logarithm of independent normal distributions of the pitch and of the focal length's logarithm.
    """
    steep = (np.asarray(pitch_degrees) - USUAL_PITCH_DEGREES) / PITCH_SPREAD_DEGREES
    return np.asarray(steep**2 + (np.log(factors) / FOCAL_SPREAD) ** 2)


def horizon_row(
    bottoms: ArrayLike, heights: ArrayLike, image_height: int, *, max_residual: float = MAX_RESIDUAL
) -> float | None:
    """The image row of the horizon, or None where the objects do not tell.

    Objects of similar size on one plane have heights in pixels that grow linearly with the distance of their lower
    edge from the horizon. The line is the median of all pairs' slopes (Theil-Sen), so a few odd sizes do no harm.

    Args:
        bottoms: `(N,)` image rows of the lower edges of objects that stand on the ground in full view.
        heights: `(N,)` their heights in pixels.
        image_height: in pixels.
        max_residual: median distance from the line, as a share of the median height, beyond which nothing is told.
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
    return -intercept / slope if residual < max_residual else None


def extents(masks: Iterable[Mask]) -> tuple[list[int], list[int]]:
    """Lower edges (rows, one past the last) and heights in pixels of the masks that the lower border does not cut."""
    bottoms, heights = [], []
    for mask in masks:
        rows = np.nonzero(mask.any(axis=1))[0]
        if len(rows) and rows[-1] < mask.shape[0] - 2:
            bottoms.append(int(rows[-1]) + 1)
            heights.append(int(rows[-1] - rows[0]) + 1)
    return bottoms, heights
