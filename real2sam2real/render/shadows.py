"""Soft contact shadows under objects that the photo never showed in their present place."""

from __future__ import annotations

import cv2
import numpy as np

from real2sam2real.arrays import Float, Float32
from real2sam2real.geometry import Intrinsics, transforms

_FOOT = 0.2
"""The lowest share of an object's height whose outline throws the shadow."""


def contact_shadow(
    vertices_world: Float, ground_y: float, world_from_camera: Float, intrinsics: Intrinsics, *, strength: float = 0.55
) -> Float32 | None:
    """How much an object darkens the ground below it.

    This is no light simulation: the outline of the object's foot is laid on the ground and blurred, the more and the
    fainter the higher the object floats.

    Args:
        vertices_world: `(V, 3)` of the object.
        ground_y: height of the ground in world units.
        world_from_camera: `(4, 4)` pose of the camera that looks.
        intrinsics: of that camera; its size is the size of the result.
        strength: share of light lost in the middle, when the object stands on the ground.

    Returns:
        `(H, W)` float32 in 0…1, the share of light that is lost, or None where there is nothing to see: the object
        reaches below the ground, floats high above it, or part of its shadow is behind the camera.
    """
    low, high = vertices_world.min(axis=0), vertices_world.max(axis=0)
    height = max(float(high[1] - low[1]), 1e-9)
    lift = (float(low[1]) - ground_y) / height
    if not -0.25 < lift < 1.5 or world_from_camera[1, 3] <= ground_y:
        return None
    foot = vertices_world[vertices_world[:, 1] <= low[1] + _FOOT * height]
    hull = cv2.convexHull(np.ascontiguousarray(foot[:, [0, 2]], np.float32))[:, 0]
    corners = np.column_stack([hull[:, 0], np.full(len(hull), ground_y), hull[:, 1]])
    pixels, depth = intrinsics.project(transforms.apply(transforms.invert_rigid(world_from_camera), corners))
    if len(pixels) < 3 or not (depth > 1e-3).all() or np.abs(pixels).max() > 30000:
        return None
    shape = (intrinsics.height, intrinsics.width)
    extent = float(np.sqrt(max(cv2.contourArea(pixels.astype(np.float32)), 1.0)))
    sigma = max(0.7, extent * (0.05 + 0.25 * max(lift, 0.0)))
    margin = int(3 * sigma) + 2
    left, top = np.clip(np.floor(pixels.min(axis=0)) - margin, 0, shape[::-1]).astype(int)
    right, bottom = np.clip(np.ceil(pixels.max(axis=0)) + margin, 0, shape[::-1]).astype(int)
    if right <= left or bottom <= top:
        return None
    blob = np.zeros((bottom - top, right - left), np.float32)
    fixed_point = np.rint((pixels - 0.5 - (left, top)) * 16).astype(np.int32)
    cv2.fillConvexPoly(blob, fixed_point, 1.0, lineType=cv2.LINE_8, shift=4)
    shadow = np.zeros(shape, np.float32)
    strength *= float(np.exp(-2.0 * max(lift, 0.0)))
    shadow[top:bottom, left:right] = strength * cv2.GaussianBlur(blob, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    return shadow
