"""Normals of moved vertices, frame by frame, at the speed that a deforming mesh needs; see `corner_normals`."""

from __future__ import annotations

import numpy as np

from real2sam2real.arrays import Float, Int32
from real2sam2real.mesh.compiled import kernel


@kernel
def normals_of(vertices: Float, faces: Int32, points: Int32, carried: Float, normals: Float) -> None:
    """Unit normals of deformed vertices, written into `normals` `(N, 3)` float64.

    Args:
        vertices: `(V, 3)` float64.
        faces: `(F, 3)` int32 into them.
        points: `(F, 3)` int32, each corner's shading point; `faces` for a smooth mesh.
        carried: `(F, 3, 3)` from `carrying`; empty for smooth normals as `Mesh.vertex_normals` has them.
        normals: of the shading points; +Z where the faces around one cancel out or have no area.
    """
    for v in range(len(normals)):
        normals[v, 0] = normals[v, 1] = normals[v, 2] = 0.0
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
            i = points[f, k]
            if len(carried) == 0:
                normals[i, 0] += weight * x
                normals[i, 1] += weight * y
                normals[i, 2] += weight * z
                continue
            # The dual basis of the edges p = edge[0], q = −edge[2] and the unit normal n: q × n, n × p and n.
            a, b, c = carried[f, k, 0] / twice_area, carried[f, k, 1] / twice_area, carried[f, k, 2]
            qx, qy, qz = -edge[2, 0], -edge[2, 1], -edge[2, 2]
            px, py, pz = edge[0, 0], edge[0, 1], edge[0, 2]
            normals[i, 0] += weight * (a * (qy * z - qz * y) + b * (y * pz - z * py) + c * x)
            normals[i, 1] += weight * (a * (qz * x - qx * z) + b * (z * px - x * pz) + c * y)
            normals[i, 2] += weight * (a * (qx * y - qy * x) + b * (x * py - y * px) + c * z)
    for v in range(len(normals)):
        size = np.sqrt(normals[v, 0] ** 2 + normals[v, 1] ** 2 + normals[v, 2] ** 2)
        if size > 1e-12:
            normals[v, 0] /= size
            normals[v, 1] /= size
            normals[v, 2] /= size
        else:
            normals[v, 0] = normals[v, 1] = 0.0
            normals[v, 2] = 1.0
