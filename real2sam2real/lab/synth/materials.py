"""Solid textures: a colour for every point of space, so that no seam shows and any surface can wear any material.

A material is a ramp of colours over a pattern (fractal noise, stripes, checks, a gradient), with dead leaves on top:
opaque balls (discs, where the points lie in a plane) of power-law sizes that hide each other (Lee, Mumford and Huang,
2001), and fractal luminance grain. Dead leaves and 1/f noise have the edge and spectrum statistics of photographs.
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from real2sam2real.arrays import Float, Float32, Int, UInt8
from real2sam2real.lab.synth.seeds import Rng
from real2sam2real.mesh.compiled import kernel

FRACTAL, STRIPES, CHECKS, GRADIENT = range(4)
_NO_LEAVES = np.zeros((0, 4), np.float32), np.zeros((0, 3), np.float32)


@dataclass(frozen=True, kw_only=True, eq=False)
class SolidTexture:
    """One solid texture."""

    pattern: int  # FRACTAL, STRIPES, CHECKS or GRADIENT
    ramp: Float32  # `(P, 3)` float32 sRGB colours in 0…1 that the pattern runs through
    axes: Float  # `(3, 3)` the pattern's own axes (rows)
    # `(8,)` pattern period, period of its noise, octaves, warp, hardness of edges 0…1, grain amplitude, grain period,
    # offset of the noise
    numbers: Float
    leaves: Float32  # `(K, 4)` float32 centre and radius, the front one first
    leaf_colors: Float32  # `(K, 3)` float32

    def colors(self, points: ArrayLike, softness: float) -> Float32:
        """Colours `(N, 3)` float32 in 0…1 at `(N, 3)` points; leaf edges are blurred over `softness`."""
        where = np.ascontiguousarray(points, np.float32).reshape(-1, 3)
        out = np.empty((len(where), 3), np.float32)
        _colors(
            where, softness, self.pattern, self.ramp, self.axes, self.numbers, self.leaves, self.leaf_colors, out
        )  # fmt: skip
        return out


@dataclass(frozen=True, kw_only=True)
class Domain:
    """Where a material will be looked at."""

    low: tuple[float, float, float]  # smallest coordinates
    high: tuple[float, float, float]  # largest coordinates; equal to `low` along an axis that is not used
    detail: float  # typical size of the smallest features

    @property
    def span(self) -> float:
        """The largest extent."""
        return max(b - a for a, b in zip(self.low, self.high, strict=True))


def sample_palette(rng: Rng, count: int, *, vivid: float) -> Float32:
    """Colours `(count, 3)` that go together: related hues, spread brightness.

    `vivid` is 0 for greys, 1 for the most saturated palettes.
    """
    hue, spread = rng.random(), rng.choice([0.03, 0.08, 0.2, 0.5])
    saturation = vivid * rng.beta(1.6, 1.4)
    bright = rng.beta(2.6, 1.5)
    contrast = rng.uniform(0.12, 0.45)
    values = np.clip(bright + contrast * np.linspace(-1, 1, count) * rng.choice([-1.0, 1.0]), 0.06, 0.97)
    values = values[rng.permutation(count)] if rng.random() < 0.5 else values
    colors = []
    for value in values:
        h = (hue + rng.uniform(-spread, spread)) % 1.0
        s = float(np.clip(saturation + rng.uniform(-0.2, 0.2), 0.0, 1.0))
        colors.append(colorsys.hsv_to_rgb(h, s, float(value)))
    return np.asarray(colors, np.float32)


def sample_material(rng: Rng, domain: Domain, *, vivid: float = 0.85, plain: float = 0.25) -> SolidTexture:
    """A random material for a domain, without leaves and quiet with a probability of `plain`; see `sample_palette`."""
    span, detail = domain.span, min(domain.detail, domain.span / 3)
    pattern = int(rng.choice(4, p=[0.4, 0.2, 0.15, 0.25]))
    ramp = sample_palette(rng, int(rng.integers(2, 5)), vivid=vivid)
    leafy = rng.random() >= plain
    leaves, colors = _sample_leaves(rng, domain, detail, vivid) if leafy else _NO_LEAVES
    if not leafy:
        ramp = ramp.mean(axis=0) + (ramp - ramp.mean(axis=0)) * np.float32(rng.uniform(0.2, 1.0))
    low = 2.2 * detail
    period = float(np.exp(rng.uniform(np.log(low), np.log(max(span * 0.8, low * 1.5)))))
    if pattern == GRADIENT:
        period = max(period, 0.4 * span)
    noise_period = float(np.exp(rng.uniform(np.log(low), np.log(max(span, low * 1.5)))))
    octaves = 1 + int(np.clip(np.log2(noise_period / detail), 0, 4))
    numbers = np.array(
        [
            period, noise_period, octaves, rng.uniform(0.0, 0.6), rng.uniform(0.2, 1.0),
            rng.uniform(0.0, 0.07), detail * rng.uniform(1.0, 2.0), rng.uniform(0, 1000),
        ]
    )  # fmt: skip
    axes = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    if domain.low[2] == domain.high[2]:  # a plane: stripes and checks lie in it
        angle = rng.choice([0.0, rng.uniform(0, np.pi)])
        axes = np.array([[np.cos(angle), np.sin(angle), 0.0], [-np.sin(angle), np.cos(angle), 0.0], [0.0, 0.0, 1.0]])
    return SolidTexture(
        pattern=pattern,
        ramp=np.ascontiguousarray(ramp, np.float32),
        axes=axes,
        numbers=numbers,
        leaves=leaves,
        leaf_colors=colors,
    )


def sky(rng: Rng, domain: Domain) -> SolidTexture:
    """A vertical gradient from a bright horizon upwards, with or without soft clouds."""
    hue = float(rng.choice([0.58, rng.uniform(0.5, 0.65), rng.uniform(0.0, 0.12), rng.random()]))
    low = colorsys.hsv_to_rgb(hue, float(rng.uniform(0.0, 0.3)), float(rng.uniform(0.75, 0.97)))
    high = colorsys.hsv_to_rgb(hue, float(rng.uniform(0.2, 0.75)), float(rng.uniform(0.35, 0.9)))
    leaves, colors = _NO_LEAVES
    if rng.random() < 0.5:
        count = int(rng.integers(3, 14))
        centres = rng.uniform(domain.low, domain.high, (count, 3))
        centres[:, 1] = rng.uniform(0.0, 0.5, count)
        radii = rng.uniform(0.6, 2.5, (count, 1)) * domain.detail
        leaves = np.concatenate([centres, radii], axis=1).astype(np.float32)
        colors = np.clip(rng.uniform(0.75, 0.97, (count, 1)) + np.zeros(3), 0, 1).astype(np.float32)
    height = domain.high[1] * float(rng.uniform(0.6, 1.6))
    # The ramp runs from -0.83 to 0.83 of the period about 0, so the horizon is in its middle.
    return SolidTexture(
        pattern=GRADIENT,
        ramp=np.asarray([low, low, high], np.float32),
        axes=np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]),
        numbers=np.array(
            [height, 4 * domain.detail, 3, rng.uniform(0, 0.5), 0, 0, domain.detail, rng.uniform(0, 1000)]
        ),
        leaves=leaves,
        leaf_colors=colors,
    )


def _sample_leaves(rng: Rng, domain: Domain, detail: float, vivid: float) -> tuple[Float32, Float32]:
    """Leaves with a density of radii ~ r⁻³, as many as cover the domain about once, or only a sprinkling."""
    smallest, largest = detail * rng.uniform(0.5, 1.0), domain.span * rng.uniform(0.2, 0.5)
    largest = max(largest, smallest * 1.2)
    low, high = np.asarray(domain.low), np.asarray(domain.high)
    flat = high <= low
    margin = np.where(flat, 0.0, largest * 0.5)
    room = high - low + 2 * margin
    count = int(rng.integers(140, 320)) if rng.random() < 0.6 else int(rng.integers(4, 60))
    u = rng.random(count)
    radii = (smallest**-2 + u * (largest**-2 - smallest**-2)) ** -0.5
    centres = low - margin + rng.random((count, 3)) * room
    palette = sample_palette(rng, 5, vivid=vivid)
    colors = (
        palette[rng.integers(0, len(palette), count)]
        + rng.normal(0, 0.05, (count, 1))
        + rng.normal(0, 0.025, (count, 3))
    )
    leaves = np.concatenate([centres, radii[:, None]], axis=1)
    return leaves.astype(np.float32), np.clip(colors, 0.02, 0.98).astype(np.float32)


@kernel
def _hash(x: int, y: int, z: int) -> float:
    """A number in 0…1 for a lattice point (32-bit integer mixing after Wellons' lowbias32)."""
    h = (
        np.uint32(x) * np.uint32(0x8DA6B343)
        ^ np.uint32(y) * np.uint32(0xD8163841)
        ^ np.uint32(z) * np.uint32(0xCB1AB31F)
    )
    h ^= h >> np.uint32(16)
    h = np.uint32(h * np.uint32(0x7FEB352D))
    h ^= h >> np.uint32(15)
    h = np.uint32(h * np.uint32(0x846CA68B))
    h ^= h >> np.uint32(16)
    return float(h & np.uint32(0xFFFFFF)) / 16777215.0


@kernel
def value_noise(x: float, y: float, z: float) -> float:
    """Smooth noise in 0…1 with features one unit wide."""
    fx, fy, fz = np.floor(x), np.floor(y), np.floor(z)
    i, j, k = int(fx), int(fy), int(fz)
    u, v, w = x - fx, y - fy, z - fz
    u, v, w = u * u * (3 - 2 * u), v * v * (3 - 2 * v), w * w * (3 - 2 * w)
    a = _hash(i, j, k) * (1 - u) + _hash(i + 1, j, k) * u
    b = _hash(i, j + 1, k) * (1 - u) + _hash(i + 1, j + 1, k) * u
    c = _hash(i, j, k + 1) * (1 - u) + _hash(i + 1, j, k + 1) * u
    d = _hash(i, j + 1, k + 1) * (1 - u) + _hash(i + 1, j + 1, k + 1) * u
    return (a * (1 - v) + b * v) * (1 - w) + (c * (1 - v) + d * v) * w


@kernel
def _fractal(x: float, y: float, z: float, octaves: int) -> float:
    """Value noise summed over octaves with amplitudes ~ 1/f, about 0…1."""
    total, norm, amplitude = 0.0, 0.0, 1.0
    for octave in range(octaves):
        total += amplitude * (value_noise(x + 17.3 * octave, y - 9.1 * octave, z) - 0.5)
        norm += amplitude
        amplitude *= 0.5
        x, y, z = 2 * x, 2 * y, 2 * z
    return min(max(0.5 + 1.5 * total / norm, 0.0), 1.0)


@kernel
def _wave(x: float, hardness: float) -> float:
    """A wave of period 1 in 0…1: a sine for hardness 0, nearly square for 1."""
    steep = 1.0 + 7.0 * hardness
    return 0.5 + 0.5 * min(max(np.sin(2 * np.pi * x) * steep, -1.0), 1.0)


@kernel
def _pattern(kind: int, x: float, y: float, z: float, axes: Float, numbers: Float) -> float:
    period, noise_period, octaves, warp, hardness = numbers[0], numbers[1], int(numbers[2]), numbers[3], numbers[4]
    offset = numbers[7]
    noise = _fractal(x / noise_period + offset, y / noise_period, z / noise_period, octaves)
    if kind == 0:
        return noise
    bend = warp * (noise - 0.5)
    a = (axes[0, 0] * x + axes[0, 1] * y + axes[0, 2] * z) / period + bend + offset
    if kind == 1:
        return _wave(a, hardness)
    if kind == 2:
        b = (axes[1, 0] * x + axes[1, 1] * y + axes[1, 2] * z) / period + bend
        c = (axes[2, 0] * x + axes[2, 1] * y + axes[2, 2] * z) / period + 0.25
        signs = (2 * _wave(a, hardness) - 1) * (2 * _wave(b, hardness) - 1) * (2 * _wave(c, hardness) - 1)
        return 0.5 + 0.5 * signs
    ramp = a - offset
    return min(max(0.5 + 0.6 * ramp + 0.3 * (noise - 0.5), 0.0), 1.0)


@kernel
def _colors(
    points: Float32, softness: float, kind: int, ramp: Float32, axes: Float, numbers: Float, leaves: Float32,
    leaf_colors: Float32, out: Float32,
) -> None:  # fmt: skip
    """Leaves from the front to the back until nothing shows through, then the pattern, then the grain."""
    last = len(ramp) - 1
    grain, grain_period = numbers[5], numbers[6]
    for n in range(len(points)):
        x, y, z = float(points[n, 0]), float(points[n, 1]), float(points[n, 2])
        red, green, blue, left = 0.0, 0.0, 0.0, 1.0
        for k in range(len(leaves)):
            dx, dy, dz = x - leaves[k, 0], y - leaves[k, 1], z - leaves[k, 2]
            reach = leaves[k, 3] + softness
            square = dx * dx + dy * dy + dz * dz
            if square >= reach * reach:
                continue
            share = min((reach - np.sqrt(square)) / (2 * softness), 1.0) * left
            red += share * leaf_colors[k, 0]
            green += share * leaf_colors[k, 1]
            blue += share * leaf_colors[k, 2]
            left -= share
            if left < 0.004:
                break
        if left >= 0.004:
            t = _pattern(kind, x, y, z, axes, numbers) * last
            i = min(int(t), last - 1)
            t -= i
            red += left * (ramp[i, 0] * (1 - t) + ramp[i + 1, 0] * t)
            green += left * (ramp[i, 1] * (1 - t) + ramp[i + 1, 1] * t)
            blue += left * (ramp[i, 2] * (1 - t) + ramp[i + 1, 2] * t)
        shade = 1.0
        if grain > 0.01:
            shade += 2 * grain * (value_noise(x / grain_period, y / grain_period + 5.5, z / grain_period) - 0.5)
        out[n, 0] = min(max(red * shade, 0.0), 1.0)
        out[n, 1] = min(max(green * shade, 0.0), 1.0)
        out[n, 2] = min(max(blue * shade, 0.0), 1.0)


def paint(points: Float, material_rows: Int, materials: list[SolidTexture], softness: float) -> UInt8:
    """The texture `(rows, columns, 3)` uint8 of surface points `(rows, columns, 3)`, one material per row."""
    image = np.empty(points.shape, np.float32)
    for k, material in enumerate(materials):
        rows = material_rows == k
        if rows.any():
            image[rows] = material.colors(points[rows], softness).reshape(-1, *points.shape[1:])
    return (image * 255 + 0.5).astype(np.uint8)
