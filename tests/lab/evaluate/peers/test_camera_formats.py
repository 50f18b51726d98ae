"""Camera paths as peers read them: parsed again by the peer's stated convention, they are the commanded path."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from real2sam2real import media
from real2sam2real.lab.evaluate.case_set import CaseSet
from real2sam2real.lab.evaluate.peers.exporting import export_cases
from real2sam2real.lab.evaluate.peers.gen3c import Gen3C
from real2sam2real.lab.evaluate.peers.realestate10k import RealEstate10K
from real2sam2real.lab.evaluate.peers.record import INPUTS
from real2sam2real.scene.retime import retimed

MakeCases = Callable[..., CaseSet]


def project(points: np.ndarray, w2c: np.ndarray, k: np.ndarray) -> np.ndarray:
    """Pixels `(N, 2)` of world points by the textbook pinhole of OpenCV: +Z forward, +Y down."""
    camera = points @ w2c[:3, :3].T + w2c[:3, 3]
    pixels = camera @ k.T
    return pixels[:, :2] / pixels[:, 2:]


def commanded_pixels(cases: CaseSet, frames: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """Some points in the first camera's OpenCV frame, and where our own camera sees them, as shares of the picture."""
    scene = retimed(cases.scene(cases.cases[0].name), frames)
    points_first = np.random.default_rng(0).uniform([-1, -0.6, 3], [1, 0.6, 8], (20, 3))
    first = scene.camera.world_from_camera[0]
    world = (points_first * [1, -1, -1]) @ first[:3, :3].T + first[:3, 3]
    seen = []
    for t, from_world in enumerate(scene.camera.camera_from_world()):
        pixels, _ = scene.camera.intrinsics_at(t).project(world @ from_world[:3, :3].T + from_world[:3, 3])
        seen.append(pixels / [320, 180])
    return points_first, seen


def test_gen3c_reads_the_commanded_path_and_the_lens(make_cases_by_hand: MakeCases, tmp_path: Path) -> None:
    cases = make_cases_by_hand("camera", zoom=1.5)
    export_cases(cases, Gen3C(), tmp_path / "out")
    read = np.load(tmp_path / "out" / INPUTS / "camera-0001.npz")
    assert read["w2cs_all"].shape == (121, 4, 4)
    assert read["Ks_all"].shape == (121, 3, 3)
    assert np.allclose(read["w2cs_key_frames"], np.eye(4)[None])
    points, seen = commanded_pixels(cases, 121)
    rows = 180 * 704 / 720  # what is left of the picture at 1280:704
    for t in range(0, 121, 10):
        pixels = project(points, read["w2cs_all"][t], read["Ks_all"][t]) + 0.5  # their pixels' centres are whole
        shares = (pixels / [1280, 704]) * [1, rows / 180] + [0, (180 - rows) / 360]
        assert np.abs(shares - seen[t]).max() < 1e-5


def test_gen3cs_depth_lies_on_the_things_of_the_photo(camera_set: CaseSet, tmp_path: Path) -> None:
    """Points unprojected as GEN3C does fall on the box's front and on the floor, which the test knows."""
    export_cases(camera_set, Gen3C(), tmp_path / "out")
    read = np.load(tmp_path / "out" / INPUTS / "camera-0001.npz")
    depth, k = read["depth_key_frames"][0, 0], read["K_key_frames"][0]
    assert depth.shape == (704, 1280)
    assert read["images_key_frames"].shape == (1, 3, 704, 1280)
    scene = camera_set.scene("camera-0001")
    pose = scene.photo_world_from_camera

    def world(x: int, y: int) -> np.ndarray:
        ray = np.linalg.inv(k) @ [x, y, 1]
        point = ray * depth[y, x] * [1, -1, -1]
        return pose[:3, :3] @ point + pose[:3, 3]

    def pixel(point: tuple[float, float, float]) -> tuple[int, int]:
        camera = np.linalg.inv(pose) @ [*point, 1]
        x, y, z = k @ (camera[:3] * [1, -1, -1])
        return round(x / z), round(y / z)

    assert world(*pixel((0.2, 0.5, 0.9))) == pytest.approx([0.2, 0.5, 0.9], abs=0.01)  # the box's front is at z 0.9
    assert world(*pixel((-0.6, 0.0, 1.5))) == pytest.approx([-0.6, 0.0, 1.5], abs=0.02)  # the floor


