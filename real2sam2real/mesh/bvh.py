"""A tree of boxes over a mesh's triangles: nearest point, first hit, winding number. See docs/lifting.md.

The tree is complete and has no pointers: node i has the children 2i + 1 and 2i + 2, and covers a range of the sorted
triangles that halves at every step down. N points, F faces, M nodes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

from real2sam2real.arrays import Bool, Float, Int

P = ParamSpec("P")
R = TypeVar("R")

LEAF = 4  # triangles in a leaf, at most
REACH = 0.01  # of the diagonal
STACK = 64  # open nodes of one walk; the depth of the tree bounds it


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile with Numba at the first call, and keep the outcome on disk. Kernels call kernels of their module only."""
    return cast(Callable[P, R], njit(cache=True, nogil=True, error_model="numpy")(function))


def part(function: Callable[P, R]) -> Callable[P, R]:
    """Compile as a piece of kernels, always inlined."""
    return cast(Callable[P, R], njit(nogil=True, error_model="numpy", forceinline=True)(function))


@dataclass(frozen=True, kw_only=True, eq=False)
class Bvh:
    """Boxes over triangles.

    Attributes:
        triangles: `(F, 3, 3)` float64 corners.
        order: `(F,)` int64, the triangles in the order of the leaves.
        boxes: `(M, 6)` float64, low and high corner of every node.
    """

    triangles: Float
    order: Int
    boxes: Float

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
        """The nearest point of the surface to each point `(N, 3)`.

        Args:
            points: in the mesh's frame.
            normals: `(N, 3)` unit; if given, only faces whose normal agrees count, so that the two sides of a thin
                wall are told apart. They may be farther than the nearest face by `REACH` of the diagonal; a point that
                no such face agrees with gets the nearest of all.
            least_cosine: between a point's normal and a face's.
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

    def escapes(self, origins: Float, directions: Float, own: Int) -> Bool:
        """`(N,)`: whether the ray from each origin `(N, 3)` along `(N, 3)` meets no triangle but its `own` face."""
        return _escapes(self.triangles, self.order, self.boxes, origins, directions, own)

    def windings(self, origins: Float, directions: Float, own: Int) -> Int:
        """`(N,)`: how often the closed, oriented surface goes round each origin, counted along one ray each.

        Args:
            origins: `(N, 3)`.
            directions: `(N, 3)`, any length; in general position.
            own: `(N,)` a face that does not count, because the origin lies on it; -1 for none. The number is then the
                one on the side to which the ray goes.
        """
        return _windings(self.triangles, self.order, self.boxes, origins, directions, own)


@dataclass(frozen=True, eq=False)
class Nearest:
    """What `Bvh.nearest` found.

    Attributes:
        face: `(N,)` int64.
        distance: `(N,)` float64.
        weights: `(N, 3)` float64 barycentric weights of the nearest point in that face.
    """

    face: Int
    distance: Float
    weights: Float


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
def _box_distance(boxes: Float, node: int, x: float, y: float, z: float) -> float:
    """Squared distance from a point to a node's box."""
    dx = max(boxes[node, 0] - x, 0.0, x - boxes[node, 3])
    dy = max(boxes[node, 1] - y, 0.0, y - boxes[node, 4])
    dz = max(boxes[node, 2] - z, 0.0, z - boxes[node, 5])
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
    nodes = np.empty((STACK, 3), np.int64)
    for n in range(len(points)):
        p = points[n]
        best = limits[n] * limits[n]
        nodes[0, 0], nodes[0, 1], nodes[0, 2] = 0, 0, len(order)
        top = 1
        while top:
            top -= 1
            node, lo, hi = nodes[top, 0], nodes[top, 1], nodes[top, 2]
            if _box_distance(boxes, node, p[0], p[1], p[2]) >= best:
                continue
            if 2 * node + 1 < len(boxes):
                mid = (lo + hi) // 2
                left = _box_distance(boxes, 2 * node + 1, p[0], p[1], p[2])
                right = _box_distance(boxes, 2 * node + 2, p[0], p[1], p[2])
                near = 1 if right < left else 0  # the nearer child is put on top
                nodes[top + 1 - near, 0], nodes[top + 1 - near, 1], nodes[top + 1 - near, 2] = 2 * node + 1, lo, mid
                nodes[top + near, 0], nodes[top + near, 1], nodes[top + near, 2] = 2 * node + 2, mid, hi
                top += 2
                continue
            for at in range(lo, hi):
                t = triangles[order[at]]
                if len(normals) and not _agrees(t, normals[n], least_cosine):
                    continue
                v, w = _closest_weights(t, p)
                squared = 0.0
                for axis in range(3):
                    a = t[0, axis] + v * (t[1, axis] - t[0, axis]) + w * (t[2, axis] - t[0, axis]) - p[axis]
                    squared += a * a
                if squared < best:
                    best = squared
                    faces[n] = order[at]
                    weights[n, 0], weights[n, 1], weights[n, 2] = 1.0 - v - w, v, w
        distances[n] = np.sqrt(best)
    return faces, distances, weights


