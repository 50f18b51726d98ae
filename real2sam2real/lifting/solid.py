"""A rounded, tapered box or cylinder that stands on the ground and fills a silhouette: the shape of compact things.

The body is a superellipse in plan and in elevation, narrowed linearly towards its top. It is fitted by its support
function: the outermost extent of the outline along many directions in the image. That is smooth in the parameters and
indifferent to dents and holes, and where another object hides the outline it can simply be bounded instead of fixed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from scipy.optimize import least_squares

from real2sam2real.arrays import Float, Mask
from real2sam2real.lifting.ground import Ground
from real2sam2real.lifting.outline import hull_mask

DIRECTIONS = 36
RINGS, RING_POINTS = 7, 20
TOLERANCE = 0.018  # standard deviation of the outline, as a share of its size
TAPER_SPREAD = 0.22  # standard deviation
THIN = 0.1  # of its size: the radius of handles, aerials and mirrors, which do not shape a body
MIN_ALIKE = 4
ALIKE_SPREAD = 0.2  # standard deviation of the logarithm of sizes among likes
STARTS_DEGREES = (0.0, 20.0, 45.0, 70.0)


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Superellipse exponents: 2 is round, large is boxy."""

    name: str  # how a person would call it
    plan: float  # seen from above
    upper: float  # elevation, top half
    lower: float  # elevation, bottom half
    footprint_spread: float  # standard deviation of log(width / depth): what is round from above is a circle
    height_spread: float = 0.45  # standard deviation of log(height / width)
    flatness: float = 0.0  # the usual log(width / height)
    handicap: float = 0.0  # added to the fit's cost, so that an odd shape must earn its place