def test_gen3cs_picture_is_the_photo(camera_set: CaseSet, tmp_path: Path) -> None:
    export_cases(camera_set, Gen3C(), tmp_path / "out")
    image = np.load(tmp_path / "out" / INPUTS / "camera-0001.npz")["images_key_frames"][0]
    assert image.min() >= -1
    assert image.max() <= 1
    assert image[0, 300, 10] < image[0, 300, 1200]  # red grows to the right
    assert image[1, 10, 300] < image[1, 690, 300]  # green grows downwards


def test_a_scene_of_large_units_is_made_small_enough_for_gen3c(make_cases_by_hand: MakeCases, tmp_path: Path) -> None:
    from dataclasses import replace

    from real2sam2real.scene import Motion, Scene

    def larger(scene: Scene) -> Scene:
        grow = np.diag([100.0, 100.0, 100.0, 1.0])

        def at(poses: np.ndarray) -> np.ndarray:
            moved = np.array(poses)
            moved[..., :3, 3] *= 100
            return moved

        entities = [
            replace(e, rest_world_from_object=grow @ e.rest_world_from_object,
                    motion=Motion.from_matrices(grow @ e.motion.matrices()))
            for e in scene.entities
        ]  # fmt: skip
        camera = replace(scene.camera, world_from_camera=at(scene.camera.world_from_camera))
        pose = at(scene.photo_world_from_camera)
        return replace(scene, entities=tuple(entities), camera=camera, photo_world_from_camera=pose)

    small, large = make_cases_by_hand("camera"), make_cases_by_hand("camera", change=larger)
    notes = [export_cases(cases, Gen3C(), tmp_path / str(k)).cases[0].note for k, cases in enumerate((small, large))]
    assert notes[0] == ""
    assert "of the case's" in notes[1]
    read = [np.load(tmp_path / str(k) / INPUTS / "camera-0001.npz") for k in (0, 1)]
    assert read[1]["depth_key_frames"].max() <= 100
    factors = [data["w2cs_all"][-1, :3, 3] / np.median(data["depth_key_frames"]) for data in read]
    assert np.allclose(*factors, rtol=1e-3)  # how far it goes, against how far away things are, is the same


def test_realestate10k_lines_are_camera_from_world_with_y_down(make_cases_by_hand: MakeCases, tmp_path: Path) -> None:
    cases = make_cases_by_hand("camera", zoom=1.5)
    export_cases(cases, RealEstate10K(frames=25), tmp_path / "out")
    lines = (tmp_path / "out" / INPUTS / "camera-0001.txt").read_text().splitlines()
    rows = np.array([[float(word) for word in line.split()] for line in lines[1:]])
    assert rows.shape == (25, 19)
    points, seen = commanded_pixels(cases, 25)
    w2c = np.tile(np.eye(4), (25, 1, 1))
    w2c[:, :3] = rows[:, 7:].reshape(-1, 3, 4)
    first = np.linalg.inv(w2c[0])
    world = points @ first[:3, :3].T + first[:3, 3]
    for t, (fx, fy, cx, cy) in enumerate(rows[:, 1:5]):
        shares = project(world, w2c[t], np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]]))
        assert np.abs(shares - seen[t]).max() < 1e-5
    assert (tmp_path / "out" / INPUTS / "camera-0001.prompt.txt").read_text() == "it's a box\n"
    assert media.read_image(tmp_path / "out" / INPUTS / "camera-0001.png").shape == (180, 320, 3)
