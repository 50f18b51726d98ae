"""Bystanders of a photo as billboards: how far away each stands, by where its foot meets the ground."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from real2sam2real.arrays import Float, Mask
from real2sam2real.perceive.segment.detections import Detection
from real2sam2real.scene import Billboard, Scene

_FARTHEST = 40.0  # times the camera's height above the ground: beyond, a foot's row says nothing
_FOOT_SHARE = 0.02  # of its pixels that may lie below a thing's foot


def with_billboards(scene: Scene, bystanders: Sequence[Detection]) -> tuple[Scene, list[str]]:
    """The scene with a billboard for each bystander that stands on its ground; and notes for people."""
    billboards, words = [], Counter[str]()
    for found in bystanders:
        distance = standing_distance(scene, found.mask)
        if distance is not None:
            billboards.append(Billboard(name=found.word, mask=found.mask, distance=distance))
            words[found.word] += 1
    if not billboards:
        return scene, []
    kinds = ", ".join(f"{count} × {word}" if count > 1 else word for word, count in words.items())
    note = f"upright in the background, as flat pictures: {kinds} (--no-billboards leaves them in the backdrop)"
    return replace(scene, billboards=tuple(billboards)), [note]


def standing_distance(scene: Scene, mask: Mask) -> float | None:
    """How far from the photo's camera, along its level line of sight, the thing stands that `mask` `(H, W)` shows.

    In world units; None where the scene has no ground, or the foot is not seen clearly below the horizon.
    """
    if scene.ground_y is None:
        return None
    rows, columns = np.nonzero(mask)
    foot = float(np.quantile(rows, 1 - _FOOT_SHARE)) + 1.0
    ray = _ray(scene, float(np.median(columns[rows >= foot - 2])) + 0.5, foot)
    eye = scene.photo_world_from_camera[:3, 3]
    height = float(eye[1]) - scene.ground_y
    if height <= 0 or ray[1] >= -1e-6 or -height / ray[1] * float(np.linalg.norm(ray)) > _FARTHEST * height:
        return None
    forward = scene.photo_level_forward
    if forward[1]:  # straight down: nothing stands upright before this camera
        return None
    distance = float(ray @ forward) * (-height / ray[1])
    return distance if distance > 0 else None


def _ray(scene: Scene, x: float, y: float) -> Float:
    """Direction `(3,)` in the world of a pixel of the photo."""
    ray = scene.camera.intrinsics.unproject(np.array([[x, y]]), np.ones(1))[0]
    turned: Float = scene.photo_world_from_camera[:3, :3] @ ray
    return turned
