"""Small sets of cases that are put together by hand: no room is made, and every pose is one that the test chose."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from real2sam2real.geometry import Intrinsics, transforms
from real2sam2real.lab.evaluate.case_set import SCENE, SET, CaseKind, CaseRecord, CaseSet, open_cases, write_case
from real2sam2real.mesh import Mesh
from real2sam2real.scene import CameraPath, Entity, Motion, Scene
from real2sam2real.scene.folder import save_scene
from real2sam2real.workfolder.records import write_json

WIDTH, HEIGHT = 320, 180
CORNERS = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (0.0, 1.0) for z in (-0.5, 0.5)])
SIDES = [[0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1], [2, 3, 7], [2, 7, 6]]
SIDES += [[0, 2, 6], [0, 6, 4], [1, 5, 7], [1, 7, 3]]

MakeCases = Callable[..., CaseSet]


def camera_moves(pose: np.ndarray, frames: int) -> np.ndarray:
    """To the right, a little up and in, while it turns right and up and rolls: nothing about it is symmetric."""
    poses = []
    for s in np.linspace(0, 1, frames):
        local = np.eye(4)
        local[:3, :3] = transforms.about_y(-0.25 * s) @ transforms.about_x(0.1 * s) @ transforms.about_z(0.05 * s)
        local[:3, 3] = np.array([0.6, 0.25, -0.9]) * s
        poses.append(pose @ local)
    return np.stack(poses)


def box_moves(rest: np.ndarray, frames: int) -> np.ndarray:
    """To the left and towards the camera, while it turns about the upright axis."""
    poses = []
    for s in np.linspace(0, 1, frames):
        moved = rest.copy()
        moved[:3, :3] = rest[:3, :3] @ transforms.about_y(0.6 * s)
        moved[:3, 3] = rest[:3, 3] + np.array([-0.7, 0.0, 0.5]) * s
        poses.append(moved)
    return np.stack(poses)


def scene_of(kind: CaseKind, frames: int, zoom: float) -> Scene:
    lens = Intrinsics(width=WIDTH, height=HEIGHT, fx=260.0, fy=260.0, cx=163.0, cy=88.0)
    pose = transforms.look_at((0.3, 1.4, 4.0), (0.0, 0.6, 0.0))
    rest = transforms.compose((0.2, 0.0, 0.4), (1.0, 0.0, 0.0, 0.0))
    path = camera_moves(pose, frames) if kind == "camera" else np.tile(pose, (frames, 1, 1))
    motion = Motion.still(frames, rest) if kind == "camera" else Motion.from_matrices(box_moves(rest, frames))
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    photo = np.stack([columns * 255 // WIDTH, rows * 255 // HEIGHT, (columns // 16 + rows // 16) % 2 * 255], axis=-1)
    return Scene(
        entities=(
            Entity(name="box", mesh=Mesh(vertices=CORNERS, faces=SIDES), rest_world_from_object=rest, motion=motion),
        ),
        camera=CameraPath(world_from_camera=path, intrinsics=lens, zoom=np.geomspace(1, zoom, frames)),
        photo=photo.astype(np.uint8),
        photo_world_from_camera=pose,
        prompt="it's a box",
        ground_y=0.0,
    )


@pytest.fixture(scope="session")
def make_cases_by_hand(tmp_path_factory: pytest.TempPathFactory) -> MakeCases:
    """Write a set of one case: `kind`, `frames`, the last frame's `zoom`, and what else to `change` of the scene."""

    def make(
        kind: CaseKind = "camera",
        *,
        frames: int = 9,
        zoom: float = 1.0,
        change: Callable[[Scene], Scene] = lambda scene: scene,
        count: int = 1,
    ) -> CaseSet:
        folder: Path = tmp_path_factory.mktemp("cases") / "set"
        for number in range(count):
            name = f"{kind}-{number + 1:04}"
            save_scene(change(scene_of(kind, frames, zoom)), folder / name / SCENE)
            record = CaseRecord(
                name=name, kind=kind, seed=0, source="hand", shot=f"hand {number}", moved=("box",), frames=frames,
                width=WIDTH, height=HEIGHT,
            )  # fmt: skip
            write_case(folder, record)
        write_json(folder / SET, {"format": 1, "kind": kind})
        return open_cases(folder)

    return make


@pytest.fixture(scope="session")
def camera_set(make_cases_by_hand: MakeCases) -> CaseSet:
    return make_cases_by_hand("camera")


@pytest.fixture(scope="session")
def object_set(make_cases_by_hand: MakeCases) -> CaseSet:
    return make_cases_by_hand("objects")
