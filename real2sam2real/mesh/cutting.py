"""Cut one triangle along segments: a constrained Delaunay triangulation of the little that lies inside it.

The triangle's corners are points 0, 1 and 2. Triangles are rows of `corners`; `across[t, k]` is the triangle beyond the
edge from corner k to corner k + 1, or -1 - e on the original edge e. Points may be nearly in one line; what rounding
makes impossible is left out, and later steps mend it.
"""

from __future__ import annotations

import numpy as np

from real2sam2real.arrays import Float, Int
from real2sam2real.mesh.bvh import kernel, part

MOST_FLIPS = 8  # per place on the stack


@kernel
def cut_triangle(points: Float, edge: Int, segments: Int) -> Int:
    """`(M, 3)` triangles over points `(n, 2)`, wound as 0, 1, 2 are.

    Args:
        points: float64 in a frame in which the corners are (0, 0), (1, 0) and (0, 1).
        edge: `(n,)` int64, the edge (0: from corner 0 to 1, …) on which a point lies, -1 inside; the corners' own do
            not count. The points of an edge come in the order in which it runs.
        segments: `(s, 2)` int64 numbers of points that an edge must join.
    """
    n = len(points)
    corners, across = np.empty((2 * n, 3), np.int64), np.empty((2 * n, 3), np.int64)
    corners[0] = np.array([0, 1, 2])
    across[0] = np.array([-1, -2, -3])
    count = 1
    for p in range(3, n):
        count = _insert_on_edge(corners, across, count, p, edge[p]) if edge[p] >= 0 else count
    stack = np.empty((8 * n + 64, 2), np.int64)
    for p in range(3, n):
        if edge[p] < 0:
            count = _insert_inside(points, corners, across, count, p, stack)
    for s in range(len(segments)):
        _join(points, corners, across, count, segments[s, 0], segments[s, 1], stack)
    return corners[:count].copy()


@part
def _turn(points: Float, a: int, b: int, c: int) -> float:
    """Twice the signed area of a triangle; positive where it runs as the original one does."""
    return (points[b, 0] - points[a, 0]) * (points[c, 1] - points[a, 1]) - (points[b, 1] - points[a, 1]) * (
        points[c, 0] - points[a, 0]
    )


@part
def _repoint(across: Int, t: int, old: int, new: int) -> None:
    """Tell triangle t that its neighbour `old` is now `new`."""
    if t >= 0:
        for k in range(3):
            if across[t, k] == old:
                across[t, k] = new
                break


@kernel
def _insert_on_edge(corners: Int, across: Int, count: int, p: int, edge: int) -> int:
    """Split the last triangle along an original edge, the one that ends in the edge's end corner."""
    end = (edge + 1) % 3
    for t in range(count):
        for k in range(3):
            if across[t, k] == -1 - edge and corners[t, (k + 1) % 3] == end:
                apex, side = corners[t, (k + 2) % 3], across[t, (k + 1) % 3]
                corners[t, (k + 1) % 3] = p
                across[t, (k + 1) % 3] = count
                corners[count, 0], corners[count, 1], corners[count, 2] = p, end, apex
                across[count, 0], across[count, 1], across[count, 2] = -1 - edge, side, t
                _repoint(across, side, t, count)
                return count + 1
    return count


@kernel
def _insert_inside(points: Float, corners: Int, across: Int, count: int, p: int, stack: Int) -> int:
    """Split the triangle that holds p into three and make the neighbourhood Delaunay again."""
    chosen, best = 0, -np.inf
    for t in range(count):
        a, b, c = corners[t]
        depth = min(_turn(points, a, b, p), _turn(points, b, c, p), _turn(points, c, a, p))
        if depth > best:
            chosen, best = t, depth
        if depth > 0.0:
            break
    t, u, v = chosen, count, count + 1
    a, b, c = corners[t]
    beyond_b, beyond_c = across[t, 1], across[t, 2]
    corners[t, 2] = p
    across[t, 1], across[t, 2] = u, v
    corners[u, 0], corners[u, 1], corners[u, 2] = b, c, p
    across[u, 0], across[u, 1], across[u, 2] = beyond_b, v, t
    corners[v, 0], corners[v, 1], corners[v, 2] = c, a, p
    across[v, 0], across[v, 1], across[v, 2] = beyond_c, t, u
    _repoint(across, beyond_b, t, u)
    _repoint(across, beyond_c, t, v)
    stack[0, 0], stack[1, 0], stack[2, 0] = t, u, v
    stack[0, 1] = stack[1, 1] = stack[2, 1] = 0
    _legalize(points, corners, across, stack, 3)
    return count + 2


