"""Camera paths against commanded ones: known errors come back, and what alignment may take out is taken out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from real2sam2real.geometry import transforms
from real2sam2real.lab.evaluate.trajectory import aligned, path_length, trajectory_error

pytestmark = pytest.mark.fast


def orbit(frames: int = 25, degrees: float = 40.0, radius: float = 3.0) -> np.ndarray:
    angles = np.radians(np.linspace(0, degrees, frames))
    eyes = np.stack([radius * np.sin(angles), 0.3 * angles, radius * np.cos(angles)], axis=1)
    return np.stack([transforms.look_at(eye, (0.0, 0.0, 0.0)) for eye in eyes])


def rotation(axis: int, degrees: float) -> np.ndarray:
    turn = (transforms.about_x, transforms.about_y, transforms.about_z)[axis](np.radians(degrees))
    pose = np.eye(4)
    pose[:3, :3] = turn[:3, :3]
    return pose


def similar(poses: np.ndarray, seed: int, scale: float) -> np.ndarray:
    """The same path in another frame and scale."""
    random = np.random.default_rng(seed)
    frame = rotation(0, random.uniform(-180, 180)) @ rotation(1, random.uniform(-180, 180))
    frame[:3, 3] = random.normal(size=3)
    moved = poses.copy()
    moved[:, :3, 3] *= scale
    return frame @ moved


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), scale=st.floats(0.05, 20))
def test_another_frame_and_scale_are_no_error(seed: int, scale: float) -> None:
    true = orbit()
    error = trajectory_error(similar(true, seed, scale), true)
    assert error.registered == 1
    for value in (error.ate, error.rpe_translation, error.rpe_rotation, error.rot_err, error.trans_err, error.cam_mc):
        assert value < 1e-9


def test_aligning_finds_the_least_distances() -> None:
    random = np.random.default_rng(3)
    true = orbit()
    noisy = similar(true, 1, 0.4)
    noisy[:, :3, 3] += random.normal(scale=0.02, size=(len(true), 3))
    best = np.linalg.norm(aligned(noisy, true)[:, :3, 3] - true[:, :3, 3])
    for seed in range(20):  # no small change of the similarity comes nearer
        change = rotation(seed % 3, random.normal(scale=0.5))
        change[:3, :3] *= 1 + random.normal(scale=0.01)
        change[:3, 3] = random.normal(scale=0.01, size=3)
        other = transforms.apply(change, aligned(noisy, true)[:, :3, 3])
        assert np.linalg.norm(other - true[:, :3, 3]) > best


@pytest.mark.parametrize("size", [0.001, 0.01, 0.05])
def test_noise_of_the_centres_comes_back_as_ate(size: float) -> None:
    true = orbit(frames=201)
    noisy = true.copy()
    noisy[:, :3, 3] += np.random.default_rng(0).normal(scale=size, size=(len(true), 3))
    error = trajectory_error(noisy, true)
    assert error.ate == pytest.approx(size * np.sqrt(3), rel=0.1)
    assert error.ate_share == pytest.approx(error.ate / path_length(true))


@pytest.mark.parametrize("degrees", [0.05, 1.0, 10.0])
def test_a_turn_from_frame_to_frame_comes_back_as_rpe(degrees: float) -> None:
    true = np.tile(np.eye(4), (9, 1, 1))
    true[:, 0, 3] = np.linspace(0, 2, 9)
    drifting = np.stack([pose @ rotation(2, degrees * number) for number, pose in enumerate(true)])
    error = trajectory_error(drifting, true)
    assert error.ate < 1e-9
    assert error.rpe_rotation == pytest.approx(degrees, rel=0.01)
    assert error.rot_err == pytest.approx(np.radians(degrees) * sum(range(9)), rel=0.01)
    assert error.trans_err < 1e-9


def test_a_truck_to_the_other_side_is_seen_by_what_looks_from_the_first_frame() -> None:
    true = np.tile(np.eye(4), (9, 1, 1))
    true[:, 0, 3] = np.linspace(0, 2, 9)
    wrong = true.copy()
    wrong[:, 0, 3] *= -1
    error = trajectory_error(wrong, true)
    assert error.trans_err == pytest.approx(2 * sum(np.linspace(0, 1, 9)))
    assert error.cam_mc == pytest.approx(error.trans_err)
    assert error.ate < 1e-9  # as evo: a similarity lays the one onto the other


def test_frames_that_were_not_found_do_not_count() -> None:
    true = orbit(frames=13)
    found = np.ones(13, bool)
    found[[4, 9, 10]] = False
    damaged = true.copy()
    damaged[~found, :3, 3] = 99
    error = trajectory_error(damaged, true, found)
    assert error.registered == pytest.approx(10 / 13)
    assert error.ate < 1e-9
    assert error.rpe_translation < 1e-9


def test_two_frames_and_cameras_that_rest_have_nothing_to_compare() -> None:
    true = orbit(frames=9)
    found = np.zeros(9, bool)
    found[:2] = True
    assert np.isnan(trajectory_error(true, true, found).ate)
    resting = np.stack([rotation(1, number) for number in range(9)])  # a pan
    wobbling = np.stack([rotation(1, 2 * number) for number in range(9)])
    error = trajectory_error(wobbling, resting)
    assert np.isnan([error.ate, error.ate_share, error.rpe_translation, error.trans_err]).all()
    assert error.rpe_rotation == pytest.approx(1.0)


def test_paths_of_other_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="has 8 poses, the commanded one 9"):
        trajectory_error(orbit(frames=8), orbit(frames=9))


def test_a_camera_that_stands_anywhere_has_no_way_of_its_own() -> None:
    commanded = np.tile(np.eye(4), (5, 1, 1))
    commanded[:, 0, 3] = np.linspace(0, 2, 5)
    pose = np.eye(4)
    pose[:3, :3] = transforms.about_y(0.3) @ transforms.about_x(-0.2)
    pose[:3, 3] = [1.1, 2.3, -3.7]  # its last digits are no way, though they are all that there is
    error = trajectory_error(np.tile(pose, (5, 1, 1)), commanded)
    assert error.trans_err == pytest.approx(0 + 0.25 + 0.5 + 0.75 + 1)
    assert error.cam_mc == pytest.approx(error.trans_err)
