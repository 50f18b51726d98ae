"""A small stage for the scene's tests: a car and a man before the photo's camera."""

from collections.abc import Callable

import numpy as np
import pytest

from real2sam2real.geometry import Intrinsics, transforms
from real2sam2real.mesh import Mesh
from real2sam2real.scene import CameraPath, Entity, Motion, Scene

CORNERS = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (0.0, 1.0) for z in (-0.5, 0.5)])
SIDES = np.array(
    [
        *([0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5]),
        *([0, 4, 5], [0, 5, 1], [2, 3, 7], [2, 7, 6]),
        *([0, 2, 6], [0, 6, 4], [1, 5, 7], [1, 7, 3]),
    ]
)


def box(width: float, height: float, depth: float) -> Mesh:
    """A closed box that stands on its object frame's origin."""
    return Mesh(vertices=CORNERS * [width, height, depth], faces=SIDES)


def standing(name: str, mesh: Mesh, position, frames: int, rotation_wxyz=(1.0, 0.0, 0.0, 0.0), scale=1.0) -> Entity:
    pose = transforms.compose(position, rotation_wxyz, scale)
    return Entity(name=name, mesh=mesh, rest_world_from_object=pose, motion=Motion.still(frames, pose))


def stage(frames: int = 41, *, unit: str = "unit", photo_camera=None) -> Scene:
    """A car (2×1×1, its middle at (0.5, −0.5, −5)) and a man (middle at (−1.5, −0.1, −6)) before the camera."""
    pose = np.eye(4) if photo_camera is None else photo_camera
    lens = Intrinsics.from_fov(640, 360, horizontal_degrees=60)
    return Scene(
        entities=(
            standing("car", box(2, 1, 1), (0.5, -1, -5), frames),
            standing("man", box(0.5, 1.8, 0.4), (-1.5, -1, -6), frames),
        ),
        camera=CameraPath.still(frames, lens, pose),
        photo_world_from_camera=pose,
        unit=unit,
    )


@pytest.fixture(name="stage", scope="session")
def stage_fixture() -> Callable[..., Scene]:
    """Build the stage with other frames, another unit or another photo camera."""
    return stage


@pytest.fixture(scope="session")
def scene() -> Scene:
    return stage()


@pytest.fixture(name="standing", scope="session")
def standing_fixture() -> Callable[..., Entity]:
    return standing


@pytest.fixture(name="box", scope="session")
def box_fixture() -> Callable[..., Mesh]:
    return box
