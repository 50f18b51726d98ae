"""Hand meshes that are not closed to whoever can close them, and carry their deformation over."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.spatial import cKDTree

from real2sam2real.arrays import Float32
from real2sam2real.mesh import Mesh

Mend = Callable[[Mesh], Mesh]
"""Takes a mesh with holes or inconsistent faces and returns a closed one."""


def mended(mesh: Mesh, deformed: Float32 | None, mend: Mend) -> tuple[Mesh, Float32 | None]:
    """The mended mesh and its deformation `(T, V', 3)`.

    Where the mending changed the vertices, a new vertex moves as the nearest old one does.
    """
    closed = mend(mesh)
    if deformed is None or _same_vertices(mesh, closed):
        return closed, deformed
    nearest = cKDTree(mesh.vertices).query(closed.vertices)[1]
    moved = deformed.astype(np.float64) - mesh.vertices
    return closed, (closed.vertices + moved[:, nearest]).astype(np.float32)


def _same_vertices(before: Mesh, after: Mesh) -> bool:
    return before.vertices.shape == after.vertices.shape and bool(np.allclose(before.vertices, after.vertices))
