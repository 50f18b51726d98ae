"""Whether a mesh is a solid, and what hangs together; asked of every mesh of a scene whenever it is opened."""

from __future__ import annotations

import numpy as np

from real2sam2real.arrays import Float, Int
from real2sam2real.mesh.compiled import kernel
from real2sam2real.mesh.mesh import Mesh


def is_solid(mesh: Mesh) -> bool:
    """Whether the mesh is manifold, its faces agree, and every connected component has positive volume."""
    faces = mesh.faces.astype(np.int64)
    twin = opposite_half_edges(faces)
    if twin is None or not len(faces):
        return False
    half = np.arange(len(twin))
    around = twin + 1 - 3 * (twin % 3 == 2)  # the next half-edge that starts where this one does
    if connected(half, around, len(half)).max() + 1 != np.count_nonzero(np.bincount(faces.ravel())):
        return False  # surfaces touch in a vertex
    component = connected(half // 3, twin // 3, len(faces))
    return bool((volumes(mesh.vertices, faces, component) > 0).all())


def opposite_half_edges(faces: Int) -> Int | None:
    """`(3F,)`: for each half-edge of closed `(F, 3)` faces the one that runs the other way; None for others.

    Half-edge `3f + k` runs from corner k of face f to the next one.
    """
    starts, ends = faces.ravel(), np.roll(faces, -1, axis=1).ravel()
    count = int(faces.max(initial=0)) + 1
    forward, backward = starts * count + ends, ends * count + starts
    order, against = np.argsort(forward), np.argsort(backward)
    keys = forward[order]
    if (keys[1:] == keys[:-1]).any() or not np.array_equal(keys, backward[against]):
        return None
    twin = np.empty(len(order), np.int64)
    twin[order] = against
    return twin


def volumes(vertices: Float, faces: Int, component: Int) -> Float:
    """Signed volume of every component, about its own middle so that far-away ones keep their digits."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    size = np.bincount(component)
    middle = np.stack([np.bincount(component, a[:, k]) / size for k in range(3)], axis=-1)[component]
    six_fold: Float = np.sum((a - middle) * np.cross(b - middle, c - middle), axis=1)
    return np.bincount(component, six_fold / 6).astype(np.float64)


def connected(i: Int, j: Int, count: int) -> Int:
    """`(count,)`: the number of the connected component of each node of a graph with edges i-j.

    Components are numbered in the order of their lowest nodes.
    """
    label = np.empty(count, np.int64)
    _number_components(np.ascontiguousarray(i, np.int64), np.ascontiguousarray(j, np.int64), label)
    return label


@kernel
def _number_components(i: Int, j: Int, label: Int) -> None:
    """Union-find whose roots are the lowest nodes, so that one pass in order numbers them."""
    for node in range(len(label)):
        label[node] = node
    for edge in range(len(i)):
        a, b = i[edge], j[edge]
        while label[a] != a:
            label[a] = label[label[a]]
            a = label[a]
        while label[b] != b:
            label[b] = label[label[b]]
            b = label[b]
        label[max(a, b)] = min(a, b)
    count = 0
    for node in range(len(label)):
        if label[node] == node:
            label[node] = count
            count += 1
        else:
            label[node] = label[label[node]]  # a lower node, which has its number
