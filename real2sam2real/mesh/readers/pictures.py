"""Textures that lie beside a mesh file."""

from __future__ import annotations

import warnings
from pathlib import Path, PureWindowsPath

import numpy as np

from real2sam2real.arrays import UInt8
from real2sam2real.mesh.gltf.images import MOST_PIXELS

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TGA", "TIFF")


def beside(folder: Path, name: str) -> Path | None:
    """The file called `name` within `folder`; where there is none, the one of that base name; else None.

    Files name pictures by the paths of the machine that made them. Nothing outside the folder is opened.
    """
    base = PureWindowsPath(name).name  # knows / and \
    for candidate in (name.replace("\\", "/"), base):
        try:
            target = (folder / candidate).resolve()
            if candidate and target.is_relative_to(folder.resolve()) and target.is_file():
                return target
        except (OSError, ValueError, RuntimeError):
            continue  # not a name that this system can have
    return None


def read_picture(folder: Path, name: str) -> UInt8 | str:
    """`(H, W, 3)` sRGB pixels of the picture that a mesh file names, or a sentence on why there are none."""
    from PIL import Image

    path = beside(folder, name)
    if path is None:
        return f"its texture '{name[:80]}' is not beside it; the surface is shown without it"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own bomb warning: the limit below is ours
            with Image.open(path, formats=FORMATS) as image:
                if image.width * image.height > MOST_PIXELS:
                    return f"its texture '{path.name}' has more than {MOST_PIXELS:,} pixels; scale it down"
                return np.asarray(image.convert("RGB"), np.uint8)
    except (OSError, ValueError, SyntaxError, EOFError, OverflowError, Image.DecompressionBombError) as error:
        return f"its texture '{path.name}' cannot be decoded ({str(error)[:80]}); the surface is shown without it"
