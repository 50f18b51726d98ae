"""A small scene rendered by the real renderer, as the control room's tests need it."""

import numpy as np
import pytest

from real2sam2real.geometry import Intrinsics
from real2sam2real.mesh import Mesh
from real2sam2real.rendering import render_frames
from real2sam2real.scene import CameraPath, Entity, Keyframe, Motion, Scene

CUBE = Mesh(
    vertices=np.array([[x, y, z] for x in (-0.5, 0.5) for y in (0.0, 1.0) for z in (-0.5, 0.5)]),
    faces=np.array(["013", "032", "467", "475", "045", "051", "237", "276", "026", "064", "157", "173"], dtype="U3")
    .view("U1")
    .reshape(-1, 3)
    .astype(int),
)


@pytest.fixture(scope="session")
def scene():
    entities = []
    for name, x in (("left", -0.9), ("right", 0.8)):
        rest = np.eye(4)
        rest[:3, 3] = (x, -0.5, -4)
        keys = [Keyframe(frame=0, translation=(x, -0.5, -4)), Keyframe(frame=4, translation=(x + 0.3, -0.4, -3.5))]
        motion = Motion.from_keyframes(keys, 5)
        entities.append(Entity(name=name, mesh=CUBE, rest_world_from_object=rest, motion=motion))
    camera = CameraPath.still(5, Intrinsics.from_fov(64, 36, horizontal_degrees=60))
    photo = np.random.default_rng(0).integers(0, 256, (36, 64, 3), np.uint8)
    return Scene(entities=tuple(entities), camera=camera, photo=photo, fps=12.5, prompt="two cubes, größer")


@pytest.fixture(scope="session")
def frames(scene):
    return list(render_frames(scene, width=64, height=36))
