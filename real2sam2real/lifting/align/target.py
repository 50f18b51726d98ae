"""What an alignment aims at: the mask, and what else the photo tells, in a window around it and at some resolution."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from real2sam2real.arrays import Bool, Float, Float32, Int
from real2sam2real.geometry import Intrinsics
from real2sam2real.lifting.outline import cut_out

MARGIN = 0.45  # of the mask's longer side, on each side of it
NEAR_HIDDEN = 2  # pixels: the mask's edge beside what may hide the object is no edge of the object
EDGE_TOLERANCE = 0.012  # of the mask's size
DEPTH_TOLERANCE = 0.08  # of the object's radius
LEAST_DEPTHS = 50  # pixels


@dataclass(frozen=True, kw_only=True, eq=False)
class ObjectObservation:
    """All that the photo says about one object. H × W are the photo's pixels."""

    mask: Bool  # `(H, W)` bool, where it is seen
    intrinsics: Intrinsics  # of the photo
    hidden: Bool  # `(H, W)` bool, where something in front may hide it; these pixels count neither for nor against it
    depth: Float | None = None  # `(H, W)` float64 along the camera's −Z in the scene's unit, NaN where unknown; or None


class Silhouette:
    """What is drawn of a mesh, and what follows from that."""

    def __init__(self, covered: Bool) -> None:
        self.covered = covered  # `(h, w)` bool

    @cached_property
    def distance(self) -> Float:
        """`(h, w)`, see `signed_distance`."""
        return signed_distance(self.covered)

    @cached_property
    def edge(self) -> Int:
        """`(N, 2)`, see `edge_pixels`."""
        return edge_pixels(self.covered)


@dataclass(frozen=True, kw_only=True, eq=False)
class Target:
    """A `ObjectObservation` in a window of h × w pixels."""

    mask: Bool  # `(h, w)` bool
    counted: Bool  # `(h, w)` bool, pixels that count: within the photo, and not hidden unless the mask has them
    intrinsics: Intrinsics  # of the window
    distance: Float  # `(h, w)` signed distance to the mask's edge in pixels of the window, positive outside
    slope: Float  # `(h, w, 2)` its gradient along columns and rows
    edge: Int  # `(M, 2)` int columns and rows of pixels at the mask's edge that are the object's own edge
    depth: Float | None  # `(h, w)` or None
    size: float  # longer side of the mask in pixels of the window

    def agreement(self, drawn: Bool) -> float:
        """Intersection over union of a drawn silhouette `(h, w)` with the mask, over the pixels that count."""
        union = int(((drawn | self.mask) & self.counted).sum())
        return int((drawn & self.mask).sum()) / union if union else 0.0

    def edge_agreement(self, drawn: Silhouette) -> float:
        """How much of the two edges lies on one another: the mean of 1 / (1 + (distance / tolerance)²), both ways.

        A part that the mask misses spoils a part of the edges, but much of the area.
        """
        if not drawn.covered.any() or not len(self.edge):
            return 0.0
        pixels = drawn.edge
        pixels = pixels[self.counted[pixels[:, 1], pixels[:, 0]]]
        tolerance = max(1.0, EDGE_TOLERANCE * self.size)
        distance = drawn.distance
        ours, theirs = (
            1 / (1 + ((self.distance[y, x] - distance[y, x]) / tolerance) ** 2) for x, y in (pixels.T, self.edge.T)
        )
        return float((ours.mean() if len(ours) else 0.0) + theirs.mean()) / 2

    def depth_agreement(self, drawn: Float, radius: float) -> list[float]:
        """How well inverse depths `(h, w)` agree, once they agree in the median; nothing where too few are known.

        `radius` is the object's, in the scene's unit.
        """
        pixels = self.known_depths(drawn)
        if len(pixels) < LEAST_DEPTHS:
            return []
        depth, seen = self.matched_depths(drawn, pixels)
        return [float(np.mean(1 / (1 + ((depth - seen) / (DEPTH_TOLERANCE * radius)) ** 2)))]

    def known_depths(self, drawn: Float) -> Int:
        """`(N, 2)` columns and rows where the depth is drawn, as inverse depth `(h, w)`, and known."""
        if self.depth is None:
            return np.zeros((0, 2), np.int64)
        return np.argwhere((drawn > 0) & self.mask & np.isfinite(self.depth))[:, ::-1]

    def matched_depths(self, drawn: Float, pixels: Int) -> tuple[Float, Float]:
        """`(N,)` drawn depths at `pixels`, and the photo's times the factor that makes both agree in the median."""
        if self.depth is None:
            return np.zeros(0), np.zeros(0)
        x, y = pixels.T
        depth, seen = 1 / drawn[y, x], self.depth[y, x]
        return depth, seen * np.median(depth / seen)


