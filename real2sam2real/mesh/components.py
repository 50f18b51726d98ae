"""Connected components of a repaired surface: drop those that float, unite those that overlap.

A component floats if it is small (less than a hundredth of the largest one's area) and no chain of components leads
from it to a large one, each within 2 % of the object's diagonal of the next. A speck (shorter than 0.4 % of the
diagonal) is dropped wherever it is, since nobody sees it. Where all these together have more than 5 % of the area, as
the leaves of a tree do, they are the object, and stay.
"""

from __future__ import annotations

import manifold3d
import numpy as np
from scipy.spatial import cKDTree

from real2sam2real.arrays import Bool, Float, Int
from real2sam2real.mesh.bvh import Bvh
from real2sam2real.mesh.solidity import connected
from real2sam2real.mesh.soup import Soup, concatenate

SMALL = 0.01  # of the largest component's area
GAP = 0.02  # of the large components' diagonal
SPECK = 0.004  # of the large components' diagonal
MOST = 0.05  # of all area
MAX_UNITED = 400  # more are leaves or gravel: they stay as they are, which costs nobody anything
MOST_MEETING = 1500  # pairs of boxes in one union; every crossing pair may add a cut through both
MOST_CUTS = 60_000  # through faces in one union; beyond, rough surfaces lie in each other
COMPARED = 30_000_000  # pairs of faces that are looked at to tell how many
CROWDED = 8.0  # components' boxes in one place, on average over the object's own box


def drop_floaters(soup: Soup) -> tuple[Soup, int]:
    """The soup without floaters and specks, and how many components they were."""
    component = soup.components()
    count = int(component.max(initial=-1)) + 1
    if count < 2:
        return soup, 0
    area = np.bincount(component, soup.areas())
    low, high = _boxes(soup, component, count)
    large = area >= SMALL * area.max()
    diagonal = float(np.linalg.norm(high[large].max(axis=0) - low[large].min(axis=0)))
    speck = ~large & (np.linalg.norm(high - low, axis=1) < SPECK * diagonal)
    kept = large | (~speck & _reachable(soup, component, large, ~speck, GAP * diagonal))
    if area[~kept].sum() > MOST * area.sum():
        kept = ~speck if area[speck].sum() <= MOST * area.sum() else np.ones(count, bool)
    return (soup.keep(kept[component]), int((~kept).sum())) if not kept.all() else (soup, 0)


def _boxes(soup: Soup, component: Int, count: int) -> tuple[Float, Float]:
    """Low and high corners `(count, 3)` of every component's bounding box."""
    corners = soup.vertices[soup.faces]
    low, high = np.full((count, 3), np.inf), np.full((count, 3), -np.inf)
    np.minimum.at(low, component, corners.min(axis=1))
    np.maximum.at(high, component, corners.max(axis=1))
    return low, high


def _reachable(soup: Soup, component: Int, large: Bool, allowed: Bool, gap: float) -> Bool:
    """Which components are large, or within `gap` of one that is reachable."""
    reached, front = large.copy(), large.copy()
    while front.any():
        waiting = np.nonzero((allowed & ~reached)[component])[0]
        if not len(waiting):
            break
        tree = Bvh.over(soup.vertices, soup.faces[front[component]])
        distance = tree.nearest(soup.vertices[soup.faces[waiting]].reshape(-1, 3)).distance.reshape(-1, 3)
        front = np.zeros_like(reached)
        front[component[waiting[distance.min(axis=1) <= gap]]] = True
        reached |= front
    return reached


def unite(soup: Soup) -> tuple[Soup, int]:
    """The union of closed, outward-wound components, and how many took part in it; every face knows where it came from.

    Components that neither meet nor contain each other come back as they were, as do those that manifold3d refuses, and
    thickets of which too many meet.
    """
    component = soup.components()
    count = int(component.max(initial=-1)) + 1
    if count < 2 or count > MAX_UNITED:
        return soup, 0
    low, high = _boxes(soup, component, count)
    meet = (low[:, None] <= high[None]).all(axis=2) & (low[None] <= high[:, None]).all(axis=2)
    one, other = np.nonzero(meet)
    group = connected(one, other, count)
    pieces, involved = [], 0
    for number in range(int(group.max()) + 1):
        mine = group[component] == number
        piece, members = soup.keep(mine).compact(), int((group == number).sum())
        crossings = (int((group[one] == number).sum()) - members) // 2
        may_merge = members > 1 and crossings <= MOST_MEETING and _cuts(piece, component[mine]) <= MOST_CUTS
        merged = _union(piece, component[mine]) if may_merge else None
        involved += members if merged is not None else 0
        pieces.append(piece if merged is None else merged)
    return (concatenate(pieces), involved) if involved else (soup, 0)


def _cuts(soup: Soup, component: Int) -> float:
    """About how many pairs of faces of different components cut each other, told by a sample of the faces."""
    corners = soup.vertices[soup.faces]
    low, high = corners.min(axis=1), corners.max(axis=1)
    count, normals = len(low), soup.cross_products()
    asked = np.random.default_rng(0).permutation(count)[: max(50, COMPARED // count)]
    found = 0
    for face in asked.tolist():
        near = np.nonzero((low[:, 0] <= high[face, 0]) & (high[:, 0] >= low[face, 0]))[0]
        near = near[(low[near] <= high[face]).all(axis=1) & (high[near] >= low[face]).all(axis=1)]
        near = near[component[near] != component[face]]
        own, other = corners[face], corners[near]
        aside = np.ptp(np.sign((other - own[0]) @ normals[face]), axis=1) < 2  # all corners on one side of its plane
        across = np.einsum("nkc,nc->nk", own - other[:, :1], normals[near])
        found += int((~aside & (np.ptp(np.sign(across), axis=1) == 2)).sum())
    return found / 2 * count / len(asked)


def is_thicket(soup: Soup) -> bool:
    """Whether so many components run through each other everywhere that no surface can be told among them."""
    component = soup.components()
    count = int(component.max(initial=-1)) + 1
    if count <= MAX_UNITED:
        return False
    low, high = _boxes(soup, component, count)
    whole = high.max(axis=0) - low.min(axis=0)
    shares = np.prod((high - low) / np.maximum(whole, 1e-300), axis=1)
    return bool(shares.sum() > CROWDED)


def _union(soup: Soup, component: Int) -> Soup | None:
    """All components of a soup as one solid, or None where nothing changes or the outcome is not to be trusted."""
    solids = [_as_manifold(soup, np.nonzero(component == number)[0]) for number in np.unique(component)]
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
    result = union.to_mesh64()
    vertices: Float = np.asarray(result.vert_properties, np.float64)[:, :3]
    distance, nearest = cKDTree(soup.vertices).query(vertices)
    return Soup(
        vertices=vertices,
        faces=np.asarray(result.tri_verts).astype(np.int64),
        source_vertex=np.where(distance == 0, soup.source_vertex[nearest], -1),
        source_face=soup.source_face[np.asarray(result.face_id, np.int64)],
    )


def _as_manifold(soup: Soup, chosen: Int) -> manifold3d.Manifold:
    used, local = np.unique(soup.faces[chosen], return_inverse=True)
    return manifold3d.Manifold(
        manifold3d.Mesh64(
            vert_properties=np.ascontiguousarray(soup.vertices[used]),
            tri_verts=local.reshape(-1, 3).astype(np.uint64),
            face_id=chosen.astype(np.uint64),
        )
    )
