"""Random closed shapes: solids, lathe bodies, lumps, vehicles, animals, figures, plants, cut-outs.

A base shape depends on its index alone. It stands on y = 0, its footprint's middle is the origin, its longest extent
is 1, and a thing that drives or walks looks along +X.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from real2sam2real.arrays import Float, Int
from real2sam2real.lab.synth import grids
from real2sam2real.lab.synth.grids import ClosedGrid
from real2sam2real.lab.synth.seeds import Rng, generator

TRAIN_SHAPES = range(0, 480)
HELD_OUT_SHAPES = range(100_000, 100_120)

ATLAS_COLUMNS = 144
_ATLAS_ROWS = 104


@dataclass(frozen=True, kw_only=True, eq=False)
class BaseShape:
    """A closed mesh without a look."""

    kind: str  # its family's name
    vertices: Float  # `(V, 3)` float64
    faces: np.ndarray  # `(F, 3)` int32, outward
    corner_uvs: Float  # `(F, 3, 2)` float64 into an atlas with one strip per part
    texel_points: Float  # `(rows, ATLAS_COLUMNS, 3)` float64, the surface point under every texel
    texel_material: Int  # `(rows,)` int64, the material of every row of texels
    strips: Int  # `(P,)` int64, rows of texels of every part, from the top
    heads: bool  # it has a front, along +X

    @property
    def extent(self) -> Float:
        """`(3,)` size along each axis."""
        return np.ptp(self.vertices, axis=0)


def _lengths(rng: Rng, low: float, high: float) -> tuple[float, float, float]:
    x, y, z = rng.uniform(low, high, 3)
    return float(x), float(y), float(z)


def _yaw(angle: float) -> Float:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])


def _solid(rng: Rng) -> list[ClosedGrid]:
    roundness = (float(rng.uniform(0.15, 1.5)), float(rng.uniform(0.15, 1.5)))
    return [grids.superellipsoid(_lengths(rng, 0.5, 1.0), roundness, 24, 36)]


def _crate(rng: Rng) -> list[ClosedGrid]:
    power = float(rng.uniform(0.08, 0.3))
    return [grids.superellipsoid(_lengths(rng, 0.45, 1.0), (power, power), 20, 40)]


def _turned(rng: Rng) -> list[ClosedGrid]:
    """A lathe body: vase, bottle, bell, post; sometimes with a polygonal cross section."""
    heights = np.linspace(0.0, rng.uniform(0.8, 2.4), 22)
    keys = rng.uniform(0.25, 1.0, int(rng.integers(3, 7)))
    at = np.linspace(0, len(keys) - 1, len(heights))
    low = np.minimum(at.astype(int), len(keys) - 2)
    share = at - low
    share = share * share * (3 - 2 * share)
    radii = 0.7 * (keys[low] * (1 - share) + keys[low + 1] * share)
    sides = int(rng.choice([0, 0, 3, 4, 5, 6, 8]))
    return [grids.lathe(radii, heights, 36, sides)]


def _capsule(rng: Rng) -> list[ClosedGrid]:
    grid = grids.capsule(0.4, float(rng.uniform(0.2, 1.2)), 22, 32)
    if rng.random() < 0.5:  # lying along x
        grid = grid.moved((0.0, 0.0, 0.0), np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]))
    return [grid]


def _lump(rng: Rng) -> list[ClosedGrid]:
    """A sphere with bumps and dents."""
    ways = grids.ellipsoid((1.0, 1.0, 1.0), 26, 38).points
    radius = np.ones(ways.shape[:2])
    for _ in range(int(rng.integers(4, 12))):
        centre = rng.normal(size=3)
        centre /= np.linalg.norm(centre)
        width = rng.uniform(0.25, 0.7)
        radius += rng.uniform(-0.35, 0.6) * np.exp((ways @ centre - 1) / width**2)
    points = ways * np.maximum(radius, 0.35)[..., None] * rng.uniform(0.7, 1.2, 3)
    return [ClosedGrid(points=points)]


def _ring(rng: Rng) -> list[ClosedGrid]:
    rows, columns = 18, 44
    thick = rng.uniform(0.22, 0.45)
    a, b = grids.around(columns), grids.around(rows)[:, None]
    reach = 1 + thick * np.cos(b)
    upright = grids.stacked(reach * np.cos(a), reach * np.sin(a), thick * rng.uniform(0.7, 1.4) * np.sin(b))
    return [ClosedGrid(points=upright if rng.random() < 0.6 else upright[..., [0, 2, 1]], torus=True)]


def _cut_out(rng: Rng) -> list[ClosedGrid]:
    """A star, flower, gear or leaf outline, blown up to a cushion that stands upright."""
    around = grids.around(48)
    outline = 1 + rng.uniform(0.12, 0.35) * np.cos(int(rng.integers(2, 7)) * around + rng.uniform(0, 6))
    outline += rng.uniform(0.0, 0.12) * np.cos(int(rng.integers(1, 4)) * around + rng.uniform(0, 6))
    sine, cosine = grids.from_pole_to_pole(22)
    reach = sine**0.6 * outline
    depth = rng.uniform(0.2, 0.45) * cosine
    return [ClosedGrid(points=grids.stacked(reach * np.cos(around), reach * np.sin(around), depth))]


def _car(rng: Rng) -> list[ClosedGrid]:
    length, width, height = rng.uniform(0.9, 1.2), rng.uniform(0.38, 0.5), rng.uniform(0.16, 0.26)
    tall = rng.uniform(0.14, 0.3)
    radius = rng.uniform(0.15, 0.22)
    cabin_half = rng.uniform(0.4, 0.75) * length
    cabin_x = rng.uniform(-1, 1) * (length - cabin_half) * 0.6
    body = grids.box((length, height, width), 10, 24).moved((0, radius + height, 0))
    cabin = grids.superellipsoid((cabin_half, tall, width * 0.85), (0.45, 0.3), 8, 20)
    parts = [body, cabin.moved((cabin_x, radius + 2 * height + tall * 0.7, 0), material=1)]
    for x in (-0.6 * length, 0.6 * length):
        for z in (-width, width):
            parts.append(grids.wheel(radius, 0.08).moved((x, radius, z), material=2))
    return parts


def _animal(rng: Rng) -> list[ClosedGrid]:
    length, girth, legs = rng.uniform(0.6, 0.9), rng.uniform(0.25, 0.42), rng.uniform(0.35, 0.8)
    y = legs + girth * 0.7
    body = grids.ellipsoid((length, girth, girth * rng.uniform(0.7, 1.0)), 12, 20).moved((0, y, 0))
    head = grids.ellipsoid(_lengths(rng, 0.2, 0.32), 10, 16)
    head_y = y + rng.uniform(0.2, 0.7)
    parts = [body, head.moved((length * 1.05, head_y, 0), material=1)]
    parts.append(_limb((length * 0.7, y, 0.0), (length * 1.0, head_y, 0.0), 0.14))
    for x in (-0.6, 0.6):
        for z in (-0.45, 0.45):
            parts.append(_limb((x * length, 0.08, z * girth), (x * length, y, z * girth), rng.uniform(0.07, 0.13), 2))
    parts.append(_limb((-length * 0.9, y + 0.05, 0.0), (-length * 1.35, y + rng.uniform(-0.3, 0.4), 0.0), 0.06, 1))
    return parts


def _limb(
    start: tuple[float, float, float], end: tuple[float, float, float], radius: float, material: int = 0
) -> ClosedGrid:
    """A rod with round ends between two points."""
    a, b = np.asarray(start, np.float64), np.asarray(end, np.float64)
    along = (b - a) / np.linalg.norm(b - a)
    side = np.cross(along, [0.0, 0.0, 1.0])
    if np.linalg.norm(side) < 1e-6:
        side = np.array([1.0, 0.0, 0.0])
    side /= np.linalg.norm(side)
    frame = np.stack([side, along, np.cross(side, along)], axis=1)
    rod = grids.capsule(radius, float(np.linalg.norm(b - a)), 8, 10)
    return ClosedGrid(points=rod.points @ frame.T + (a + b) / 2, material=material)


def _figure(rng: Rng) -> list[ClosedGrid]:
    """A standing person, more or less, that looks along +X."""
    hip, chest, width = rng.uniform(0.7, 0.95), rng.uniform(0.25, 0.4), rng.uniform(0.2, 0.3)
    torso = grids.superellipsoid((0.16, chest, width), (0.7, 0.7), 12, 20).moved((0, hip + chest * 0.9, 0))
    shoulder = hip + chest * 1.5
    head = grids.ellipsoid((0.15, 0.19, 0.15), 10, 16)
    parts = [torso, head.moved((0.02, hip + chest * 1.9 + 0.2, 0), material=1)]
    for side in (-1.0, 1.0):
        stride, swing = rng.uniform(-0.2, 0.2), rng.uniform(-0.35, 0.35)
        parts.append(_limb((stride, 0.08, side * 0.12), (0, hip, side * 0.11), 0.095, 2))
        hand = (swing, hip + rng.uniform(0.0, 0.5), side * (width + rng.uniform(0.1, 0.35)))
        parts.append(_limb((0, shoulder, side * width), hand, 0.07, int(rng.integers(0, 2))))
    return parts


def _plant(rng: Rng) -> list[ClosedGrid]:
    """A pot or trunk below, one to three lumps or cones above."""
    trunk = rng.uniform(0.3, 0.8)
    parts = [grids.lathe(np.linspace(rng.uniform(0.1, 0.3), 0.12, 6), np.linspace(0, trunk, 6), 14)]
    y = trunk
    for _ in range(int(rng.integers(1, 4))):
        size = rng.uniform(0.3, 0.55)
        crown = _lump(rng)[0].points[::2, ::2]
        crown = crown / np.ptp(crown, axis=0).max() * 2 * size
        crown[-1] = crown[-1, :1]
        x, z = rng.uniform(-0.2, 0.2, 2)
        parts.append(ClosedGrid(points=crown + np.array([x, y + size * 0.8, z]), material=1))
        y += size * 0.9
    return parts


def _tower(rng: Rng) -> list[ClosedGrid]:
    """Two or three solids on top of each other: house, toy, lamp, snowman."""
    parts, y = [], 0.0
    for k in range(int(rng.integers(2, 4))):
        half = _lengths(rng, 0.28, 0.6)
        if rng.random() < 0.25:
            grid = grids.lathe(np.linspace(half[0] * 1.3, 0.03, 8), np.linspace(-half[1], half[1], 8), 24, 4)
            grid = grid.moved((0, 0, 0), _yaw(np.pi / 4))
        else:
            roundness = (float(rng.uniform(0.15, 1.1)), float(rng.uniform(0.15, 1.1)))
            grid = grids.superellipsoid(half, roundness, 13, 26)
        x, z = rng.uniform(-0.12, 0.12, 2)
        parts.append(grid.moved((x, y + half[1], z), _yaw(rng.uniform(0, 6)), material=k))
        y += 1.75 * half[1]
    return parts


def _furniture(rng: Rng) -> list[ClosedGrid]:
    """A seat or table top on four legs, with or without a back."""
    x, z, y = rng.uniform(0.4, 0.9), rng.uniform(0.35, 0.6), rng.uniform(0.4, 0.8)
    parts = [grids.box((x, 0.09, z)).moved((0, y, 0))]
    leg = grids.box((0.07, y / 2, 0.07), 6, 12)
    for sx in (-0.85, 0.85):
        for sz in (-0.85, 0.85):
            parts.append(leg.moved((sx * x, y / 2, sz * z), material=1))
    if rng.random() < 0.6:
        back = rng.uniform(0.25, 0.5)
        parts.append(grids.box((0.08, back, z)).moved((-0.9 * x, y + back, 0.0), material=2))
    return parts


_FAMILIES: dict[str, tuple[Callable[[Rng], list[ClosedGrid]], float, bool]] = {
    "solid": (_solid, 1.2, False),
    "crate": (_crate, 1.0, True),
    "turned": (_turned, 1.3, False),
    "capsule": (_capsule, 0.6, True),
    "lump": (_lump, 1.3, False),
    "ring": (_ring, 0.6, False),
    "cut-out": (_cut_out, 0.7, False),
    "car": (_car, 1.6, True),
    "animal": (_animal, 1.3, True),
    "figure": (_figure, 1.2, True),
    "plant": (_plant, 0.7, False),
    "tower": (_tower, 1.0, False),
    "furniture": (_furniture, 0.7, True),
}
KINDS = tuple(_FAMILIES)


@lru_cache(maxsize=1024)
def base_shape(index: int) -> BaseShape:
    """The base shape of that index, the same in every process; its arrays are shared and must not be changed."""
    rng = generator(0x5A7E, index)
    weights = np.array([family[1] for family in _FAMILIES.values()])
    kind = KINDS[int(np.searchsorted(np.cumsum(weights) / weights.sum(), rng.random()))]
    build, _, heads = _FAMILIES[kind]
    return _assemble(kind, build(rng), heads)


def _assemble(kind: str, parts: list[ClosedGrid], heads: bool) -> BaseShape:
    """Join parts into one mesh with one atlas, standing on the origin at unit size."""
    everything = np.concatenate([part.points.reshape(-1, 3) for part in parts])
    low, high = everything.min(axis=0), everything.max(axis=0)
    offset = np.array([(low[0] + high[0]) / 2, low[1], (low[2] + high[2]) / 2])
    scale = 1 / (high - low).max()
    shares = np.sqrt([part.area() for part in parts])
    strips = np.maximum(10, np.round(_ATLAS_ROWS * shares / shares.sum())).astype(np.int64)
    total = int(strips.sum())
    vertices, faces, uvs, texels = [], [], [], []
    first_vertex = first_row = 0
    for part, rows in zip(parts, strips, strict=True):
        placed = ClosedGrid(points=(part.points - offset) * scale, torus=part.torus)
        v, f, uv = placed.triangles()
        column = (0.5 + uv[..., 0] * (ATLAS_COLUMNS - 1)) / ATLAS_COLUMNS
        row = (first_row + 0.5 + uv[..., 1] * (rows - 1)) / total
        vertices.append(v)
        faces.append(f + first_vertex)
        uvs.append(np.stack([column, row], axis=-1))
        texels.append(placed.texel_points(int(rows), ATLAS_COLUMNS))
        first_vertex += len(v)
        first_row += int(rows)
    return BaseShape(
        kind=kind,
        vertices=np.concatenate(vertices),
        faces=np.concatenate(faces).astype(np.int32),
        corner_uvs=np.concatenate(uvs),
        texel_points=np.concatenate(texels),
        texel_material=np.repeat([part.material for part in parts], strips),
        strips=strips,
        heads=heads,
    )
