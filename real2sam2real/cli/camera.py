"""Camera path of a scene folder to a file for other programs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg


@dataclass(frozen=True, kw_only=True)
class CameraCommand:
    """Write a scene's camera path for COLMAP, TUM tools, NeRF code, NumPy or glTF.

    The other way round, a shot follows such a file with the camera move "path FILE"; docs/camera-paths.md states every
    format's conventions.
    """

    scene: Annotated[Positional[Path], arg(metavar="SCENE")]
    """A scene folder."""
    out: Annotated[Path, arg(aliases=["-o"], metavar="FILE")]
    """The file to write; for COLMAP a folder."""
    format: Annotated[
        Literal["colmap", "colmap-binary", "tum", "realestate10k", "nerf", "numpy", "gltf"] | None,
        arg(metavar="NAME", help_behavior_hint="(default: by the file's suffix)"),
    ] = None
    """One of colmap, colmap-binary, tum, realestate10k, nerf, numpy, gltf."""

    def execute(self) -> None:
        """Write the file and print its path."""
        from real2sam2real.scene.folder import load_scene
        from real2sam2real.scene.paths import save_camera_path

        scene = load_scene(self.scene)
        save_camera_path(self.out, scene.camera, format=self.format, fps=scene.fps)
        print(self.out)
