"""Pictures read as they are to be seen: upright, 8-bit, in sRGB. One decoder for photos, masks and textures alike."""

from __future__ import annotations

import importlib
import io
import struct
import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError, features

from real2sam2real.arrays import Float, UInt8
from real2sam2real.errors import MissingPartError, UserError, first_line
from real2sam2real.files import existing_file, refuse_if_system, replacing_file
from real2sam2real.media.picture_color import by_other_marks, by_profile, named_color_space

MAX_PIXELS = 100_000_000
# Those of Pillow's formats that hold pictures; EPS and the like would be drawn by other programs.
FORMATS = (
    "PNG", "JPEG", "MPO", "WEBP", "TIFF", "BMP", "DIB", "GIF", "TGA", "PPM", "JPEG2000", "AVIF", "HEIF", "PSD", "ICO",
    "SGI", "PCX", "DDS", "QOI",
)  # fmt: skip
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION, _DNG_VERSION = 0x0112, 0xC612
_RAW_SUFFIXES = {".dng", ".nef", ".cr2", ".cr3", ".arw", ".raf", ".orf", ".rw2", ".pef", ".srw"}
_GAIN_MAPS = (b"ns.adobe.com/hdr-gain-map", b"urn:iso:std:iso:ts:21496", b"aux:hdrgainmap")
_TONE_MAP_ITEM = b"tmap\0"  # a gain map's item in AVIF and HEIF
# What decoders raise on damaged files: Pillow's, and those of AVIF and HEIF.
_BROKEN = (
    OSError, ValueError, SyntaxError, EOFError, LookupError, TypeError, ArithmeticError, MemoryError, RuntimeError,
    struct.error,
)  # fmt: skip


class TooManyPixelsError(ValueError):
    """A picture is larger than it may be; its text is the size."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Picture:
    """A picture that is decoded and upright, its colours still as in the file."""

    image: Image.Image
    format: str  # Pillow's name of the file's format
    exif: Image.Exif
    notes: tuple[str, ...]  # what was turned or left out, in words

    def to_srgb(self) -> tuple[UInt8, list[str]]:
        """Pixels `(H, W, 3)` uint8 sRGB, transparency laid over white; and what was converted, in words."""
        pixels, notes = _to_rgb(self.image, self.exif)
        opaque = _alpha(self.image)
        if opaque is not None and opaque.min() < 255:
            share = opaque[..., None].astype(np.float32) / 255
            pixels = np.round(pixels * share + 255 * (1 - share)).astype(np.uint8)
            notes.append("its transparent parts are laid over white")
        return pixels, notes


def open_picture(path: Path) -> Picture:
    """Open and fully decode one picture file, and turn it upright as its EXIF data says.

    Raises:
        UserError: there is no such file, it is no picture, it is cut off, or it has more than `MAX_PIXELS` pixels.
        MissingPartError: its format needs a package that is not installed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, on many pixels, where the limit is ours, and on odd tags
        return _opened(existing_file(path))


def _opened(path: Path) -> Picture:
    try:
        image = _decoded(path, FORMATS, MAX_PIXELS)
    except UnidentifiedImageError:
        raise _unreadable(path) from None
    except TooManyPixelsError as error:
        raise UserError(
            f"'{path.name}' has {error} pixels; more than {MAX_PIXELS // 10**6} megapixels are refused, scale it down "
            "first"
        ) from None
    except _BROKEN as error:
        refuse_if_system(error, path)
        raise UserError(
            f"'{path.name}' cannot be decoded ({first_line(error)}); it is damaged or cut off, export it again"
        ) from None
    form = image.format or ""
    if path.suffix.lower() in _RAW_SUFFIXES or (form == "TIFF" and _DNG_VERSION in getattr(image, "tag_v2", ())):
        raise UserError(f"'{path.name}' is a camera's raw file; develop it, and give a PNG or JPEG file")
    exif, notes = _exif(image)
    turn = _TURNS.get(exif.get(_ORIENTATION, 1))
    if turn is not None:
        notes.append("turned upright as its EXIF data says")
    notes += _other_pictures(path, image)
    upright = image if turn is None else image.transpose(turn)
    if form in ("AVIF", "HEIF"):
        upright.info["color_space"] = named_color_space(path)
    return Picture(image=upright, format=form, exif=exif, notes=tuple(notes))


def read_image(path: Path | str) -> UInt8:
    """Read a picture as `(H, W, 3)` uint8 sRGB, upright, transparency laid over white.

    Raises:
        UserError: see `open_picture`.
    """
    return open_picture(Path(path)).to_srgb()[0]


def decode_texture(source: Path | io.BytesIO, formats: tuple[str, ...], most_pixels: int, *, as_srgb: bool) -> UInt8:
    """`(H, W, 3)` pixels of a picture that texture coordinates point into: not turned, and its transparency dropped.

    Args:
        source: the file or its bytes.
        formats: those of Pillow that are read.
        most_pixels: a small file can claim to be a picture of any size.
        as_srgb: whether the file's own colour space is honoured; glTF 2.0 says that it is not (3.8.3).

    Raises:
        TooManyPixelsError: it is larger than `most_pixels`.
        ValueError: it is damaged or of another format.
    """
    try:
        image = _decoded(source, formats, most_pixels)
        return _to_rgb(image, image.getexif())[0] if as_srgb else _rgb_values(image)
    except TooManyPixelsError:
        raise
    except _BROKEN as error:
        raise ValueError(first_line(error)) from error


def resized(image: UInt8, width: int, height: int) -> UInt8:
    """`(height, width, 3)` uint8 of `(H, W, 3)`: averaged over areas where it shrinks, bicubic where it grows."""
    if image.shape[:2] == (height, width):
        return image
    how = cv2.INTER_AREA if width < image.shape[1] else cv2.INTER_CUBIC
    return cv2.resize(image, (width, height), interpolation=how).astype(np.uint8, copy=False)