def signed_distance(mask: Bool) -> Float:
    """`(h, w)` pixels to the edge that runs between the pixels of `mask`, positive outside."""
    if not mask.any():
        return np.full(mask.shape, float(sum(mask.shape)))
    inside = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    outside = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.where(mask, 0.5 - inside, outside - 0.5).astype(np.float64)


def slopes_at(distance: Float, pixels: Int) -> Float:
    """`(N, 2)` of `slope_of` at columns and rows `(N, 2)`."""
    x, y = pixels.T
    low, high = np.maximum(pixels - 1, 0), np.minimum(pixels + 1, np.array(distance.shape[::-1]) - 1)
    right = (distance[y, high[:, 0]] - distance[y, low[:, 0]]) / (high - low)[:, 0]
    down = (distance[high[:, 1], x] - distance[low[:, 1], x]) / (high - low)[:, 1]
    return np.stack([right, down], axis=-1)


def slope_of(distance: Float) -> Float:
    """`(h, w, 2)` gradient of a distance field along columns and rows."""
    down, right = np.gradient(distance)
    return np.stack([right, down], axis=-1)


def edge_pixels(mask: Bool) -> Int:
    """`(N, 2)` columns and rows of the pixels of `mask` with a neighbour outside it."""
    inner = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=1).astype(bool)
    return np.argwhere(mask & ~inner)[:, ::-1]


def target_of(observation: ObjectObservation, side: int) -> Target:
    """The window around the mask, its longer side brought to at most `side` pixels."""
    window = _window(observation.mask)
    left, top, width, height = window
    scale = min(1.0, side / max(width, height))
    w, h = max(8, round(width * scale)), max(8, round(height * scale))
    intrinsics = observation.intrinsics.cropped(left, top, width, height).resized(w, h)
    mask = _resampled(observation.mask, window, (w, h), 0.0) > 0.5
    hidden = _resampled(observation.hidden & ~observation.mask, window, (w, h), 0.0) > 0.25
    in_photo = _resampled(np.ones_like(observation.mask), window, (w, h), 0.0) > 0.99
    distance = signed_distance(mask)
    rows, columns = np.nonzero(mask)
    return Target(
        mask=mask,
        counted=in_photo & (mask | ~hidden),
        intrinsics=intrinsics,
        distance=distance,
        slope=slope_of(distance),
        edge=_own_edge(mask, hidden | ~in_photo),
        depth=None if observation.depth is None else _nearest(observation.depth, window, (w, h)),
        size=float(max(np.ptp(columns), np.ptp(rows)) + 1) if len(rows) else 1.0,
    )


def _window(mask: Bool) -> tuple[int, int, int, int]:
    """Left, top, width and height; it may exceed the photo."""
    rows, columns = np.nonzero(mask)
    longer = max(np.ptp(columns), np.ptp(rows)) + 1
    margin = int(np.ceil(MARGIN * longer)) + 2
    left, top = int(columns.min()) - margin, int(rows.min()) - margin
    return left, top, int(columns.max()) + margin + 1 - left, int(rows.max()) + margin + 1 - top


def _resampled(mask: Bool, window: tuple[int, int, int, int], size: tuple[int, int], beyond: float) -> Float32:
    """The share of each pixel of the window that the mask covers."""
    return cv2.resize(cut_out(mask.astype(np.float32), window, beyond), size, interpolation=cv2.INTER_AREA)


def _nearest(depth: Float, window: tuple[int, int, int, int], size: tuple[int, int]) -> Float:
    cut = cut_out(depth.astype(np.float32), window, np.nan)
    return cv2.resize(cut, size, interpolation=cv2.INTER_NEAREST).astype(np.float64)


def _own_edge(mask: Bool, unknown: Bool) -> Int:
    """Edge pixels of the mask that do not lie beside what may hide the object, nor at the photo's border."""
    size = 2 * NEAR_HIDDEN + 1
    near = cv2.dilate(unknown.astype(np.uint8), np.ones((size, size), np.uint8), borderValue=1).astype(bool)
    edge = edge_pixels(mask)
    return edge[~near[edge[:, 1], edge[:, 0]]]
