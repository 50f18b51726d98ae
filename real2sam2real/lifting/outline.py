"""A mask as the lifter sees it: where it is cut, what may hide more of it, and its silhouette on a grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from real2sam2real.arrays import Bool, Float, Mask

GRID_SIDE = 300
PADDING = 3
BELOW_BORDER = 0.12  # of its height: how far an object cut by the lower border goes on below it
PINHOLE_SHARE = 0.01
ON_TOP_SHARE = 0.5
HIDDEN_REACH = 0.35  # of its size: how far an object may go on behind another

T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True, kw_only=True, eq=False)
class Outline:
    """One mask and its surroundings."""

    name: str  # of the entity
    mask: Mask  # `(H, W)` bool, the visible pixels
    hidden: Mask  # `(H, W)` bool, pixels of nearer objects, behind which it may go on
    left: int  # first column
    top: int  # first row
    right: int  # one past the last column
    bottom: int  # one past the last row
    cut_below: bool  # the photo's lower border cuts it
    bottom_hidden: bool  # a nearer object hides its lower edge

    @property
    def height(self) -> int:
        """Visible height in pixels."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """Visible width in pixels."""
        return self.right - self.left

    @property
    def stands_in_view(self) -> bool:
        """Whether its lower edge shows where it touches the ground."""
        return not (self.cut_below or self.bottom_hidden)

    @property
    def contact_row(self) -> float:
        """Image row at which it stands; guessed where its lower edge does not show."""
        return float(self.bottom) if self.stands_in_view else self.bottom + BELOW_BORDER * self.height


def outlines_by_nearness(
    masks: Mapping[str, Mask], carriers: Mapping[str, str] = MappingProxyType({})
) -> list[Outline]:
    """The masks' outlines, the nearest object first.

    On level ground that is the one whose lower edge is lowest; but what stands on another thing, as a cup on its
    saucer, is in front of it: what does so by `carriers`, names by name, and what lies within another's outline.
    """
    extents = {name: _extent(mask) for name, mask in masks.items()}
    order = _on_top_first(sorted(masks, key=lambda name: -extents[name][3]), masks, carriers)
    hidden = np.zeros(next(iter(masks.values())).shape, bool)
    outlines = []
    for name in order:
        left, top, right, bottom = extents[name]
        mask = masks[name]
        outlines.append(
            Outline(
                name=name,
                mask=mask,
                hidden=hidden.copy(),
                left=left,
                top=top,
                right=right,
                bottom=bottom,
                cut_below=bottom >= mask.shape[0] - 2,
                bottom_hidden=_bottom_hidden(mask, hidden, bottom),
            )
        )
        hidden |= mask
    return outlines


def _on_top_first(order: list[str], masks: Mapping[str, Mask], carriers: Mapping[str, str]) -> list[str]:
    """The same order, but what another carries, or what lies mostly within its convex hull, comes just before it."""
    hulls = {name: hull_mask(mask) for name, mask in masks.items()}
    result = list(order)
    for lower in order:
        for upper in order:
            if upper == lower or result.index(lower) > result.index(upper) or carriers.get(lower) == upper:
                continue
            share = (masks[upper] & hulls[lower]).sum() / masks[upper].sum()
            back = (masks[lower] & hulls[upper]).sum() / masks[lower].sum()
            if carriers.get(upper) == lower or (share > ON_TOP_SHARE and back < share / 2):
                result.remove(upper)
                result.insert(result.index(lower), upper)
    return result


def hull_mask(mask: Mask) -> Mask:
    """The convex hull of a mask, as a mask; empty where that is."""
    hull = np.zeros(mask.shape, np.uint8)
    points = cv2.findNonZero(mask.astype(np.uint8))
    return (hull if points is None else cv2.fillConvexPoly(hull, cv2.convexHull(points), 1)).astype(bool)


def cut_out(image: NDArray[T], window: tuple[int, int, int, int], beyond: float) -> NDArray[T]:
    """A window (left, top, width, height) of an image `(H, W, …)`; `beyond` where it exceeds the image."""
    left, top, width, height = window
    out = np.full((height, width, *image.shape[2:]), beyond, image.dtype)
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(left + width, image.shape[1]), min(top + height, image.shape[0])
    out[y0 - top : y1 - top, x0 - left : x1 - left] = image[y0:y1, x0:x1]
    return out


def _extent(mask: Mask) -> tuple[int, int, int, int]:
    rows, columns = np.nonzero(mask.any(axis=1))[0], np.nonzero(mask.any(axis=0))[0]
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _bottom_hidden(mask: Mask, hidden: Mask, bottom: int) -> bool:
    """Whether most of the lowest visible pixels of the columns lie directly on top of a nearer object."""
    if not hidden.any():
        return False
    columns = np.nonzero(mask.any(axis=0))[0]
    lowest = mask.shape[0] - 1 - np.argmax(mask[::-1, columns], axis=0)
    below = [np.minimum(lowest + step, mask.shape[0] - 1) for step in (2, 4, 7)]
    covered = np.any([hidden[row, columns] for row in below], axis=0)
    return bool(covered.mean() > 0.6)


@dataclass(frozen=True, kw_only=True, eq=False)
class Grid:
    """A lattice of nodes over a window of the photo, which may exceed the photo."""

    origin: Float  # `(2,)` photo pixel x, y of the first node
    cell: float  # pixels between nodes
    shape: tuple[int, int]  # rows and columns

    def pixels(self) -> Float:
        """`(rows, columns, 2)` photo pixels of the nodes."""
        rows, columns = np.mgrid[: self.shape[0], : self.shape[1]]
        return self.origin + np.stack([columns, rows], axis=-1) * self.cell

    def at(self, rows_columns: Float) -> Float:
        """`(N, 2)` photo pixels of fractional rows and columns `(N, 2)`."""
        return self.origin + rows_columns[:, ::-1] * self.cell

    def coarser(self, side: int) -> Grid:
        """Fewer nodes over the same window, at most about `side` along its longer side."""
        factor = max(1.0, max(self.shape) / side)
        rows, columns = (max(2, round(n / factor)) for n in self.shape)
        cell = self.cell * self.shape[1] / columns
        origin = self.origin + (cell - self.cell) / 2
        return Grid(origin=origin, cell=cell, shape=(rows, columns))


def silhouette_grid(outline: Outline) -> Grid:
    """The lattice for an outline: its visible extent, what may be hidden, and what the lower border cuts off."""
    left, top, right, bottom = outline.left, outline.top, outline.right, outline.bottom
    size = max(outline.width, outline.height)
    if outline.hidden.any():
        reach = round(HIDDEN_REACH * size)
        window = outline.hidden[max(0, top - reach) : bottom + reach, max(0, left - reach) : right + reach]
        rows, columns = np.nonzero(window)
        if len(rows):
            rows, columns = rows + max(0, top - reach), columns + max(0, left - reach)
            left, top = min(left, int(columns.min())), min(top, int(rows.min()))
            right, bottom = max(right, int(columns.max()) + 1), max(bottom, int(rows.max()) + 1)
    if outline.cut_below:
        bottom = max(bottom, outline.bottom + round(BELOW_BORDER * outline.height))
    cell = max(0.5, size / GRID_SIDE)
    rows_columns = [int(np.ceil(n / cell)) + 2 * PADDING for n in (bottom - top, right - left)]
    origin = np.array([left, top]) + 0.5 * cell - PADDING * cell
    return Grid(origin=origin, cell=cell, shape=(rows_columns[0], rows_columns[1]))


def sample(mask: Mask, grid: Grid) -> Float:
    """`(rows, columns)` float share of a photo mask `(H, W)` around every node; the lowest row goes on below."""
    scale = max(1.0, grid.cell)
    soft = mask.astype(np.float32)
    matrix = np.array([[grid.cell, 0, grid.origin[0] - 0.5], [0, grid.cell, grid.origin[1] - 0.5]])
    if scale > 1.2:
        soft = cv2.GaussianBlur(soft, (0, 0), 0.4 * scale)
    size = (grid.shape[1], grid.shape[0])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(soft, matrix, size, flags=flags, borderMode=cv2.BORDER_CONSTANT, borderValue=0.0)


def silhouette_field(outline: Outline, grid: Grid, body: Bool, *, softness: float) -> Float:
    """Positive inside the completed silhouette: the mask itself, and the body where nearer objects hide it.

    `body` `(rows, columns)` is what the object would cover if nothing stood in front. `softness` is the standard
    deviation in cells by which the contour is smoothed: a solid's walls run along the rays and would show its steps.
    """
    mask = _without_pinholes(outline.mask)
    if outline.cut_below:
        below = round(BELOW_BORDER * outline.height) + 2
        mask = np.concatenate([mask, np.repeat(mask[outline.bottom - 1 : outline.bottom], below, axis=0)])
        mask[outline.bottom : mask.shape[0] - below] = mask[outline.bottom - 1]
    visible = cv2.GaussianBlur(sample(mask, grid), (0, 0), softness) - 0.5
    if outline.hidden.any():
        behind = sample(outline.hidden | outline.mask, grid) - 0.5
        completed = cv2.GaussianBlur(body.astype(np.float32), (0, 0), 1.5) - 0.5
        candidate = np.maximum(visible, np.minimum(behind, completed))
        visible = _linked(candidate, visible)
    field = visible.astype(np.float64)
    field[[0, -1]] = field[:, [0, -1]] = -0.5
    return field


def _without_pinholes(mask: Mask) -> Mask:
    """Holes smaller than a share of the mask filled; larger ones may be real, as in a handle."""
    count, components, stats, _ = cv2.connectedComponentsWithStats((~mask).astype(np.uint8), connectivity=4)
    small = stats[:, cv2.CC_STAT_AREA] < PINHOLE_SHARE * mask.sum()
    small[0] = False
    return mask | small[components] if count > 1 else mask


def _linked(candidate: Float, visible: Float) -> Float:
    """`candidate` without components that nothing visible touches, and without fringes thinner than two cells."""
    thick = cv2.morphologyEx((candidate > 0).astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    thick |= (visible > 0).astype(np.uint8)
    _, components = cv2.connectedComponents(thick, connectivity=4)
    seen = np.unique(components[visible > 0])
    keep = np.isin(components, seen[seen > 0]) | (visible > 0)
    near = cv2.dilate(keep.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    return np.where(keep, np.maximum(candidate, 1e-3), np.where(near, np.minimum(candidate, -1e-3), -0.5))


def convex_body(outline: Outline, grid: Grid) -> Bool:
    """`(rows, columns)` bool: the convex hull of the visible part, what a body without a better model would cover."""
    inside = sample(outline.mask, grid) > 0.5
    return inside | hull_mask(inside)


def interpolated(values: Float, rows_columns: Float) -> Float:
    """`(N,)` bilinear samples of `values` `(rows, columns)` at fractional positions `(N, 2)`, clamped to the border."""
    last = np.array(values.shape) - 1
    at = np.clip(rows_columns, 0, last)
    r, c = np.minimum(at.astype(int), np.maximum(last - 1, 0)).T
    dr, dc = (at - np.stack([r, c], axis=-1)).T
    r1, c1 = np.minimum(r + 1, last[0]), np.minimum(c + 1, last[1])
    upper = values[r, c] * (1 - dc) + values[r, c1] * dc
    lower = values[r1, c] * (1 - dc) + values[r1, c1] * dc
    return upper * (1 - dr) + lower * dr
