"""Polygons become triangles.

Shape letters: P polygons, C corners of all of them in a row, T triangles.
"""

from __future__ import annotations

import numpy as np

from real2sam2real.arrays import Bool, Float, Int


def triangulated(positions: Float, corners: Int, sizes: Int) -> tuple[Int, Int]:
    """Cut polygons into triangles that keep their winding; concave ones too.

    The polygons have `sizes` `(P,)` corners each, at least 3, at `positions` `(V, 3)` numbered by `corners` `(C,)`.
    Returns `(T, 3)` corner numbers 0…C−1, and `(T,)` the polygon of each triangle; polygons stay in order.
    """
    if (sizes == 3).all():
        return np.arange(len(corners)).reshape(-1, 3), np.arange(len(sizes))
    starts = np.cumsum(sizes) - sizes
    triangles, owners = [], []
    for size in np.unique(sizes).tolist():
        chosen = np.flatnonzero(sizes == size)
        cut = _cut(positions, corners, starts[chosen, None] + np.arange(size))
        triangles.append(cut.reshape(-1, 3))
        owners.append(np.repeat(chosen, size - 2))
    owner = np.concatenate(owners)
    order = np.argsort(owner, kind="stable")
    return np.concatenate(triangles)[order], owner[order]


def _cut(positions: Float, corners: Int, numbers: Int) -> Int:
    """`(P, n - 2, 3)` triangles of polygons `(P, n)` of equally many corners."""
    size = numbers.shape[1]
    if size == 3:
        return numbers[:, None]
    points = positions[corners[numbers]]
    fan = _fan(size)
    if size == 4:  # from its first corner, as modellers do; of a concave one the other diagonal may be the one inside
        return np.where(_folded(points)[:, None, None], numbers[:, (fan + 1) % 4], numbers[:, fan])
    cut = numbers[:, fan]
    for p in np.flatnonzero(~_is_convex(points)):
        ears = _ears(points[p])
        if ears is not None:
            cut[p] = numbers[p][ears]
    return cut


def _fan(size: int) -> Int:
    """`(size - 2, 3)` corners of a polygon in triangles about its first one."""
    return np.stack([np.zeros(size - 2, np.int64), np.arange(1, size - 1), np.arange(2, size)], axis=1)


def _folded(points: Float) -> Bool:
    """`(P,)`: the two triangles about the first corner of quadrilaterals `(P, 4, 3)` turn against each other."""
    first, diagonal, last = (points[:, k] - points[:, 0] for k in (1, 2, 3))
    halves = np.cross(first, diagonal), np.cross(diagonal, last)
    folded: Bool = np.einsum("pi,pi->p", *halves) < 0
    return folded


def _normals(points: Float) -> Float:
    """`(P, 3)` of polygons `(P, n, 3)` by Newell's sum, a normal even where the corners are not quite flat."""
    centred = points - points.mean(axis=1, keepdims=True)
    return np.cross(centred, np.roll(centred, -1, axis=1)).sum(axis=1)


def _is_convex(points: Float) -> Bool:
    """`(P,)`: no corner of `(P, n, 3)` turns against the others."""
    sides = np.roll(points, -1, axis=1) - points
    turns = np.einsum("pni,pi->pn", np.cross(sides, np.roll(sides, -1, axis=1)), _normals(points))
    return np.all(turns >= -1e-9 * np.abs(turns).max(axis=1, keepdims=True), axis=1)


def _ears(points: Float) -> Int | None:
    """`(n - 2, 3)` corner numbers of one concave polygon `(n, 3)`, or None where it has no area or crosses itself."""
    import manifold3d

    normal = _normals(points[None])[0]
    length = np.linalg.norm(normal)
    if length == 0:
        return None
    normal = normal / length
    right = np.cross(np.eye(3)[np.argmin(np.abs(normal))], normal)
    right /= np.linalg.norm(right)
    flat = (points - points.mean(axis=0)) @ np.stack([right, np.cross(normal, right)], axis=1)
    found = np.asarray(manifold3d.triangulate([flat]), np.int64)
    return found if found.shape == (len(points) - 2, 3) else None