@kernel
def _legalize(points: Float, corners: Int, across: Int, stack: Int, top: int) -> None:
    """Flip edges (triangle, side) whose circle holds the corner beyond them, until none is left on the stack.

    Points on one circle to rounding could be flipped for ever; after many flips the rest is left as it is.
    """
    flips = MOST_FLIPS * len(stack)
    while top and flips:
        top -= 1
        t, k = stack[top]
        u = across[t, k]
        if u < 0:
            continue
        j = _side_towards(across, u, t)
        a, b, p, d = corners[t, k], corners[t, (k + 1) % 3], corners[t, (k + 2) % 3], corners[u, (j + 2) % 3]
        if _in_circle(points, a, b, p, d) and _turn(points, p, a, d) > 0.0 and _turn(points, p, d, b) > 0.0:
            _flip(corners, across, t, k, u, j)
            flips -= 1
            if top + 2 <= len(stack):
                stack[top, 0], stack[top, 1] = t, 1  # t is now p, a, d and u is d, b, p
                stack[top + 1, 0], stack[top + 1, 1] = u, 0
                top += 2


@part
def _side_towards(across: Int, u: int, t: int) -> int:
    if across[u, 0] == t:
        return 0
    return 1 if across[u, 1] == t else 2


@part
def _in_circle(points: Float, a: int, b: int, c: int, d: int) -> bool:
    """Whether d lies within the circle through a, b and c."""
    ax, ay = points[a, 0] - points[d, 0], points[a, 1] - points[d, 1]
    bx, by = points[b, 0] - points[d, 0], points[b, 1] - points[d, 1]
    cx, cy = points[c, 0] - points[d, 0], points[c, 1] - points[d, 1]
    aa, bb, cc = ax * ax + ay * ay, bx * bx + by * by, cx * cx + cy * cy
    return ax * (by * cc - bb * cy) - ay * (bx * cc - bb * cx) + aa * (bx * cy - by * cx) > 1e-14


@kernel
def _flip(corners: Int, across: Int, t: int, k: int, u: int, j: int) -> None:
    """Replace the edge a-b between t and u by p-d: t becomes p, a, d and u becomes d, b, p."""
    a, b, p, d = corners[t, k], corners[t, (k + 1) % 3], corners[t, (k + 2) % 3], corners[u, (j + 2) % 3]
    beyond_bp, beyond_pa = across[t, (k + 1) % 3], across[t, (k + 2) % 3]
    beyond_ad, beyond_db = across[u, (j + 1) % 3], across[u, (j + 2) % 3]
    corners[t, 0], corners[t, 1], corners[t, 2] = p, a, d
    across[t, 0], across[t, 1], across[t, 2] = beyond_pa, beyond_ad, u
    corners[u, 0], corners[u, 1], corners[u, 2] = d, b, p
    across[u, 0], across[u, 1], across[u, 2] = beyond_db, beyond_bp, t
    _repoint(across, beyond_ad, u, t)
    _repoint(across, beyond_bp, t, u)


@part
def _cross(points: Float, a: int, b: int, p: int, q: int) -> bool:
    """Whether the segments a-b and p-q cross within both."""
    return (_turn(points, a, b, p) > 0.0) != (_turn(points, a, b, q) > 0.0) and (
        (_turn(points, p, q, a) > 0.0) != (_turn(points, p, q, b) > 0.0)
    )


@kernel
def _edges_across(points: Float, corners: Int, across: Int, count: int, a: int, b: int, queue: Int) -> int:
    """Write inner edges that cross the segment a-b into `queue`; gives their number, -1 if a-b is an edge itself."""
    waiting = 0
    for t in range(count):
        for k in range(3):
            p, q = corners[t, k], corners[t, (k + 1) % 3]
            if (p == a and q == b) or (p == b and q == a):
                return -1
            apart = p < q and p != a and p != b and q != a and q != b
            if apart and waiting < len(queue) and across[t, k] >= 0 and _cross(points, a, b, p, q):
                queue[waiting, 0], queue[waiting, 1] = p, q
                waiting += 1
    return waiting


@kernel
def _join(points: Float, corners: Int, across: Int, count: int, a: int, b: int, queue: Int) -> None:
    """Flip the edges that cross the segment a-b until it is an edge itself (Sloan, 1993)."""
    waiting = max(_edges_across(points, corners, across, count, a, b, queue), 0)
    tries, head = 4 * waiting * waiting + 8, 0
    while waiting and tries:
        tries -= 1
        p, q = queue[head % len(queue)]
        head, waiting = head + 1, waiting - 1
        for t in range(count):
            k = 0
            while k < 3 and not (corners[t, k] == p and corners[t, (k + 1) % 3] == q):
                k += 1
            if k == 3:
                continue
            u = across[t, k]
            if u < 0:
                break
            j = _side_towards(across, u, t)
            c, d = corners[t, (k + 2) % 3], corners[u, (j + 2) % 3]
            if _turn(points, c, p, d) > 0.0 and _turn(points, c, d, q) > 0.0:
                _flip(corners, across, t, k, u, j)
                p, q = c, d
                if (
                    (c == a and d == b)
                    or (c == b and d == a)
                    or c in (a, b)
                    or d in (a, b)
                    or not _cross(points, a, b, c, d)
                ):
                    break
            queue[(head + waiting) % len(queue), 0] = p
            queue[(head + waiting) % len(queue), 1] = q
            waiting += 1
            break
