"""A tree of boxes over a mesh's triangles: the nearest point, and whether a ray meets anything.

The tree is complete and has no pointers: node i has the children 2i + 1 and 2i + 2, and covers a range of the sorted
triangles that halves at every step down. N points, F faces, M nodes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from real2sam2real.arrays import Bool, Float, Int
from real2sam2real.mesh.compiled import kernel, part

LEAF = 4  # triangles in a leaf, at most
REACH = 0.01  # of the diagonal
MOST_REFUSED = 3000  # faces that do not agree, from which no other is looked for
STACK = 64  # open nodes of one walk; the depth of the tree bounds it


@dataclass(frozen=True, kw_only=True, eq=False)
class Bvh:
    """Boxes over triangles."""

    triangles: Float  # `(F, 3, 3)` float64 corners
    order: Int  # `(F,)` int64, the triangles in the order of the leaves
    boxes: Float  # `(M, 6)` float64, low and high corner of every node

    @classmethod
    def over(cls, vertices: Float, faces: NDArray[Any]) -> Bvh:
        """The tree of a mesh with at least one face."""
        triangles = np.ascontiguousarray(vertices[faces], np.float64)
        leaves = 1
        while leaves * LEAF < len(triangles):
            leaves *= 2
        order, boxes = np.arange(len(triangles)), np.empty((2 * leaves - 1, 6))
        _build(triangles, triangles.mean(axis=1), order, boxes)
        return cls(triangles=triangles, order=order, boxes=boxes)

    def nearest(self, points: Float, normals: Float | None = None, least_cosine: float = 0.0) -> Nearest:
        """The nearest point of the surface to each point `(N, 3)` in the mesh's frame.

        With unit `normals` `(N, 3)` only faces count whose normal agrees, by `least_cosine`, so that the two sides of a
        thin wall are told apart. They may be farther than the nearest face by `REACH` of the diagonal; a point that no
        such face agrees with gets the nearest of all, as does one in a tangle where `MOST_REFUSED` nearer ones do not.
        """
        tree, none = (self.triangles, self.order, self.boxes), np.zeros((0, 3))
        face, distance, weights = _nearest(*tree, points, none, least_cosine, np.full(len(points), np.inf))
        if normals is None:
            return Nearest(face, distance, weights)
        limits = distance + REACH * float(np.linalg.norm(self.boxes[0, 3:] - self.boxes[0, :3]))
        agreeing = _nearest(*tree, points, normals, least_cosine, limits)
        found = agreeing[0] >= 0
        face[found], distance[found], weights[found] = (values[found] for values in agreeing)
        return Nearest(face, distance, weights)

    def farthest(self, points: Float) -> float:
        """The largest distance of any of the points `(N, 3)` from the surface.

        A point is left as soon as something is nearer than an earlier point's distance (Taha and Hanbury, 2015).
        """
        return float(_farthest(self.triangles, self.order, self.boxes, points))

    def escapes(self, origins: Float, directions: Float, own: Int) -> tuple[Bool, int]:
        """`(N,)`: whether the ray from each origin `(N, 3)` along `(N, 3)` meets no triangle but its `own` face.

        Also returns how many triangles were tried.
        """
        free, tried = _escapes(self.triangles, self.order, self.boxes, origins, directions, own)
        return free, int(tried)


@dataclass(frozen=True, eq=False)
class Nearest:
    """What `Bvh.nearest` found."""

    face: Int  # `(N,)` int64
    distance: Float  # `(N,)` float64
    weights: Float  # `(N, 3)` float64 barycentric weights of the nearest point in that face


@kernel
def _build(triangles: Float, middles: Float, order: Int, boxes: Float) -> None:
    """Sort the triangles into the leaves by halving along the longest side, then box the nodes from the leaves up."""
    nodes = len(boxes)
    low, high = np.empty(nodes, np.int64), np.empty(nodes, np.int64)
    low[0], high[0] = 0, len(order)
    for node in range(nodes // 2):
        lo, hi = low[node], high[node]
        mid = (lo + hi) // 2
        _halve(middles, order, lo, hi, mid)
        low[2 * node + 1], high[2 * node + 1] = lo, mid
        low[2 * node + 2], high[2 * node + 2] = mid, hi
    for node in range(nodes - 1, -1, -1):
        boxes[node, :3], boxes[node, 3:] = np.inf, -np.inf
        if node < nodes // 2:
            for axis in range(3):
                boxes[node, axis] = min(boxes[2 * node + 1, axis], boxes[2 * node + 2, axis])
                boxes[node, 3 + axis] = max(boxes[2 * node + 1, 3 + axis], boxes[2 * node + 2, 3 + axis])
            continue
        for at in range(low[node], high[node]):
            for corner in range(3):
                for axis in range(3):
                    value = triangles[order[at], corner, axis]
                    boxes[node, axis] = min(boxes[node, axis], value)
                    boxes[node, 3 + axis] = max(boxes[node, 3 + axis], value)


@part
def _halve(middles: Float, order: Int, lo: int, hi: int, mid: int) -> None:
    """Reorder `order[lo:hi]` so that the smaller half along the longest axis comes first (quickselect)."""
    axis, longest = 0, -1.0
    for k in range(3):
        least, most = np.inf, -np.inf
        for at in range(lo, hi):
            least, most = min(least, middles[order[at], k]), max(most, middles[order[at], k])
        if most - least > longest:
            axis, longest = k, most - least
    left, right = lo, hi - 1
    while left < right:
        pivot = middles[order[(left + right) // 2], axis]
        i, j = left, right
        while i <= j:
            while middles[order[i], axis] < pivot:
                i += 1
            while middles[order[j], axis] > pivot:
                j -= 1
            if i <= j:
                order[i], order[j] = order[j], order[i]
                i += 1
                j -= 1
        if mid <= j:
            right = j
        elif mid >= i:
            left = i
        else:
            break


@part
def _next_leaf(
    distance_of: Callable[[Float, int, Float], float],
    query: Float, boxes: Float, nodes: Int, distances: Float, top: int, limit: float,
) -> tuple[int, int, int]:  # fmt: skip
    """Go down to the next leaf that is nearer to a query than the limit, into nearer boxes first.

    `distance_of` boxes, a node's number and the query is infinite where the node does not count. The stack has `top`
    open `nodes` `(STACK, 3)`, a node's number and its range of triangles, and their `distances` `(STACK,)`. Returns how
    many are open now, and the leaf's range of triangles; an empty one if there is none left.
    """
    while top:
        top -= 1
        if distances[top] >= limit:
            continue
        node, lo, hi = nodes[top, 0], nodes[top, 1], nodes[top, 2]
        if 2 * node + 1 >= len(boxes):
            return top, lo, hi
        mid = (lo + hi) // 2
        left, right = distance_of(boxes, 2 * node + 1, query), distance_of(boxes, 2 * node + 2, query)
        near = 1 if right < left else 0
        a, b = top + 1 - near, top + near  # the nearer child is put on top
        nodes[a, 0], nodes[a, 1], nodes[a, 2], distances[a] = 2 * node + 1, lo, mid, left
        nodes[b, 0], nodes[b, 1], nodes[b, 2], distances[b] = 2 * node + 2, mid, hi, right
        top += 2
    return 0, 0, 0


@part
def _box_distance(boxes: Float, node: int, p: Float) -> float:
    """Squared distance from a point to a node's box."""
    dx = max(boxes[node, 0] - p[0], 0.0, p[0] - boxes[node, 3])
    dy = max(boxes[node, 1] - p[1], 0.0, p[1] - boxes[node, 4])
    dz = max(boxes[node, 2] - p[2], 0.0, p[2] - boxes[node, 5])
    return dx * dx + dy * dy + dz * dz


