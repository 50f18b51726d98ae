"""Put vertices that a file had to split (for texture seams, hard edges, materials) together again.

glTF gives a vertex one texture coordinate and one normal, so seams tear a closed surface open in the file. Gluing every
pair of equal positions would be too much: two bodies that touch along an edge would grow together into something that
is closed nowhere. So faces are glued along edges, and only where exactly two faces fit each other.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from real2sam2real.arrays import Int
from real2sam2real.mesh.mesh import is_closed
from real2sam2real.mesh.solidity import connected, opposite_half_edges

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # an odd number with its bits well mixed (2⁶⁴ over the golden ratio)


def group_rows(rows: NDArray[Any]) -> Int:
    """Group ids `(N,)` of equal rows of floats `(N, C)`, numbered in the order of their first occurrence."""
    keys = np.zeros(len(rows), np.uint64)
    for column in rows.T:
        keys ^= (column + 0.0).view(f"u{rows.itemsize}")  # −0 equals 0
        keys *= _MULTIPLIER
        keys ^= keys >> np.uint64(32)
    ordered = np.sort(keys)
    if not (ordered[1:] == ordered[:-1]).any():
        return np.arange(len(rows))
    _, first, group = np.unique(keys, return_index=True, return_inverse=True)
    if not np.array_equal(rows[first][group], rows):  # two rows have the same key, or one is not a number
        _, first, group = np.unique(rows + 0.0, axis=0, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[group]


def weld(places: Int, triangles: Int) -> tuple[Int, Int]:
    """Which of the file vertices of triangles `(M, 3)` are one; those of equal `places` `(N,)` may become it.

    Returns:
        `first` `(V,)`: a file vertex for every welded vertex, in file order and only those that a face uses; and
        `faces` `(M, 3)` into them, with rows of −1 for the triangles that had collapsed to a line or a point.
    """
    distinct = places.max(initial=-1) + 1 == len(places)
    corners = triangles if distinct else places[triangles]
    whole = (corners[:, 0] != corners[:, 1]) & (corners[:, 1] != corners[:, 2]) & (corners[:, 2] != corners[:, 0])
    kept = triangles if whole.all() else triangles[whole]
    first, faces = _numbered(places if distinct else _glued_along_edges(places, kept), kept)
    if not (distinct or is_closed(faces)):  # a seam where more than two faces meet: gluing by position may close it
        by_place = _numbered(places, kept)
        if is_closed(by_place[1]):
            first, faces = by_place
    if kept is triangles:
        return first, faces
    all_faces = np.full_like(triangles, -1)
    all_faces[whole] = faces
    return first, all_faces


def _glued_along_edges(places: Int, triangles: Int) -> Int:
    """`(N,)` labels: file vertices are one where an edge has exactly one partner that runs the other way."""
    starts, ends = triangles.ravel(), np.roll(triangles, -1, axis=1).ravel()
    if (twin := opposite_half_edges(places[triangles])) is not None:  # as it mostly is: each edge has one partner
        return connected(np.concatenate([starts, ends]), np.concatenate([ends[twin], starts[twin]]), len(places))
    a, b = places[starts], places[ends]
    size = int(places.max(initial=0)) + 1
    forward, backward = a * size + b, b * size + a
    keys, where, counts = np.unique(forward, return_index=True, return_counts=True)
    at = np.minimum(np.searchsorted(keys, backward), max(len(keys) - 1, 0))
    own = np.searchsorted(keys, forward)
    paired = (keys[at] == backward) & (counts[at] == 1) & (counts[own] == 1) if len(keys) else np.zeros(0, bool)
    partner = where[at[paired]]
    left = np.concatenate([starts[paired], ends[paired]])
    right = np.concatenate([ends[partner], starts[partner]])
    return connected(left, right, len(places))


def _numbered(labels: Int, triangles: Int) -> tuple[Int, Int]:
    """The first file vertex of every label in use, in file order, and the triangles in that numbering."""
    used = np.zeros(len(labels), bool)
    used[triangles] = True
    if used.all() and labels.max(initial=-1) + 1 == len(labels):  # each is its own
        return np.arange(len(labels)), triangles
    vertices = np.flatnonzero(used)[::-1]
    first = np.full(labels.max(initial=-1) + 1, -1)
    first[labels[vertices]] = vertices  # of several the last written stays, which is the first in the file
    kept = np.sort(first[first >= 0])
    number = np.empty(len(labels), np.int64)
    number[kept] = np.arange(len(kept))
    return kept, number[first[labels]][triangles]
