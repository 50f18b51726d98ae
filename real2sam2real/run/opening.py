"""Scene folders as every command opens them: whoever made a mesh, it enters closed, and what was mended is told."""

from __future__ import annotations

from pathlib import Path

from real2sam2real.lift.closing import closed_scene
from real2sam2real.scene.folder import read_scene
from real2sam2real.scene.scene import Scene


def open_scene(folder: Path) -> tuple[Scene, list[str]]:
    """The scene in `folder` with every mesh closed, and notes on what was changed, left out or mended.

    Raises:
        UserError: the folder is no scene folder, a file in it is damaged, or a mesh has no surface at all.
    """
    loaded = read_scene(folder)
    scene, mended = closed_scene(loaded.scene)
    return scene, [*loaded.notes, *mended]
