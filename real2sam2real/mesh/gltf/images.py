"""Textures inside and beside a glTF file."""

from __future__ import annotations

import io
import warnings

import numpy as np
from PIL import Image

from real2sam2real.arrays import UInt8
from real2sam2real.mesh.gltf.container import Document, read_uri
from real2sam2real.mesh.gltf.json_object import JsonObject

MOST_PIXELS = 8192 * 8192
"""Largest texture that is decoded: a small file can claim to be an image of any size."""


def read_image(document: Document, index: int) -> UInt8:
    """`(H, W, 3)` sRGB pixels of `images[index]`; transparency is dropped.

    Raises:
        UserError: the image is missing, damaged, of an unknown format or larger than `MOST_PIXELS`.
    """
    element = document.element("images", index)
    view = element.index("bufferView", "bufferViews", document.count("bufferViews"))
    data = document.buffer_view(view)[0] if view is not None else read_uri(document, element)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own bomb warning: the limit below is ours
            with Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "WEBP")) as image:
                _check_size(element, image.size)
                return np.asarray(image.convert("RGB"), np.uint8)
    except Image.DecompressionBombError:
        element.fail(f"is an image of more than {MOST_PIXELS:,} pixels", "scale the texture down")
    except (OSError, ValueError, SyntaxError, EOFError, OverflowError) as error:
        element.fail(f"its image cannot be decoded ({str(error)[:80]})", "export with PNG or JPEG textures")


def _check_size(element: JsonObject, size: tuple[int, int]) -> None:
    if size[0] * size[1] > MOST_PIXELS:
        shape = f"{size[0]}×{size[1]}"
        element.fail(f"is an image of {shape} pixels; at most {MOST_PIXELS:,} are read", "scale the texture down")


def encode_png(pixels: UInt8) -> bytes:
    """A PNG of `(H, W, 3)` sRGB pixels."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "PNG", compress_level=4)
    return buffer.getvalue()
