"""Depth fields: how far the middle of an object lies along each ray, and how thick it is there.

Two kinds of objects share one form. A compact thing is a fitted solid; anything else is its silhouette, inflated about
an upright plane through the points where it touches the ground.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from real2sam2real.arrays import Bool, Float, Float32
from real2sam2real.lifting.ground import Ground
from real2sam2real.lifting.outline import Grid, Outline
from real2sam2real.lifting.solid import Solid

COARSE_SIDE = 100  # nodes, where rays are sent through a solid
POISSON_SIDE = 110  # nodes, where a silhouette is inflated
FLATNESS = 0.95  # bodies are a little flatter than they are wide
WIDEST = 0.42  # of the silhouette's shorter side: half the depth of the thickest part
RAY_SAMPLES = 40
BISECTIONS = 8
ROUNDING = 0.05  # of a solid's size in the picture: the radius of its rim
MAX_TURN_DEGREES = 40.0
LONG = 1.4  # times as long as wide: from then on a body has a length that a plane can follow
DEPTH_FACTORS, LIMBED_DEPTH_FACTORS = (0.8, 1.7), (0.85, 1.15)

T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True, kw_only=True, eq=False)
class DepthField:
    """An object before it becomes a mesh, in camera heights."""

    middle: Float  # `(rows, columns)` depth along the camera's −Z of the object's middle, defined at every node
    half: Float  # `(rows, columns)` half its extent along the ray, in depth
    world_from_object: Float  # `(4, 4)` its frame
    shape: str  # what it was taken for
    solid: Solid | None = None  # the fitted solid, or None
    front_yaw: float | None = None  # radians about +Y from the world's +Z to where its front points, if that is known


def solid_silhouette(solid: Solid, ground: Ground, grid: Grid) -> tuple[Float, Float, Bool]:
    """Where rays enter and leave a solid: depth of the middle, half the depth, and whether they hit it at all.

    All are `(rows, columns)`; where a ray misses, depths are continued from the nearest hit.
    """
    coarse = grid.coarser(COARSE_SIDE)
    rays = ground.rays_world(coarse.pixels()).reshape(-1, 3)
    near, far = _span(solid, ground)
    steps: Float = near + (far - near) * np.arange(RAY_SAMPLES, dtype=np.float64) / (RAY_SAMPLES - 1)
    to_object: Float = np.linalg.inv(solid.world_from_object()).astype(np.float64)
    directions = rays @ to_object[:3, :3].T
    within = np.stack([solid.level(directions * depth + to_object[:3, 3]) < 1 for depth in steps])
    hit: Bool = np.logical_or.reduce(within, axis=0)
    if not hit.any():
        return np.full(grid.shape, (near + far) / 2), np.zeros(grid.shape), np.zeros(grid.shape, bool)
    first, last = np.argmax(within, axis=0)[hit], RAY_SAMPLES - 1 - np.argmax(within[::-1], axis=0)[hit]
    rays_hit: Float = directions[hit].astype(np.float64)
    camera = to_object[:3, 3]
    enter, leave = np.full(len(hit), near), np.full(len(hit), far)
    enter[hit] = _refined(solid, camera, rays_hit, steps.take(np.maximum(first - 1, 0)), steps.take(first))
    leave[hit] = _refined(solid, camera, rays_hit, steps.take(np.minimum(last + 1, RAY_SAMPLES - 1)), steps.take(last))
    shape = coarse.shape
    middle, half = ((enter + leave) / 2).reshape(shape), ((leave - enter) / 2).reshape(shape)
    hits: Bool = hit.reshape(shape)
    middle, half = nearest_known(middle, hits)[0], nearest_known(half, hits)[0]
    size = (grid.shape[1], grid.shape[0])
    soft = cv2.resize(hits.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
    return (
        cv2.resize(cv2.GaussianBlur(middle, (0, 0), 1.0), size, interpolation=cv2.INTER_LINEAR),
        cv2.resize(cv2.GaussianBlur(half, (0, 0), 1.0), size, interpolation=cv2.INTER_LINEAR),
        soft > 0.5,
    )


def solid_field(
    solid: Solid, ground: Ground, grid: Grid, middle: Float, half: Float, hits: Bool, silhouette: Float
) -> DepthField:
    """The solid, as `solid_silhouette` gives it, cut to the silhouette and rounded at its rim; the rest is inflated."""
    inside = silhouette > 0
    distance = _distance(inside)
    thin = half_thickness(inside) * (grid.cell * middle / ground.intrinsics.fx)
    fade = np.clip(_distance(~hits) / max(2.0, 0.02 * max(grid.shape)), 0, 1)
    half = np.minimum(half, (1 - fade) * half + fade * thin)
    radius = ROUNDING * np.sqrt(inside.sum())
    rim = np.sqrt(1 - np.clip(1 - np.maximum(distance - 0.5, 0.25) / radius, 0, 1) ** 2)
    return DepthField(
        middle=middle,
        half=half * rim,
        world_from_object=solid.world_from_object(),
        shape=solid.name,
        solid=solid,
        front_yaw=front_yaw(solid),
    )


def front_yaw(solid: Solid | None) -> float | None:
    """Where the front of a thing points whose word says that it has one, and how that looks."""
    if solid is None or solid.kind is None or not solid.kind.fronted:
        return None
    return solid.yaw if solid.kind.parts or solid.kind.build == "solid" else None


def inflated_field(
    outline: Outline, ground: Ground, grid: Grid, silhouette: Float, contact_row: float, body: Solid | None = None
) -> DepthField:
    """The silhouette, inflated about an upright plane; a fit of its kind's proportions tells its turn and its depth."""
    inside = silhouette > 0
    center, normal = _upright_plane(outline, ground, contact_row)
    if body is not None:
        normal = _turned_with(body, normal, center)
    rays = ground.rays_world(grid.pixels())
    facing = rays @ normal
    steepest = -0.15 * np.linalg.norm(rays, axis=-1)  # a plane seen edge-on would run away
    middle = (center @ normal) / np.minimum(facing, steepest)
    half = half_thickness(inside) * grid.cell * middle / ground.intrinsics.fx
    if body is not None and body.kind is not None and body.kind.round:
        half = _turned_thickness(inside) * grid.cell * middle / ground.intrinsics.fx
    elif body is not None:
        half *= _depth_factor(body, normal, float(half.max()))
    c, s = normal[2], normal[0]
    world_from_object = np.eye(4)
    world_from_object[:3, :3] = [[c, 0, s], [0, 1, 0], [-s, 0, c]]
    world_from_object[:3, 3] = center
    return DepthField(
        middle=middle, half=half, world_from_object=world_from_object, shape="inflated", front_yaw=front_yaw(body)
    )