def write_png(path: Path | str, pixels: UInt8) -> None:
    """Write `(H, W, 3)` or `(H, W)` uint8 pixels as a PNG file.

    Raises:
        ValueError: the array is no such picture.
    """
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] != 3):
        raise ValueError(f"a picture is (H, W, 3) or (H, W) uint8, not {pixels.shape} {pixels.dtype}")
    with replacing_file(Path(path)) as temporary:
        Image.fromarray(np.ascontiguousarray(pixels)).save(temporary, compress_level=1)


def _decoded(source: Path | io.BytesIO, formats: Sequence[str], most_pixels: int) -> Image.Image:
    Image.init()
    if "HEIF" in formats and "HEIF" not in Image.OPEN:
        for name in ("pillow_heif", "pi_heif"):  # the second is the first without its encoder
            with suppress(ImportError):
                importlib.import_module(name).register_heif_opener()
                break
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(source, formats=[name for name in formats if name in Image.OPEN])
            if image.width * image.height > most_pixels:
                raise TooManyPixelsError(f"{image.width}×{image.height}")
            image.load()
            return image
    except Image.DecompressionBombError as error:
        raise TooManyPixelsError(f"more than {most_pixels:,}") from error


def _unreadable(path: Path) -> UserError:
    """Why a file is no picture to Pillow, by how it begins."""
    with path.open("rb") as file:
        head = file.read(32)
    brand = head[8:12] if head[4:8] == b"ftyp" else b""
    if brand in (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1") and "HEIF" not in Image.OPEN:
        return MissingPartError(
            f"'{path.name}' is a HEIC picture and needs a package: pip install pi-heif; or save it as JPEG"
        )
    if brand in (b"avif", b"avis") and not features.check("avif"):
        return MissingPartError(
            f"'{path.name}' is an AVIF picture and needs a newer Pillow: pip install 'pillow>=11.3'; or save it as PNG"
        )
    if head.startswith((b"\xff\x0a", b"\0\0\0\x0cJXL ")):
        return UserError(f"'{path.name}' is a JPEG XL picture, which is not read; save it as PNG or JPEG")
    if head.startswith(b"\x1a\x45\xdf\xa3") or (brand and brand not in (b"avif", b"avis", b"heic", b"mif1")):
        return UserError(f"'{path.name}' is not an image but a video; save one of its frames as PNG or JPEG")
    return UserError(f"'{path.name}' is not an image that can be read; save it as PNG or JPEG")


def _exif(image: Image.Image) -> tuple[Image.Exif, list[str]]:
    try:
        exif = image.getexif()
        dict(exif)  # reads every value
        return exif, []
    except _BROKEN:
        return Image.Exif(), ["its EXIF data is damaged and left out"]


def _other_pictures(path: Path, image: Image.Image) -> list[str]:
    """What else a file holds beside the picture that is used."""
    if image.format in ("JPEG", "MPO", "HEIF", "AVIF"):
        data = path.read_bytes()
        markers = (*_GAIN_MAPS, _TONE_MAP_ITEM) if image.format in ("HEIF", "AVIF") else _GAIN_MAPS
        if any(marker in data for marker in markers):
            return [f"'{path.name}' holds a gain map (high dynamic range), which is left out; its base picture is used"]
    try:
        number = getattr(image, "n_frames", 1)
    except _BROKEN:
        return ["what it holds beside its first picture is damaged"]
    return [f"'{path.name}' holds {number} pictures; the first one is used"] if number > 1 else []


def _to_rgb(image: Image.Image, exif: Image.Exif) -> tuple[UInt8, list[str]]:
    """`(H, W, 3)` sRGB without transparency, and what was converted."""
    notes: list[str] = []
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        kind = "floating-point" if image.mode == "F" else "16-bit"
        notes = [f"converted from {kind} grey to 8-bit RGB"]
        image = _eight_bit(image)
    profiled = by_profile(image)
    if profiled is not None and profiled[0] is not None:
        return profiled[0], notes + profiled[1]
    pixels = _rgb_values(image)
    if image.mode not in ("RGB", "RGBA", "RGBa", "RGBX") and not notes:
        notes = [f"converted from {image.mode} to RGB"]
    if profiled is not None:
        return pixels, notes + profiled[1]
    pixels, converted = by_other_marks(pixels, image, exif)
    return pixels, notes + converted


def _rgb_values(image: Image.Image) -> UInt8:
    """`(H, W, 3)` of any of Pillow's modes, its colours as they are."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        image = _eight_bit(image)
    if image.mode in ("RGBa", "La"):  # premultiplied
        image = image.convert("RGBA" if image.mode == "RGBa" else "LA")
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")  # straight to RGB a palette with transparent entries loses its colours
    return np.array(image.convert("RGB"))


def _eight_bit(image: Image.Image) -> Image.Image:
    """Grey of integers that span 16 bits, or of floats that span 0…1, unless they exceed that; as grey of 8 bits."""
    values: Float = np.nan_to_num(np.asarray(image).astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    top = max(1.0 if image.mode == "F" else 65535.0, float(values.max(initial=0.0)))
    grey = Image.fromarray(np.clip(np.round(values / top * 255), 0, 255).astype(np.uint8))
    grey.info = dict(image.info)
    return grey


def _alpha(image: Image.Image) -> UInt8 | None:
    """`(H, W)`, or None for a picture without transparency."""
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La"):
        return np.asarray(image.getchannel("A" if "A" in image.getbands() else "a"))
    if "transparency" in image.info and image.mode in ("P", "L", "RGB", "1"):
        return np.asarray(image.convert("RGBA").getchannel("A"))
    return None
