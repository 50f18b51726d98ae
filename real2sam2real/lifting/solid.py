"""A solid that stands on the ground and fills a silhouette: the shape of compact and of made things.

It is a superellipse in plan and in elevation, narrowed linearly towards its top, or, where a word tells more, the boxes
and columns of its kind. It is fitted by its support function: the outermost extent of the outline along many directions
in the image. That is smooth in the parameters and indifferent to dents and holes, and where another object hides the
outline it can simply be bounded instead of fixed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import cv2
import numpy as np

from real2sam2real.arrays import Float, Mask
from real2sam2real.lifting.ground import PITCH_RANGE_DEGREES, Ground
from real2sam2real.lifting.kinds import Part, ThingKind, variants
from real2sam2real.lifting.outline import hull_mask

DIRECTIONS = 36
RINGS, RING_POINTS = 7, 20
COLUMN_POINTS = 16
TOLERANCE = 0.018  # standard deviation of the outline, as a share of its size
KIND_TOLERANCE = 0.03  # likewise, of what is made of its kind's usual parts
TAPER_SPREAD = 0.22  # standard deviation
THIN = 0.1  # of its size: the radius of handles, aerials and mirrors, which do not shape a body
MIN_ALIKE = 4
ALIKE_SPREAD = 0.2  # standard deviation of the logarithm of sizes among likes
STARTS_DEGREES = (0.0, 20.0, 45.0, 70.0)
KIND_STARTS_DEGREES = (0.0, 40.0, -40.0, 85.0, -85.0, 140.0, -140.0, 180.0)
FRONT_WEIGHT = 1.2  # how much likelier a photo shows a thing's front than its back
COVER_WEIGHT = 30.0  # cost of a unit of silhouette IoU, among solutions of one fit
COVER_SIDE = 48
BOXY_PLAN = 3.0  # a profile's exponent in plan from which it has corners
ROUNDS = 18


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
    pitch_radians: float  # of the camera under which it was fitted
    kind: ThingKind | None = None  # what its word told
    cover: float = 1.0  # IoU of its parts' silhouette with the mask

    @property
    def name(self) -> str:
        """How a person would call its shape."""
        return self.profile.name if self.kind is None or self.kind.round else self.kind.name

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


def fit_solid(
    mask: Mask,
    hidden: Mask,
    ground: Ground,
    typical: Typical | None = None,
    kind: ThingKind | None = None,
    *,
    pitch_spread: float = 0.0,
) -> Solid | None:
    """The body on the ground that fits a mask best; None where the outline has no extent.

    Args:
        mask: `(H, W)` the visible pixels.
        hidden: `(H, W)` where nearer objects may hide more of it.
        ground: on which it stands.
        typical: the size of its likes, where there are some; it settles what the outline leaves open.
        kind: what its word tells of its proportions and parts.
        pitch_spread: standard deviation in radians of the ground's pitch; 0 where that is known.
    """
    outline = _outline(mask, hidden, whole=kind is not None and bool(kind.parts))
    if outline is None:
        return None
    target = _Target.of(mask, outline, hidden)
    fit = _Fit(target=target, ground=ground, typical=typical, kind=kind, pitch_spread=pitch_spread)
    contact = ground.points_world(np.array([target.middle[0], target.low[0]]))
    facing = float(np.arctan2(-contact[0], -contact[2]))
    if kind is None or kind.round:
        return _best_profile(fit, facing)
    tried = [_with_proportions(replace(fit, kind=variant), facing, mask, hidden) for variant in variants(kind)]
    return min(tried, key=lambda found: found[0])[1]


def _with_proportions(fit: _Fit, facing: float, mask: Mask, hidden: Mask) -> tuple[float, Solid]:
    """The solid of the fit's kind, and its cost; turned to any side, as only that of its parts may be seen."""
    kind = fit.kind
    assert kind is not None
    starts = KIND_STARTS_DEGREES if kind.fronted else STARTS_DEGREES
    found, cost = fit.solve(PROFILES[0], np.stack([fit.guess(facing + start) for start in np.radians(starts)]))
    cover = np.ones(len(found))
    if kind.parts:
        cover = np.array([_cover(x, kind.parts, mask, hidden, fit) for x in found])
    cost = cost + COVER_WEIGHT * (1 - cover)
    best = int(np.argmin(cost))
    return float(cost[best]), replace(fit.solid(found[best], PROFILES[0]), cover=float(cover[best]))


