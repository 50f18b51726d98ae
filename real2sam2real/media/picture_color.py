"""The colours that a picture file's values mean: by its ICC profile, or by what else it says of them."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms

from real2sam2real.arrays import UInt8
from real2sam2real.media.color import ADOBE_RGB, ColorSpace

_SAME = 3  # levels by which a profile's colours may differ from sRGB's and still be sRGB
_MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab": "LAB"}  # by the colour space that a profile is of
_EXIF_IFD, _COLOR_SPACE, _INTEROP_IFD, _INTEROP_INDEX = 0x8769, 0xA001, 0xA005, 1
_HEADER_BYTES = 1 << 18  # in which AVIF and HEIF describe their pictures


def by_profile(image: Image.Image) -> tuple[UInt8 | None, list[str]] | None:
    """`(H, W, 3)` sRGB of a picture by its ICC profile, and notes; no pixels where its values can be taken as they are.

    Relative colorimetric, as web programs do: an ink's black stays as light as it is. None for a picture without a
    profile.
    """
    data = image.info.get("icc_profile")
    if not data and image.mode != "LAB":
        return None
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(data) if data else ImageCms.createProfile("LAB"))
        mode = _MODES[profile.profile.xcolor_space.strip()]
        source = _in_mode(image, mode)
        transform = ImageCms.buildTransform(
            profile,
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
        )
        if mode == "RGB" and _changes_nothing(transform):
            return None, []
        converted = np.array(ImageCms.applyTransform(source, transform))
        name = ImageCms.getProfileDescription(profile).strip().rstrip("\0") or "unnamed"
    except (OSError, ValueError, KeyError, ImageCms.PyCMSError):
        return None, ["its colour profile does not fit it and is left out"]
    return converted, [f"colours converted from its profile '{name}' to sRGB"]


def by_other_marks(pixels: UInt8, image: Image.Image, exif: Image.Exif) -> tuple[UInt8, list[str]]:
    """`(H, W, 3)` sRGB of a picture's values, by what its file says of them without a profile."""
    if image.mode == "CMYK":
        return pixels, ["it holds inks without a profile; their colours are a guess"]
    space = image.info.get("color_space")
    if space is None and _is_adobe_rgb(exif):
        space = ColorSpace(ADOBE_RGB, ADOBE_RGB)
    gamma = image.info.get("gamma")
    if space is None and gamma and "srgb" not in image.info and 0.05 < gamma < 5 and not 0.4 < gamma < 0.5:
        space = ColorSpace(gamma=1 / gamma)
    if space is None:
        return pixels, []
    return pixels if space.is_srgb else space.to_srgb(pixels), [space.note] if space.note else []


def named_color_space(path: Path) -> ColorSpace | None:
    """What the header of an AVIF or HEIF file says of its colours (ISO 14496-12, `colr` of kind `nclx`)."""
    with path.open("rb") as file:
        head = file.read(_HEADER_BYTES)
    place = head.find(b"colrnclx")
    if not 0 <= place < len(head) - 12:
        return None
    primaries, transfer = struct.unpack_from(">HH", head, place + 8)
    return ColorSpace(primaries, transfer)


def _in_mode(image: Image.Image, mode: str) -> Image.Image:
    """The picture as a profile for `mode` takes it.

    Raises:
        ValueError: the picture is of another kind.
    """
    plain = image.convert("RGBA") if image.mode == "P" and "transparency" in image.info else image
    kind = {"L": "L", "LA": "L", "1": "L", "CMYK": "CMYK", "LAB": "LAB"}.get(plain.mode, "RGB")
    if kind != mode:
        raise ValueError(f"{plain.mode} is not {mode}")
    return plain.convert(mode)


def _changes_nothing(transform: ImageCms.ImageCmsTransform) -> bool:
    steps = np.array([0, 64, 128, 192, 255], np.uint8)
    cube = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(1, -1, 3)
    converted = np.array(ImageCms.applyTransform(Image.fromarray(cube), transform))
    return bool(np.abs(converted - cube.astype(int)).max() <= _SAME)


def _is_adobe_rgb(exif: Image.Exif) -> bool:
    """Whether a camera says so without a profile (DCF 2.0: an uncalibrated space, and interoperability `R03`)."""
    try:
        said = exif.get_ifd(_EXIF_IFD).get(_COLOR_SPACE)
        index = exif.get_ifd(_INTEROP_IFD).get(_INTEROP_INDEX, "")
    except (OSError, ValueError, SyntaxError, KeyError, TypeError):
        return False
    return said == 2 or (said == 0xFFFF and str(index).startswith("R03"))
