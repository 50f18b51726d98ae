"""Drop what floats about a lifted object and belongs to nothing.

A part is a floater if it is small (less than a hundredth of the largest part's area) and no chain of parts leads from
it to a large one, each within 2 % of the object's diagonal of the next. A speck (shorter than 0.4 % of the diagonal) is
dropped wherever it is, since nobody sees it. Where all these together have more than 5 % of the area, as the leaves of
a tree do, they are the object, and stay.
"""

from __future__ import annotations

import numpy as np

from real2sam2real.arrays import Bool, Float
from real2sam2real.mesh import repair
from real2sam2real.mesh.bvh import Bvh
from real2sam2real.mesh.repair import Soup

SMALL = 0.01  # of the largest part's area
GAP = 0.02  # of the large parts' diagonal
SPECK = 0.004  # of the large parts' diagonal
MOST = 0.05  # of all area


def without_floaters(soup: Soup) -> tuple[Soup, int]:
    """The soup without floaters and specks, and how many parts they were."""
    part = repair.parts(soup.faces, len(soup.vertices))
    count = int(part.max(initial=-1)) + 1
    if count < 2:
        return soup, 0
    corners = soup.vertices[soup.faces]
    face_area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) / 2
    area = np.bincount(part, face_area)
    large = area >= SMALL * area.max()
    diagonal = float(np.linalg.norm(np.ptp(corners[large[part]].reshape(-1, 3), axis=0)))
    speck = ~large & (_diagonals(corners, part, count) < SPECK * diagonal)
    kept = large | (~speck & _reachable(soup, part, large, ~speck, GAP * diagonal))
    if area[~kept].sum() > MOST * area.sum():
        kept = ~speck if area[speck].sum() <= MOST * area.sum() else np.ones(count, bool)
    return (soup.keep(kept[part]), int((~kept).sum())) if not kept.all() else (soup, 0)


def _diagonals(corners: Float, part: np.ndarray, count: int) -> Float:
    low, high = np.full((count, 3), np.inf), np.full((count, 3), -np.inf)
    np.minimum.at(low, part, corners.min(axis=1))
    np.maximum.at(high, part, corners.max(axis=1))
    diagonals: Float = np.linalg.norm(high - low, axis=1)
    return diagonals


def _reachable(soup: Soup, part: np.ndarray, large: Bool, allowed: Bool, gap: float) -> Bool:
    """Which parts are large, or within `gap` of one that is reachable."""
    reached, front = large.copy(), large.copy()
    while front.any():
        waiting = np.nonzero((allowed & ~reached)[part])[0]
        if not len(waiting):
            break
        tree = Bvh.over(soup.vertices, soup.faces[front[part]])
        distance = tree.nearest(soup.vertices[soup.faces[waiting]].reshape(-1, 3)).distance.reshape(-1, 3)
        front = np.zeros_like(reached)
        front[part[waiting[distance.min(axis=1) <= gap]]] = True
        reached |= front
    return reached
