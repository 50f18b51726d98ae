"""Exports: which frames of a peer's video are measured against what; whole folders; what cannot be told is said."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from real2sam2real import media
from real2sam2real.cli.main import main
from real2sam2real.errors import UserError
from real2sam2real.lab.evaluate.case_set import CaseSet
from real2sam2real.lab.evaluate.measuring import jobs_of
from real2sam2real.lab.evaluate.peers.exporting import export_cases, peer_format
from real2sam2real.lab.evaluate.peers.interface import middle_window
from real2sam2real.lab.evaluate.peers.realestate10k import RealEstate10K
from real2sam2real.lab.evaluate.peers.record import EXPORT, INPUTS, VIDEOS, PeerClip

MakeCases = Callable[..., CaseSet]


def numbered_video(path: Path, frames: int) -> None:
    """A video whose frame k is grey of value 5 k."""
    media.write_video(path, (np.full((32, 48, 3), 5 * k, np.uint8) for k in range(frames)), 8, crf=1)


def numbers(frames) -> list[int]:
    return [round(float(frame.mean()) / 5) for frame in frames]


def test_every_frame_of_a_case_has_one_of_a_longer_video() -> None:
    exact = PeerClip(times=tuple(np.linspace(0, 8, 25)))
    assert exact.measured().tolist() == list(range(0, 25, 3))
    uneven = PeerClip(times=tuple(np.linspace(0, 8, 13)))  # 0, 2/3, 4/3, …
    picked = uneven.measured()
    assert len(set(picked.tolist())) == 9
    assert np.abs(np.array(uneven.times)[picked] - np.arange(9)).max() < 0.34
    shorter = PeerClip(times=tuple(np.linspace(0, 8, 5)))
    assert shorter.measured().tolist() == [0, 1, 2, 3, 4]


def test_a_longer_video_is_measured_at_the_right_frames(camera_set: CaseSet, tmp_path: Path) -> None:
    export_cases(camera_set, RealEstate10K(frames=25), tmp_path / "out")
    numbered_video(tmp_path / "out" / VIDEOS / "camera-0001.mp4", 25)
    (job,) = jobs_of(camera_set, "peer", tmp_path / "out")
    assert numbers(job.frames()) == list(range(0, 25, 3))
    scene = camera_set.scene(job.case)
    assert np.allclose(job.shown(scene).camera.world_from_camera, scene.camera.world_from_camera, atol=1e-12)


def test_between_a_cases_frames_the_command_is_between_them_too(camera_set: CaseSet, tmp_path: Path) -> None:
    export_cases(camera_set, RealEstate10K(frames=13), tmp_path / "out")
    numbered_video(tmp_path / "out" / VIDEOS / "camera-0001.mp4", 13)
    (job,) = jobs_of(camera_set, "peer", tmp_path / "out")
    assert len(job.frames()) == 9
    scene = camera_set.scene(job.case)
    centres, shown = scene.camera.world_from_camera[:, :3, 3], job.shown(scene).camera.world_from_camera[:, :3, 3]
    times = np.array(numbers(job.frames())) * 8 / 12
    expected = [np.interp(times, range(9), centres[:, axis]) for axis in range(3)]
    assert np.allclose(shown, np.stack(expected, axis=1), atol=1e-9)


def test_a_part_of_the_picture_is_measured_with_the_lens_of_that_part(camera_set: CaseSet, tmp_path: Path) -> None:
    export_cases(camera_set, RealEstate10K(size=(180, 120)), tmp_path / "out")  # 3:2 of 16:9
    (job,) = jobs_of(camera_set, "peer", tmp_path / "out")
    lens = job.shown(camera_set.scene(job.case)).camera.intrinsics
    assert (lens.width, lens.height) == (270, 180)
    assert (lens.cx, lens.cy, lens.fx) == (163 - 25, 88, 260)
    photo = media.read_image(tmp_path / "out" / INPUTS / "camera-0001.png")
    assert photo.shape == (120, 180, 3)
    assert abs(int(photo[60, 0, 0]) - 25 * 255 // 320) < 3  # red tells the column


def test_windows_are_in_the_middle() -> None:
    assert middle_window(640, 360, 16 / 9) == (0, 0, 1, 1)
    assert middle_window(640, 360, 1.5) == (50 / 640, 0, 590 / 640, 1)
    assert middle_window(640, 360, 1280 / 704) == (0, 4 / 360, 1, 356 / 360)


def test_another_length_than_was_exported_is_said(camera_set: CaseSet, tmp_path: Path) -> None:
    export_cases(camera_set, RealEstate10K(frames=25), tmp_path / "out")
    (job,) = jobs_of(camera_set, "peer", tmp_path / "out")
    with pytest.raises(UserError, match=r"there is no camera-0001\.mp4 in .*out"):
        job.frames()
    numbered_video(tmp_path / "out" / VIDEOS / "camera-0001.mp4", 9)
    (job,) = jobs_of(camera_set, "peer", tmp_path / "out")
    with pytest.raises(UserError, match="the video has 9 frames, it was exported to have 25"):
        job.frames()


def test_an_export_belongs_to_its_set(make_cases_by_hand: MakeCases, camera_set: CaseSet, tmp_path: Path) -> None:
    export_cases(camera_set, RealEstate10K(), tmp_path / "out")
    longer = make_cases_by_hand("camera", count=2)
    (_, late) = jobs_of(longer, "peer", tmp_path / "out")
    with pytest.raises(UserError, match="not exported: the case was made later"):
        late.frames()
    shorter = make_cases_by_hand("camera", frames=5)
    with pytest.raises(UserError, match="was written from another set of cases"):
        jobs_of(shorter, "peer", tmp_path / "out")
    (tmp_path / "out" / EXPORT).write_text('{"peer": 3}')
    with pytest.raises(UserError, match="is not a readable record of an export"):
        jobs_of(camera_set, "peer", tmp_path / "out")


def test_videos_stay_when_inputs_are_written_anew(camera_set: CaseSet, tmp_path: Path) -> None:
    export_cases(camera_set, RealEstate10K(), tmp_path / "out")
    numbered_video(tmp_path / "out" / VIDEOS / "camera-0001.mp4", 9)
    export_cases(camera_set, RealEstate10K(), tmp_path / "out")
    (job,) = jobs_of(camera_set, "peer", tmp_path / "out")
    assert numbers(job.frames()) == list(range(9))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    with pytest.raises(UserError, match="is neither empty nor an earlier export"):
        export_cases(camera_set, RealEstate10K(), tmp_path / "mine")


def test_who_is_told_of_cameras_alone_gets_no_cases_of_objects(object_set: CaseSet, tmp_path: Path) -> None:
    for name in ("gen3c", "viewcrafter", "realestate10k"):
        with pytest.raises(UserError, match="formats for objects: official, das"):
            export_cases(object_set, peer_format(name), tmp_path / name)
        assert not (tmp_path / name).exists()


def test_a_format_with_a_length_of_its_own_takes_no_other() -> None:
    with pytest.raises(UserError, match="gen3c has a length and a size of its own; leave --frames out"):
        peer_format("gen3c", frames=25)
    with pytest.raises(UserError, match="viewcrafter has a length and a size of its own; leave --size out"):
        peer_format("viewcrafter", size=(640, 360))
    with pytest.raises(UserError, match="das says a path exactly or not at all; leave --nearest out"):
        peer_format("das", nearest=True)
    with pytest.raises(UserError, match="too short for a path"):
        peer_format("realestate10k", frames=1)


def test_the_documented_method_of_ones_own_runs(
    camera_set: CaseSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (Path(__file__).parents[4] / "docs" / "evaluation.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```python\n(.*?)^```", page.split("### How to add a method")[1], re.DOTALL | re.MULTILINE)
    (tmp_path / "cases").symlink_to(camera_set.folder)
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "evaluation.md", "exec"), {"__name__": "documented"})
    poses = np.load(tmp_path / "mine" / INPUTS / "camera-0001.npy")
    assert poses.shape == (16, 4, 4)
    assert poses[-1, :3, 3] == pytest.approx([0.6, -0.25, 0.9])  # right, up and in, with +Y down and +Z forward
    media.write_video(tmp_path / "mine" / VIDEOS / "camera-0001" / "out.mp4", np.zeros((16, 32, 48, 3), np.uint8), 8)
    (job,) = jobs_of(camera_set, "mine", tmp_path / "mine")
    assert len(job.frames()) == 9


def test_the_command_writes_a_script_that_a_shell_reads(
    camera_set: CaseSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "it's mine"
    with pytest.raises(SystemExit) as ended:
        main(["benchmark", "export", str(camera_set.folder), "--format", "gen3c", "-o", str(out)])
    assert ended.value.code == 0
    said = capsys.readouterr()
    assert said.out.strip() == str(out)
    assert "measure them: r2s2r evaluate camera" in said.err
    called = tmp_path / "called"
    fake = tmp_path / "bin" / "python"
    fake.parent.mkdir()
    fake.write_text(f'#!/bin/sh\nfor each; do echo "$each"; done > {called}\n')
    fake.chmod(0o755)
    environment = {"PATH": f"{fake.parent}:/usr/bin:/bin"}
    subprocess.run(["sh", str(out / "run.sh")], check=True, env=environment)
    words = called.read_text().splitlines()
    assert words[words.index("--prompt") + 1] == "it's a box"
    assert words[words.index("--npz_path") + 1] == str(out / INPUTS / "camera-0001.npz")
    assert Path(words[words.index("--npz_path") + 1]).is_file()
