"""Worlds with known objects, drawn as masks by projecting them."""

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest

from real2sam2real.geometry import Intrinsics
from real2sam2real.lifting.embedded import MAX_TRIANGLES
from real2sam2real.lifting.ground import Ground
from real2sam2real.mesh.repair import is_solid
from real2sam2real.rendering import Frame, render_frames
from real2sam2real.scene import Scene

WIDTH, HEIGHT = 320, 200


@pytest.fixture(scope="session")
def intrinsics() -> Intrinsics:
    return Intrinsics.from_fov(WIDTH, HEIGHT, horizontal_degrees=50.0)


@pytest.fixture(scope="session")
def ground(intrinsics: Intrinsics) -> Ground:
    return Ground(intrinsics=intrinsics, pitch_radians=float(np.radians(20)), note="known")


class Drawing:
    """Draws convex bodies that stand on the ground (y = −1) as masks."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground

    def hull(self, points_world: np.ndarray) -> np.ndarray:
        pixels, depth = self.ground.intrinsics.project(points_world @ self.ground.world_from_camera[:3, :3])
        assert (depth > 0).all()
        outline = cv2.convexHull(np.round(pixels * 16).astype(np.int32) - 8)
        shape = (self.ground.intrinsics.height, self.ground.intrinsics.width)
        return cv2.fillConvexPoly(np.zeros(shape, np.uint8), outline, 1, shift=4).astype(bool)

    def box(
        self, x: float, z: float, size: tuple[float, float, float], yaw: float = 0.0, *, base: float = 0.0
    ) -> np.ndarray:
        corners = np.array(np.meshgrid([-0.5, 0.5], [0, 1], [-0.5, 0.5])).reshape(3, -1).T * np.array(size)
        c, s = np.cos(yaw), np.sin(yaw)
        turn = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
        return self.hull(corners @ turn.T + [x, base - 1, z])

    def cylinder(self, x: float, z: float, radius: float, height: float) -> np.ndarray:
        angle = np.linspace(0, 2 * np.pi, 60)
        ring = np.stack([radius * np.cos(angle), 0 * angle, radius * np.sin(angle)], axis=-1)
        return self.hull(np.concatenate([ring, ring + np.array([0, height, 0])]) + np.array([x, -1, z]))


@pytest.fixture(scope="session")
def drawing(ground: Ground) -> Drawing:
    return Drawing(ground)


@pytest.fixture(scope="session")
def drawing_at() -> type[Drawing]:
    return Drawing


@pytest.fixture(scope="session")
def photo() -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)


def first_frame(scene: Scene, names: list[str] | None = None) -> Frame:
    size = scene.camera.intrinsics
    if names is not None:
        scene = replace(scene, entities=tuple(scene.entity(name) for name in names))
    return next(iter(render_frames(scene, width=size.width, height=size.height, frames=[0])))


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


def cover(scene: Scene) -> dict[str, float]:
    """How well every entity's visible pixels cover its mask."""
    ids = first_frame(scene).ids
    return {e.name: iou(ids == k + 1, e.mask) for k, e in enumerate(scene.entities) if e.mask is not None}


@pytest.fixture(scope="session")
def covers():
    return cover


@pytest.fixture(scope="session")
def frame_of():
    return first_frame


def check_lifted(scene: Scene, least: float = 0.95) -> None:
    """What every lifted scene must keep to."""
    assert scene.ground_y is not None
    for entity in scene.entities:
        assert is_solid(entity.mesh), entity.name
        assert len(entity.mesh.faces) <= MAX_TRIANGLES * 1.01
        assert entity.mesh.bounds()[0, 1] == pytest.approx(0, abs=1e-6)  # the origin lies in the footprint
        assert entity.mesh.corner_uvs is not None
        assert entity.mesh.corner_uvs.min() >= 0
        assert entity.mesh.corner_uvs.max() <= 1
    for name, value in cover(scene).items():
        assert value >= least, f"{name} covers its mask with IoU {value:.3f}"


@pytest.fixture(scope="session")
def check() -> Callable[..., None]:
    return check_lifted