@part
def _closest_weights(t: Float, p: Float) -> tuple[float, float]:
    """Weights of the second and third corner at the point of a triangle that is nearest to `p` (Ericson, 2005)."""
    abx, aby, abz = t[1, 0] - t[0, 0], t[1, 1] - t[0, 1], t[1, 2] - t[0, 2]
    acx, acy, acz = t[2, 0] - t[0, 0], t[2, 1] - t[0, 1], t[2, 2] - t[0, 2]
    apx, apy, apz = p[0] - t[0, 0], p[1] - t[0, 1], p[2] - t[0, 2]
    d1, d2 = abx * apx + aby * apy + abz * apz, acx * apx + acy * apy + acz * apz
    bb, bc = abx * abx + aby * aby + abz * abz, abx * acx + aby * acy + abz * acz
    cc = acx * acx + acy * acy + acz * acz
    d3, d4 = d1 - bb, d2 - bc
    d5, d6 = d1 - bc, d2 - cc
    if d1 <= 0.0 and d2 <= 0.0:
        return 0.0, 0.0
    if d3 >= 0.0 and d4 <= d3:
        return 1.0, 0.0
    vc = d1 * d4 - d3 * d2
    if vc <= 0.0 and d1 >= 0.0 and d3 <= 0.0:
        return d1 / (d1 - d3), 0.0
    if d6 >= 0.0 and d5 <= d6:
        return 0.0, 1.0
    vb = d5 * d2 - d1 * d6
    if vb <= 0.0 and d2 >= 0.0 and d6 <= 0.0:
        return 0.0, d2 / (d2 - d6)
    va = d3 * d6 - d5 * d4
    if va <= 0.0 and d4 - d3 >= 0.0 and d5 - d6 >= 0.0:
        w = (d4 - d3) / ((d4 - d3) + (d5 - d6))
        return 1.0 - w, w
    total = va + vb + vc
    return vb / total, vc / total


