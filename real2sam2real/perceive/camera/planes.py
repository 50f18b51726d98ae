"""Planes in the pointmap: the level ones (ground, tables, shelves), and the largest ones whatever way they lie."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from real2sam2real.arrays import Bool, Float, Float32, Int, Mask
from real2sam2real.perceive.camera.surfaces import Surfaces, depth_noise

BIN = 0.03  # of the logarithm of the height below the camera
PEAK_BINS = 3
MAX_PLANES = 6
FACING_DEGREES, INLIER_DEGREES = 20.0, 30.0  # between a cell's normal and up: to propose a plane, and to lie on it
WIDEST, NARROWEST = 0.06, 0.008  # heights above a plane, in camera heights, that still lie on it
APART = 4.0  # times the depth's noise
MAX_TILT_DEGREES = 12.0  # of a fitted plane against the direction that all surfaces vote for
MIN_SHARE, MIN_CELLS = 0.03, 60  # of the whole grid, and in number, that a plane needs
ROUNDS = 12
CONTACT_HEIGHT = 0.06  # camera heights between a plane and the point seen just below an entity
RIVAL = 1 / 3  # of the best support: so much makes a lower plane the ground
MIN_CONTACT = 0.3  # of the points below an entity
# Of planes by RANSAC, whatever way they lie.
MAX_ANY_PLANES = 5
TRIPLES = 400  # planes that are tried for each one that is kept
MAX_JUDGES = 2500  # cells that judge a plane
NEARBY = 0.35  # of the picture's width and height in tangents: how far apart a triple's cells may lie
MIN_FREE_SHARE = 0.06  # of the free cells that a plane must explain
NARROWEST_ANY, WIDEST_ANY = 0.012, 0.08  # relative depth error that still lies on a plane
SPREADS = 2.5  # times the estimated noise
REFITS = 3


@dataclass(frozen=True, kw_only=True, eq=False)
class LevelPlane:
    """The plane `up · p = -height`, below the camera."""

    up_camera: Float  # `(3,)` float64 unit normal
    height: float  # of the camera above it, in the pointmap's unit
    inliers: Bool  # `(N,)` bool, which of the surfaces' cells lie on it

    @property
    def support(self) -> int:
        """How many cells lie on it."""
        return int(self.inliers.sum())


def level_planes(surfaces: Surfaces, up_camera: Float, *, tilts: bool) -> list[LevelPlane]:
    """Planes below the camera that lie level, the best supported first.

    Args:
        surfaces: the grid's cells; those near entities do not count.
        up_camera: `(3,)` roughly up.
        tilts: whether a plane's own normal may differ from `up_camera`, by up to 12°.
    """
    cosines = surfaces.normals_camera @ up_camera
    with np.errstate(invalid="ignore"):
        facing = surfaces.free & (cosines > np.cos(np.radians(FACING_DEGREES)))
        # A cell without a normal (an edge, a noisy patch) may lie on a plane; one that stands upright may not.
        open_to = surfaces.free & ~(cosines < np.cos(np.radians(INLIER_DEGREES)))
    planes: list[LevelPlane] = []
    left = facing.copy()
    # What scatters about a plane that was found is no second plane beside it.
    apart = max(WIDEST, APART * depth_noise(surfaces))
    for _ in range(MAX_PLANES):
        height = _commonest_height(-(surfaces.points_camera[left] @ up_camera))
        if height is None:
            break
        plane = _fitted(surfaces, open_to, up_camera, height, tilts=tilts)
        near = np.abs(surfaces.points_camera @ up_camera / plane.height + 1) < apart
        left &= ~(plane.inliers | near)
        if plane.support >= max(MIN_CELLS, MIN_SHARE * surfaces.cells):
            planes.append(plane)
    return sorted(planes, key=lambda plane: -plane.support)


def with_normal(plane: LevelPlane, surfaces: Surfaces, up_camera: Float) -> LevelPlane:
    """The plane turned to the normal `up_camera`, at the median height of its inliers."""
    height = _median_height(surfaces, plane.inliers, up_camera)
    return LevelPlane(up_camera=up_camera, height=height, inliers=plane.inliers)


def supporting_plane(
    planes: list[LevelPlane], points_camera: Float32, masks: Iterable[Mask]
) -> tuple[LevelPlane, int] | None:
    """The plane that most entities stand on, else the lowest of the well supported; and how many stand on it.

    An entity stands on the plane that the points just below its lower edge lie on. Where equally many stand on two, the
    lower one is the ground: what is on a table is on the floor too.

    Args:
        planes: the best supported first.
        points_camera: `(H, W, 3)` float32.
        masks: `(H, W)` bool, the entities.
    """
    if not planes:
        return None
    masks = list(masks)
    taken = np.logical_or.reduce(masks) if masks else np.zeros(points_camera.shape[:2], bool)
    standing = [0] * len(planes)
    for mask in masks:
        below = points_camera[_just_below(mask, taken)]
        on = [_share_on(plane, below) for plane in planes]
        if max(on) >= MIN_CONTACT:
            standing[int(np.argmax(on))] += 1
    if not any(standing):  # a floor is below a table, even where the table fills more of the picture
        return max((p for p in planes if p.support >= RIVAL * planes[0].support), key=lambda p: p.height), 0
    chosen = max(range(len(planes)), key=lambda k: (standing[k], planes[k].height))
    return planes[chosen], standing[chosen]


def _commonest_height(heights: Float) -> float | None:
    """The mode of positive heights on a logarithmic scale, or None without any."""
    heights = heights[heights > 0]
    if len(heights) < MIN_CELLS // 4:
        return None
    logs = np.log(heights)
    bins = max(1, int(np.ptp(logs) / BIN) + 1)
    counts, edges = np.histogram(logs, bins=bins, range=(logs.min(), logs.min() + bins * BIN))
    peak = int(np.argmax(np.convolve(counts, np.ones(PEAK_BINS), mode="same")))
    inside = np.abs(logs - (edges[peak] + edges[peak + 1]) / 2) <= PEAK_BINS * BIN / 2
    return float(np.exp(np.median(logs[inside]))) if inside.any() else float(np.exp(np.median(logs)))


def _fitted(surfaces: Surfaces, open_to: Bool, up_camera: Float, height: float, *, tilts: bool) -> LevelPlane:
    """Fit `m · p = 1` by reweighted least squares, from `m = -up / height`; inliers narrow as their scatter says."""

    def level(inliers: Bool) -> Float:
        return -up_camera / _median_height(surfaces, inliers, up_camera)

    plane, width = -up_camera / height, WIDEST
    inliers = np.zeros(len(open_to), bool)
    for _ in range(ROUNDS):
        misfit = surfaces.points_camera @ plane - 1.0
        now = open_to & (np.abs(misfit) < width)
        settled = now.sum() < 10 or np.array_equal(now, inliers)
        inliers = now
        if settled:
            break
        plane = _least_squares(surfaces, inliers, plane) if tilts else level(inliers)
        if np.degrees(np.arccos(np.clip(-plane @ up_camera / np.linalg.norm(plane), -1, 1))) > MAX_TILT_DEGREES:
            plane, tilts = level(inliers), False
        scatter = 1.4826 * float(np.median(np.abs(surfaces.points_camera[inliers] @ plane - 1.0)))
        width = float(np.clip(3.0 * scatter, NARROWEST, WIDEST))
    length = float(np.linalg.norm(plane))
    return LevelPlane(up_camera=-plane / length, height=1.0 / length, inliers=inliers)


def _least_squares(surfaces: Surfaces, inliers: Bool, plane: Float) -> Float:
    """The plane with the least relative misfit of inverse depth; weights come from the last plane, not the noise."""
    rays = surfaces.rays_camera[inliers]
    weights = 1.0 / np.maximum(rays @ plane, 1e-12)
    inverse_depth = -1.0 / surfaces.points_camera[inliers, 2]
    return np.linalg.lstsq(rays * weights[:, None], inverse_depth * weights, rcond=None)[0]


def _median_height(surfaces: Surfaces, inliers: Bool, up_camera: Float) -> float:
    return float(np.median(-(surfaces.points_camera[inliers] @ up_camera)))


def _just_below(mask: Mask, taken: Mask) -> Bool:
    """Pixels of no entity just below the lowest parts of an entity; none where the picture ends there."""
    height = mask.shape[0]
    below = np.zeros_like(mask)
    rows = np.nonzero(mask.any(axis=1))[0]
    if not len(rows):
        return below
    tall = rows[-1] - rows[0] + 1
    gap = max(2, round(0.02 * tall))
    columns = np.nonzero(mask.any(axis=0))[0]
    lowest = height - 1 - np.argmax(mask[::-1, columns], axis=0)
    use = (lowest > rows[-1] - 0.15 * tall) & (lowest + gap < height)
    below[lowest[use] + gap, columns[use]] = True
    return below & ~taken


def _share_on(plane: LevelPlane, points: Float32) -> float:
    """Which share of points `(K, 3)` lies on the plane; 0 for too few."""
    known = points[np.isfinite(points).all(axis=-1)].astype(np.float64)
    if len(known) < 3:
        return 0.0
    return float(np.mean(np.abs(known @ plane.up_camera / plane.height + 1.0) < CONTACT_HEIGHT))


def steadied_normals(surfaces: Surfaces) -> Float:
    """Normals `(N, 3)` of the cells: of the large plane that a cell lies on, else its own (NaN at edges).

    The same cells give the same planes: the random numbers have a fixed seed.
    """
    normals = surfaces.normals_camera.copy()
    width = float(np.clip(SPREADS * depth_noise(surfaces), NARROWEST_ANY, WIDEST_ANY))
    rng = np.random.default_rng(0)
    left = surfaces.free.copy()
    least = max(30, round(MIN_FREE_SHARE * int(left.sum())))
    for _ in range(MAX_ANY_PLANES):
        if left.sum() < least:
            break
        plane = _best_plane(surfaces.points_camera[left], surfaces.rays_camera[left], width, rng)
        on = left & (np.abs(surfaces.points_camera @ plane - 1.0) < width)
        if on.sum() < least:
            break
        normals[on] = -plane / np.linalg.norm(plane)
        left &= ~on
    return normals


def _best_plane(points: Float, rays: Float, width: float, rng: np.random.Generator) -> Float:
    """The `(3,)` plane `m · p = 1` that the most of `points` `(N, 3)` lie on, refined on them."""
    judges = points[:: -(-len(points) // MAX_JUDGES)]
    tried = _planes_through(points, rays, rng)
    counts = (np.abs(judges @ tried.T - 1.0) < width).sum(axis=0)
    plane: Float = tried[int(np.argmax(counts))]
    for _ in range(REFITS):
        on = np.abs(points @ plane - 1.0) < width
        if on.sum() < 3:
            break
        weights = 1.0 / np.maximum(rays[on] @ plane, 1e-12)
        plane = np.linalg.lstsq(rays[on] * weights[:, None], -weights / points[on, 2], rcond=None)[0]
    return plane


def _planes_through(points: Float, rays: Float, rng: np.random.Generator) -> Float:
    """Planes `(K, 3)` through triples of points that are near each other in the picture."""
    span = NEARBY * np.ptp(rays[:, :2], axis=0)
    first = rng.integers(len(points), size=TRIPLES)
    others = np.stack([_near(rays, first, span, rng) for _ in range(2)])
    corners = np.stack([points[first], points[others[0]], points[others[1]]], axis=1)
    usable: Bool = np.abs(np.linalg.det(corners)) > 1e-9 * np.abs(corners).max(axis=(1, 2)) ** 3
    if not usable.any():
        return np.tile(-rays.mean(axis=0), (1, 1))
    return np.linalg.solve(corners[usable], np.ones((int(usable.sum()), 3, 1)))[..., 0]


def _near(rays: Float, first: Int, span: Float, rng: np.random.Generator) -> Int:
    """For each of `first`, the nearer one of a few random cells that lies within `span` of it, if any does."""
    drawn = rng.integers(len(rays), size=(8, len(first)))
    off = np.abs(rays[drawn, :2] - rays[first, :2]) / np.maximum(span, 1e-12)
    inside = off.max(axis=-1) < 1.0
    return drawn[np.argmax(inside, axis=0), np.arange(len(first))]
