"""The largest planes of a pointmap by RANSAC, whatever way they lie: sure of their direction where cells are not."""

from __future__ import annotations

import numpy as np

from real2sam2real.arrays import Bool, Float, Int
from real2sam2real.perceive.camera.surfaces import Surfaces, depth_noise

MAX_PLANES = 5
TRIPLES = 400  # planes that are tried for each one that is kept
MAX_JUDGES = 2500  # cells that judge a plane
NEARBY = 0.35  # of the picture's width and height in tangents: how far apart a triple's cells may lie
MIN_SHARE = 0.06  # of the free cells that a plane must explain
NARROWEST, WIDEST = 0.012, 0.08  # relative depth error that still lies on a plane
SPREADS = 2.5  # times the estimated noise
ROUNDS = 3


def steadied_normals(surfaces: Surfaces) -> Float:
    """Normals `(N, 3)` of the cells: of the large plane that a cell lies on, else its own (NaN at edges).

    The same cells give the same planes: the random numbers have a fixed seed.
    """
    normals = surfaces.normals_camera.copy()
    width = float(np.clip(SPREADS * depth_noise(surfaces), NARROWEST, WIDEST))
    rng = np.random.default_rng(0)
    left = surfaces.free.copy()
    least = max(30, round(MIN_SHARE * int(left.sum())))
    for _ in range(MAX_PLANES):
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
    for _ in range(ROUNDS):
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
