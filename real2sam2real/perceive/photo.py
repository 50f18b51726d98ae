"""Read a photo as it should be seen: upright, 8-bit sRGB, with its focal length if the camera noted one."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from PIL import Image

from real2sam2real.arrays import UInt8
from real2sam2real.errors import UserError
from real2sam2real.media.pictures import open_picture

MIN_SIDE = 32
DIAGONAL_35MM = float(np.hypot(36.0, 24.0))
_MM_PER_UNIT = {2: 25.4, 3: 10.0, 4: 1.0}  # Exif FocalPlaneResolutionUnit: inch, centimetre, millimetre
_EXIF_IFD, _FOCAL, _FOCAL_35, _PLANE_X, _PLANE_UNIT = 0x8769, 0x920A, 0xA405, 0xA20E, 0xA210


@dataclass(frozen=True, kw_only=True, eq=False)
class Photo:
    """A photo as a person sees it."""

    pixels: UInt8  # `(H, W, 3)` uint8 sRGB, upright
    focal_px: float | None = None  # focal length in pixels of this size, from the file's EXIF data, or None
    notes: list[str] = field(default_factory=list)  # what was converted or left out, in words

    @property
    def width(self) -> int:
        """Width in pixels."""
        return self.pixels.shape[1]

    @property
    def height(self) -> int:
        """Height in pixels."""
        return self.pixels.shape[0]

    def resized(self, width: int, height: int) -> Photo:
        """The same photo at another size, its focal length in pixels along with it."""
        pixels = np.asarray(Image.fromarray(self.pixels).resize((width, height), Image.Resampling.LANCZOS))
        focal = None if self.focal_px is None else self.focal_px * width / self.width
        return replace(self, pixels=pixels, focal_px=focal)


def load_photo(path: Path | str) -> Photo:
    """Read a photo as it should be seen; the notes say what that took.

    Raises:
        UserError: the file is missing, unreadable, cut off, too large, or smaller than 32 pixels along a side.
        MissingPartError: its format needs a package that is not installed.
    """
    path = Path(path)
    picture = open_picture(path)
    pixels, converted = picture.to_srgb()
    height, width = pixels.shape[:2]
    if min(width, height) < MIN_SIDE:
        raise UserError(
            f"'{path.name}' has only {width}×{height} pixels; a photo needs at least {MIN_SIDE} along each side"
        )
    focal = _focal_px(picture.exif, float(np.hypot(width, height)))
    return Photo(pixels=pixels, focal_px=focal, notes=[*picture.notes, *converted])


def _focal_px(file_exif: Image.Exif, diagonal: float) -> float | None:
    """Focal length in pixels from EXIF, or None where the data is absent or absurd; `diagonal` in pixels."""
    try:
        exif = file_exif.get_ifd(_EXIF_IFD)
    except (OSError, ValueError, SyntaxError, KeyError, TypeError):
        return None
    focal = _number(exif.get(_FOCAL_35)) * diagonal / DIAGONAL_35MM
    if focal <= 0:
        unit_mm = _MM_PER_UNIT.get(int(_number(exif.get(_PLANE_UNIT, 2))), 0.0)
        pixels_per_unit = _number(exif.get(_PLANE_X))
        focal = _number(exif.get(_FOCAL)) * pixels_per_unit / unit_mm if unit_mm else 0.0
    # A fish-eye sees 0.3 diagonals, a long telephoto 30: outside of that the entry is wrong.
    return focal if 0.3 < focal / diagonal < 30 else None


def _number(value: object) -> float:
    """An EXIF rational as a float; 0 where it is missing, not a number, or divided by zero."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, ZeroDivisionError):
        return 0.0
    return number if np.isfinite(number) else 0.0
