"""Diffusion as Shader's 3D tracking videos: every point keeps the colour of its place in the first frame.

Red is that place from left to right, green from top to bottom, blue how near it was: 1 / depth between the 2nd and the
98th percentile of what the first frame shows. Black is nothing, and what the first frame's borders cut off.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from real2sam2real import media
from real2sam2real.arrays import Float, UInt8
from real2sam2real.lab.evaluate.case_set import CaseRecord
from real2sam2real.lab.evaluate.peers.interface import CannotTellError, FixedFormat, PeerCase
from real2sam2real.rendering import Frame, render_frames
from real2sam2real.scene import Scene

SIZE, FRAMES, FPS = (720, 480), 49, 8.0
_PERCENTILES = (2, 98)


class DiffusionAsShader(FixedFormat):
    """Camera, lens and rigid motions of objects, all in one video; what a surface hides is told where it appears."""

    name = "das"
    repository = "https://github.com/IGL-HKUST/DiffusionAsShader"
    fixed_size = SIZE
    fixed_frames = FRAMES

    def video(self, case: CaseRecord) -> str:
        """In the folder that it is given."""
        return f"{case.name}/result.mp4"

    def write(self, case: PeerCase, inputs: Path) -> str:
        """See `PeerFormat`: `NAME/photo.png` and `NAME/tracking.mp4`, whose colours are kept exactly."""
        scene = case.whole()
        if bent := [entity.name for entity in scene.entities if entity.motion.vertices_object is not None]:
            raise CannotTellError(f"'{bent[0]}' changes its shape, and its points cannot be followed")
        folder = inputs / case.name
        folder.mkdir()
        media.write_png(folder / "photo.png", case.photo)
        with media.lossless_video_writer(folder / "tracking.mp4", FPS) as video:
            for picture in tracking_frames(scene):
                video.add(picture)
        return ""

    def command(self, case: PeerCase) -> str:
        """See `PeerFormat`."""
        return (
            'python demo.py --checkpoint_path "${CHECKPOINT:-checkpoints/Diffusion-As-Shader}" '
            f'--output_dir "$here/videos/{case.name}" --input_path "$here/inputs/{case.name}/photo.png" '
            f'--tracking_path "$here/inputs/{case.name}/tracking.mp4" --prompt {shlex.quote(case.prompt)}'
        )


def tracking_frames(scene: Scene) -> Iterator[UInt8]:
    """The tracking video of a directed scene of rigid entities: `(H, W, 3)` uint8 at its camera's size, frame by frame.

    Raises:
        CannotTellError: the first frame shows no surface.
    """
    lens = scene.camera.intrinsics
    frames = render_frames(scene, width=lens.width, height=lens.height, normals=False)
    nearness: tuple[float, float] | None = None
    for t, frame in enumerate(frames):
        if nearness is None:
            nearness = _nearness(frame)
        yield _colors(scene, t, frame, nearness)


def _nearness(first: Frame) -> tuple[float, float]:
    """1 / depth of the first frame that is drawn without blue, and with all of it."""
    seen = first.ids > 0
    if not seen.any():
        raise CannotTellError("nothing is known of what the photo shows")
    low, high = np.percentile(1 / first.depth[seen], _PERCENTILES)
    return float(low), float(high)


def _colors(scene: Scene, t: int, frame: Frame, nearness: tuple[float, float]) -> UInt8:
    """The colours of what a frame shows: of where its points were in the first one."""
    first = first_places(scene, t, frame)
    (height, width), (low, high) = frame.ids.shape, nearness
    pixels, depth = scene.camera.intrinsics_at(0).project(first)
    near = (1 / np.where(depth > 0, depth, np.inf) - low) / max(high - low, 1e-12)
    shares = np.concatenate([pixels / [width, height], np.clip(near, 0, 1)[..., None]], axis=-1)
    inside = (frame.ids > 0) & (depth > 0) & ((shares >= 0) & (shares <= 1)).all(axis=-1)
    return np.where(inside[..., None], np.nan_to_num(shares) * 255, 0).round().astype(np.uint8)


def first_places(scene: Scene, t: int, frame: Frame) -> Float:
    """`(H, W, 3)`: where what a frame shows was in the first one, in that frame's camera; 0 where nothing is shown."""
    height, width = frame.ids.shape
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    depth = np.where(frame.ids > 0, frame.depth, 1.0)
    points = scene.camera.intrinsics_at(t).unproject(np.stack([x, y], axis=-1), depth)
    camera = scene.camera.world_from_camera
    found = np.zeros_like(points)
    for k, entity in enumerate(scene.entities):
        shown = frame.ids == k + 1
        poses = entity.motion.matrices()
        back = np.linalg.inv(camera[0]) @ poses[0] @ np.linalg.inv(poses[t]) @ camera[t]
        found[shown] = points[shown] @ back[:3, :3].T + back[:3, 3]
    return found