PROFILES = (
    Profile(name="box", plan=5.0, upper=4.0, lower=8.0, footprint_spread=0.45, handicap=2.0),
    Profile(name="cylinder", plan=2.0, upper=6.0, lower=8.0, footprint_spread=0.12, handicap=0.0),
    Profile(name="dome", plan=2.2, upper=2.4, lower=6.0, footprint_spread=0.15, handicap=1.0),
    Profile(name="ball", plan=2.0, upper=2.0, lower=2.0, footprint_spread=0.1, height_spread=0.15, handicap=0.0),
    Profile(name="disc", plan=2.0, upper=4.0, lower=4.0, footprint_spread=0.1, flatness=2.0, handicap=0.0),
    Profile(name="slab", plan=6.0, upper=6.0, lower=8.0, footprint_spread=0.45, flatness=2.0, handicap=4.0),
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Solid:
    """A fitted body, in camera heights."""

    center: Float  # `(3,)` middle of the footprint in the world
    yaw: float  # radians about +Y from the world's axes to the body's
    half_width: float  # along its x at half height
    half_depth: float  # along its z at half height
    height: float  # along +Y
    taper: float  # share by which the top is narrower than the middle
    profile: Profile  # its roundness
    misfit: float  # root mean square distance of its outline from the mask's, as a share of the outline's size

    def world_from_object(self) -> Float:
        """`(4, 4)`: origin in the middle of the footprint, axes along the body's."""
        c, s = np.cos(self.yaw), np.sin(self.yaw)
        matrix = np.eye(4)
        matrix[:3, :3] = [[c, 0, s], [0, 1, 0], [-s, 0, c]]
        matrix[:3, 3] = self.center
        return matrix

    def level(self, points_object: Float) -> Float:
        """`(...)`: below 1 inside, for points `(..., 3)` in the object frame."""
        x, _, z = np.moveaxis(np.abs(points_object), -1, 0)
        elevation = 2 * points_object[..., 1] / self.height - 1
        narrowed = np.maximum(1 - self.taper * elevation, 0.05)
        plan = (x / (self.half_width * narrowed)) ** self.profile.plan
        plan += (z / (self.half_depth * narrowed)) ** self.profile.plan
        exponent = np.where(elevation > 0, self.profile.upper, self.profile.lower)
        return plan ** (exponent / self.profile.plan) + np.abs(elevation) ** exponent


# What the other objects of the photo are like: logarithms of height and of footprint (root of its area / 4).
Typical = tuple[float, float]


def typical_of(solids: Sequence[Solid]) -> Typical | None:
    """The median over at least `MIN_ALIKE` solids, or None."""
    if len(solids) < MIN_ALIKE:
        return None
    footprint = np.median([np.log(solid.half_width * solid.half_depth) / 2 for solid in solids])
    return float(np.median([np.log(solid.height) for solid in solids])), float(footprint)


def fit_solid(mask: Mask, hidden: Mask, ground: Ground, typical: Typical | None = None) -> Solid | None:
    """The body on the ground that fits a mask best; None where the outline has no extent.

    `mask` and `hidden` `(H, W)` are the visible pixels and those where nearer objects may hide more of it; the size of
    its likes, where there are some, settles what the outline leaves open.
    """
    outline = _outline(mask, hidden)
    if outline is None:
        return None
    target = _Target.of(mask, outline, hidden)
    contact = ground.points_world(np.array([target.middle[0], target.low[0]]))
    best: tuple[float, Float, Profile] | None = None
    facing = float(np.arctan2(-contact[0], -contact[2]))
    for start in np.radians(STARTS_DEGREES):
        cost, x = _solve(target, ground, typical, PROFILES[0], _guess(target, ground, facing + start))
        best = (cost, x, PROFILES[0]) if best is None or cost < best[0] else best
    assert best is not None
    for profile in PROFILES[1:]:
        start = best[1].copy() if best[2].flatness == profile.flatness else _guess(target, ground, facing)
        start[5] -= 0.0 if best[2].flatness == profile.flatness else profile.flatness
        cost, x = _solve(target, ground, typical, profile, start)
        best = (cost, x, profile) if cost < best[0] else best
    return _as_solid(best[1], best[2], target, ground)


def _outline(mask: Mask, hidden: Mask) -> Float | None:
    """`(N, 2)` pixels: corners of the convex hull, without what is thin (aerials, mirrors, signs)."""
    rows, columns = np.nonzero(mask)
    size = min(np.ptp(rows), np.ptp(columns)) + 1
    radius = max(1, int(THIN * size))
    window = np.s_[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    crop = (mask[window] | (hull_mask(mask[window]) & hidden[window])).astype(np.uint8)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    opened = cv2.morphologyEx(np.pad(crop, radius), cv2.MORPH_OPEN, kernel)[radius:-radius, radius:-radius]
    points = cv2.findNonZero(opened if opened.any() else crop)
    if points is None:
        return None
    corners = np.concatenate([points.reshape(-1, 2) + offset for offset in ([0, 0], [1, 0], [0, 1], [1, 1])])
    outer = cv2.convexHull(corners.astype(np.int32)).reshape(-1, 2).astype(np.float64)
    return outer + np.array([columns.min(), rows.min()])


@dataclass(frozen=True, kw_only=True, eq=False)
class _Target:
    """The outline's support function: how far it reaches along each direction, at least and at most."""

    directions: Float
    low: Float
    high: Float
    middle: Float
    size: float

    @classmethod
    def of(cls, mask: Mask, outline: Float, hidden: Mask) -> _Target:
        angles = 2 * np.pi * np.arange(DIRECTIONS) / DIRECTIONS + np.pi / 2  # the first one points down
        directions = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
        low = (outline @ directions.T).max(axis=0)
        size = float(np.sqrt(np.prod(np.ptp(outline, axis=0))))
        high = low + _slack(mask, outline, hidden, directions, low, size)
        return cls(directions=directions, low=low, high=high, middle=outline.mean(axis=0), size=size)


def _slack(mask: Mask, outline: Float, hidden: Mask, directions: Float, low: Float, size: float) -> Float:
    """`(DIRECTIONS,)` pixels by which the body may exceed the visible outline because something hides it there."""
    reach = round(0.35 * size)
    left, top = np.maximum(outline.min(axis=0) - reach, 0).astype(int)
    right, bottom = (outline.max(axis=0) + reach).astype(int)
    window = np.s_[top:bottom, left:right]
    covered = hidden[window].astype(np.uint8)
    if not covered.any():
        return np.zeros(DIRECTIONS)
    beside = cv2.dilate(covered, np.ones((7, 7), np.uint8)).astype(bool)
    corner = np.array([left, top]) + 0.5
    cut = np.argwhere(mask[window] & beside)[:, ::-1] + corner
    if not len(cut):
        return np.zeros(DIRECTIONS)
    # The outline's extreme along a direction is made by the occluder when the mask is cut just there.
    made_by_cut = (cut @ directions.T).max(axis=0) > low - 0.06 * size
    behind = np.argwhere(covered.astype(bool))[::7, ::-1] + corner
    room = (behind @ directions.T).max(axis=0) - low
    return np.where(made_by_cut, np.clip(room, 0, reach), 0.0)


_ELEVATIONS = np.linspace(-1, 1, RINGS)
_ANGLES = 2 * np.pi * np.arange(RING_POINTS) / RING_POINTS


def _surface(x: Float, profile: Profile) -> Float:
    """`(RINGS * RING_POINTS, 3)` world points on the body with parameters `x`, standing at y = −1."""
    px, pz, yaw, width, depth, height, taper = x[0], x[1], x[2], *np.exp(x[3:6]), x[6]
    cosine, sine = np.cos(_ANGLES), np.sin(_ANGLES)
    ring = (np.abs(cosine) ** profile.plan + np.abs(sine) ** profile.plan) ** (-1 / profile.plan)
    exponent = np.where(_ELEVATIONS > 0, profile.upper, profile.lower)
    elevation = np.sign(_ELEVATIONS) * (1 - (1 - np.abs(_ELEVATIONS)) ** 2)  # denser where it bends
    narrow = (1 - np.minimum(np.abs(elevation) ** exponent, 1)) ** (1 / exponent) * (1 - taper * elevation)
    bx = width * narrow[:, None] * (ring * cosine)
    bz = depth * narrow[:, None] * (ring * sine)
    c, s = np.cos(yaw), np.sin(yaw)
    points = np.empty((RINGS, RING_POINTS, 3))
    points[..., 0] = px + c * bx + s * bz
    points[..., 1] = (height * (elevation + 1) / 2 - 1)[:, None]
    points[..., 2] = pz - s * bx + c * bz
    return points.reshape(-1, 3)


def _support(x: Float, profile: Profile, target: _Target, ground: Ground) -> Float:
    k = ground.intrinsics
    camera = _surface(x, profile) @ ground.world_from_camera[:3, :3]
    depth = np.maximum(-camera[:, 2], 0.05)
    u, v = k.cx + k.fx * camera[:, 0] / depth, k.cy - k.fy * camera[:, 1] / depth
    return (u[:, None] * target.directions[:, 0] + v[:, None] * target.directions[:, 1]).max(axis=0)


def _residuals(x: Float, profile: Profile, target: _Target, ground: Ground, typical: Typical | None) -> Float:
    support = _support(x, profile, target, ground)
    outline = np.maximum(support - target.high, 0) + np.minimum(support - target.low, 0)
    outline /= TOLERANCE * target.size
    robust = np.sign(outline) * np.sqrt(2 * (np.sqrt(1 + outline**2) - 1))  # mirrors and wheels are outliers
    priors = [
        (x[3] - x[4]) / profile.footprint_spread,
        (x[5] - np.log(2) - (x[3] + x[4]) / 2 + profile.flatness) / profile.height_spread,
        (x[6] - 0.05) / TAPER_SPREAD,
    ]
    if typical is not None:
        height, footprint = typical
        priors += [(x[5] - height) / ALIKE_SPREAD, ((x[3] + x[4]) / 2 - footprint) / ALIKE_SPREAD]
    return np.concatenate([robust, priors])


def _guess(target: _Target, ground: Ground, yaw: float) -> Float:
    """A body as wide as the outline, as deep as wide, standing on the outline's lower edge."""
    bottom, top = target.low[0], -target.low[DIRECTIONS // 2]
    left, right = target.low[DIRECTIONS // 4], target.low[3 * DIRECTIONS // 4]
    wide = abs(left + right)
    contact = ground.points_world(np.array([target.middle[0], bottom]))
    away = contact[[0, 2]] / np.linalg.norm(contact[[0, 2]])
    scale = float(-(contact @ ground.world_from_camera[:3, 2])) / ground.intrinsics.fx
    half = 0.4 * wide * scale
    height = 0.75 * (bottom - top) * scale
    px, pz = contact[[0, 2]] + away * half
    return np.array([px, pz, yaw, np.log(half), np.log(half), np.log(height), 0.05])


def _solve(
    target: _Target, ground: Ground, typical: Typical | None, profile: Profile, start: Float
) -> tuple[float, Float]:
    result = least_squares(
        _residuals,
        start,
        args=(profile, target, ground, typical),
        x_scale=[0.2, 0.2, 0.3, 0.3, 0.3, 0.3, 0.2],
        bounds=([-np.inf] * 6 + [-0.45], [np.inf] * 6 + [0.45]),
        max_nfev=60,
    )
    return float(result.cost) + profile.handicap, result.x


def _as_solid(x: Float, profile: Profile, target: _Target, ground: Ground) -> Solid:
    support = _support(x, profile, target, ground)
    miss = np.maximum(support - target.high, 0) + np.maximum(target.low - support, 0)
    width, depth, height = np.exp(x[3:6])
    return Solid(
        center=np.array([x[0], -1.0, x[1]]),
        yaw=float(x[2]),
        half_width=float(width),
        half_depth=float(depth),
        height=float(height),
        taper=float(x[6]),
        profile=profile,
        misfit=float(np.sqrt(np.mean(miss**2)) / target.size),
    )
