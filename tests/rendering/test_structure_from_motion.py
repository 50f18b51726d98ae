"""The preview of a trucking camera holds together in 3D: COLMAP finds the commanded path in its pictures."""

from collections.abc import Callable
from dataclasses import replace
from types import ModuleType

import cv2
import numpy as np
import pytest

from real2sam2real.geometry import Intrinsics
from real2sam2real.scene import BackgroundRelief, CameraPath, Scene

pycolmap = pytest.importorskip("pycolmap", reason="pycolmap is not installed (extra 'sfm')")
FRAMES, WIDTH, HEIGHT = 8, 240, 180
FEATURES = 300


def corner_of_a_room() -> Scene:
    """A photo of paint spots before a floor and two walls that meet 5 units away."""
    rng = np.random.default_rng(7)
    spots = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    for scale in (3, 8, 20):
        noise = rng.uniform(0, 255, (HEIGHT // scale + 2, WIDTH // scale + 2, 3)).astype(np.float32)
        spots += cv2.resize(noise, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC) / 3
    lens = Intrinsics.from_fov(WIDTH, HEIGHT, horizontal_degrees=60)
    x, y = np.meshgrid((np.arange(WIDTH) + 0.5 - lens.cx) / lens.fx, (np.arange(HEIGHT) + 0.5 - lens.cy) / lens.fy)
    inverse = np.maximum((1 + np.abs(x)) / 5, y / 1.2).astype(np.float32)
    relief = BackgroundRelief(inverse_depth=inverse, source="made up")
    path = CameraPath.still(FRAMES, lens)
    poses = path.world_from_camera.copy()
    poses[:, 0, 3] = 1.5 * np.linspace(0, 1, FRAMES) ** 1.3
    path = replace(path, world_from_camera=poses)
    photo = np.clip(spots, 0, 255).astype(np.uint8)
    return Scene(entities=(), camera=path, photo=photo, ground_y=-1.2, background=relief)


def test_structure_from_motion_finds_the_commanded_path(load_benchmark: Callable[[str], ModuleType]) -> None:
    benchmark = load_benchmark("structure_from_motion")
    pycolmap.logging.minloglevel = 2
    registered, error = benchmark.against_path(corner_of_a_room(), longest=WIDTH, features=FEATURES)
    assert registered >= 0.9 * FRAMES
    assert error <= 0.03
