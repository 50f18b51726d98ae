"""Polygons of any number of corners as triangles; concave ones are cut by their ears."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from real2sam2real.geometry.quaternions import Float

Ints = NDArray[np.int64]


def triangulated(counts: Ints, vertices: Float, corner_vertices: Ints) -> Ints:
    """Cut polygons into triangles that keep their winding.

    Args:
        counts: `(P,)` corners of every polygon; those with fewer than three have no triangle.
        vertices: `(V, 3)` positions.
        corner_vertices: `(C,)` vertex of every corner, polygon after polygon; C is the sum of `counts`.

    Returns:
        `(F, 3)` corner numbers 0…C−1 of the triangles, in the polygons' order.
    """
    starts = np.cumsum(counts) - counts
    order, triangles = [], []
    for count in np.unique(counts[counts >= 3]):
        polygons = np.flatnonzero(counts == count)
        corners = starts[polygons, None] + np.arange(count)
        fan = np.stack([np.zeros(count - 2, np.int64), np.arange(1, count - 1), np.arange(2, count)], axis=1)
        cut = corners[:, fan]  # (P, count − 2, 3)
        if count > 3:
            points = vertices[corner_vertices[corners]]
            for k in np.flatnonzero(~_convex(points)):
                cut[k] = corners[k][_ears(points[k])]
        triangles.append(cut.reshape(-1, 3))
        order.append(np.repeat(polygons, count - 2))
    if not triangles:
        return np.zeros((0, 3), np.int64)
    return np.concatenate(triangles)[np.argsort(np.concatenate(order), kind="stable")]


def _turns(points: Float) -> tuple[Float, Float]:
    """Of polygons `(P, N, 3)`: the unit normals `(P, 3)` (Newell) and how far each corner turns about them `(P, N)`."""
    following = np.roll(points, -1, axis=1)
    normal = np.cross(points, following).sum(axis=1)
    normal = normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-300)
    into = points - np.roll(points, 1, axis=1)
    return normal, np.einsum("pnk,pk->pn", np.cross(into, following - points), normal)


def _convex(points: Float) -> NDArray[np.bool_]:
    """`(P,)`; a corner that is straight but for rounding does not make a polygon concave."""
    turns = _turns(points - points.mean(axis=1, keepdims=True))[1]
    return np.asarray(turns.min(axis=1) >= -1e-9 * np.abs(turns).max(axis=1))


def _ears(points: Float) -> Ints:
    """Ear clipping of one polygon `(N, 3)`, seen along its normal: `(N − 2, 3)` corner numbers.

    A corner is an ear when it turns the polygon's way and no other corner lies in its triangle. A polygon that crosses
    itself runs out of ears: the corner that turns most is taken then.
    """
    centred = points - points.mean(axis=0)
    normal = _turns(centred[None])[0][0]
    side = np.cross(normal, np.eye(3)[np.argmin(np.abs(normal))])
    side /= max(float(np.linalg.norm(side)), 1e-300)
    flat = np.stack([centred @ side, centred @ np.cross(normal, side)], axis=1)
    left = list(range(len(points)))
    cut = []
    while len(left) > 3:
        at = _ear(flat[left])
        cut.append((left[at - 1], left[at], left[(at + 1) % len(left)]))
        del left[at]
    return np.array([*cut, tuple(left)], np.int64)


def _ear(flat: Float) -> int:
    """The corner of a polygon `(N, 2)`, wound counter-clockwise, that is best cut off."""
    before, after = np.roll(flat, 1, axis=0), np.roll(flat, -1, axis=0)
    turns = _cross(flat - before, after - flat)
    for at in np.argsort(-turns):
        if turns[at] <= 0:
            break
        a, b, c = before[at], flat[at], after[at]
        inside = (_cross(b - a, flat - a) >= 0) & (_cross(c - b, flat - b) >= 0) & (_cross(a - c, flat - c) >= 0)
        own = np.all(flat[:, None] == np.stack([a, b, c]), axis=2).any(axis=1)
        if not np.any(inside & ~own):
            return int(at)
    return int(np.argmax(turns))


def _cross(a: Float, b: Float) -> Float:
    return np.asarray(a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0])
