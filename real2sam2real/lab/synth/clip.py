"""One clip of the procedural world, and which of its pixels truly change."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from real2sam2real.arrays import Bool, Float, Float32, UInt8
from real2sam2real.lab.synth.lighting import Lighting
from real2sam2real.rendering import Light
from real2sam2real.scene import CameraPath, Scene

CHANGE = 12.0
"""Difference in 8-bit steps, after blurring, from which a pixel counts as changed."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SynthClip:
    """A clip with everything about it known."""

    seed: int  # what it was made from
    scene: Scene  # complete: textured entities with motions, masks and rest poses, camera path, photo = `video[0]`
    light: Light  # what shades the entities; in a varied world the light of frame 0 without colour and strength
    video: UInt8  # `(T, H, W, 3)` uint8 sRGB, anti-aliased
    normals: Float32  # `(T, H, W, 3)` float32 camera space, unit length where `ids` is not 0, zero elsewhere
    ids: UInt8  # `(T, H, W)` uint8 instance ids, 0 = none
    depth: Float32  # `(T, H, W)` float32 along the camera's −Z, infinite where `ids` is 0
    # colours, strengths and course of the light in a varied world; None where `light` says all
    lighting: Lighting | None = None

    @property
    def frames(self) -> int:
        """Number of frames T."""
        return len(self.video)


def far_homographies(camera: CameraPath) -> Float:
    """Where pixels of frame 0's far background lie in frame t: `pixel_t_from_pixel_0` `(T, 3, 3)`.

    They act on column vectors (x, y, 1) in pixels and are scaled so that the last entry is 1.
    """
    flip = np.diag([1.0, -1.0, -1.0])  # camera axes to image axes: right, down, forward
    rotations = camera.world_from_camera[:, :3, :3] @ flip
    lenses = np.zeros((camera.frames, 3, 3))
    lens = camera.intrinsics
    lenses[:, 0, 0] = lens.fx * camera.zoom
    lenses[:, 1, 1] = lens.fy * camera.zoom
    lenses[:, :, 2] = lens.cx, lens.cy, 1.0
    homographies = lenses @ np.swapaxes(rotations, 1, 2) @ rotations[0] @ np.linalg.inv(lenses[0])
    return homographies / homographies[:, 2:, 2:]


def changed_region(clip: SynthClip, threshold: float = CHANGE) -> Bool:
    """Pixels `(T, H, W)` that truly differ from the photo.

    A pixel has changed when another instance is seen there than in frame 0, or when, after a 3×3 mean over both
    frames, a colour channel differs by more than `threshold` steps of 255. Surfaces that moved but look the same do
    not count: no video could show them wrong.
    """
    smooth = np.stack([cv2.blur(frame.astype(np.float32), (3, 3)) for frame in clip.video])
    differs = np.abs(smooth - smooth[0]).max(axis=-1) > threshold
    return differs | (clip.ids != clip.ids[0])


def static_region(clip: SynthClip, threshold: float = CHANGE) -> Bool:
    """Pixels `(T, H, W)` that stay as in the photo, at a safe distance from any that change.

    The complement of `changed_region`, eroded by 1/48 of the image height (at least one pixel).
    """
    radius = max(1, round(clip.video.shape[1] / 48))
    kernel = np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)
    changed = changed_region(clip, threshold)
    return np.stack([cv2.dilate(frame.astype(np.uint8), kernel) == 0 for frame in changed])