@part
def _squared_distance(t: Float, p: Float, v: float, w: float) -> float:
    """From `p` to the point of a triangle with the weights `v` and `w` of its second and third corner."""
    squared = 0.0
    for axis in range(3):
        a = t[0, axis] + v * (t[1, axis] - t[0, axis]) + w * (t[2, axis] - t[0, axis]) - p[axis]
        squared += a * a
    return squared


@part
def _agrees(t: Float, normal: Float, least_cosine: float) -> bool:
    x = (t[1, 1] - t[0, 1]) * (t[2, 2] - t[0, 2]) - (t[1, 2] - t[0, 2]) * (t[2, 1] - t[0, 1])
    y = (t[1, 2] - t[0, 2]) * (t[2, 0] - t[0, 0]) - (t[1, 0] - t[0, 0]) * (t[2, 2] - t[0, 2])
    z = (t[1, 0] - t[0, 0]) * (t[2, 1] - t[0, 1]) - (t[1, 1] - t[0, 1]) * (t[2, 0] - t[0, 0])
    return x * normal[0] + y * normal[1] + z * normal[2] > least_cosine * np.sqrt(x * x + y * y + z * z)


@kernel
def _nearest(
    triangles: Float, order: Int, boxes: Float, points: Float, normals: Float, least_cosine: float, limits: Float
) -> tuple[Int, Float, Float]:
    """Face -1 where none agrees within the limit."""
    faces = np.full(len(points), -1, np.int64)
    distances, weights = np.full(len(points), np.inf), np.zeros((len(points), 3))
    nodes, open_distances = np.empty((STACK, 3), np.int64), np.empty(STACK)
    for n in range(len(points)):
        p = points[n]
        best = limits[n] * limits[n]
        nodes[0, 0], nodes[0, 1], nodes[0, 2], open_distances[0] = 0, 0, len(order), _box_distance(boxes, 0, p)
        top, refused = 1, 0
        while top and refused < MOST_REFUSED:
            top, lo, hi = _next_leaf(_box_distance, p, boxes, nodes, open_distances, top, best)
            for at in range(lo, hi):
                t = triangles[order[at]]
                if len(normals) and not _agrees(t, normals[n], least_cosine):
                    refused += 1
                    continue
                v, w = _closest_weights(t, p)
                squared = _squared_distance(t, p, v, w)
                if squared < best:
                    best = squared
                    faces[n] = order[at]
                    weights[n, 0], weights[n, 1], weights[n, 2] = 1.0 - v - w, v, w
        distances[n] = np.sqrt(best)
    return faces, distances, weights


