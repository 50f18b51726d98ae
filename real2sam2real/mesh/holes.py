"""Fill the holes of an oriented surface whose vertices have one fan each."""

from __future__ import annotations

import heapq

import numpy as np

from real2sam2real.arrays import Float, Int
from real2sam2real.mesh.soup import Soup

LARGEST_EXACT = 40  # corners; the exact triangulation takes the cube of it


def border_loops(faces: Int) -> list[Int]:
    """Closed loops of vertices along the border, each in the direction in which filling faces must run."""
    start, end = faces.reshape(-1), np.roll(faces, -1, axis=1).reshape(-1)
    count = int(faces.max(initial=-1)) + 1
    keys, reverse = start * count + end, np.sort(end * count + start)
    # np.isin hashes, which takes ten times as long as this.
    border = reverse[np.searchsorted(reverse, keys) % max(1, len(keys))] != keys
    following = dict(zip(end[border].tolist(), start[border].tolist(), strict=True))  # against the faces' direction
    loops = []
    while following:
        first, vertex = following.popitem()
        loop = [first]
        while vertex != first:
            loop.append(vertex)
            vertex = following.pop(vertex)
        loops.append(np.array(loop, np.int64))
    return loops


def fill_holes(soup: Soup) -> tuple[Soup, int]:
    """The surface with every hole closed, and the number of holes."""
    loops = border_loops(soup.faces)
    if not loops:
        return soup, 0
    edges = _existing_edges(soup.faces, loops)
    vertices, faces = [soup.vertices], [soup.faces]
    count = len(soup.vertices)
    for loop in loops:
        triangles = _triangulated(soup.vertices[loop], loop, edges)
        if triangles is None:  # a new vertex in the middle can never meet an existing edge
            vertices.append(soup.vertices[loop].mean(axis=0, keepdims=True))
            triangles = np.stack([loop, np.roll(loop, -1), np.full(len(loop), count)], axis=-1)
            count += 1
        faces.append(triangles)
    new_vertices, new_faces = np.concatenate(vertices), np.concatenate(faces)
    return (
        Soup(
            vertices=new_vertices,
            faces=new_faces,
            source_vertex=_padded(soup.source_vertex, len(new_vertices)),
            source_face=_padded(soup.source_face, len(new_faces)),
        ),
        len(loops),
    )


def _padded(values: Int, length: int) -> Int:
    return np.concatenate([values, np.full(length - len(values), -1, np.int64)])


def _existing_edges(faces: Int, loops: list[Int]) -> set[tuple[int, int]]:
    """Edges between border vertices, smaller number first: a filling diagonal must not repeat one."""
    on_border = np.zeros(int(faces.max()) + 1, bool)
    on_border[np.concatenate(loops)] = True
    ends = np.stack([faces, np.roll(faces, -1, axis=1)], axis=-1).reshape(-1, 2)
    ends = np.sort(ends[on_border[ends].all(axis=1)], axis=1)
    return {(a, b) for a, b in ends.tolist()}


def _triangulated(points: Float, loop: Int, edges: set[tuple[int, int]]) -> Int | None:
    """Triangles over one loop without new vertices, or None where every choice would repeat an edge."""
    n = len(loop)
    if n < 3:
        return None
    if n == 3:
        return loop[None]
    chosen = least_area(points) if n <= LARGEST_EXACT else _ears(points)
    ends = np.stack([chosen, np.roll(chosen, -1, axis=1)], axis=-1).reshape(-1, 2)
    gap = np.abs(ends[:, 0] - ends[:, 1])
    diagonals = np.sort(loop[ends[(gap != 1) & (gap != n - 1)]], axis=1)  # the others are the polygon's sides
    if any((a, b) in edges for a, b in diagonals.tolist()):
        return None
    edges.update((a, b) for a, b in diagonals.tolist())
    return loop[chosen]


def least_area(points: Float) -> Int:
    """`(n - 2, 3)` triangles of least total area over a closed polygon `(n, 3)`.

    Dynamic programming over sub-polygons i…j (Barequet and Sharir, 1995).
    """
    n = len(points)
    cost = np.zeros((n, n))
    split = np.zeros((n, n), np.int64)
    for gap in range(2, n):
        for i in range(n - gap):
            j = i + gap
            between = np.arange(i + 1, j)
            area = np.linalg.norm(np.cross(points[between] - points[i], points[j] - points[i]), axis=1) / 2
            total = cost[i, between] + cost[between, j] + area
            best = int(np.argmin(total))
            cost[i, j], split[i, j] = total[best], between[best]
    triangles, open_ranges = [], [(0, n - 1)]
    while open_ranges:
        i, j = open_ranges.pop()
        if j - i >= 2:
            middle = int(split[i, j])
            triangles.append((i, middle, j))
            open_ranges += [(i, middle), (middle, j)]
    return np.array(triangles, np.int64)


def _ears(points: Float) -> Int:
    """`(n - 2, 3)` triangles of a long polygon: always cut the corner whose new side is shortest."""
    n = len(points)
    before, after = np.arange(n) - 1, np.arange(n) + 1
    before[0], after[-1] = n - 1, 0

    def side(k: int) -> float:
        return float(np.linalg.norm(points[before[k]] - points[after[k]]))

    heap = [(side(k), k, int(before[k]), int(after[k])) for k in range(n)]
    heapq.heapify(heap)
    gone = np.zeros(n, bool)
    triangles: list[tuple[int, int, int]] = []
    while len(triangles) < n - 2:
        _, k, a, b = heapq.heappop(heap)
        if gone[k] or a != before[k] or b != after[k]:
            continue
        triangles.append((a, k, b))
        gone[k] = True
        after[a], before[b] = b, a
        for corner in (a, b):
            heapq.heappush(heap, (side(corner), corner, int(before[corner]), int(after[corner])))
    return np.array(triangles, np.int64)
