"""Between our camera frame (+X right, +Y up, looking along −Z) and those of the lifters. Column vectors.

PyTorch3D's camera, in which SAM 3D Objects thinks: +X left, +Y up, +Z forward. OpenCV's, in which SAM 3D Body thinks:
+X right, +Y down, +Z forward. Both are half turns away from ours, so nothing is mirrored. See docs/conventions.md.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from real2sam2real.arrays import Float, Float32
from real2sam2real.geometry import quaternions

CAMERA_FROM_PYTORCH3D: Float = np.diag([-1.0, 1.0, -1.0])
CAMERA_FROM_OPENCV: Float = np.diag([1.0, -1.0, -1.0])
ZUP_FROM_YUP: Float = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
"""SAM 3D Objects turns its mesh so that +Y is up before it gives it away; its pose belongs to the mesh before that."""


def sam3d_camera_from_object(rotation_wxyz: ArrayLike, translation: ArrayLike, scale: ArrayLike) -> Float:
    """`camera_from_object` `(4, 4)` of the mesh that SAM 3D Objects gives, which has +Y up.

    Its rotation is applied from the right, to row vectors: `p_pytorch3d = (scale · p) @ R + translation`.
    The translation `(3,)` is in the PyTorch3D camera. The scale `(3,)` is the same along all axes, as its makers state;
    the mean is taken.
    """
    matrix = np.eye(4)
    turn = quaternions.to_matrix(rotation_wxyz).T
    matrix[:3, :3] = float(np.mean(np.asarray(scale, np.float64))) * CAMERA_FROM_PYTORCH3D @ turn @ ZUP_FROM_YUP
    matrix[:3, 3] = CAMERA_FROM_PYTORCH3D @ np.asarray(translation, np.float64)
    return matrix


def body_camera_from_object(translation_opencv: ArrayLike) -> Float:
    """`camera_from_object` `(4, 4)` of a person of SAM 3D Body from its `pred_cam_t` `(3,)`.

    Its vertices must be in `body_object_vertices`'s frame.
    """
    matrix = np.eye(4)
    matrix[:3, 3] = CAMERA_FROM_OPENCV @ np.asarray(translation_opencv, np.float64)
    return matrix


def body_object_vertices(vertices_opencv: ArrayLike) -> Float:
    """SAM 3D Body's vertices `(V, 3)` turned so that +Y is up: axes as our camera's, origin as the lifter's."""
    return np.asarray(vertices_opencv, np.float64) @ CAMERA_FROM_OPENCV.T


def pytorch3d_pointmap(points_camera: ArrayLike) -> Float32:
    """What every pixel shows, `(H, W, 3)` float32 in the PyTorch3D camera, from the same in our camera.

    Whatever is not finite becomes NaN: SAM 3D Objects leaves NaN out, but an infinite point spoils its scale.
    """
    points = np.asarray(points_camera, np.float32) * np.diag(CAMERA_FROM_PYTORCH3D).astype(np.float32)
    return np.where(np.isfinite(points).all(axis=-1, keepdims=True), points, np.float32(np.nan)).astype(np.float32)
