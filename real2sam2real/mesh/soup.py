"""A triangle soup under repair: weld, drop, orient, split. What is left open is for `holes` to fill.

All functions work on plain index arrays. `F` is the number of faces, `V` of vertices; a half-edge `3f + k` runs from
corner k of face f to the next one. A repair step gives the new soup and how many things it changed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from real2sam2real.arrays import Bool, Float, Int
from real2sam2real.mesh import solidity
from real2sam2real.mesh.mesh import Mesh
from real2sam2real.mesh.solidity import connected

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

WELD_SHARE = 1e-6  # of the bounding box's diagonal


@dataclass(frozen=True, kw_only=True, eq=False)
class Soup:
    """Faces under repair."""

    vertices: Float  # `(V, 3)`
    faces: Int  # `(F, 3)` indices
    source_vertex: Int  # `(V,)` the input's vertex that each one was, -1 for a new one
    source_face: Int  # `(F,)` the input's face, -1 for a new one

    @classmethod
    def of(cls, mesh: Mesh) -> Soup:
        """The faces of a mesh."""
        faces = mesh.faces.astype(np.int64)
        return cls(vertices=mesh.vertices, faces=faces, source_vertex=np.arange(len(mesh.vertices)),
                   source_face=np.arange(len(faces)))  # fmt: skip

    def keep(self, chosen: Bool | Int) -> Soup:
        """Only some of the faces, by mask or by number."""
        return replace(self, faces=self.faces[chosen], source_face=self.source_face[chosen])

    def compact(self) -> Soup:
        """Without vertices that no face uses."""
        used, faces = np.unique(self.faces, return_inverse=True)
        return replace(
            self, vertices=self.vertices[used], faces=faces.reshape(-1, 3), source_vertex=self.source_vertex[used]
        )

    def cross_products(self) -> Float:
        """`(F, 3)`: face normals with twice the face's area as their length."""
        corners = self.vertices[self.faces]
        return np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])

    def areas(self) -> Float:
        """`(F,)` areas of the faces."""
        areas: Float = np.linalg.norm(self.cross_products(), axis=1) / 2
        return areas

    def components(self) -> Int:
        """`(F,)`: the number of the connected component that each face belongs to."""
        i, j = self.faces[:, :2].T.reshape(-1), self.faces[:, 1:].T.reshape(-1)
        label = connected(i, j, len(self.vertices))
        return np.unique(label[self.faces[:, 0]], return_inverse=True)[1].reshape(-1)

    def volumes(self, component: Int) -> Float:
        """Signed volume of every component, about its own middle so that far-away ones keep their digits."""
        return solidity.volumes(self.vertices, self.faces, component)


def concatenate(soups: list[Soup]) -> Soup:
    """The faces of all, in order."""
    starts = np.cumsum([0, *(len(soup.vertices) for soup in soups[:-1])]).tolist()
    return Soup(
        vertices=np.concatenate([soup.vertices for soup in soups]),
        faces=np.concatenate([soup.faces + start for soup, start in zip(soups, starts, strict=True)]),
        source_vertex=np.concatenate([soup.source_vertex for soup in soups]),
        source_face=np.concatenate([soup.source_face for soup in soups]),
    )


def weld(soup: Soup) -> tuple[Soup, int]:
    """One vertex where several lie within a millionth of the object's diagonal; unused ones disappear.

    Points in one cell of a grid are one, and so are those within a cell's size of each other, which a grid alone would
    part where a border between cells runs through.
    """
    from scipy.spatial import cKDTree

    soup = soup.compact()
    points = soup.vertices
    step = max(float(np.linalg.norm(np.ptp(points, axis=0))) * WELD_SHARE, 1e-300)
    cells = np.round((points - points.min(axis=0)) / step).astype(np.int64)
    _, first, cell = np.unique(cells, axis=0, return_index=True, return_inverse=True)
    near = cKDTree(points[first]).query_pairs(step, output_type="ndarray")
    place = connected(near[:, 0], near[:, 1], len(first))
    _, chosen = np.unique(place, return_index=True)
    kept = first[chosen]
    welded = replace(
        soup, vertices=points[kept], faces=place[cell.reshape(-1)][soup.faces], source_vertex=soup.source_vertex[kept]
    )
    return welded, len(points) - len(kept)


def drop_degenerate(soup: Soup) -> tuple[Soup, int]:
    """Without faces that use a vertex twice."""
    a, b, c = soup.faces.T
    proper = (a != b) & (b != c) & (c != a)
    return soup.keep(proper), int((~proper).sum())


def drop_duplicates(soup: Soup) -> tuple[Soup, int]:
    """One face for every set of three vertices, whichever way round the copies are wound."""
    _, first = np.unique(np.sort(soup.faces, axis=1), axis=0, return_index=True)
    keep = np.zeros(len(soup.faces), bool)
    keep[first] = True
    return soup.keep(keep), len(keep) - len(first)


