"""The camera's intrinsics: what the user says, else what the photo's EXIF data says, else a stated default."""

from __future__ import annotations

from real2sam2real.errors import UserError
from real2sam2real.geometry import Intrinsics
from real2sam2real.perceive.photo import Photo

DEFAULT_FOV_DEGREES = 55.0  # across the longer side: a phone's main camera, slightly cropped


def estimate_intrinsics(photo: Photo, horizontal_fov_degrees: float | None = None) -> tuple[Intrinsics, str]:
    """Intrinsics of a photo with square pixels and a centred principal point, and where they come from.

    Args:
        photo: the photo, at the size that the intrinsics are for.
        horizontal_fov_degrees: the user's own knowledge; wins over EXIF.

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
    intrinsics = Intrinsics(width=width, height=height, fx=longer.fx, fy=longer.fx, cx=width / 2, cy=height / 2)
    note = (
        f"no focal length in the photo: a field of view of {DEFAULT_FOV_DEGREES:g}° across the longer side is assumed"
    )
    return intrinsics, note
