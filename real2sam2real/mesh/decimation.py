"""Fewer triangles, still closed."""

from __future__ import annotations

import fast_simplification
import manifold3d
import numpy as np

from real2sam2real.mesh import Mesh

AGGRESSIVENESS = 5  # the library's default of 7 moves thin parts


def decimated(mesh: Mesh, triangles: int) -> Mesh:
    """A closed mesh with at most about `triangles` triangles; its colours and texture are left behind.

    Quadric collapse keeps the shape best but may pinch thin parts together. Then manifold3d's collapse, which never
    leaves the manifold, takes over with growing tolerance.

    Raises:
        ValueError: the mesh is not closed.
    """
    if not mesh.is_closed():
        raise ValueError("only a closed mesh can be decimated to a closed mesh; close it first")
    if len(mesh.faces) <= triangles:
        return Mesh(vertices=mesh.vertices, faces=mesh.faces)
    center, size = mesh.bounds().mean(axis=0), float(np.ptp(mesh.bounds(), axis=0).max())
    unit = ((mesh.vertices - center) / size).astype(np.float32)  # both libraries count in single precision
    vertices, faces = fast_simplification.simplify(unit, mesh.faces, target_count=triangles, agg=AGGRESSIVENESS)
    smaller = Mesh(vertices=vertices.astype(np.float64) * size + center, faces=faces)
    if len(faces) <= triangles * 1.01 and smaller.is_closed() and smaller.volume() > 0:
        return smaller
    return _collapsed(unit, mesh, triangles, size, center)


def _collapsed(unit: np.ndarray, mesh: Mesh, triangles: int, size: float, center: np.ndarray) -> Mesh:
    solid = manifold3d.Manifold(manifold3d.Mesh(vert_properties=unit, tri_verts=mesh.faces.astype(np.uint32)))
    tolerance = 1e-4
    while solid.num_tri() > triangles and tolerance < 0.05:
        solid = solid.simplify(tolerance)
        tolerance *= 1.5
    result = solid.to_mesh()
    vertices = np.asarray(result.vert_properties, np.float64)[:, :3] * size + center
    smaller = Mesh(vertices=vertices, faces=np.asarray(result.tri_verts).astype(np.int32))
    return smaller if smaller.is_closed() else Mesh(vertices=mesh.vertices, faces=mesh.faces)
