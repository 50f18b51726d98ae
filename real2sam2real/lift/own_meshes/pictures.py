"""Textures that lie beside a mesh file."""

from __future__ import annotations

import warnings
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from real2sam2real.errors import UserError
from real2sam2real.scene.gltf.images import MOST_PIXELS


def read_picture(mesh_file: Path, name: str) -> NDArray[np.uint8]:
    """`(H, W, 3)` sRGB pixels of the picture that `mesh_file` names; transparency is dropped.

    Files made elsewhere often name a picture by a path of that machine; then the one of that name beside the mesh, or
    in its folder `textures`, is taken. Nothing outside the mesh's folder is read.

    Raises:
        UserError: it is not there, damaged, or too large.
    """
    from PIL import Image

    found = _beside(mesh_file, name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own bomb warning: the limit below is ours
            with Image.open(found) as image:
                if image.width * image.height > MOST_PIXELS:
                    size = f"{image.width}×{image.height}"
                    raise UserError(f"{mesh_file.name}: its texture '{found.name}' has {size} pixels; scale it down")
                return np.asarray(image.convert("RGB"), np.uint8)
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        reason = str(error)[:80]
        raise UserError(f"{mesh_file.name}: its texture '{found.name}' cannot be read ({reason})") from error


def _beside(mesh_file: Path, name: str) -> Path:
    folder = mesh_file.resolve().parent
    given = PurePosixPath(name.strip().strip('"').replace("\\", "/"))
    for candidate in (folder / given, folder / given.name, folder / "textures" / given.name):
        try:
            found = candidate.resolve()
            if found.is_relative_to(folder) and found.is_file():
                return found
        except (OSError, RuntimeError, ValueError):
            continue
    raise UserError(f"{mesh_file.name}: its texture '{given.name[:80]}' is not beside it")
