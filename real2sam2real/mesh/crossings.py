"""Where a surface runs through itself: pairs of triangles, and the points at which their common segment ends.

All decisions are signs of volumes whose corners are taken in one order whoever asks, so two triangles that share an
edge never disagree about what goes through it. Degenerate positions (a corner in a plane, two triangles in one plane)
are the caller's to avoid, by moving the points a little.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from real2sam2real.arrays import Bool, Float, Int
from real2sam2real.mesh.bvh import STACK, Bvh, kernel, part

SHARED = 6  # the end of a segment that is a corner of both triangles
NO_END = -1


@dataclass(frozen=True, kw_only=True, eq=False)
class Crossings:
    """Pairs of triangles that cross in a segment.

    Attributes:
        pairs: `(N, 2)` int64 faces f and g.
        ends: `(N, 2)` int64, the segment's ends: k = 0…2 where f's edge from corner k to the next one goes through g,
            3 + k where g's edge goes through f, `SHARED` in the corner that both have, `NO_END` where rounding lost it.
    """

    pairs: Int
    ends: Int

    def faces(self, count: int) -> Bool:
        """`(count,)`: which faces cross another one."""
        crossed = np.zeros(count, np.bool_)
        crossed[self.pairs.reshape(-1)] = True
        return crossed


def find_crossings(vertices: Float, faces: Int) -> Crossings:
    """All pairs of faces that cross; faces that share an edge do not count."""
    if not len(faces):
        return Crossings(pairs=np.zeros((0, 2), np.int64), ends=np.zeros((0, 2), np.int64))
    tree = Bvh.over(vertices, faces)
    room = max(len(faces) // 4, 4096)
    while True:
        found = np.empty((room, 4), np.int64)
        count = _find(np.ascontiguousarray(vertices), faces, tree.order, tree.boxes, found)
        if count <= room:
            return Crossings(pairs=found[:count, :2].copy(), ends=found[:count, 2:].copy())
        room = count


@part
def _volume(points: Float, i: int, j: int, k: int, m: int) -> float:
    """Six times the signed volume of a tetrahedron, computed with its corners in ascending order."""
    sign = 1.0
    if i > j:
        i, j, sign = j, i, -sign
    if k > m:
        k, m, sign = m, k, -sign
    if i > k:
        i, k, sign = k, i, -sign
    if j > m:
        j, m, sign = m, j, -sign
    if j > k:
        j, k, sign = k, j, -sign
    ax, ay, az = points[j, 0] - points[i, 0], points[j, 1] - points[i, 1], points[j, 2] - points[i, 2]
    bx, by, bz = points[k, 0] - points[i, 0], points[k, 1] - points[i, 1], points[k, 2] - points[i, 2]
    cx, cy, cz = points[m, 0] - points[i, 0], points[m, 1] - points[i, 1], points[m, 2] - points[i, 2]
    return sign * (ax * (by * cz - bz * cy) + ay * (bz * cx - bx * cz) + az * (bx * cy - by * cx))


@part
def _pierces(points: Float, p: int, q: int, a: int, b: int, c: int) -> bool:
    """Whether the edge from p to q goes through the triangle a, b, c."""
    if (_volume(points, a, b, c, p) > 0.0) == (_volume(points, a, b, c, q) > 0.0):
        return False
    side = _volume(points, p, q, a, b) > 0.0
    return side == (_volume(points, p, q, b, c) > 0.0) and side == (_volume(points, p, q, c, a) > 0.0)


@kernel
def _meeting(points: Float, faces: Int, f: int, g: int, ends: Int) -> bool:
    """Whether two triangles cross; writes the ends of their segment."""
    shared_f, shared_g, shared = -1, -1, 0
    for i in range(3):
        for j in range(3):
            if faces[f, i] == faces[g, j]:
                shared_f, shared_g, shared = i, j, shared + 1
    if shared >= 2:
        return False
    ends[0] = ends[1] = -1
    count = 0
    if shared == 1:
        ends[0], count = 6, 1
    for k in range(3):
        p, q = faces[f, k], faces[f, (k + 1) % 3]
        may = shared == 0 or k == (shared_f + 1) % 3
        if count < 2 and may and _pierces(points, p, q, faces[g, 0], faces[g, 1], faces[g, 2]):
            ends[count] = k
            count += 1
    for k in range(3):
        p, q = faces[g, k], faces[g, (k + 1) % 3]
        may = shared == 0 or k == (shared_g + 1) % 3
        if count < 2 and may and _pierces(points, p, q, faces[f, 0], faces[f, 1], faces[f, 2]):
            ends[count] = 3 + k
            count += 1
    return count > shared


@part
def _apart(points: Float, faces: Int, f: int, g: int) -> bool:
    """Whether all corners of g lie on one side of f's plane, and are no corners of f."""
    above = below = 0
    for j in range(3):
        m = faces[g, j]
        if m == faces[f, 0] or m == faces[f, 1] or m == faces[f, 2]:
            return False
        if _volume(points, faces[f, 0], faces[f, 1], faces[f, 2], m) > 0.0:
            above += 1
        else:
            below += 1
    return above == 0 or below == 0


@kernel
def _find(points: Float, faces: Int, order: Int, boxes: Float, found: Int) -> int:
    """Write rows of f, g and two ends into `found` as long as there is room; gives how many there are."""
    count = 0
    nodes, ends, box = np.empty((STACK, 3), np.int64), np.empty(2, np.int64), np.empty(6)
    for f in range(len(faces)):
        for axis in range(3):
            a, b, c = points[faces[f, 0], axis], points[faces[f, 1], axis], points[faces[f, 2], axis]
            box[axis], box[3 + axis] = min(a, b, c), max(a, b, c)
        nodes[0, 0], nodes[0, 1], nodes[0, 2] = 0, 0, len(order)
        top = 1
        while top:
            top -= 1
            node, lo, hi = nodes[top, 0], nodes[top, 1], nodes[top, 2]
            meets = True
            for axis in range(3):
                meets &= boxes[node, axis] <= box[3 + axis] and box[axis] <= boxes[node, 3 + axis]
            if not meets:
                continue
            if 2 * node + 1 < len(boxes):
                mid = (lo + hi) // 2
                nodes[top, 0], nodes[top, 1], nodes[top, 2] = 2 * node + 1, lo, mid
                nodes[top + 1, 0], nodes[top + 1, 1], nodes[top + 1, 2] = 2 * node + 2, mid, hi
                top += 2
                continue
            for at in range(lo, hi):
                g = order[at]
                if g <= f:
                    continue
                near = True
                for axis in range(3):
                    a, b, c = points[faces[g, 0], axis], points[faces[g, 1], axis], points[faces[g, 2], axis]
                    near &= min(a, b, c) <= box[3 + axis] and box[axis] <= max(a, b, c)
                if near and not _apart(points, faces, f, g) and _meeting(points, faces, f, g, ends):
                    if count < len(found):
                        found[count, 0], found[count, 1] = f, g
                        found[count, 2], found[count, 3] = ends[0], ends[1]
                    count += 1
    return count