@part
def _meets_box(boxes: Float, node: int, o: Float, inverse: Float) -> bool:
    """Whether a ray meets a node's box."""
    enter, leave = 0.0, np.inf
    for axis in range(3):
        a, b = (boxes[node, axis] - o[axis]) * inverse[axis], (boxes[node, 3 + axis] - o[axis]) * inverse[axis]
        if a > b:
            a, b = b, a
        enter, leave = max(enter, a), min(leave, b)
    return enter <= leave * (1.0 + 1e-12)


@part
def _hit(t: Float, o: Float, d: Float) -> int:
    """1 where a ray leaves through the triangle's outer side, -1 where it enters, 0 where it misses."""
    ax, ay, az = t[0, 0] - o[0], t[0, 1] - o[1], t[0, 2] - o[2]
    bx, by, bz = t[1, 0] - o[0], t[1, 1] - o[1], t[1, 2] - o[2]
    cx, cy, cz = t[2, 0] - o[0], t[2, 1] - o[1], t[2, 2] - o[2]
    u = d[0] * (by * cz - bz * cy) + d[1] * (bz * cx - bx * cz) + d[2] * (bx * cy - by * cx)
    v = d[0] * (cy * az - cz * ay) + d[1] * (cz * ax - cx * az) + d[2] * (cx * ay - cy * ax)
    w = d[0] * (ay * bz - az * by) + d[1] * (az * bx - ax * bz) + d[2] * (ax * by - ay * bx)
    if not ((u >= 0.0 and v >= 0.0 and w >= 0.0) or (u <= 0.0 and v <= 0.0 and w <= 0.0)):
        return 0
    side = u + v + w
    if side == 0.0:
        return 0
    volume = ax * (by * cz - bz * cy) + ay * (bz * cx - bx * cz) + az * (bx * cy - by * cx)
    if volume / side <= 0.0:
        return 0
    return 1 if side > 0.0 else -1


@kernel
def _escapes(triangles: Float, order: Int, boxes: Float, origins: Float, directions: Float, own: Int) -> Bool:
    free = np.ones(len(origins), np.bool_)
    nodes, inverse = np.empty((STACK, 3), np.int64), np.empty(3)
    for n in range(len(origins)):
        o, d = origins[n], directions[n]
        for axis in range(3):
            inverse[axis] = 1.0 / d[axis] if d[axis] != 0.0 else 1e300
        nodes[0, 0], nodes[0, 1], nodes[0, 2] = 0, 0, len(order)
        top = 1
        while top and free[n]:
            top -= 1
            node, lo, hi = nodes[top, 0], nodes[top, 1], nodes[top, 2]
            if not _meets_box(boxes, node, o, inverse):
                continue
            if 2 * node + 1 < len(boxes):
                mid = (lo + hi) // 2
                nodes[top, 0], nodes[top, 1], nodes[top, 2] = 2 * node + 1, lo, mid
                nodes[top + 1, 0], nodes[top + 1, 1], nodes[top + 1, 2] = 2 * node + 2, mid, hi
                top += 2
                continue
            for at in range(lo, hi):
                if order[at] != own[n] and _hit(triangles[order[at]], o, d) != 0:
                    free[n] = False
                    break
    return free


@kernel
def _windings(triangles: Float, order: Int, boxes: Float, origins: Float, directions: Float, own: Int) -> Int:
    count = np.zeros(len(origins), np.int64)
    nodes, inverse = np.empty((STACK, 3), np.int64), np.empty(3)
    for n in range(len(origins)):
        o, d = origins[n], directions[n]
        for axis in range(3):
            inverse[axis] = 1.0 / d[axis] if d[axis] != 0.0 else 1e300
        nodes[0, 0], nodes[0, 1], nodes[0, 2] = 0, 0, len(order)
        top = 1
        while top:
            top -= 1
            node, lo, hi = nodes[top, 0], nodes[top, 1], nodes[top, 2]
            if not _meets_box(boxes, node, o, inverse):
                continue
            if 2 * node + 1 < len(boxes):
                mid = (lo + hi) // 2
                nodes[top, 0], nodes[top, 1], nodes[top, 2] = 2 * node + 1, lo, mid
                nodes[top + 1, 0], nodes[top + 1, 1], nodes[top + 1, 2] = 2 * node + 2, mid, hi
                top += 2
                continue
            for at in range(lo, hi):
                if order[at] != own[n]:
                    count[n] += _hit(triangles[order[at]], o, d)
    return count
