"""The renderer's kernels compiled by a second process, while the first run after an installation lifts its photo.

Numba keeps what it has compiled on disk, and compiles on one core. This process begins with the kernel that takes
longest and goes on with what a preview needs last; the run, which compiles what it needs first, finds them done.
"""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import numpy as np

from real2sam2real.control.normal_convention import OPENGL
from real2sam2real.geometry import Intrinsics
from real2sam2real.rendering import shading
from real2sam2real.rendering.preview import preview_frames
from real2sam2real.rendering.renderer import compile_shading
from real2sam2real.scene.camera_path import CameraPath
from real2sam2real.scene.scene import Scene

_WIDTH, _HEIGHT = 96, 64


def compile_beside() -> None:
    """Start that process unless the kernels are on disk. It ends by itself; who needs a kernel sooner compiles it."""
    if not hasattr(shading.shade, "stats") or not sys.executable:  # Numba's compiler is switched off
        return
    nowhere = subprocess.DEVNULL
    with suppress(OSError):  # it only saves time
        kept = Path(cast(Any, shading.shade).stats.cache_path).glob("shading.shade-*.nbi")
        written = Path(shading.__file__).stat().st_mtime  # of an older version's kernel, the index is there still
        if not any(index.stat().st_mtime > written for index in kept):
            # -P: nothing is imported from the folder that the command is given in.
            command = [sys.executable, "-P", "-m", __name__]
            subprocess.Popen(command, stdin=nowhere, stdout=nowhere, stderr=nowhere)


def compile_kernels() -> None:
    """Draw a shot of a picture without objects, by a camera that sees beyond its border."""
    photo = np.random.default_rng(0).integers(0, 255, (_HEIGHT, _WIDTH, 3), np.uint8)
    poses = np.tile(np.eye(4), (2, 1, 1))
    poses[1, 0, 3] = 1.0
    lens = Intrinsics.from_fov(_WIDTH, _HEIGHT, horizontal_degrees=60)
    scene = Scene(
        entities=(),
        camera=CameraPath(world_from_camera=poses, intrinsics=lens, zoom=np.ones(2)),
        photo=photo,
        ground_y=-1.0,
    )
    compile_shading(scene)
    list(preview_frames(scene, width=_WIDTH, height=_HEIGHT))
    OPENGL.encode(np.zeros((1, 1, 3), np.float32), np.zeros((1, 1), np.uint8))


if __name__ == "__main__":
    compile_kernels()
