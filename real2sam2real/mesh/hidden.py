"""What nobody can see from outside: walls within a body, and the inner shells that generative lifters make."""

from __future__ import annotations

import numpy as np

from real2sam2real.arrays import Bool, Float, Int
from real2sam2real.mesh.bvh import Bvh
from real2sam2real.mesh.holes import fill_holes
from real2sam2real.mesh.soup import Soup, edge_counts, patches, split_nonmanifold

RAYS = 24  # per face: one that sees out through 8 % of its half of the sky is found with 87 %
ASKED = 48  # faces of a patch whose rays count, at most
INNER_SHARE = 0.02  # a wall of whose rays fewer escape is an inner one
OPENING_SHARE = 0.08  # a pocket is what is open by less than this share of its area
MOST_TRIED, TRIED_PER_FACE = 40_000_000, 300  # triangles whose boxes all rays may meet; the same of each face's
POCKET_SHARE = 1e-3  # of the surface's area: smaller pockets are left alone


class TangledError(Exception):
    """A surface lies in so many layers that its rays would take too long."""


def drop_inner_walls(soup: Soup) -> tuple[Soup, int]:
    """Without patches that hang on others along edges of three or more faces and that no ray reaches from outside.

    The soup may be open or closed, in any orientation; the number is that of the dropped patches.
    """
    attached = edge_counts(soup.faces) > 2
    if not attached.any():
        return soup, 0
    patch = patches(soup.faces)
    candidate = np.zeros(int(patch.max()) + 1, bool)
    candidate[patch[attached.any(axis=1)]] = True
    inner = candidate & (_escaping_share(soup, patch, candidate) < INNER_SHARE)
    if not inner.any() or inner.all():
        return soup, 0
    return soup.keep(~inner[patch]), int(inner.sum())


def drop_pockets(soup: Soup) -> tuple[Soup, int]:
    """Without the walls of pockets: hidden surface around a hollow that is open by next to nothing.

    The soup is closed, every component wound outward. What is left has holes, and perhaps loose pieces of wall within,
    that the next steps close and unite; the number is that of the pockets.

    Raises:
        TangledError: the surface runs through itself too often to look for any.
    """
    hidden = np.nonzero(~_visible_faces(soup))[0]
    if not len(hidden):
        return soup, 0
    area = soup.areas()
    component = soup.keep(hidden).components()
    pockets = []
    for k in np.nonzero(np.bincount(component, area[hidden]) > POCKET_SHARE * area.sum())[0]:
        walls = hidden[component == k]
        if _is_pocket(soup.keep(walls).compact()):
            pockets.append(walls)
    if not pockets:
        return soup, 0
    kept = np.ones(len(soup.faces), bool)
    kept[np.concatenate(pockets)] = False
    return soup.keep(kept), len(pockets)


def _visible_faces(soup: Soup) -> Bool:
    """`(F,)`: which faces of a closed, outward-wound surface see the outside along one of their rays.

    Raises:
        TangledError: the rays would take too long.
    """
    tree = Bvh.over(soup.vertices, soup.faces)
    normal = soup.cross_products()
    length = np.linalg.norm(normal, axis=1)
    normal /= np.maximum(length, 1e-300)[:, None]
    middle = soup.vertices[soup.faces].mean(axis=1)
    seen, tried = length == 0, 0
    for offset in [np.zeros(3), *_sphere_points(RAYS - 1)]:
        left = np.nonzero(~seen)[0]
        # A unit normal plus a point of the unit sphere: directions by the cosine, as light falls.
        seen[left], more = tree.escapes(middle[left], normal[left] + 0.999 * offset, left)
        tried += more
        if tried > max(MOST_TRIED, TRIED_PER_FACE * len(middle)):
            raise TangledError
    return seen


def _escaping_share(soup: Soup, patch: Int, candidate: Bool) -> Float:
    """Per patch: the share of rays from both sides of its faces that meet nothing; 1 where it is no candidate."""
    area = soup.areas()
    order = np.lexsort((-area, patch))
    rank = np.arange(len(order)) - np.searchsorted(patch[order], patch[order])
    asked = order[(rank < ASKED) & candidate[patch[order]] & (area[order] > 0)]
    tree = Bvh.over(soup.vertices, soup.faces)
    middle = soup.vertices[soup.faces[asked]].mean(axis=1)
    rays = _sphere_points(2 * RAYS)
    free = np.zeros(len(asked))
    for ray in rays:
        free += tree.escapes(middle, np.broadcast_to(ray, middle.shape).copy(), asked)[0]
    total = np.bincount(patch[asked], minlength=len(candidate)) * len(rays)
    escaped = np.bincount(patch[asked], free, minlength=len(candidate))
    return np.where(total > 0, escaped / np.maximum(total, 1), 1.0)


def _is_pocket(walls: Soup) -> bool:
    """Whether pieces of surface, wound towards the hollow, enclose it but for small openings."""
    walls = split_nonmanifold(walls)
    capped, _ = fill_holes(walls)
    if capped.areas()[len(walls.faces) :].sum() > OPENING_SHARE * walls.areas().sum():
        return False
    return bool(capped.volumes(np.zeros(len(capped.faces), np.int64))[0] < 0)


def _sphere_points(count: int) -> Float:
    """`(count, 3)` unit vectors, evenly spread along a spiral."""
    k = np.arange(count) + 0.5
    height = 1 - 2 * k / count
    angle = np.pi * (1 + 5**0.5) * k
    ring = np.sqrt(1 - height**2)
    return np.stack([ring * np.cos(angle), height, ring * np.sin(angle)], axis=-1)
