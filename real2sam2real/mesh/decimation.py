"""Fewer faces, still closed."""

from __future__ import annotations

import fast_simplification
import manifold3d
import numpy as np

from real2sam2real.arrays import Float, Float32
from real2sam2real.mesh.collapsing import collapse
from real2sam2real.mesh.mesh import Mesh

AGGRESSIVENESS = 5  # the library's default of 7 moves thin parts


def decimate(mesh: Mesh, max_faces: int, *, shape_only: bool = False) -> Mesh:
    """A closed mesh with at most `max_faces` faces; vertex colours come along, a texture is left behind.

    More are left only where no edge may collapse any more: every component keeps at least four.

    Args:
        mesh: closed, manifold along its edges and at its vertices.
        max_faces: the budget.
        shape_only: for a mesh that has no colours yet, and is far finer than its budget: a faster collapse that looks
            at the shape alone. Where it pinches thin parts together, manifold3d's collapse, which never leaves the
            manifold, takes over with growing tolerance.

    Raises:
        ValueError: the mesh is not closed.
    """
    if not mesh.is_closed():
        raise ValueError("only a closed mesh can be made light and stay closed; close it first")
    if len(mesh.faces) <= max_faces:
        return Mesh(vertices=mesh.vertices, faces=mesh.faces, vertex_colors=mesh.vertex_colors)
    if shape_only:
        center, size = mesh.bounds().mean(axis=0), float(np.ptp(mesh.bounds(), axis=0).max())
        unit = ((mesh.vertices - center) / size).astype(np.float32)  # both libraries count in single precision
        vertices, faces = fast_simplification.simplify(unit, mesh.faces, target_count=max_faces, agg=AGGRESSIVENESS)
        smaller = Mesh(vertices=vertices.astype(np.float64) * size + center, faces=faces)
        if len(faces) <= max_faces * 1.01 and smaller.is_closed() and smaller.volume() > 0:
            return smaller
        return _simplified(unit, mesh, max_faces, size, center)
    return collapse(mesh, max_faces)


def _simplified(unit: Float32, mesh: Mesh, max_faces: int, size: float, center: Float) -> Mesh:
    solid = manifold3d.Manifold(manifold3d.Mesh(vert_properties=unit, tri_verts=mesh.faces.astype(np.uint32)))
    tolerance = 1e-4
    while solid.num_tri() > max_faces and tolerance < 0.05:
        solid = solid.simplify(tolerance)
        tolerance *= 1.5
    result = solid.to_mesh()
    vertices = np.asarray(result.vert_properties, np.float64)[:, :3] * size + center
    smaller = Mesh(vertices=vertices, faces=np.asarray(result.tri_verts).astype(np.int32))
    return smaller if smaller.is_closed() else Mesh(vertices=mesh.vertices, faces=mesh.faces)
