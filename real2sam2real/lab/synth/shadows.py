"""Soft contact shadows: one blurred ellipse per object and frame, fading as the object leaves the ground."""

from __future__ import annotations

import numpy as np

from real2sam2real.arrays import Float, Float32
from real2sam2real.scene import Entity, Scene

_SPREAD = 0.62
"""Semi-axis of a shadow over the object's full extent."""


def ground_shadows(scene: Scene, strength: float, shift: tuple[float, float]) -> tuple[Float32, Float32]:
    """Shadows `(T, N, 2, 3)` as rows that map world (x, z, 1) to the ellipse's own axes, and darkening `(T, N)`.

    Args:
        scene: its `ground_y` must be set for there to be any shadow.
        strength: darkening under an object that touches the ground, 0…1.
        shift: world x, z by which a shadow moves per unit of the object's height.
    """
    ground_y = scene.ground_y
    entities = scene.entities if ground_y is not None and strength > 0 else ()
    rows = np.zeros((scene.frames, len(entities), 2, 3))
    strengths = np.zeros((scene.frames, len(entities)))
    for n, entity in enumerate(entities):
        rows[:, n], lift = _ellipses(entity, ground_y or 0.0, shift)
        strengths[:, n] = strength * np.exp(-2.5 * lift) * entity.motion.visible
    return rows.astype(np.float32), strengths.astype(np.float32)


def _ellipses(entity: Entity, ground_y: float, shift: tuple[float, float]) -> tuple[Float, Float]:
    """Rows `(T, 2, 3)` of one entity, and its height above the ground `(T,)` in units of its own size."""
    low, high = entity.mesh.bounds()
    extent = high - low
    matrices = entity.motion.matrices()
    linear, scale = matrices[:, :3, :3], entity.motion.scale[:, 0]
    corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)]) * extent + low
    centre = linear @ ((low + high) / 2) + matrices[:, :3, 3]
    bottom = (linear @ corners.T).min(axis=2)[:, 1] + matrices[:, 1, 3]
    size = scale * extent.max()
    # The horizontal spread of the turned box is a 2×2 covariance; its inverse square root is the ellipse.
    half = linear[:, [0, 2]] * (extent * _SPREAD)
    covariance = half @ np.swapaxes(half, 1, 2)
    covariance += np.eye(2) * (1e-4 * size**2)[:, None, None]
    values, vectors = np.linalg.eigh(covariance)
    root = vectors / np.sqrt(values)[:, None, :] @ np.swapaxes(vectors, 1, 2)
    middle = centre[:, [0, 2]] + (centre[:, 1:2] - ground_y) * np.asarray(shift)
    rows = np.concatenate([root, -(root @ middle[..., None])], axis=2)
    return rows, np.maximum(bottom - ground_y, 0.0) / size
