"""The photo of a workspace, as all stages use it."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

from real2sam2real.arrays import UInt8
from real2sam2real.errors import UserError
from real2sam2real.run.photo import WorkingPhoto, read_photo
from real2sam2real.studio.workspaces import Workspace


def photo_file(folder: Path) -> Path | None:
    """The photo as given; None in a workspace of a scene without one."""
    return next((path for path in sorted(folder.glob("photo.*")) if path.is_file()), None)


def working_photo(workspace: Workspace) -> WorkingPhoto:
    """The photo at the size that all stages use; read once.

    Raises:
        UserError: there is none, or it cannot be read.
    """
    if "photo" not in workspace.parts:
        path = photo_file(workspace.folder)
        if path is None:
            raise UserError("This workspace was made from a scene that has no photo.")
        workspace.parts["photo"] = read_photo(path)
    found: WorkingPhoto = workspace.parts["photo"]
    return found


def working_photo_png(workspace: Workspace) -> bytes:
    """The same as a PNG file; where there is a scene, as that has it.

    Raises:
        UserError: as `working_photo`.
    """
    scene = workspace.document.scene()
    if scene is not None and scene[0].photo is not None:
        return as_png(scene[0].photo)
    return as_png(working_photo(workspace).photo.pixels)


def photo_size(workspace: Workspace) -> tuple[int, int] | None:
    """Width and height at the size that all stages use; None without a photo."""
    scene = workspace.document.scene()
    if scene is not None and scene[0].photo is not None:
        return scene[0].photo.shape[1], scene[0].photo.shape[0]
    try:
        found = working_photo(workspace).photo
    except UserError:
        return None
    return found.width, found.height


def as_png(pixels: UInt8) -> bytes:
    """A PNG file of `(H, W, 3)` or `(H, W)` uint8."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
