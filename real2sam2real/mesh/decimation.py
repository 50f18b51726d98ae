"""Fewer faces, still closed."""

from __future__ import annotations

import fast_simplification
import numpy as np

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
            at the shape alone. Where it pinches thin parts together, the one that minds shading does it after all.

    Raises:
        ValueError: the mesh is not closed.
    """
    if not mesh.is_closed():
        raise ValueError("only a closed mesh can be made light and stay closed; close it first")
    if len(mesh.faces) <= max_faces:
        return Mesh(vertices=mesh.vertices, faces=mesh.faces, vertex_colors=mesh.vertex_colors)
    if shape_only:
        center, size = mesh.bounds().mean(axis=0), float(np.ptp(mesh.bounds(), axis=0).max())
        unit = ((mesh.vertices - center) / size).astype(np.float32)  # the library counts in single precision
        vertices, faces = fast_simplification.simplify(unit, mesh.faces, target_count=max_faces, agg=AGGRESSIVENESS)
        smaller = Mesh(vertices=vertices.astype(np.float64) * size + center, faces=faces)
        if len(faces) <= max_faces * 1.01 and smaller.is_closed() and smaller.volume() > 0:
            return smaller
    return collapse(mesh, max_faces)
