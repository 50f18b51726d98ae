"""4×4 transforms, named `target_from_source`, and 3×3 rotations about the axes, right-handed; see docs/conventions.md.

Both act on column vectors.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from real2sam2real.arrays import Float
from real2sam2real.geometry import quaternions

# Our camera axes (+Y up, looking along -Z) and OpenCV's (+Y down, looking along +Z); it is its own inverse.
OPENCV_FROM_OPENGL: Float = np.diag([1.0, -1.0, -1.0, 1.0])


def compose(translation: ArrayLike, rotation_wxyz: ArrayLike, scale: ArrayLike = 1.0) -> Float:
    """Matrices `(..., 4, 4)` that scale, then rotate, then translate (glTF's TRS order).

    Args:
        translation: `(..., 3)`.
        rotation_wxyz: `(..., 4)`.
        scale: a number, or `(..., 3)` along the object's own axes.
    """
    translation = np.asarray(translation, np.float64)
    rotation = quaternions.to_matrix(rotation_wxyz)
    scale = np.asarray(scale, np.float64)
    columns = rotation * (scale[..., None, :] if scale.ndim else scale)
    shape = np.broadcast_shapes(translation.shape[:-1], columns.shape[:-2])
    matrix = np.zeros((*shape, 4, 4))
    matrix[..., :3, :3] = columns
    matrix[..., :3, 3] = translation
    matrix[..., 3, 3] = 1.0
    return matrix


def decompose(matrix: ArrayLike) -> tuple[Float, Float, Float]:
    """Translation `(..., 3)`, rotation `wxyz (..., 4)` and scale `(..., 3)` of `(..., 4, 4)`; inverse of `compose`.

    A mirroring matrix comes back with a negative scale along x.

    Raises:
        ValueError: the matrix flattens space (a column of zero length) or is not finite.
    """
    matrix = np.asarray(matrix, np.float64)
    linear = matrix[..., :3, :3]
    scale = np.linalg.norm(linear, axis=-2)
    if not np.all(np.isfinite(matrix)) or np.any(scale < 1e-12):
        raise ValueError("a transform is not finite or flattens space; its scale must not be zero")
    mirrored = np.linalg.det(linear) < 0
    scale = scale * np.where(mirrored[..., None], np.array([-1.0, 1.0, 1.0]), 1.0)
    rotation = quaternions.from_matrix(linear / scale[..., None, :])
    return matrix[..., :3, 3], rotation, scale


def invert_rigid(matrix: ArrayLike) -> Float:
    """Inverse `(..., 4, 4)` of rotations with translation (no scale): exact and without a linear solve."""
    matrix = np.asarray(matrix, np.float64)
    inverse = np.zeros_like(matrix)
    inverse[..., :3, :3] = np.swapaxes(matrix[..., :3, :3], -1, -2)
    inverse[..., :3, 3] = -np.einsum("...ij,...j->...i", inverse[..., :3, :3], matrix[..., :3, 3])
    inverse[..., 3, 3] = 1.0
    return inverse


def apply(matrix: ArrayLike, points: ArrayLike) -> Float:
    """Transform points `(..., N, 3)` by `(..., 4, 4)`; returns `(..., N, 3)`."""
    matrix = np.asarray(matrix, np.float64)
    points = np.asarray(points, np.float64)
    return points @ np.swapaxes(matrix[..., :3, :3], -1, -2) + matrix[..., None, :3, 3]


def look_at(eye: ArrayLike, target: ArrayLike, up: ArrayLike = (0.0, 1.0, 0.0)) -> Float:
    """`world_from_camera` `(..., 4, 4)` of a camera at `eye` whose −Z points at `target`, both `(..., 3)` in world.

    Raises:
        ValueError: eye and target coincide. Looking straight along `up` is resolved with another up axis.
    """
    eye, target = np.broadcast_arrays(np.asarray(eye, np.float64), np.asarray(target, np.float64))
    backward = eye - target
    distance = np.linalg.norm(backward, axis=-1, keepdims=True)
    if np.any(distance < 1e-12):
        raise ValueError("the camera stands exactly on the point it should look at; move one of them")
    backward = backward / distance
    right = np.cross(np.broadcast_to(np.asarray(up, np.float64), backward.shape), backward)
    length = np.linalg.norm(right, axis=-1, keepdims=True)
    fallback = np.cross(np.broadcast_to([0.0, 0.0, -1.0], backward.shape), backward)
    right = np.where(length > 1e-9, right, fallback)
    right = right / np.linalg.norm(right, axis=-1, keepdims=True)
    matrix = np.zeros((*eye.shape[:-1], 4, 4))
    matrix[..., :3, 0] = right
    matrix[..., :3, 1] = np.cross(backward, right)
    matrix[..., :3, 2] = backward
    matrix[..., :3, 3] = eye
    matrix[..., 3, 3] = 1.0
    return matrix


def about_x(angle: float) -> Float:
    """`(3, 3)` rotation by `angle` radians about +X: +Y goes to +Z."""
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[1.0, 0.0, 0.0], [0.0, c, -s], [0.0, s, c]])


def about_y(angle: float) -> Float:
    """`(3, 3)` rotation by `angle` radians about +Y: +Z goes to +X."""
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])


def about_z(angle: float) -> Float:
    """`(3, 3)` rotation by `angle` radians about +Z: +X goes to +Y."""
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def about_axis(axis: ArrayLike, angle: float) -> Float:
    """`(3, 3)` rotation by `angle` radians about `axis` `(3,)`, of any length but zero; for one at a time.

    Raises:
        ValueError: the axis has no length.
    """
    x, y, z = (float(value) for value in np.asarray(axis, np.float64))
    length = math.sqrt(x * x + y * y + z * z)
    if length < 1e-12:
        raise ValueError("a rotation axis has zero length")
    x, y, z = x / length, y / length, z / length
    c, s = math.cos(angle), math.sin(angle)
    t = 2 * math.sin(angle / 2) ** 2  # 1 − c, without its loss of digits
    return np.array(
        [
            [c + t * x * x, t * x * y - s * z, t * x * z + s * y],
            [t * x * y + s * z, c + t * y * y, t * y * z - s * x],
            [t * x * z - s * y, t * y * z + s * x, c + t * z * z],
        ]
    )


def upright_rotation(up_camera: Float) -> Float:
    """`(3, 3)` rotation that takes +Y to `up_camera` and keeps +Z towards the camera as far as it can."""
    up = up_camera / np.linalg.norm(up_camera)
    right = np.cross(up, [0.0, 0.0, 1.0])
    if np.linalg.norm(right) < 1e-6:  # the camera looks straight up or down
        right = np.array([1.0, 0.0, 0.0])
    right /= np.linalg.norm(right)
    return np.stack([right, up, np.cross(right, up)], axis=-1)
