"""Carry colours and texture coordinates from one surface to another that lies close to it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from real2sam2real.geometry import Mesh
from real2sam2real.geometry.quaternions import Float

CANDIDATES = 6


def transferred(source: Mesh, target: Mesh) -> Mesh:
    """`target` with the appearance of `source`, each face painted by the source face nearest to its middle."""
    if source.vertex_colors is None and source.corner_uvs is None:
        return target
    result = target
    if source.vertex_colors is not None:
        _, near = cKDTree(source.vertices).query(target.vertices)
        result = replace(result, vertex_colors=source.vertex_colors[near])
    if source.corner_uvs is not None:
        corners = target.vertices[target.faces]
        face = nearest_faces(source, corners.mean(axis=1))
        weights = barycentric(source.vertices[source.faces[face]], corners)
        uvs = np.einsum("fck,fkd->fcd", weights, source.corner_uvs[face])
        result = replace(result, corner_uvs=uvs, texture=source.texture)
    return result


def nearest_faces(mesh: Mesh, points: Float) -> NDArray[np.int64]:
    """`(N,)`: the face that comes nearest to each point `(N, 3)`, among those whose middles or corners are near."""
    triangles = mesh.vertices[mesh.faces]
    middle = triangles.mean(axis=1)
    anchors = np.concatenate([middle, *(0.25 * middle + 0.75 * triangles[:, k] for k in range(3))])
    _, near = cKDTree(anchors).query(points, k=min(CANDIDATES, len(anchors)))
    near = near.reshape(len(points), -1) % len(triangles)
    best, chosen = np.full(len(points), np.inf), near[:, 0]
    for k in range(near.shape[1]):
        weights = barycentric(triangles[near[:, k]], points[:, None])[:, 0]
        closest = np.einsum("nk,nkd->nd", weights, triangles[near[:, k]])
        distance = np.linalg.norm(closest - points, axis=1)
        chosen = np.where(distance < best, near[:, k], chosen)
        best = np.minimum(best, distance)
    return chosen


def barycentric(triangles: Float, points: Float) -> Float:
    """`(N, M, 3)` weights, clamped to the triangle, of points `(N, M, 3)` projected onto triangles `(N, 3, 3)`."""
    a = triangles[:, None, 0]
    u, v = triangles[:, None, 1] - a, triangles[:, None, 2] - a
    w = points - a
    uu, uv, vv = (u * u).sum(-1), (u * v).sum(-1), (v * v).sum(-1)
    wu, wv = (w * u).sum(-1), (w * v).sum(-1)
    divisor = uu * vv - uv * uv
    safe = np.where(divisor > 1e-300, divisor, 1.0)
    second = np.where(divisor > 1e-300, (vv * wu - uv * wv) / safe, 0.0)
    third = np.where(divisor > 1e-300, (uu * wv - uv * wu) / safe, 0.0)
    weights = np.maximum(np.stack([1 - second - third, second, third], axis=-1), 0.0)
    return weights / weights.sum(axis=-1, keepdims=True)
