"""The authors' own folders: two levels deep, three files, normals at the model's size; its videos are found."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from real2sam2real import media
from real2sam2real.control import NormalConvention, read_control
from real2sam2real.lab.evaluate.case_set import CaseSet
from real2sam2real.lab.evaluate.measuring import jobs_of
from real2sam2real.lab.evaluate.peers.exporting import export_cases
from real2sam2real.lab.evaluate.peers.official import Official
from real2sam2real.lab.evaluate.peers.record import INPUTS, VIDEOS
from real2sam2real.rendering import render_frames

MakeCases = Callable[..., CaseSet]


def discovered(root: Path) -> list[Path]:
    """Folders as the script finds them: two levels down or more, with the photo and the normals."""
    wanted = ("source_image.png", "object_animation_normal.mp4")
    found = [path.parent for path in root.rglob(wanted[0]) if (path.parent / wanted[1]).is_file()]
    return [folder for folder in found if len(folder.relative_to(root).parts) >= 2]


def test_the_script_finds_the_three_files(object_set: CaseSet, tmp_path: Path) -> None:
    export_cases(object_set, Official(), tmp_path / "out")
    (folder,) = discovered(tmp_path / "out" / INPUTS)
    assert sorted(path.name for path in folder.iterdir()) == [
        "caption.json",
        "object_animation_normal.mp4",
        "source_image.png",
    ]
    assert json.loads((folder / "caption.json").read_text()) == {"text": "it's a box"}
    assert media.read_image(folder / "source_image.png").shape == (720, 1280, 3)
    assert media.video_info(folder / "object_animation_normal.mp4").fps == 16
    control = read_control(folder, from_official=True)
    assert control.normals.shape == (9, 720, 1280, 3)
    scene = object_set.scene("objects-0001")
    (frame,) = render_frames(scene, width=1280, height=720, frames=[8])
    wanted = NormalConvention().encode(frame.normals, frame.ids)
    inside = frame.ids > 0
    assert np.abs(control.normals[8].astype(int) - wanted)[inside].mean() < 3


def test_its_video_is_found_and_is_of_the_cases_frames(object_set: CaseSet, tmp_path: Path) -> None:
    export_cases(object_set, Official(), tmp_path / "out")
    made = tmp_path / "out" / VIDEOS / "checkpoint-infer" / "cases" / "objects-0001" / "generated.mp4"
    media.write_video(made, np.zeros((9, 64, 96, 3), np.uint8), 16)
    (job,) = jobs_of(object_set, "official", tmp_path / "out")
    assert job.video == made
    assert len(job.frames()) == 9
    lens = job.shown(object_set.scene(job.case)).camera.intrinsics
    assert (lens.width, lens.height) == (320, 180)  # the script stretches, and cuts nothing off


def test_more_frames_than_it_takes_are_thinned_out(make_cases_by_hand: MakeCases, tmp_path: Path) -> None:
    cases = make_cases_by_hand("objects", frames=101)
    record = export_cases(cases, Official(), tmp_path / "out")
    (folder,) = discovered(tmp_path / "out" / INPUTS)
    assert media.video_info(folder / "object_animation_normal.mp4").frames == 81
    times = record.cases[0].clip.times
    assert (times[0], times[-1], len(times)) == (0, 100, 81)