def _turned_with(body: Solid, normal: Float, center: Float) -> Float:
    """`(3,)` the normal of the plane of a long body: across its length, as far as the silhouette shows that."""
    if max(body.half_depth, body.half_width) < LONG * min(body.half_depth, body.half_width):
        return normal
    axes = body.world_from_object()[:3, :3]
    across = axes[:, 0] if body.half_depth > body.half_width else axes[:, 2]
    toward = -center * [1.0, 0.0, 1.0] / np.linalg.norm(center * [1.0, 0.0, 1.0])
    across = across if across @ toward > 0 else -across
    if across @ toward < np.cos(np.radians(MAX_TURN_DEGREES)):
        return normal
    middle: Float = (across + normal) / np.linalg.norm(across + normal)  # the feet have their say too
    return middle


def _turned_thickness(inside: Bool) -> Float:
    """Half the depth behind each cell of a silhouette that was turned about an upright axis: a circle in every row."""
    columns = inside.shape[1]
    first = np.argmax(inside, axis=1)
    last = columns - 1 - np.argmax(inside[:, ::-1], axis=1)
    x = np.arange(columns)
    radius, axis = (last - first + 1) / 2, (last + first) / 2
    half = np.sqrt(np.maximum(radius[:, None] ** 2 - (x - axis[:, None]) ** 2, 0.0))
    return np.where(inside, cv2.GaussianBlur(half, (0, 0), 1.0), 0.0)


def _depth_factor(body: Solid, normal: Float, half: float) -> float:
    """By how much an inflated silhouette becomes deeper or flatter, so that it is as deep as its kind."""
    axes = body.world_from_object()[:3, :3]
    wanted = float(np.hypot(body.half_width * (axes[:, 0] @ normal), body.half_depth * (axes[:, 2] @ normal)))
    limbed = body.kind is not None and body.kind.limbed
    return float(np.clip(wanted / max(half, 1e-9), *(LIMBED_DEPTH_FACTORS if limbed else DEPTH_FACTORS)))


def _span(solid: Solid, ground: Ground) -> tuple[float, float]:
    """Depths between which the solid lies."""
    backward = ground.world_from_camera[:3, 2]
    reach = float(np.hypot(solid.half_width, solid.half_depth)) * (1 + abs(solid.taper))
    base = -float(solid.center @ backward)
    top = base - solid.height * float(backward[1])
    return max(min(base, top) - reach, 1e-3), max(base, top) + reach


def _refined(solid: Solid, origin: Float, rays: Float, outside: Float, inside: Float) -> Float:
    """Depths `(N,)` at which rays pass the surface, by bisection between a depth outside and one inside."""
    for _ in range(BISECTIONS):
        half = (outside + inside) / 2
        within = solid.level(rays * half[:, None] + origin) < 1
        outside, inside = np.where(within, outside, half), np.where(within, half, inside)
    return (outside + inside) / 2


