"""Tracking videos, read as Diffusion as Shader's repository states their colours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from real2sam2real import media
from real2sam2real.geometry import transforms
from real2sam2real.lab.evaluate.case_set import CaseSet
from real2sam2real.lab.evaluate.measuring import jobs_of
from real2sam2real.lab.evaluate.peers.diffusion_as_shader import DiffusionAsShader
from real2sam2real.lab.evaluate.peers.exporting import export_cases
from real2sam2real.lab.evaluate.peers.record import INPUTS, VIDEOS
from real2sam2real.scene import Scene
from real2sam2real.scene.retime import retimed


def exported(cases: CaseSet, out: Path) -> np.ndarray:
    export_cases(cases, DiffusionAsShader(), out)
    return media.read_video(out / INPUTS / cases.cases[0].name / "tracking.mp4")


def pixel(scene: Scene, t: int, point: np.ndarray) -> np.ndarray:
    """Where a world point is at a frame, in pixels of 720×480, of which the sides of 320×180 were cut off."""
    from_world = scene.camera.camera_from_world()[t]
    seen, _ = scene.camera.intrinsics_at(t).project(from_world[:3, :3] @ point + from_world[:3, 3])
    return (seen - [25, 0]) * [720 / 270, 480 / 180]


def color(video: np.ndarray, t: int, at: np.ndarray) -> np.ndarray:
    return video[t, int(at[1]), int(at[0])].astype(float)


@pytest.fixture(scope="module")
def of_camera(camera_set: CaseSet, tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    return exported(camera_set, tmp_path_factory.mktemp("das") / "camera")


@pytest.fixture(scope="module")
def of_objects(object_set: CaseSet, tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    return exported(object_set, tmp_path_factory.mktemp("das") / "objects")


def test_the_first_frame_tells_places(of_camera: np.ndarray) -> None:
    assert of_camera.shape == (49, 480, 720, 3)
    first = of_camera[0].astype(float)
    y, x = np.mgrid[0:480, 0:720] + 0.5
    shown = first.any(axis=-1)
    assert shown.mean() > 0.6
    assert np.abs(first[..., 0] - x / 720 * 255)[shown].max() <= 0.51  # red to the right
    assert np.abs(first[..., 1] - y / 480 * 255)[shown].max() <= 0.51  # green downwards
    assert first[470, 360, 2] > first[300, 80, 2]  # blue for what is near: the floor before the camera


def test_points_of_the_floor_and_the_box_keep_their_colours_before_a_moving_camera(
    camera_set: CaseSet, of_camera: np.ndarray
) -> None:
    scene = retimed(camera_set.scene("camera-0001"), 49)
    told = 0
    for point in ([0.2, 0.5, 0.9], [0.4, 0.7, 0.9], [-0.6, 0.0, 1.0], [0.9, 0.0, 1.2]):
        first = pixel(scene, 0, np.array(point))
        for t in (6, 12, 30, 48):
            at = pixel(scene, t, np.array(point))
            if (at > 1).all() and (at < [719, 479]).all():
                told += 1
                assert color(of_camera, t, at)[:2] / 255 * [720, 480] == pytest.approx(first, abs=4.5), (point, t)
                assert abs(color(of_camera, t, at)[2] - color(of_camera, 0, first)[2]) < 4
    assert told > 8


def test_a_moved_box_takes_its_colours_along(object_set: CaseSet, of_objects: np.ndarray) -> None:
    scene = retimed(object_set.scene("objects-0001"), 49)
    poses = scene.entities[0].motion.matrices()
    for on_box in ([0.0, 0.5, 0.5], [0.2, 0.7, 0.5], [-0.3, 0.3, 0.5]):  # its front
        first = pixel(scene, 0, transforms.apply(poses[0], [on_box])[0])
        for t in (20, 48):
            told = color(of_objects, t, pixel(scene, t, transforms.apply(poses[t], [on_box])[0]))
            assert told[:2] / 255 * [720, 480] == pytest.approx(first, abs=5)
    floor = pixel(scene, 0, np.array([1.2, 0.0, 1.5]))
    assert np.array_equal(color(of_objects, 48, floor), color(of_objects, 0, floor))  # what rests keeps its place


def test_its_videos_are_measured_by_the_cases_frames_and_the_cut_lens(
    object_set: CaseSet, of_objects: np.ndarray, tmp_path: Path
) -> None:
    export_cases(object_set, DiffusionAsShader(), tmp_path / "out")
    made = tmp_path / "out" / VIDEOS / "objects-0001" / "result.mp4"
    media.write_video(made, (np.full((48, 72, 3), 5 * k, np.uint8) for k in range(49)), 8, crf=1)
    (job,) = jobs_of(object_set, "das", tmp_path / "out")
    assert [round(frame.mean() / 5) for frame in job.frames()] == list(range(0, 49, 6))
    shown = job.shown(object_set.scene(job.case))
    assert shown.frames == 9
    assert (shown.camera.intrinsics.width, shown.camera.intrinsics.cx) == (270, 138)
