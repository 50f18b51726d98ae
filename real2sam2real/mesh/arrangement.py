"""One surface out of one that runs through itself: cut along the crossings, keep what bounds the inside.

The inside is where the oriented surface goes round at least once. Crossing triangles are cut along their common
segments, so the surface falls into patches whose winding number is the same all over; the patches between "not at all"
and "once" stay (the idea of Zhou, Grinspun, Zorin and Jacobson, 2016, here in floating point: what rounding leaves open
is filled by the steps that follow).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from real2sam2real.arrays import Bool, Float, Int
from real2sam2real.mesh import repair
from real2sam2real.mesh.bvh import Bvh
from real2sam2real.mesh.crossings import NO_END, SHARED, Crossings, find_crossings
from real2sam2real.mesh.cutting import cut_triangle
from real2sam2real.mesh.repair import Soup

SHAKE = 1e-8  # of the diagonal: moved by so much, no corner lies in another triangle's plane
VOTES = 5  # triangles of a patch that are asked for the winding number
"""Odd, so that there is a majority."""


def shaken(vertices: Float) -> Float:
    """`(V, 3)` points in general position, next to the given ones; always the same."""
    size = float(np.linalg.norm(np.ptp(vertices, axis=0)))
    return vertices + np.random.default_rng(0).uniform(-SHAKE, SHAKE, vertices.shape) * size


def without_crossings(soup: Soup) -> tuple[Soup, int]:
    """The outer boundary of a closed, oriented surface, and how many triangles crossed; unchanged where none did."""
    points = shaken(soup.vertices)
    crossings = find_crossings(points, soup.faces)
    if not len(crossings.pairs):
        return soup, 0
    crossed = crossings.faces(len(soup.faces))
    cut = _cut(points, soup.faces, crossings)
    faces = np.concatenate([soup.faces[~crossed], cut.faces])
    parent = np.concatenate([np.nonzero(~crossed)[0], cut.parent])
    keep = _outer(cut.points, faces, Bvh.over(points, soup.faces), parent)
    new = len(cut.points) - len(soup.vertices)
    return (
        Soup(
            vertices=np.concatenate([soup.vertices, cut.points[len(soup.vertices) :]]),
            faces=faces[keep],
            source_vertex=np.concatenate([soup.source_vertex, np.full(new, -1, np.int64)]),
            source_face=soup.source_face[parent[keep]],
        ),
        int(crossed.sum()),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Cut:
    """Crossing triangles in pieces.

    Attributes:
        points: `(V', 3)` the surface's own vertices, then the new ones.
        faces: `(M, 3)` pieces.
        parent: `(M,)` the face that each piece comes from.
    """

    points: Float
    faces: Int
    parent: Int


@dataclass(frozen=True, kw_only=True, eq=False)
class _Segments:
    """What lies in the crossing triangles, one row per triangle and segment.

    Attributes:
        face: `(S,)` in which face.
        other: `(S,)` the face that it crosses there.
        nodes: `(S, 2)` its ends.
    """

    face: Int
    other: Int
    nodes: Int


def _cut(points: Float, faces: Int, crossings: Crossings) -> _Cut:
    points, segments, pierced = _ends(points, faces, crossings)
    points, segments = _split_where_they_cross(points, faces, segments)
    pieces, parents = [], []
    order = np.argsort(segments.face, kind="stable")
    ordered = _Segments(face=segments.face[order], other=segments.other[order], nodes=segments.nodes[order])
    inner = np.unique(ordered.face)
    starts = np.searchsorted(ordered.face, inner)
    bounds = np.append(starts, len(ordered.face))
    for k, face in enumerate(inner.tolist()):
        piece = _pieces(points, faces[face], ordered.nodes[bounds[k] : bounds[k + 1]], pierced)
        pieces.append(piece)
        parents.append(np.full(len(piece), face, np.int64))
    return _Cut(points=points, faces=np.concatenate(pieces), parent=np.concatenate(parents))


def _ends(points: Float, faces: Int, crossings: Crossings) -> tuple[Float, _Segments, dict[tuple[int, int], list[int]]]:
    """Nodes for the ends of all segments; also the nodes on every pierced edge, in ascending order along it."""
    f, g = crossings.pairs.T
    keys, place = [], []
    nodes = np.full((len(f), 2), -1, np.int64)
    for column in range(2):
        end = crossings.ends[:, column]
        shared = end == SHARED
        common = (faces[f][:, :, None] == faces[g][:, None, :]).any(axis=2)
        nodes[shared, column] = faces[f[shared], np.argmax(common[shared], axis=1)]
        through = (end != SHARED) & (end != NO_END)
        owner, hit = np.where(end < 3, f, g)[through], np.where(end < 3, g, f)[through]
        k = end[through] % 3
        a, b = faces[owner, k], faces[owner, (k + 1) % 3]
        keys.append(np.stack([np.minimum(a, b), np.maximum(a, b), hit], axis=-1))
        place.append(np.stack([np.nonzero(through)[0], np.full(int(through.sum()), column)], axis=-1))
    unique, number = np.unique(np.concatenate(keys), axis=0, return_inverse=True)
    where = np.concatenate(place)
    nodes[where[:, 0], where[:, 1]] = len(points) + number.reshape(-1)
    share, new = _pierced_at(points, faces, unique)
    pierced: dict[tuple[int, int], list[int]] = {}
    for k in np.lexsort((share, unique[:, 1], unique[:, 0])).tolist():
        pierced.setdefault((int(unique[k, 0]), int(unique[k, 1])), []).append(len(points) + k)
    whole = (nodes >= 0).all(axis=1)
    return (
        np.concatenate([points, new]),
        _Segments(
            face=np.concatenate([f[whole], g[whole]]),
            other=np.concatenate([g[whole], f[whole]]),
            nodes=np.concatenate([nodes[whole], nodes[whole]]),
        ),
        pierced,
    )


def _pierced_at(points: Float, faces: Int, keys: Int) -> tuple[Float, Float]:
    """`(N,)` how far along the edge, and `(N, 3)` where, edges (a, b) of `keys` go through faces."""
    a, b = points[keys[:, 0]], points[keys[:, 1]]
    corner = points[faces[keys[:, 2]]]
    normal = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    from_a = ((a - corner[:, 0]) * normal).sum(axis=1)
    from_b = ((b - corner[:, 0]) * normal).sum(axis=1)
    fall = from_a - from_b
    share = np.clip(from_a / np.where(fall == 0, 1.0, fall), 0.0, 1.0)
    return share, a + share[:, None] * (b - a)


def _in_face(points: Float, corner: Float) -> Float:
    """`(N, 2)` coordinates of points in the frame of one triangle `(3, 3)`: weights of its second and third corner."""
    u, v, w = corner[1] - corner[0], corner[2] - corner[0], points - corner[0]
    uu, uv, vv = u @ u, u @ v, v @ v
    determinant = max(uu * vv - uv * uv, 1e-300)
    return np.stack([(vv * (w @ u) - uv * (w @ v)), (uu * (w @ v) - uv * (w @ u))], axis=-1) / determinant


def _split_where_they_cross(points: Float, faces: Int, segments: _Segments) -> tuple[Float, _Segments]:
    """Segments of one face that cross each other share a node there, and so do those of the two other faces."""
    triple: dict[tuple[int, int, int], int] = {}
    new: list[Float] = []
    order = np.argsort(segments.face, kind="stable")
    bounds = np.concatenate([[0], np.nonzero(np.diff(segments.face[order]))[0] + 1, [len(order)]])
    for start, stop in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        if stop - start < 2:
            continue
        rows = order[start:stop]
        face = int(segments.face[rows[0]])
        ends = segments.nodes[rows]
        flat = _in_face(points[ends.reshape(-1)], points[faces[face]]).reshape(-1, 2, 2)
        for i, j, share in _crossing_segments(flat, ends):
            key = tuple(sorted((face, int(segments.other[rows[i]]), int(segments.other[rows[j]]))))
            if len(set(key)) == 3 and key not in triple:
                triple[key] = len(points) + len(new)  # type: ignore[index]
                a, b = points[ends[i]]
                new.append(a + share * (b - a))
    if not triple:
        return points, segments
    points = np.concatenate([points, np.array(new)])
    return points, _with_nodes(points, segments, triple)


def _crossing_segments(flat: Float, ends: Int) -> list[tuple[int, int, float]]:
    """Pairs i < j of segments `(S, 2, 2)` that cross, and how far along i."""
    found = []
    for i in range(len(flat) - 1):
        a, b = flat[i]
        p, q = flat[i + 1 :, 0], flat[i + 1 :, 1]

        def turn(origin: Float, one: Float, other: Float) -> Float:
            u, v = one - origin, other - origin
            return u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0]

        to_p, to_q = turn(a, b, p), turn(a, b, q)
        to_a, to_b = turn(p, q, a), turn(p, q, b)
        apart = ~np.isin(ends[i + 1 :], ends[i]).any(axis=1)
        hit = np.nonzero(((to_p > 0) != (to_q > 0)) & ((to_a > 0) != (to_b > 0)) & apart)[0]
        found += [(i, i + 1 + int(k), float(to_a[k] / (to_a[k] - to_b[k]))) for k in hit]
    return found


def _with_nodes(points: Float, segments: _Segments, triple: dict[tuple[int, int, int], int]) -> _Segments:
    """The segments of all three faces of every triple point, split at it."""
    extra: dict[tuple[int, int], list[int]] = {}
    for (f, g, h), node in triple.items():
        for a, b in ((f, g), (g, f), (f, h), (h, f), (g, h), (h, g)):
            extra.setdefault((a, b), []).append(node)
    face, other, nodes = [], [], []
    for f, g, (a, b) in zip(segments.face.tolist(), segments.other.tolist(), segments.nodes.tolist(), strict=True):
        between = extra.get((f, g), [])
        if between:
            along = (points[between] - points[a]) @ (points[b] - points[a])
            between = [between[k] for k in np.argsort(along, kind="stable").tolist()]
        chain = [a, *between, b]
        for one, two in pairwise(chain):
            face.append(f)
            other.append(g)
            nodes.append((one, two))
    return _Segments(face=np.array(face), other=np.array(other), nodes=np.array(nodes))


def _pieces(points: Float, face: Int, segments: Int, pierced: dict[tuple[int, int], list[int]]) -> Int:
    """`(M, 3)` nodes of the triangles into which segments `(S, 2)` and the nodes on its edges cut a face `(3,)`."""
    corner = face.tolist()
    local = list(corner)
    edge = [-1, -1, -1]
    flat = [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0)]
    for k in range(3):
        a, b = corner[k], corner[(k + 1) % 3]
        on_edge = pierced.get((min(a, b), max(a, b)), [])
        on_edge = on_edge if a < b else on_edge[::-1]
        size = float(((points[b] - points[a]) ** 2).sum()) or 1.0
        for node in on_edge:
            share = float((points[node] - points[a]) @ (points[b] - points[a])) / size
            flat.append((1 - share, share) if k == 1 else (share, 0.0) if k == 0 else (0.0, 1 - share))
        local += on_edge
        edge += [k] * len(on_edge)
    inside = sorted(set(segments.reshape(-1).tolist()) - set(local))
    place = np.array(flat)
    if inside:
        place = np.concatenate([place, _in_face(points[inside], points[face])])
    number = {node: k for k, node in enumerate([*local, *inside])}
    joined = np.array([[number[a], number[b]] for a, b in segments.tolist()], np.int64)
    triangles = cut_triangle(place, np.array(edge + [-1] * len(inside), np.int64), joined)
    return np.array([*local, *inside], np.int64)[triangles]


def _outer(points: Float, faces: Int, tree: Bvh, parent: Int) -> Bool:
    """`(F,)`: which faces lie between the outside and the inside. `tree` is over the uncut surface."""
    patch = repair.patches(faces)
    corners = points[faces]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.linalg.norm(normal, axis=1)
    order = np.lexsort((-area, patch))
    rank = np.arange(len(order)) - np.searchsorted(patch[order], patch[order])
    asked = order[rank < VOTES]
    direction = normal[asked] / np.maximum(area[asked], 1e-300)[:, None]
    direction += np.random.default_rng(0).uniform(-0.2, 0.2, direction.shape)
    winding = tree.windings(corners[asked].mean(axis=1), direction, parent[asked])
    votes = np.bincount(patch[asked])
    outside = np.bincount(patch[asked], winding == 0)
    return (2 * outside > votes)[patch]