def nearest_known(values: NDArray[T], known: Bool) -> tuple[NDArray[T], Float32]:
    """`(H, W, …)`: every pixel's value, or the nearest one that is `known`; and `(H, W)`, the pixels to that."""
    distance, labels = cv2.distanceTransformWithLabels(
        (~known).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    table = np.zeros((labels.max() + 1, *values.shape[2:]), values.dtype)
    table[labels[known]] = values[known]
    return table[labels], distance


def _distance(inside: Bool) -> Float:
    return cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, 5).astype(np.float64)


def _upright_plane(outline: Outline, ground: Ground, contact_row: float) -> tuple[Float, Float]:
    """A point `(3,)` on the ground and a horizontal unit normal `(3,)` towards the camera.

    The plane runs through the outermost points where the object touches the ground, as two feet do; it does not turn
    away from the camera by more than `MAX_TURN_DEGREES`.
    """
    columns = np.nonzero(outline.mask.any(axis=0))[0]
    lowest = outline.mask.shape[0] - np.argmax(outline.mask[::-1, columns], axis=0)
    touching = lowest > outline.bottom - 0.08 * outline.height
    shift = contact_row - outline.bottom
    feet = np.stack([columns[touching] + 0.5, lowest[touching] + shift], axis=-1).astype(np.float64)
    middle = np.array([(feet[0, 0] + feet[-1, 0]) / 2, contact_row])
    center = ground.points_world(middle)
    normal = -center * [1.0, 0.0, 1.0]
    normal /= np.linalg.norm(normal)
    if outline.stands_in_view and feet[-1, 0] - feet[0, 0] > 0.3 * outline.width:
        left, right = ground.points_world(_foot(feet, left=True)), ground.points_world(_foot(feet, left=False))
        along = (right - left) * [1.0, 0.0, 1.0]
        across = np.array([-along[2], 0.0, along[0]]) / np.linalg.norm(along)
        across = across if across @ normal > 0 else -across
        if across @ normal > np.cos(np.radians(MAX_TURN_DEGREES)):
            return (left + right) / 2, across
    return center, normal


def _foot(feet: Float, *, left: bool) -> Float:
    """`(2,)` pixel: the lowest point of the outer quarter on one side."""
    edge = feet[0, 0] if left else feet[-1, 0]
    side = feet[np.abs(feet[:, 0] - edge) <= 0.25 * np.ptp(feet[:, 0]) + 1]
    return side[np.argmax(side[:, 1])]


def half_thickness(inside: Bool) -> Float:
    """Half the depth behind each cell of a silhouette `(H, W)` bool, in cells; 0 outside.

    The square root of the Poisson solution ∇²φ = −2 is a half circle across a strip, so limbs become round and wide
    parts bulge smoothly without a ridge; what would swell beyond a share of the silhouette's size is flattened.
    """
    h, w = inside.shape
    scale = min(1.0, POISSON_SIDE / max(h, w))
    size = (max(3, round(w * scale)), max(3, round(h * scale)))
    coarse = cv2.resize(inside.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.4
    coarse = np.pad(coarse, 1)
    phi = _poisson(coarse)[1:-1, 1:-1] / scale**2
    smooth = np.sqrt(np.maximum(cv2.resize(phi, (w, h), interpolation=cv2.INTER_CUBIC), 0))
    distance = cv2.distanceTransform(np.pad(inside, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1].astype(np.float64)
    rows, columns = np.nonzero(inside)
    limit = WIDEST * min(np.ptp(rows) + 1, np.ptp(columns) + 1)
    thick = FLATNESS * np.maximum(smooth, 0.9 * np.sqrt(distance))
    thick = limit * np.tanh(thick / limit)
    # Near the contour the coarse solution is a blur; there the exact distance gives the half circle.
    inner = np.clip(1 - np.maximum(distance - 0.5, 0.25) / np.maximum(thick, 1e-9), 0, 1)
    return np.where(inside, np.minimum(thick, thick * np.sqrt(1 - inner**2)), 0.0)


def _poisson(inside: Bool) -> Float:
    """Solve ∇²φ = −2 inside, φ = 0 outside, on the grid's own spacing."""
    from scipy import sparse
    from scipy.sparse.linalg import spsolve

    ids = np.full(inside.shape, -1)
    ids[inside] = np.arange(inside.sum())
    rows, columns = np.nonzero(inside)
    own = ids[inside]
    entries = [(own, own, np.full(len(own), 4.0))]
    for dr, dc in ((0, 1), (1, 0), (0, -1), (-1, 0)):
        other = ids[rows + dr, columns + dc]
        linked = other >= 0
        entries.append((own[linked], other[linked], np.full(int(linked.sum()), -1.0)))
    i, j, value = (np.concatenate(parts) for parts in zip(*entries, strict=True))
    matrix = sparse.csc_matrix((value, (i, j)), shape=(len(own), len(own)))
    phi = np.zeros(inside.shape)
    if len(own):
        phi[inside] = spsolve(matrix, np.full(len(own), 2.0), permc_spec="MMD_AT_PLUS_A")
    return phi
