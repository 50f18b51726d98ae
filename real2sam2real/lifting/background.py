"""The photo's background as a relief: how far away it is, with the places of what stands before it filled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from real2sam2real.arrays import Bool, Float, Mask
from real2sam2real.geometry import Intrinsics
from real2sam2real.lifting.photo_depth import depth_for, filled_behind
from real2sam2real.perceive.camera.depth import pixel_centres
from real2sam2real.perceive.view import PhotoView
from real2sam2real.scene import BackgroundRelief, Scene

LONGEST_SIDE = 1024  # pixels of the stored relief
MARGIN = 0.006  # of the photo's width: so far around an object a map still shows it
SKY_SHARE = 0.01  # of the photo: an unknown region so large may be the sky, a smaller one is filled
SKY_EDGE = 0.15  # of the near end of inverse depth: what borders on the sky is far away


def with_relief(scene: Scene, view: PhotoView, taken: Mask) -> tuple[Scene, list[str]]:
    """The scene with the depth of its background, where the view tells it; and notes for people.

    `taken` `(H, W)` bool are the pixels of objects, billboards and occluders: what is behind them is filled in.
    """
    found = depth_for(scene, view)
    if found is None:
        return scene, []
    height, width = found.depth.shape
    scale = min(1.0, LONGEST_SIDE / max(width, height))
    size = (max(2, round(width * scale)), max(2, round(height * scale)))
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = np.nan_to_num(1 / found.depth, nan=0.0, posinf=0.0, neginf=0.0)
    inverse = cv2.resize(inverse, size, interpolation=cv2.INTER_NEAREST)
    reach = max(2, round(MARGIN * size[0]))
    hole = cv2.resize(taken.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    hole = cv2.dilate(hole, np.ones((2 * reach + 1,) * 2, np.uint8)) > 0
    unknown = (inverse <= 0) & ~hole
    gaps = hole | (unknown & ~_sky(unknown, inverse))
    if gaps.all() or not inverse[~gaps].any():
        return scene, ["the depth map shows nothing but objects, so the background stays flat"]
    filled = filled_behind(inverse, gaps)
    floor = _ground_inverse(scene, scene.camera.intrinsics.resized(*size))
    filled = np.where(gaps, np.maximum(filled, floor), filled)  # nothing behind an object lies below the ground
    relief = BackgroundRelief(inverse_depth=np.maximum(filled, 0).astype(np.float32), source="depth map")
    return replace(scene, background=relief), ["the background has the depth map's relief"]


def taken_pixels(scene: Scene, others: Sequence[Mask]) -> Mask:
    """`(H, W)` bool: pixels of the scene's objects and billboards, and of `others`."""
    own = [each.mask for each in scene.entities] + [each.mask for each in scene.billboards]
    return np.any([*others, *(mask for mask in own if mask is not None)], axis=0)


def _sky(unknown: Bool, inverse: Float) -> Bool:
    """The large parts of what is unknown whose surroundings are far away."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(unknown.astype(np.uint8), connectivity=4)
    far = SKY_EDGE * float(np.percentile(inverse, 95))
    sky = np.zeros(count, bool)
    for number in range(1, count):
        if stats[number, cv2.CC_STAT_AREA] > SKY_SHARE * unknown.size:
            around = cv2.dilate((labels == number).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
            around &= inverse > 0
            sky[number] = not around.any() or float(np.median(inverse[around])) < far
    return sky[labels]


def _ground_inverse(scene: Scene, intrinsics: Intrinsics) -> Float:
    """`(h, w)`: 1 / depth of the ground in each pixel, 0 above the horizon or where there is none."""
    pose = scene.photo_world_from_camera
    height = 0.0 if scene.ground_y is None else float(pose[1, 3]) - scene.ground_y
    if height <= 0:
        return np.zeros((intrinsics.height, intrinsics.width))
    rays = intrinsics.unproject(pixel_centres(intrinsics.width, intrinsics.height), np.ones(()))
    return np.maximum(-(rays @ pose[1, :3]) / height, 0.0)
