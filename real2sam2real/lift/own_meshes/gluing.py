"""Vertices that a file holds several times become one, where that closes the surface or opens nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from real2sam2real.geometry import Mesh
from real2sam2real.scene.gltf.welding import group_rows, weld


def glued(mesh: Mesh) -> Mesh:
    """A closed mesh as it is; any other with equal vertices joined along edges, and collapsed triangles dropped."""
    if mesh.is_closed():
        return mesh
    first, faces = weld(group_rows(mesh.vertices), mesh.faces.astype(np.int64))
    kept = faces[:, 0] >= 0
    return replace(
        mesh,
        vertices=mesh.vertices[first],
        faces=faces[kept].astype(np.int32),
        vertex_colors=None if mesh.vertex_colors is None else mesh.vertex_colors[first],
        corner_uvs=None if mesh.corner_uvs is None else mesh.corner_uvs[kept],
    )
