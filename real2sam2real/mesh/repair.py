"""Mend the connectivity of a triangle soup: weld, drop, cut, orient. What is left open is for `holes` to fill.

All functions work on plain index arrays. `F` is the number of faces, `V` of vertices; a half-edge `3f + k` runs from
corner k of face f to the next one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from real2sam2real.arrays import Bool, Float, Int

WELD_SHARE = 1e-6  # of the bounding box's diagonal


@dataclass(frozen=True, kw_only=True, eq=False)
class Soup:
    """Faces under repair.

    Attributes:
        vertices: `(V, 3)`.
        faces: `(F, 3)` indices.
        source_vertex: `(V,)` the input's vertex that each one was, -1 for a new one.
        source_face: `(F,)` the input's face, -1 for a new one.
    """

    vertices: Float
    faces: Int
    source_vertex: Int
    source_face: Int

    def keep(self, mask: Bool) -> Soup:
        """Only some of the faces."""
        return Soup(
            vertices=self.vertices,
            faces=self.faces[mask],
            source_vertex=self.source_vertex,
            source_face=self.source_face[mask],
        )

    def with_faces(self, faces: Int) -> Soup:
        """The same faces over other vertex numbers."""
        return Soup(vertices=self.vertices, faces=faces, source_vertex=self.source_vertex, source_face=self.source_face)


def joined(soups: list[Soup]) -> Soup:
    """The faces of all, in order."""
    starts = np.cumsum([0, *(len(soup.vertices) for soup in soups[:-1])]).tolist()
    return Soup(
        vertices=np.concatenate([soup.vertices for soup in soups]),
        faces=np.concatenate([soup.faces + start for soup, start in zip(soups, starts, strict=True)]),
        source_vertex=np.concatenate([soup.source_vertex for soup in soups]),
        source_face=np.concatenate([soup.source_face for soup in soups]),
    )


def compact(soup: Soup) -> Soup:
    """Without vertices that no face uses."""
    used, faces = np.unique(soup.faces, return_inverse=True)
    return Soup(
        vertices=soup.vertices[used],
        faces=faces.reshape(-1, 3),
        source_vertex=soup.source_vertex[used],
        source_face=soup.source_face,
    )


def weld(vertices: Float, faces: Int) -> Soup:
    """One vertex where several lie within a millionth of the object's diagonal; unused ones disappear."""
    used = np.unique(faces)
    points = vertices[used]
    step = max(float(np.linalg.norm(np.ptp(points, axis=0))) * WELD_SHARE, 1e-300)
    first, group = _places(points, step)
    number = np.full(len(vertices), -1, np.int64)
    number[used] = group.reshape(-1)
    return Soup(
        vertices=points[first],
        faces=number[faces],
        source_vertex=used[first],
        source_face=np.arange(len(faces), dtype=np.int64),
    )


