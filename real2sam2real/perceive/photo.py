"""Read a photo as it should be seen: upright, 8-bit sRGB, with its focal length if the camera noted one."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from real2sam2real.arrays import Float, UInt8
from real2sam2real.errors import UserError

MAX_PIXELS = 100_000_000
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


def open_image(path: Path) -> Image.Image:
    """Open and fully decode one image file; shared by photos and masks.

    Raises:
        UserError: there is no such file, it is no image, it is cut off, or it has more than `MAX_PIXELS` pixels.
    """
    if not path.is_file():
        raise UserError(f"there is no image at '{path}'; check the path")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the limit below is ours, and stricter
            image = Image.open(path)
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise UserError(
                    f"'{path.name}' has {width}×{height} pixels; more than {MAX_PIXELS // 10**6} megapixels are "
                    "refused, scale it down first"
                )
            image.load()
    except UnidentifiedImageError:
        raise UserError(f"'{path.name}' is not an image that can be read; save it as PNG or JPEG") from None
    except Image.DecompressionBombError:
        raise UserError(f"'{path.name}' declares too many pixels to be a photo; scale it down first") from None
    except (OSError, ValueError, SyntaxError, EOFError, MemoryError) as error:  # Pillow's decoders raise all of these
        raise UserError(
            f"'{path.name}' cannot be decoded ({error}); it is damaged or cut off, export it again"
        ) from None
    return image


def load_photo(path: Path | str) -> Photo:
    """Read a photo: EXIF rotation applied, any pixel format brought to 8-bit RGB, transparency laid over white.

    Raises:
        UserError: the file is missing, unreadable, cut off, too large, or smaller than 32 pixels along a side.
    """
    path = Path(path)
    image = open_image(path)
    notes: list[str] = []
    if getattr(image, "n_frames", 1) > 1:
        notes.append(f"'{path.name}' holds {image.n_frames} pictures; the first one is used")  # type: ignore[attr-defined]
    focal = _focal_px(image)
    upright = ImageOps.exif_transpose(image)
    if upright.size != image.size:
        notes.append("turned upright as its EXIF data says")
    pixels, converted = _to_rgb(upright)
    notes += [converted] if converted else []
    height, width = pixels.shape[:2]
    if min(width, height) < MIN_SIDE:
        raise UserError(
            f"'{path.name}' has only {width}×{height} pixels; a photo needs at least {MIN_SIDE} along each side"
        )
    return Photo(pixels=pixels, focal_px=focal, notes=notes)


def _to_rgb(image: Image.Image) -> tuple[UInt8, str]:
    """Pixels `(H, W, 3)`, and what was converted, if anything."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        # Integers span 16 bits; floats span 0…1 unless they say otherwise by exceeding it.
        values: Float = np.nan_to_num(np.asarray(image).astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
        top = 65535.0 if image.mode != "F" else max(1.0, float(values.max(initial=0.0)))
        grey = np.clip(np.round(values / top * 255), 0, 255).astype(np.uint8)
        kind = "floating-point" if image.mode == "F" else "16-bit"
        return np.repeat(grey[..., None], 3, axis=2), f"converted from {kind} grey to 8-bit RGB"
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        over = Image.new("RGBA", image.size, (255, 255, 255, 255))
        over.alpha_composite(rgba)
        opaque = rgba.getchannel("A").getextrema() == (255, 255)
        return np.array(over.convert("RGB")), "" if opaque else "its transparent parts are laid over white"
    return np.array(image.convert("RGB")), "" if image.mode == "RGB" else f"converted from {image.mode} to RGB"


def _focal_px(image: Image.Image) -> float | None:
    """Focal length in pixels from EXIF, or None where the data is absent or absurd."""
    try:
        exif = image.getexif().get_ifd(_EXIF_IFD)
    except (OSError, ValueError, SyntaxError, KeyError, TypeError):
        return None
    diagonal = float(np.hypot(*image.size))
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