def drop_flaps(soup: Soup) -> tuple[Soup, int]:
    """Without faces that hang on an edge of three or more and end in nothing; unless that leaves none."""
    rest = soup
    while len(rest.faces):
        count = edge_counts(rest.faces)
        flap = (count > 2).any(axis=1) & (count == 1).any(axis=1)
        if not flap.any():
            return rest, len(soup.faces) - len(rest.faces)
        rest = rest.keep(~flap)
    return soup, 0


def _edge_numbers(faces: Int) -> Int:
    """`(F, 3)`: one number per undirected edge."""
    ends = np.sort(np.stack([faces, np.roll(faces, -1, axis=1)], axis=-1), axis=-1).reshape(-1, 2)
    keys = ends[:, 0] * (int(faces.max(initial=-1)) + 1) + ends[:, 1]
    return np.unique(keys, return_inverse=True)[1].reshape(-1, 3)


def edge_counts(faces: Int) -> Int:
    """`(F, 3)`: how many faces use each edge."""
    numbers = _edge_numbers(faces)
    return np.bincount(numbers.reshape(-1))[numbers]


def twins(faces: Int) -> tuple[Int, Int]:
    """The two half-edges `(N,)` of every edge of exactly two faces; the lower ones come first, in order."""
    numbers = _edge_numbers(faces).reshape(-1)
    order = np.argsort(numbers, kind="stable")
    starts = np.concatenate([[0], np.nonzero(np.diff(numbers[order]))[0] + 1, [len(order)]])
    pairs = starts[:-1][np.diff(starts) == 2]
    lower, upper = order[pairs], order[pairs + 1]
    ascending = np.argsort(lower)
    return lower[ascending], upper[ascending]


def following(half: Int) -> Int:
    """The next half-edge of the same face."""
    return np.where(half % 3 == 2, half - 2, half + 1)


def patches(faces: Int) -> Int:
    """`(F,)`: the number of the patch that each face belongs to; edges of exactly two faces hold a patch together."""
    half, other = twins(faces)
    return connected(half // 3, other // 3, len(faces))


def orient(soup: Soup) -> tuple[Soup, int, Bool]:
    """Neighbouring faces wound the same way round.

    Faces are joined in a double cover: every face stands there once as it is and once turned, and each is linked to
    the state of its neighbour that agrees with it. A component of the cover is one consistent choice. A one-sided
    component (as a Möbius strip is) has none; there neighbours disagree along a line, where `split_nonmanifold` opens
    it.

    Returns:
        The soup, the number of turned faces, and `(F,)` which faces belong to one-sided components.
    """
    count = len(soup.faces)
    half, other = twins(soup.faces)
    start = soup.faces.reshape(-1)
    agree = start[half] != start[other]  # neighbours wound alike run along their edge in opposite directions
    f, g = half // 3, other // 3
    i = np.concatenate([f, f + count])
    j = np.concatenate([np.where(agree, g, g + count), np.where(agree, g + count, g)])
    label = connected(i, j, 2 * count)
    as_is, turned = label[:count], label[count:]
    # Of the two consistent choices of a component, the one that leaves more faces as they were.
    component = np.minimum(as_is, turned)
    balance = np.bincount(component, np.where(as_is <= turned, 1, -1))[component]
    flip = np.where(balance >= 0, as_is > turned, as_is < turned)
    one_sided = as_is == turned
    if one_sided.any():
        from scipy.sparse import coo_matrix

        cover = coo_matrix(
            (np.ones(2 * len(i), bool), (np.append(i, j), np.append(j, i))), shape=(2 * count, 2 * count)
        )
        flip[one_sided] = _turned_along_a_tree(cover.tocsr(), np.nonzero(one_sided)[0])
    faces = np.where(flip[:, None], soup.faces[:, ::-1], soup.faces)
    return replace(soup, faces=faces), int(flip[~one_sided].sum()), one_sided


def _turned_along_a_tree(links: csr_matrix, faces: Int) -> Bool:
    """One choice for each of some faces, consistent along a tree of neighbours that reaches a whole component."""
    count = links.shape[0] // 2
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


def split_nonmanifold(soup: Soup) -> Soup:
    """One vertex per fan: where surfaces only touch, in a point or along an edge of many faces, they separate.

    Afterwards every edge has at most two faces and the faces around a vertex form one fan.
    """
    half, other = twins(soup.faces)
    start = soup.faces.reshape(-1)
    alike = start[half] != start[other]
    half, other = half[alike], other[alike]
    i = np.concatenate([half, following(half)])
    j = np.concatenate([following(other), other])
    _, first, fan = np.unique(connected(i, j, len(start)), return_index=True, return_inverse=True)
    origin = start[first]
    return replace(
        soup, vertices=soup.vertices[origin], faces=fan.reshape(-1, 3), source_vertex=soup.source_vertex[origin]
    )