@kernel
def _farthest(triangles: Float, order: Int, boxes: Float, points: Float) -> float:
    largest = 0.0
    nodes, open_distances = np.empty((STACK, 3), np.int64), np.empty(STACK)
    for n in range(len(points)):
        p, best = points[n], np.inf
        nodes[0, 0], nodes[0, 1], nodes[0, 2], open_distances[0] = 0, 0, len(order), _box_distance(boxes, 0, p)
        top = 1
        while top and best > largest:
            top, lo, hi = _next_leaf(_box_distance, p, boxes, nodes, open_distances, top, best)
            for at in range(lo, hi):
                t = triangles[order[at]]
                v, w = _closest_weights(t, p)
                best = min(best, _squared_distance(t, p, v, w))
        largest = max(largest, best)
    return np.sqrt(largest)


@part
def _box_entry(boxes: Float, node: int, ray: Float) -> float:
    """How far along a ray (its origin, and one over its direction) it enters a node's box; infinite if it does not."""
    enter, leave = 0.0, np.inf
    for axis in range(3):
        a, b = (boxes[node, axis] - ray[axis]) * ray[3 + axis], (boxes[node, 3 + axis] - ray[axis]) * ray[3 + axis]
        if a > b:
            a, b = b, a
        enter, leave = max(enter, a), min(leave, b)
    return enter if enter <= leave * (1.0 + 1e-12) else np.inf


@part
def _is_hit(t: Float, o: Float, d: Float) -> bool:
    """Whether a ray goes through a triangle, from either side."""
    ax, ay, az = t[0, 0] - o[0], t[0, 1] - o[1], t[0, 2] - o[2]
    bx, by, bz = t[1, 0] - o[0], t[1, 1] - o[1], t[1, 2] - o[2]
    cx, cy, cz = t[2, 0] - o[0], t[2, 1] - o[1], t[2, 2] - o[2]
    u = d[0] * (by * cz - bz * cy) + d[1] * (bz * cx - bx * cz) + d[2] * (bx * cy - by * cx)
    v = d[0] * (cy * az - cz * ay) + d[1] * (cz * ax - cx * az) + d[2] * (cx * ay - cy * ax)
    w = d[0] * (ay * bz - az * by) + d[1] * (az * bx - ax * bz) + d[2] * (ax * by - ay * bx)
    if not ((u >= 0.0 and v >= 0.0 and w >= 0.0) or (u <= 0.0 and v <= 0.0 and w <= 0.0)) or u + v + w == 0.0:
        return False
    volume = ax * (by * cz - bz * cy) + ay * (bz * cx - bx * cz) + az * (bx * cy - by * cx)
    return volume / (u + v + w) > 0.0


@kernel
def _escapes(
    triangles: Float, order: Int, boxes: Float, origins: Float, directions: Float, own: Int
) -> tuple[Bool, int]:
    tried = 0
    free = np.ones(len(origins), np.bool_)
    nodes, distances, ray = np.empty((STACK, 3), np.int64), np.empty(STACK), np.empty(6)
    for n in range(len(origins)):
        o, d = origins[n], directions[n]
        for axis in range(3):
            ray[axis], ray[3 + axis] = o[axis], 1.0 / d[axis] if d[axis] != 0.0 else 1e300
        nodes[0, 0], nodes[0, 1], nodes[0, 2], distances[0] = 0, 0, len(order), _box_entry(boxes, 0, ray)
        top = 1
        while top and free[n]:
            top, lo, hi = _next_leaf(_box_entry, ray, boxes, nodes, distances, top, np.inf)
            tried += hi - lo
            for at in range(lo, hi):
                if order[at] != own[n] and _is_hit(triangles[order[at]], o, d):
                    free[n] = False
                    break
    return free, tried