def _best_profile(fit: _Fit, facing: float) -> Solid:
    """Without a word every profile tries, from where the first one fits best; a round thing is none of the boxes."""
    profiles = [p for p in PROFILES if fit.kind is None or p.plan < BOXY_PLAN]
    guesses = np.stack(
        [fit.guess(facing + start) for start in np.radians(STARTS_DEGREES[: 4 if fit.kind is None else 1])]
    )
    found, costs = fit.solve(profiles[0], guesses)
    best = (float(costs.min()), found[int(np.argmin(costs))], profiles[0])
    for profile in profiles[1:]:
        start = best[1].copy() if best[2].flatness == profile.flatness else fit.guess(facing)
        start[5] -= 0.0 if best[2].flatness == profile.flatness else profile.flatness
        found, costs = fit.solve(profile, start[None])
        best = (float(costs[0]), found[0], profile) if costs[0] < best[0] else best
    return fit.solid(best[1], best[2])


def _outline(mask: Mask, hidden: Mask, *, whole: bool) -> Float | None:
    """`(N, 2)` pixels: corners of the convex hull; unless `whole`, without what is thin (aerials, mirrors, signs)."""
    rows, columns = np.nonzero(mask)
    size = min(np.ptp(rows), np.ptp(columns)) + 1
    radius = max(1, int(THIN * size))
    window = np.s_[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    crop = (mask[window] | (hull_mask(mask[window]) & hidden[window])).astype(np.uint8)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    opened = cv2.morphologyEx(np.pad(crop, radius), cv2.MORPH_OPEN, kernel)[radius:-radius, radius:-radius]
    points = cv2.findNonZero(crop if whole or not opened.any() else opened)
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


@cache
def _profile_points(profile: Profile) -> Float:
    """`(N, 3)` points on a solid that fills −1…1 by 0…1 by −1…1, before it is narrowed."""
    elevations, angles = np.linspace(-1, 1, RINGS), 2 * np.pi * np.arange(RING_POINTS) / RING_POINTS
    cosine, sine = np.cos(angles), np.sin(angles)
    ring = (np.abs(cosine) ** profile.plan + np.abs(sine) ** profile.plan) ** (-1 / profile.plan)
    exponent = np.where(elevations > 0, profile.upper, profile.lower)
    elevation = np.sign(elevations) * (1 - (1 - np.abs(elevations)) ** 2)  # denser where it bends
    narrow = (1 - np.minimum(np.abs(elevation) ** exponent, 1)) ** (1 / exponent)
    points = np.empty((RINGS, RING_POINTS, 3))
    points[..., 0] = narrow[:, None] * (ring * cosine)
    points[..., 1] = ((elevation + 1) / 2)[:, None]
    points[..., 2] = narrow[:, None] * (ring * sine)
    return points.reshape(-1, 3)


@cache
def _part_points(parts: tuple[Part, ...]) -> Float:
    """`(N, 3)` corners of the parts' convex hull, in the same box."""
    from scipy.spatial import ConvexHull

    points = []
    angles = 2 * np.pi * np.arange(COLUMN_POINTS) / COLUMN_POINTS
    for part in parts:
        if part.round:
            across, along = part.z if part.round == "y" else part.y, part.y if part.round == "y" else part.z
            x = np.mean(part.x) + (part.x[1] - part.x[0]) / 2 * np.cos(angles)
            other = np.mean(across) + (across[1] - across[0]) / 2 * np.sin(angles)
            for end in along:
                pair = (np.full_like(x, end), other) if part.round == "y" else (other, np.full_like(x, end))
                points.append(np.stack([x, *pair], axis=-1))
        else:
            points.append(np.array(np.meshgrid(part.x, part.y, part.z)).reshape(3, -1).T)
    stacked = np.concatenate(points).astype(np.float64)
    return stacked[ConvexHull(stacked).vertices]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Fit:
    """Least squares over where a solid stands, how it is turned and how large it is: `(8,)` numbers.

    They are x and z of its footprint's middle, yaw, the logarithms of half its width, half its depth and its height,
    taper, and the camera's pitch.
    """

    target: _Target
    ground: Ground
    typical: Typical | None
    kind: ThingKind | None
    pitch_spread: float

    def points(self, profile: Profile) -> Float:
        """`(N, 3)` points of the solid that may touch its outline."""
        return _part_points(self.kind.parts) if self.kind is not None and self.kind.parts else _profile_points(profile)

    def support(self, x: Float, profile: Profile) -> Float:
        """`(B, DIRECTIONS)` how far solids of the parameters `(B, 8)` reach in the image."""
        points = self.points(profile)
        size = np.exp(x[:, 3:6])
        narrow: Float = 1 - x[:, 6:7] * (2 * points[:, 1] - 1)
        bx, bz = size[:, :1] * narrow * points[:, 0], size[:, 1:2] * narrow * points[:, 2]
        c, s = np.cos(x[:, 2:3]), np.sin(x[:, 2:3])
        wx: Float = x[:, :1] + c * bx + s * bz
        wz: Float = x[:, 1:2] - s * bx + c * bz
        wy = size[:, 2:3] * points[:, 1] - 1
        cp, sp = np.cos(x[:, 7:8]), np.sin(x[:, 7:8])
        k = self.ground.intrinsics
        depth: Float = np.maximum(-(sp * wy + cp * wz), 0.05)
        u: Float = k.cx + k.fx * wx / depth
        v: Float = k.cy - k.fy * (cp * wy - sp * wz) / depth
        directions = self.target.directions
        reach: Float = (u[..., None] * directions[:, 0] + v[..., None] * directions[:, 1]).max(axis=1)
        return reach

    def residuals(self, x: Float, profile: Profile) -> Float:
        """`(B, R)` of the parameters `(B, 8)`."""
        target, kind = self.target, self.kind
        support = self.support(x, profile)
        outline = np.maximum(support - target.high, 0) + np.minimum(support - target.low, 0)
        outline /= (KIND_TOLERANCE if kind is not None and kind.parts else TOLERANCE) * target.size
        # Mirrors and wheels are outliers.
        robust = np.sign(outline) * np.sqrt(2 * (np.sqrt(1 + outline**2) - 1))
        plan, rise = x[:, 3] - x[:, 4], x[:, 5] - np.log(2) - (x[:, 3] + x[:, 4]) / 2
        if kind is None or kind.round:
            priors = [plan / profile.footprint_spread, (rise + profile.flatness) / profile.height_spread]
        else:
            priors = [
                (plan - np.log(kind.width / kind.depth)) / kind.spread,
                (rise - np.log(kind.height / np.sqrt(kind.width * kind.depth))) / (kind.rise_spread or kind.spread),
            ]
            if kind.fronted:
                away = x[:, 2] - np.arctan2(-x[:, 0], -x[:, 1])
                priors.append(FRONT_WEIGHT * np.sin(away / 2))
        priors.append((x[:, 6] - 0.05) / (0.02 if kind is not None and kind.parts else TAPER_SPREAD))
        if self.pitch_spread > 0:
            usual = self.ground.pitch_radians if kind is None else max(np.radians(kind.pitch), self.ground.lowest_pitch)
            priors.append((x[:, 7] - usual) / self.pitch_spread)
        if self.typical is not None:
            height, area = self.typical
            priors += [(x[:, 5] - height) / ALIKE_SPREAD, ((x[:, 3] + x[:, 4]) / 2 - area) / ALIKE_SPREAD]
        return np.concatenate([robust, np.stack(priors, axis=1)], axis=1)

    def guess(self, yaw: float) -> Float:
        """A body as wide as the outline, as deep as wide, standing on the outline's lower edge."""
        target, ground = self.target, self.ground
        bottom, top = target.low[0], -target.low[DIRECTIONS // 2]
        left, right = target.low[DIRECTIONS // 4], target.low[3 * DIRECTIONS // 4]
        wide = abs(left + right)
        contact = ground.points_world(np.array([target.middle[0], bottom]))
        away = contact[[0, 2]] / np.linalg.norm(contact[[0, 2]])
        scale = float(-(contact @ ground.world_from_camera[:3, 2])) / ground.intrinsics.fx
        half = 0.4 * wide * scale
        height = 0.75 * (bottom - top) * scale
        width = depth = half
        if self.kind is not None:
            ratio = np.sqrt(self.kind.width / self.kind.depth)
            width, depth = half * ratio, half / ratio
        px, pz = contact[[0, 2]] + away * half
        return np.array([px, pz, yaw, np.log(width), np.log(depth), np.log(height), 0.05, ground.pitch_radians])

    def solve(self, profile: Profile, starts: Float) -> tuple[Float, Float]:
        """Levenberg and Marquardt's method from every start `(B, 8)` at once; the solutions and their costs `(B,)`."""
        x, count = starts.copy(), len(starts)
        free = np.arange(8 if self.pitch_spread > 0 else 7)
        low, high = np.radians(PITCH_RANGE_DEGREES)
        residual = self.residuals(x, profile)
        cost, damping = (residual**2).sum(axis=1) / 2, np.full(count, 1e-2)
        step = 1e-4
        for _ in range(ROUNDS):
            moved = np.repeat(x, len(free), axis=0).reshape(count, len(free), 8)
            moved[:, np.arange(len(free)), free] += step
            jacobian = (
                self.residuals(moved.reshape(-1, 8), profile).reshape(count, len(free), -1) - residual[:, None]
            ) / step
            normal = jacobian @ jacobian.transpose(0, 2, 1)
            gradient = np.einsum("bpr,br->bp", jacobian, residual)
            diagonal = np.einsum("bpp->bp", normal)
            damped = normal + (damping[:, None] * (diagonal + 1e-6))[:, :, None] * np.eye(len(free))
            change = np.clip(np.linalg.solve(damped, -gradient[..., None])[..., 0], -0.5, 0.5)
            tried = x.copy()
            tried[:, free] += change
            tried[:, 6] = np.clip(tried[:, 6], -0.45, 0.45)
            tried[:, 7] = np.clip(tried[:, 7], low, high)
            new = self.residuals(tried, profile)
            new_cost = (new**2).sum(axis=1) / 2
            better = new_cost < cost
            x[better], residual[better] = tried[better], new[better]
            settled = np.where(better, (cost - new_cost) < 1e-4 * cost, damping > 1e3)
            cost = np.where(better, new_cost, cost)
            damping = np.where(better, damping / 4, damping * 6)
            if settled.all():
                break
        return x, cost + profile.handicap

    def solid(self, x: Float, profile: Profile) -> Solid:
        """The solid of the parameters `(8,)`."""
        target = self.target
        support = self.support(x[None], profile)[0]
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
            pitch_radians=float(x[7]),
            kind=self.kind,
        )


def _cover(x: Float, parts: tuple[Part, ...], mask: Mask, hidden: Mask, fit: _Fit) -> float:
    """IoU of the parts' silhouette with the mask, on a coarse grid around both."""
    rows, columns = np.nonzero(mask)
    margin = 0.15 * fit.target.size
    across = np.linspace(columns.min() - margin, columns.max() + margin, COVER_SIDE)
    down = np.linspace(rows.min() - margin, rows.max() + margin, COVER_SIDE)
    u, v = np.meshgrid(across, down)
    solid = fit.solid(x, PROFILES[0])
    ground = fit.ground.pitched(solid.pitch_radians)
    enter, leave = part_spans(solid, parts, ground.rays_world(np.stack([u, v], axis=-1) + 0.5))
    drawn = (enter < leave).any(axis=0)
    r, c = np.round(v).astype(int), np.round(u).astype(int)
    inside = (r >= 0) & (c >= 0) & (r < mask.shape[0]) & (c < mask.shape[1])
    r, c = np.where(inside, r, 0), np.where(inside, c, 0)
    shown, unknown = mask[r, c] & inside, (hidden[r, c] | ~inside)
    counted = ~unknown | shown
    union = ((drawn | shown) & counted).sum()
    return float((drawn & shown).sum() / max(1, union))


def part_spans(solid: Solid, parts: Sequence[Part], rays_world: Float) -> tuple[Float, Float]:
    """Depths `(P, …)` at which rays `(…, 3)` from the camera enter and leave every part; entering last where they miss.

    Rays are scaled to depth 1 along the camera's −Z.
    """
    inverse = np.linalg.inv(solid.world_from_object())
    size = np.array([solid.half_width, solid.height, solid.half_depth])
    direction, origin = rays_world @ inverse[:3, :3].T / size, inverse[:3, 3] / size
    direction = np.where(np.abs(direction) < 1e-12, 1e-12, direction)
    spans = [
        _round_span(part, origin, direction) if part.round else _box_span(part, origin, direction) for part in parts
    ]
    enter, leave = (np.stack(ends) for ends in zip(*spans, strict=True))
    return np.maximum(enter, 1e-6), leave


def _box_span(part: Part, origin: Float, direction: Float) -> tuple[Float, Float]:
    low, high = (np.array([r[k] for r in (part.x, part.y, part.z)]) for k in (0, 1))
    a, b = (low - origin) / direction, (high - origin) / direction
    return np.minimum(a, b).max(axis=-1), np.maximum(a, b).min(axis=-1)


def _round_span(part: Part, origin: Float, direction: Float) -> tuple[Float, Float]:
    axis, across = (1, part.z) if part.round == "y" else (2, part.y)
    a, b = ((end - origin[axis]) / direction[..., axis] for end in (part.y if part.round == "y" else part.z))
    near, far = np.minimum(a, b), np.maximum(a, b)
    middle = np.array([np.mean(part.x), np.mean(across)])
    radius = np.array([part.x[1] - part.x[0], across[1] - across[0]]) / 2
    plane = [0, 3 - axis]
    o, d = (origin[plane] - middle) / radius, direction[..., plane] / radius
    square, cross, rest = (d * d).sum(axis=-1), d @ o, float(o @ o) - 1
    root = cross**2 - square * rest
    width = np.sqrt(np.maximum(root, 0))
    enter, leave = np.maximum(near, (-cross - width) / square), np.minimum(far, (-cross + width) / square)
    return np.where(root > 0, enter, np.inf), np.where(root > 0, leave, -np.inf)
