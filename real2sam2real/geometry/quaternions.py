"""Unit quaternions in `wxyz` order, batched over leading dimensions. See docs/conventions.md.

Every function takes and returns float64 arrays; `...` stands for any leading batch shape.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from real2sam2real.arrays import Float

IDENTITY: tuple[float, float, float, float] = (1.0, 0.0, 0.0, 0.0)


def normalize(quaternions: ArrayLike) -> Float:
    """Scale `(..., 4)` quaternions to unit length.

    Raises:
        ValueError: a quaternion is zero or not finite, so it stands for no rotation.
    """
    q = np.asarray(quaternions, np.float64)
    norm = np.linalg.norm(q, axis=-1, keepdims=True)
    if not np.all(np.isfinite(norm)) or np.any(norm < 1e-12):
        raise ValueError("a quaternion has zero length or is not finite; give a rotation of unit length")
    return q / norm


def multiply(a: ArrayLike, b: ArrayLike) -> Float:
    """Hamilton product of `(..., 4)` and `(..., 4)`: the rotation `b` first, then `a`."""
    aw, ax, ay, az = np.moveaxis(np.asarray(a, np.float64), -1, 0)
    bw, bx, by, bz = np.moveaxis(np.asarray(b, np.float64), -1, 0)
    return np.stack(
        [
            aw * bw - ax * bx - ay * by - az * bz,
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
        ],
        axis=-1,
    )


def from_axis_angle(axis: ArrayLike, radians: ArrayLike) -> Float:
    """Rotation by `radians` `(...)` about `axis` `(..., 3)` (any length but zero), right-handed. Returns `(..., 4)`."""
    axis = np.asarray(axis, np.float64)
    norm = np.linalg.norm(axis, axis=-1, keepdims=True)
    if np.any(norm < 1e-12):
        raise ValueError("a rotation axis has zero length")
    half = np.asarray(radians, np.float64)[..., None] / 2
    axis, half = np.broadcast_arrays(axis / norm, half)
    return np.concatenate([np.cos(half[..., :1]), axis * np.sin(half)], axis=-1)


def to_matrix(quaternions: ArrayLike) -> Float:
    """Rotation matrices `(..., 3, 3)` of quaternions `(..., 4)` (normalised here), acting on column vectors."""
    w, x, y, z = np.moveaxis(normalize(quaternions), -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def from_matrix(rotations: ArrayLike) -> Float:
    """Quaternions `(..., 4)` with `w >= 0` of rotation matrices `(..., 3, 3)`.

    Shepperd's method: of the four equivalent formulas the one with the largest divisor, so no loss near half turns.
    """
    m = np.asarray(rotations, np.float64)
    trace = np.trace(m, axis1=-2, axis2=-1)
    diagonal = np.diagonal(m, axis1=-2, axis2=-1)
    squares = np.concatenate([trace[..., None], 2 * diagonal - trace[..., None]], axis=-1) + 1  # 4 * (w², x², y², z²)
    a, b, c = m[..., 2, 1], m[..., 0, 2], m[..., 1, 0]
    d, e, f = m[..., 1, 2], m[..., 2, 0], m[..., 0, 1]
    products = [  # row k holds 4 * q_k * (w, x, y, z)
        [squares[..., 0], a - d, b - e, c - f],
        [a - d, squares[..., 1], c + f, b + e],
        [b - e, c + f, squares[..., 2], a + d],
        [c - f, b + e, a + d, squares[..., 3]],
    ]
    table = np.stack([np.stack(row, axis=-1) for row in products], axis=-2)
    best = np.argmax(squares, axis=-1)
    q = normalize(np.take_along_axis(table, best[..., None, None], axis=-2)[..., 0, :])
    return np.where(q[..., :1] < 0, -q, q)


def slerp(a: ArrayLike, b: ArrayLike, fraction: ArrayLike) -> Float:
    """Constant-speed rotation from `a` to `b` `(..., 4)` along the shorter arc; `fraction` `(...)` in 0…1."""
    a, b = normalize(a), normalize(b)
    fraction = np.asarray(fraction, np.float64)[..., None]
    dot = np.sum(a * b, axis=-1, keepdims=True)
    b = np.where(dot < 0, -b, b)
    angle = np.arccos(np.clip(np.abs(dot), 0.0, 1.0))
    nearly_equal = angle < 1e-6
    divisor = np.where(nearly_equal, 1.0, np.sin(angle))
    wa = np.where(nearly_equal, 1 - fraction, np.sin((1 - fraction) * angle) / divisor)
    wb = np.where(nearly_equal, fraction, np.sin(fraction * angle) / divisor)
    return normalize(wa * a + wb * b)


def angle_between(a: ArrayLike, b: ArrayLike) -> Float:
    """Radians `(...)` in 0…π of the rotation that takes `a` to `b`, both `(..., 4)`."""
    relative = multiply(normalize(a) * np.array([1.0, -1.0, -1.0, -1.0]), normalize(b))
    return 2 * np.arctan2(np.linalg.norm(relative[..., 1:], axis=-1), np.abs(relative[..., 0]))
