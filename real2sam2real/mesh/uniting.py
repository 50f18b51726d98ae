"""Several closed parts that overlap or touch become one solid, and every face knows where it came from."""

from __future__ import annotations

import manifold3d
import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from real2sam2real.arrays import Float, Int
from real2sam2real.mesh import repair
from real2sam2real.mesh.repair import Soup

MAX_PARTS = 400  # more are leaves or gravel: they stay as they are, which costs nobody anything


def united(soup: Soup) -> tuple[Soup, int]:
    """The union of closed, outward-wound parts, each free of crossings, and how many parts took part in it.

    Parts that neither meet nor contain each other come back as they were, as do those that manifold3d refuses.
    """
    part = repair.parts(soup.faces, len(soup.vertices))
    count = int(part.max(initial=-1)) + 1
    if count < 2 or count > MAX_PARTS:
        return soup, 0
    group = _groups(soup, part, count)
    pieces, involved = [], 0
    for number in range(int(group.max()) + 1):
        members = np.nonzero(group == number)[0]
        piece = repair.compact(soup.keep(np.isin(part, members)))
        merged = _union(piece, part[np.isin(part, members)]) if len(members) > 1 else None
        involved += len(members) if merged is not None else 0
        pieces.append(piece if merged is None else merged)
    return (repair.joined(pieces), involved) if involved else (soup, 0)


def _groups(soup: Soup, part: Int, count: int) -> Int:
    """`(count,)`: parts whose bounding boxes are linked have one number."""
    corners = soup.vertices[soup.faces]
    low, high = np.full((count, 3), np.inf), np.full((count, 3), -np.inf)
    np.minimum.at(low, part, corners.min(axis=1))
    np.maximum.at(high, part, corners.max(axis=1))
    meet = (low[:, None] <= high[None]).all(axis=2) & (low[None] <= high[:, None]).all(axis=2)
    _, group = connected_components(coo_matrix(meet), directed=False)
    return np.asarray(group, np.int64)


def _union(soup: Soup, part: Int) -> Soup | None:
    """All parts of a soup as one solid, or None where nothing changes or the outcome is not to be trusted."""
    numbers = np.unique(part)
    solids = [_as_manifold(soup, np.nonzero(part == number)[0]) for number in numbers]
    if any(solid.status() != manifold3d.Error.NoError for solid in solids):
        return None
    union = manifold3d.Manifold.batch_boolean(solids, manifold3d.OpType.Add)
    if union.status() != manifold3d.Error.NoError or union.is_empty():
        return None
    total, largest = sum(solid.volume() for solid in solids), max(solid.volume() for solid in solids)
    if not 0.999 * largest <= union.volume() <= 1.001 * total:
        return None
    if len(union.decompose()) == len(solids) and abs(union.volume() / total - 1) < 1e-5:
        return None  # their boxes meet, they do not
    return _from_manifold(union, soup)


def _as_manifold(soup: Soup, chosen: Int) -> manifold3d.Manifold:
    used, local = np.unique(soup.faces[chosen], return_inverse=True)
    return manifold3d.Manifold(
        manifold3d.Mesh64(
            vert_properties=np.ascontiguousarray(soup.vertices[used]),
            tri_verts=local.reshape(-1, 3).astype(np.uint64),
            face_id=chosen.astype(np.uint64),
        )
    )


def _from_manifold(union: manifold3d.Manifold, soup: Soup) -> Soup:
    result = union.to_mesh64()
    vertices: Float = np.asarray(result.vert_properties, np.float64)[:, :3]
    distance, nearest = cKDTree(soup.vertices).query(vertices)
    return Soup(
        vertices=vertices,
        faces=np.asarray(result.tri_verts).astype(np.int64),
        source_vertex=np.where(distance == 0, soup.source_vertex[nearest], -1),
        source_face=soup.source_face[np.asarray(result.face_id, np.int64)],
    )
