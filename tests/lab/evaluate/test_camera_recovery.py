"""Camera paths come back from films of rooms; what holds no path says so."""

from __future__ import annotations

import numpy as np
import pytest

from real2sam2real.geometry import Intrinsics
from real2sam2real.lab.evaluate.camera_recovery import RecoveredPath, RecoveryOptions, recover_path
from real2sam2real.lab.evaluate.trajectory import trajectory_error
from real2sam2real.lab.synth import HELD_OUT_SEEDS
from real2sam2real.lab.synth.rooms import sample_room
from real2sam2real.scene import Scene
from real2sam2real.scene.shot import Shot

pytest.importorskip("pycolmap", reason="structure from motion needs pycolmap: pip install '.[sfm]'")


@pytest.fixture(scope="module")
def filmed() -> tuple[Scene, list[np.ndarray]]:
    room = sample_room(HELD_OUT_SEEDS[0], width=480, height=270)
    shot = Shot.from_flags(camera=["orbit 20deg"], frames=9).apply(room.objects)
    return shot, list(room.film(shot))


@pytest.fixture(scope="module")
def found(filmed: tuple[Scene, list[np.ndarray]]) -> RecoveredPath:
    scene, frames = filmed
    return recover_path(frames, scene.camera.intrinsics, RecoveryOptions(features=800, reach=4))


def test_the_path_of_a_film_comes_back(filmed: tuple[Scene, list[np.ndarray]], found: RecoveredPath) -> None:
    scene, _ = filmed
    assert found.problem is None
    assert found.found.all()
    assert found.points > 100
    error = trajectory_error(found.world_from_camera, scene.camera.world_from_camera, found.found)
    assert error.ate_share < 0.002
    assert error.rpe_rotation < 0.03
    assert not found.turns_only


def test_a_path_with_a_known_error_gives_that_error(
    filmed: tuple[Scene, list[np.ndarray]], found: RecoveredPath
) -> None:
    scene, _ = filmed
    wrong = scene.camera.world_from_camera.copy()
    random = np.random.default_rng(0)
    wrong[:, :3, 3] += random.normal(scale=0.05, size=(len(wrong), 3))
    told = trajectory_error(found.world_from_camera, wrong, found.found)
    true = trajectory_error(scene.camera.world_from_camera, wrong)
    assert told.ate == pytest.approx(true.ate, rel=0.1)


@pytest.mark.slow
def test_a_zoom_that_is_commanded_is_no_error() -> None:
    room = sample_room(HELD_OUT_SEEDS[0], width=480, height=270)
    scene = Shot.from_flags(camera=["orbit 20deg; zoom 1.6x"], frames=9).apply(room.objects)
    lenses = [scene.camera.intrinsics_at(t) for t in range(9)]
    found = recover_path(list(room.film(scene)), lenses, RecoveryOptions(features=800, reach=4))
    error = trajectory_error(found.world_from_camera, scene.camera.world_from_camera, found.found)
    assert found.found.all()
    assert error.ate_share < 0.004
    assert error.rpe_rotation < 0.05


@pytest.mark.slow
def test_a_camera_that_only_turns_is_known_to_turn() -> None:
    room = sample_room(HELD_OUT_SEEDS[0], width=480, height=270)
    scene = Shot.from_flags(camera=["pan right 12deg; tilt up 4deg"], frames=9).apply(room.objects)
    found = recover_path(list(room.film(scene)), scene.camera.intrinsics, RecoveryOptions(features=800, reach=4))
    assert found.turns_only
    assert found.found.all()
    assert (found.world_from_camera[:, :3, 3] == 0).all()
    error = trajectory_error(found.world_from_camera, scene.camera.world_from_camera, found.found)
    assert error.rpe_rotation < 0.01
    assert np.isnan(error.ate)  # the commanded path has no length to compare with


def test_pictures_without_anything_say_so() -> None:
    grey = [np.full((90, 160, 3), 128, np.uint8)] * 4
    found = recover_path(grey, Intrinsics.from_focal(160, 90, 100.0))
    assert not found.found.any()
    assert found.problem is not None


def test_work_without_end_is_ended(filmed: tuple[Scene, list[np.ndarray]]) -> None:
    scene, frames = filmed
    found = recover_path(frames, scene.camera.intrinsics, RecoveryOptions(seconds=0.2))
    assert found.problem == "structure from motion took longer than 0.2 s"
    assert not found.found.any()
