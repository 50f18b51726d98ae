"""Which way an estimator's axes really point: asked of a picture of a sphere, whose normals are known."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations, product

import cv2
import numpy as np

from real2sam2real.arrays import Float32, UInt8
from real2sam2real.control.normal_convention import NormalConvention
from real2sam2real.lab.curate.normals.estimator import NormalEstimator

_SIZE = 256
_RADIUS = 0.36  # of the picture's side
_WORDS = (("right", "left"), ("up", "down"), ("towards", "away"))
_LIGHT = np.array([-0.45, 0.7, 0.55]) / np.linalg.norm([-0.45, 0.7, 0.55])


@dataclass(frozen=True, kw_only=True, eq=False)
class SphereCheck:
    """What came of it."""

    name: str  # of the estimator
    directions: tuple[str, str, str]  # what its three components really grow towards, as `NormalConvention.directions`
    angle: float  # median angle to the truth under these, in degrees
    taken: float  # median angle as the estimator is used
    picture: UInt8  # `(H, 3H, 3)` uint8: sphere, estimate, truth

    @property
    def right(self) -> bool:
        """Its axes are ours as it is used."""
        return self.directions == NormalConvention().directions

    def __str__(self) -> str:
        verdict = "as they are taken to be" if self.right else "NOT as they are taken to be (right/up/towards)"
        return (
            f"{self.name}: its axes point {'/'.join(self.directions)}, {verdict}\n"
            f"median angle to the sphere's normals: {self.taken:.1f} degrees as used, {self.angle:.1f} under the best "
            "of the 48 ways to name three axes"
        )


def sphere() -> tuple[UInt8, Float32, UInt8]:
    """A lit clay sphere on a floor before a wall, seen from far: picture, true normals, ids.

    Returns:
        `(256, 256, 3)` uint8; `(256, 256, 3)` float32, right/up/towards, zero beside the sphere; `(256, 256)` uint8.
    """
    x, y = _grid(_SIZE)
    inside = x**2 + y**2 < 1
    z = np.sqrt(np.maximum(1 - x**2 - y**2, 0))
    normals = np.stack([x, y, z], axis=-1) * inside[..., None]
    shade = 0.25 + 0.75 * np.clip(normals @ _LIGHT, 0, None)
    clay = shade[..., None] * np.array([205, 150, 115])
    floor = y < -0.8
    around = np.where(floor[..., None], np.array([120, 112, 105]), np.array([168, 174, 182])) * np.ones((1, 1, 3))
    shadow = np.exp(-(((x - 0.35) / 1.1) ** 2) - ((y + 1.05) / 0.22) ** 2)[..., None] * floor[..., None]
    around = around * (1 - 0.5 * shadow)
    picture = np.where(inside[..., None], clay, around)
    soft = cv2.GaussianBlur(picture.astype(np.float32), (0, 0), 0.7)
    return np.clip(soft, 0, 255).astype(np.uint8), normals.astype(np.float32), inside.astype(np.uint8)


def check(estimator: NormalEstimator, frames: int = 5) -> SphereCheck:
    """Ask an estimator for the normals of a resting sphere, and name its axes."""
    picture, truth, ids = sphere()
    video = np.repeat(picture[None], frames, axis=0)
    estimate = estimator.estimate(video, np.repeat(ids[None], frames, axis=0))[frames // 2]
    seen, known = estimate[ids > 0], truth[ids > 0]
    ways = {
        words: _median_angle(NormalConvention(directions=words).in_our_axes(seen), known) for words in _all_directions()
    }
    best = min(ways, key=lambda words: ways[words])
    ours = NormalConvention()
    pictures = [picture, ours.encode(estimate, ids), ours.encode(truth, ids)]
    return SphereCheck(
        name=estimator.name,
        directions=best,
        angle=ways[best],
        taken=ways[ours.directions],
        picture=np.concatenate(pictures, axis=1),
    )


def _grid(size: int) -> tuple[Float32, Float32]:
    """Right and up in units of the sphere's radius, at pixel centres."""
    along = ((np.arange(size) + 0.5) / size - 0.5) / _RADIUS
    x, down = np.meshgrid(along, along)
    return x.astype(np.float32), (-down).astype(np.float32)


def _all_directions() -> list[tuple[str, str, str]]:
    return [(a, b, c) for order in permutations(_WORDS) for a, b, c in product(*order)]


def _median_angle(first: Float32, second: Float32) -> float:
    return float(np.degrees(np.median(np.arccos(np.clip((first * second).sum(axis=1), -1, 1)))))
