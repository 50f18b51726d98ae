"""The camera's intrinsics: what the user says, else what the photo's EXIF data says, else a stated default."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from real2sam2real.arrays import Mask
from real2sam2real.errors import UserError
from real2sam2real.geometry import Intrinsics
from real2sam2real.perceive.horizon import extents, horizon_row
from real2sam2real.perceive.photo import Photo

DEFAULT_FOV_DEGREES = 55.0  # across the longer side: a phone's main camera, slightly cropped
USUAL_PITCH_DEGREES, PITCH_SPREAD_DEGREES = 8.0, 10.0
FOCAL_SPREAD = 0.45  # of the focal length's logarithm
LONGEST = 4.0  # times the default focal length


def estimate_intrinsics(
    photo: Photo, horizontal_fov_degrees: float | None = None, *, masks: Mapping[str, Mask] | None = None
) -> tuple[Intrinsics, str]:
    """Intrinsics of a photo with square pixels and a centred principal point, and where they come from.

    Args:
        photo: the photo, at the size that the intrinsics are for.
        horizontal_fov_degrees: the user's own knowledge; wins over EXIF.
        masks: `(H, W)` bool of the objects. Where the focal length must be guessed and their sizes put the horizon
            so far above the picture that a usual lens would have to look steeply down, a longer lens is likelier.

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
        focal = photo.focal_px
        intrinsics = Intrinsics(width=width, height=height, fx=focal, fy=focal, cx=width / 2, cy=height / 2)
        return (
            intrinsics,
            f"focal length {focal:.0f} px (field of view {intrinsics.horizontal_fov_degrees:.0f}°) from EXIF",
        )
    longer = Intrinsics.from_fov(max(width, height), min(width, height), horizontal_degrees=DEFAULT_FOV_DEGREES)
    factor = 1.0 if masks is None else _lens_factor(longer.fx, height, masks)
    focal = longer.fx * factor
    intrinsics = Intrinsics(width=width, height=height, fx=focal, fy=focal, cx=width / 2, cy=height / 2)
    if factor > 1:
        fov = intrinsics.horizontal_fov_degrees
        return (
            intrinsics,
            f"no focal length in the photo: how the objects shrink suggests a field of view near {fov:.0f}°",
        )
    note = (
        f"no focal length in the photo: a field of view of {DEFAULT_FOV_DEGREES:g}° across the longer side is assumed"
    )
    return intrinsics, note


def _lens_factor(usual_focal: float, image_height: int, masks: Mapping[str, Mask]) -> float:
    """By how much the lens is longer than usual, at least 1.

    The horizon's row fixes the product of focal length and tan(pitch). Along that curve the likeliest pair is taken,
    under independent normal distributions of the pitch and of the focal length's logarithm.
    """
    bottoms, heights = extents(masks.values())
    horizon = horizon_row(bottoms, heights, image_height)
    if horizon is None:
        return 1.0
    factors = np.exp(np.linspace(0.0, np.log(LONGEST), 200))
    pitch = np.degrees(np.arctan((image_height / 2 - horizon) / (usual_focal * factors)))
    surprise = ((pitch - USUAL_PITCH_DEGREES) / PITCH_SPREAD_DEGREES) ** 2 + (np.log(factors) / FOCAL_SPREAD) ** 2
    return float(factors[np.argmin(surprise)])
