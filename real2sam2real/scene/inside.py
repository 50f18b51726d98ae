"""Is the camera inside an object? From there its mesh is seen inside out, and no video model knows what to do."""

from __future__ import annotations

import numpy as np

from real2sam2real.arrays import Float
from real2sam2real.scene.scene import Entity, Scene


def camera_inside(scene: Scene) -> tuple[int, str] | None:
    """The first frame and the name of a visible entity that the camera is inside of, or None."""
    eyes = scene.camera.world_from_camera[:, :3, 3]
    found = [(frame, entity.name) for entity in scene.entities if (frame := _first_inside(entity, eyes)) is not None]
    return min(found, default=None)


def _first_inside(entity: Entity, eyes_world: Float) -> int | None:
    inverse = np.linalg.inv(entity.motion.matrices())
    eyes = np.einsum("tij,tj->ti", inverse[:, :3, :3], eyes_world) + inverse[:, :3, 3]
    deformed = entity.motion.vertices_object
    vertices = entity.mesh.vertices
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    if deformed is not None:
        low, high = deformed.min(axis=(0, 1)).astype(np.float64), deformed.max(axis=(0, 1)).astype(np.float64)
    near = np.all((eyes > low) & (eyes < high), axis=1) & entity.motion.visible
    for frame in np.flatnonzero(near):
        points = vertices if deformed is None else deformed[frame].astype(np.float64)
        if winding_number(points, entity.mesh.faces, eyes[frame]) > 0.5:
            return int(frame)
    return None


def winding_number(vertices: Float, faces: np.ndarray, point: Float) -> float:
    """How often a surface winds around `point` `(3,)`: 1 inside a closed outward mesh, 0 outside.

    The sum of the triangles' solid angles over 4π (van Oosterom and Strackee, 1983).

    Args:
        vertices: `(V, 3)` in the frame of `point`.
        faces: `(F, 3)` int.
        point: `(3,)`.
    """
    a, b, c = (vertices[faces[:, k]] - point for k in range(3))
    la, lb, lc = (np.linalg.norm(v, axis=1) for v in (a, b, c))
    triple = np.einsum("ij,ij->i", a, np.cross(b, c))
    dots = [np.einsum("ij,ij->i", u, v) for u, v in ((a, b), (b, c), (c, a))]
    divisor = la * lb * lc + dots[0] * lc + dots[1] * la + dots[2] * lb
    return float(np.sum(2 * np.arctan2(triple, divisor)) / (4 * np.pi))
