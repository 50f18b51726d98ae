"""Smooth vertex normals at the speed of a deforming mesh; `Mesh.vertex_normals` is the readable reference."""

from __future__ import annotations

import numpy as np

from real2sam2real.arrays import Float, Int32
from real2sam2real.render.compiled import kernel


@kernel
def smooth_normals(vertices: Float, faces: Int32, normals: Float) -> None:
    """Write unit vertex normals `(V, 3)`, face normals weighted by the corner's angle, into `normals`.

    Args:
        vertices: `(V, 3)` float64.
        faces: `(F, 3)` int32, counter-clockwise seen from outside.
        normals: `(V, 3)` float64, overwritten; +Z where the faces around a vertex cancel out or have no area.
    """
    normals[:] = 0.0
    edge = np.empty((3, 3))
    length = np.empty(3)
    for f in range(len(faces)):
        for k in range(3):
            i, j = faces[f, k], faces[f, (k + 1) % 3]
            for axis in range(3):
                edge[k, axis] = vertices[j, axis] - vertices[i, axis]
            length[k] = np.sqrt(edge[k, 0] ** 2 + edge[k, 1] ** 2 + edge[k, 2] ** 2)
        x = edge[0, 1] * edge[1, 2] - edge[0, 2] * edge[1, 1]
        y = edge[0, 2] * edge[1, 0] - edge[0, 0] * edge[1, 2]
        z = edge[0, 0] * edge[1, 1] - edge[0, 1] * edge[1, 0]
        twice_area = np.sqrt(x * x + y * y + z * z)
        if twice_area <= 0.0:
            continue
        for k in range(3):
            last = (k + 2) % 3
            cosine = -(edge[k, 0] * edge[last, 0] + edge[k, 1] * edge[last, 1] + edge[k, 2] * edge[last, 2])
            weight = np.arctan2(twice_area, cosine) / twice_area
            i = faces[f, k]
            normals[i, 0] += weight * x
            normals[i, 1] += weight * y
            normals[i, 2] += weight * z
    for v in range(len(vertices)):
        size = np.sqrt(normals[v, 0] ** 2 + normals[v, 1] ** 2 + normals[v, 2] ** 2)
        if size > 1e-12:
            normals[v] /= size
        else:
            normals[v, 0] = normals[v, 1] = 0.0
            normals[v, 2] = 1.0