def _places(points: Float, step: float) -> tuple[Int, Int]:
    """`(N,)` the number of the place of each point, after one point `(P,)` of each place.

    Points in one cell of a grid are one, and so are those within `step` of each other, which a grid alone would part
    where a border between cells runs through.
    """
    cells = np.round((points - points.min(axis=0)) / step).astype(np.int64)
    _, first, cell = np.unique(cells, axis=0, return_index=True, return_inverse=True)
    pairs = cKDTree(points[first]).query_pairs(step, output_type="ndarray")
    near = coo_matrix((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(len(first), len(first)))
    _, place = connected_components(near, directed=False)
    _, chosen = np.unique(place, return_index=True)
    return first[chosen], place[cell.reshape(-1)].astype(np.int64)


def without_degenerate(soup: Soup) -> Soup:
    """Without faces that use a vertex twice."""
    a, b, c = soup.faces.T
    return soup.keep((a != b) & (b != c) & (c != a))


def without_duplicates(soup: Soup) -> Soup:
    """One face for every set of three vertices, whichever way round the copies are wound."""
    _, first = np.unique(np.sort(soup.faces, axis=1), axis=0, return_index=True)
    keep = np.zeros(len(soup.faces), bool)
    keep[first] = True
    return soup.keep(keep)


def without_fins(soup: Soup) -> tuple[Soup, int]:
    """Without flaps: faces that hang on an edge of three or more and end in nothing. Also gives their number."""
    dropped = 0
    while len(soup.faces):
        count = edge_counts(soup.faces)
        flap = (count > 2).any(axis=1) & (count == 1).any(axis=1)
        if not flap.any():
            break
        dropped += int(flap.sum())
        soup = soup.keep(~flap)
    return soup, dropped


def _edge_numbers(faces: Int) -> Int:
    """`(F, 3)`: one number per undirected edge."""
    ends = np.sort(np.stack([faces, np.roll(faces, -1, axis=1)], axis=-1), axis=-1).reshape(-1, 2)
    keys = ends[:, 0] * (int(faces.max()) + 1) + ends[:, 1]
    return np.unique(keys, return_inverse=True)[1].reshape(-1, 3)


def edge_counts(faces: Int) -> Int:
    """`(F, 3)`: how many faces use each edge."""
    numbers = _edge_numbers(faces)
    return np.bincount(numbers.reshape(-1))[numbers]


def twins(faces: Int) -> Int:
    """`(3F,)`: the half-edge on the other side of each one; -1 on a border and where more than two faces meet."""
    numbers = _edge_numbers(faces).reshape(-1)
    order = np.argsort(numbers, kind="stable")
    starts = np.concatenate([[0], np.nonzero(np.diff(numbers[order]))[0] + 1, [len(order)]])
    pairs = starts[:-1][np.diff(starts) == 2]
    mates = np.full(len(numbers), -1, np.int64)
    mates[order[pairs]], mates[order[pairs + 1]] = order[pairs + 1], order[pairs]
    return mates


def patches(faces: Int) -> Int:
    """`(F,)`: the number of the patch that each face belongs to; edges of exactly two faces hold a patch together."""
    mates = twins(faces)
    half = np.nonzero(mates > np.arange(len(mates)))[0]
    graph = coo_matrix((np.ones(len(half), bool), (half // 3, mates[half] // 3)), shape=(len(faces), len(faces)))
    _, label = connected_components(graph, directed=False)
    return np.asarray(label, np.int64)


def oriented(soup: Soup) -> tuple[Soup, int, Bool]:
    """Neighbouring faces wound the same way round.

    Faces are joined in a double cover: every face stands there once as it is and once turned, and each is linked to
    the state of its neighbour that agrees with it. A component of the cover is one consistent choice. A one-sided part
    (as a Möbius strip is) has none; there neighbours disagree along a line, where `cut_apart` opens it.

    Returns:
        The soup, the number of turned faces, and `(F,)` which faces belong to one-sided parts.
    """
    count = len(soup.faces)
    mates = twins(soup.faces)
    half = np.nonzero(mates > np.arange(len(mates)))[0]
    other = mates[half]
    start = soup.faces.reshape(-1)
    agree = start[half] != start[other]  # neighbours wound alike run along their edge in opposite directions
    f, g = half // 3, other // 3
    i = np.concatenate([f, f + count])
    j = np.concatenate([np.where(agree, g, g + count), np.where(agree, g + count, g)])
    cover = coo_matrix((np.ones(len(i), bool), (i, j)), shape=(2 * count, 2 * count))
    _, label = connected_components(cover, directed=False)
    as_is, turned = label[:count], label[count:]
    # Of the two consistent choices of a part, the one that leaves more faces as they were.
    part = np.minimum(as_is, turned)
    balance = np.bincount(part, np.where(as_is <= turned, 1, -1))[part]
    flip = np.where(balance >= 0, as_is > turned, as_is < turned)
    one_sided = as_is == turned
    if one_sided.any():
        flip[one_sided] = _turned_along_a_tree(cover, np.nonzero(one_sided)[0])
    faces = np.where(flip[:, None], soup.faces[:, ::-1], soup.faces)
    return soup.with_faces(faces), int(flip[~one_sided].sum()), one_sided


def _turned_along_a_tree(cover: coo_matrix, faces: Int) -> Bool:
    """One choice for each of some faces, consistent along a tree of neighbours that reaches a whole part."""
    count = cover.shape[0] // 2
    links = (cover + cover.T).tocsr()
    turned = np.full(count, -1, np.int8)
    for first in faces.tolist():
        if turned[first] >= 0:
            continue
        turned[first] = 0
        reached = [first]
        for state in reached:  # grows while it is walked through
            for other in links.indices[links.indptr[state] : links.indptr[state + 1]].tolist():
                if turned[other % count] < 0:
                    turned[other % count] = other // count
                    reached.append(other)
    return turned[faces] == 1


def cut_apart(soup: Soup) -> Soup:
    """One vertex per fan: where surfaces only touch, in a point or along an edge of many faces, they part.

    Afterwards every edge has at most two faces and the faces around a vertex form one fan.
    """
    mates = twins(soup.faces)
    start = soup.faces.reshape(-1)
    half = np.nonzero((mates > np.arange(len(mates))) & (start != start[np.maximum(mates, 0)]))[0]
    other = mates[half]
    following = np.where(half % 3 == 2, half - 2, half + 1)
    other_following = np.where(other % 3 == 2, other - 2, other + 1)
    i = np.concatenate([half, following])
    j = np.concatenate([other_following, other])
    corners = coo_matrix((np.ones(len(i), bool), (i, j)), shape=(len(start), len(start)))
    _, fan = connected_components(corners, directed=False)
    fans, first = np.unique(fan, return_index=True)
    number = np.empty(int(fan.max(initial=-1)) + 1, np.int64)
    number[fans] = np.arange(len(fans))
    origin = start[first]
    return Soup(
        vertices=soup.vertices[origin],
        faces=number[fan].reshape(-1, 3),
        source_vertex=soup.source_vertex[origin],
        source_face=soup.source_face,
    )


def parts(faces: Int, vertex_count: int) -> Int:
    """`(F,)`: the number of the connected part that each face belongs to."""
    i = np.concatenate([faces[:, 0], faces[:, 1]])
    j = np.concatenate([faces[:, 1], faces[:, 2]])
    graph = coo_matrix((np.ones(len(i), bool), (i, j)), shape=(vertex_count, vertex_count))
    _, label = connected_components(graph, directed=False)
    return np.unique(label[faces[:, 0]], return_inverse=True)[1].reshape(-1)


def part_volumes(vertices: Float, faces: Int, part: Int) -> Float:
    """Signed volume of every part, about the part's own middle so that far-away parts keep their digits."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    size = np.bincount(part)
    middle = np.stack([np.bincount(part, a[:, k]) / size for k in range(3)], axis=-1)[part]
    six_fold: Float = np.sum((a - middle) * np.cross(b - middle, c - middle), axis=1)
    return np.bincount(part, six_fold / 6).astype(np.float64)
