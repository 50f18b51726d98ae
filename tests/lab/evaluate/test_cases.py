"""Sets of cases: each is a control with its true poses, made whole, gone on with, and never another set's."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from real2sam2real.control import read_control
from real2sam2real.errors import UserError
from real2sam2real.lab.evaluate.case_making import CaseOptions, make_cases
from real2sam2real.lab.evaluate.case_set import FILM, CaseSet, find_video, open_cases, require_kind
from real2sam2real.lab.evaluate.random_shots import random_camera_shot
from real2sam2real.media import read_video
from real2sam2real.scene.folder import save_scene
from real2sam2real.scene.shot import parse_shot

SMALL = CaseOptions(kind="objects", count=2, frames=5, width=160, height=96)


def test_a_camera_case_is_a_control_with_its_camera(camera_cases: CaseSet) -> None:
    assert [case.name for case in camera_cases.cases] == ["camera-0001", "camera-0002"]
    case = camera_cases.cases[0]
    control, scene = read_control(camera_cases.folder / case.name), camera_cases.scene(case.name)
    assert control.frames == scene.frames == case.frames == 9
    assert control.size == (320, 180)
    assert np.abs(scene.camera.world_from_camera[-1] - scene.camera.world_from_camera[0]).max() > 0.01
    for entity in scene.entities:
        assert np.allclose(entity.motion.matrices(), entity.motion.matrices()[:1])
    film = read_video(camera_cases.folder / case.name / FILM)
    assert np.array_equal(film[0], control.photo)
    others = camera_cases.scene(camera_cases.cases[1].name).camera.world_from_camera
    assert not np.allclose(others, scene.camera.world_from_camera)


def test_the_shot_that_is_told_is_the_shot_that_is_filmed(camera_cases: CaseSet) -> None:
    case = camera_cases.cases[0]
    scene = camera_cases.scene(case.name)
    again = parse_shot(case.shot).apply(scene)
    assert np.allclose(again.camera.world_from_camera, scene.camera.world_from_camera, atol=1e-6)


def test_objects_move_before_a_camera_that_rests(tmp_path: Path) -> None:
    make_cases(tmp_path / "set", SMALL)
    cases = open_cases(tmp_path / "set")
    for case in require_kind(cases, "objects"):
        scene = cases.scene(case.name)
        assert np.allclose(scene.camera.world_from_camera, scene.camera.world_from_camera[:1])
        moving = [e.name for e in scene.entities if np.ptp(e.motion.matrices(), axis=0).max() > 1e-6]
        assert moving
        assert set(moving) == set(case.moved)
    with pytest.raises(UserError, match="r2s2r evaluate objects measures those"):
        require_kind(cases, "camera")


def test_making_goes_on_where_it_ended_and_may_grow(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    make_cases(folder, SMALL)
    before = (folder / "objects-0001" / "control.json").stat().st_mtime_ns
    shutil.rmtree(folder / "objects-0002")
    make_cases(folder, CaseOptions(kind="objects", count=3, frames=5, width=160, height=96))
    assert [case.name for case in open_cases(folder).cases] == ["objects-0001", "objects-0002", "objects-0003"]
    assert (folder / "objects-0001" / "control.json").stat().st_mtime_ns == before
    with pytest.raises(UserError, match="holds a set of cases with another frames"):
        make_cases(folder, CaseOptions(kind="objects", count=2, frames=9, width=160, height=96))


def test_cases_of_ones_own_scene_have_no_film(camera_cases: CaseSet, tmp_path: Path) -> None:
    scene = camera_cases.scene(camera_cases.cases[0].name)
    rest = parse_shot("frames: 1\ncamera: [static]").apply(scene)
    save_scene(rest, tmp_path / "mine")
    make_cases(
        tmp_path / "set",
        CaseOptions(kind="camera", count=1, frames=5, width=160, height=96),
        scenes=[tmp_path / "mine"],
    )
    (case,) = open_cases(tmp_path / "set").cases
    assert case.source == "mine"
    assert not (tmp_path / "set" / case.name / FILM).exists()


def test_too_few_possible_cases_are_said(camera_cases: CaseSet, tmp_path: Path) -> None:
    rest = parse_shot("frames: 1\ncamera: [static]").apply(camera_cases.scene(camera_cases.cases[0].name))
    save_scene(rest, tmp_path / "mine")
    options = CaseOptions(kind="camera", count=3, frames=5, width=160, height=96, paths=2)
    with pytest.raises(UserError, match="2 cases were possible, 3 were asked for"):
        make_cases(tmp_path / "set", options, scenes=[tmp_path / "mine"])


def test_paths_are_drawn_from_their_seed(camera_cases: CaseSet) -> None:
    rest = parse_shot("frames: 1\ncamera: [static]").apply(camera_cases.scene(camera_cases.cases[0].name))
    first, same, other = (random_camera_shot(np.random.default_rng(s), rest, 9) for s in (1, 1, 2))
    assert first == same
    assert first != other


def test_videos_are_found_as_methods_leave_them(tmp_path: Path) -> None:
    (tmp_path / "checkpoint-mini" / "camera-0001").mkdir(parents=True)
    (tmp_path / "checkpoint-mini" / "camera-0001" / "generated.mp4").touch()
    (tmp_path / "camera-0002.mp4").touch()
    assert find_video(tmp_path, "camera-0001") == tmp_path / "checkpoint-mini" / "camera-0001" / "generated.mp4"
    assert find_video(tmp_path, "camera-0002") == tmp_path / "camera-0002.mp4"
    assert find_video(tmp_path, "camera-0003") is None
    (tmp_path / "camera-0001.mp4").touch()
    with pytest.raises(UserError, match="several videos of camera-0001"):
        find_video(tmp_path, "camera-0001")


def test_a_folder_without_cases_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is no set of cases"):
        open_cases(tmp_path)
