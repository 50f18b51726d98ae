"""Put vertices that a file had to split (for texture seams, hard edges, materials) together again.

glTF gives a vertex one texture coordinate and one normal, so seams tear a closed surface open in the file. Gluing every
pair of equal positions would be too much: two bodies that touch along an edge would grow together into something that
is closed nowhere. So faces are glued along edges, and only where exactly two faces fit each other.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from real2sam2real.arrays import Int


def group_rows(rows: NDArray[Any]) -> Int:
    """Group ids `(N,)` of equal rows of `(N, C)`, numbered in the order of their first occurrence."""
    rows = np.ascontiguousarray(rows + 0.0)  # −0 equals 0
    keys: list[Any] = rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).ravel().tolist()
    ids: dict[bytes, int] = {}
    return np.array([ids.setdefault(key, len(ids)) for key in keys], np.int64)


def weld(places: Int, triangles: Int) -> tuple[Int, Int]:
    """Which vertices are one.

    Args:
        places: `(N,)` group id of every file vertex: equal where position and deformation are equal.
        triangles: `(M, 3)` file vertices.

    Returns:
        `first` `(V,)`: a file vertex for every welded vertex, in file order and only those that a face uses; and
        `faces` `(F, 3)` into them with the triangles that had collapsed to a line or a point left out as −1 rows.
    """
    corners = places[triangles]
    whole = (corners[:, 0] != corners[:, 1]) & (corners[:, 1] != corners[:, 2]) & (corners[:, 2] != corners[:, 0])
    kept = triangles[whole]
    by_edges = _numbered(_glued_along_edges(places, kept), kept)
    faces = by_edges[1]
    if not _closed(faces):  # a seam where more than two faces meet: gluing by position may still close it
        by_places = _numbered(places, kept)
        if _closed(by_places[1]):
            by_edges = by_places
    all_faces = np.full_like(triangles, -1)
    all_faces[whole] = by_edges[1]
    return by_edges[0], all_faces


def _glued_along_edges(places: Int, triangles: Int) -> Int:
    """`(N,)` labels: file vertices are one where an edge has exactly one partner that runs the other way."""
    starts, ends = triangles.ravel(), np.roll(triangles, -1, axis=1).ravel()
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
    links = coo_array((np.ones(len(left), np.int8), (left, right)), shape=(len(places), len(places)))
    return connected_components(links, directed=False)[1].astype(np.int64)


def _numbered(labels: Int, triangles: Int) -> tuple[Int, Int]:
    """The first file vertex of every label in use, in file order, and the triangles in that numbering."""
    used = np.unique(triangles)
    _, first, inverse = np.unique(labels[used], return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    number = np.full(len(labels), -1, np.int64)
    number[used] = rank[inverse]
    return used[first[order]], number[triangles]


def _closed(faces: Int) -> bool:
    starts, ends = faces.ravel(), np.roll(faces, -1, axis=1).ravel()
    size = int(faces.max(initial=0)) + 1
    forward, backward = np.sort(starts * size + ends), np.sort(ends * size + starts)
    return bool(len(faces) and np.all(np.diff(forward) > 0) and np.array_equal(forward, backward))
