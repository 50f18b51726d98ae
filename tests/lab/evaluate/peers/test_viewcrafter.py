"""ViewCrafter's text, read by the meaning that its documents give: right, up and closer are +phi, −theta and −r."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.interpolate import UnivariateSpline

from real2sam2real import media
from real2sam2real.errors import UserError
from real2sam2real.geometry import Intrinsics, transforms
from real2sam2real.lab.evaluate.case_set import CaseSet
from real2sam2real.lab.evaluate.measuring import jobs_of
from real2sam2real.lab.evaluate.peers.exporting import export_cases
from real2sam2real.lab.evaluate.peers.record import INPUTS, VIDEOS
from real2sam2real.lab.evaluate.peers.viewcrafter import ViewCrafter
from real2sam2real.scene import Scene
from real2sam2real.scene.retime import retimed

MakeCases = Callable[..., CaseSet]
FRONT = np.array([0.2, 0.5, 0.9])  # the middle of the box's front, at which the camera looks
RADIUS = 3.0


def on_the_sphere(right: float, up: float, closer: float, elevation: float) -> Callable[[Scene], Scene]:
    """Let the scene's camera circle the box's front: by angles in degrees, and by a share of the radius."""

    def change(scene: Scene) -> Scene:
        poses = []
        for s in np.linspace(0, 1, scene.frames):
            height, side = np.radians(elevation + up * s), np.radians(right * s)
            direction = np.array([np.cos(height) * np.sin(side), np.sin(height), np.cos(height) * np.cos(side)])
            poses.append(transforms.look_at(FRONT + RADIUS * (1 - closer * s) * direction, FRONT))
        lens = Intrinsics.from_focal(320, 180, 260.0)
        camera = replace(scene.camera, world_from_camera=np.stack(poses), intrinsics=lens)
        return replace(scene, camera=camera, photo_world_from_camera=poses[0])

    return change


def read(out: Path) -> tuple[list[np.ndarray], float, float]:
    """The three lines, the elevation and the scale of the middle's depth."""
    folder = out / INPUTS / "camera-0001"
    lines = [np.array(line.split(), float) for line in (folder / "trajectory.txt").read_text().splitlines()]
    words = (folder / "flags.txt").read_text().split()
    assert words[::2] == ["--elevation", "--center_scale"]
    return lines, float(words[1]), float(words[3])


def positions(lines: list[np.ndarray], elevation: float, radius: float) -> np.ndarray:
    """Camera centres, from what the documents say: spherical coordinates about the middle, +Y up, the camera at +Z.

    The lines are smoothed with SciPy's spline at its defaults and keep their ends.
    """
    smooth = []
    for line in lines:
        spline = UnivariateSpline(np.linspace(0, 1, len(line)), line, k=3)(np.linspace(0, 1, 25))
        smooth.append(np.concatenate([line[:1], spline[1:-1], line[-1:]]))
    phi, theta, closer = smooth
    e = np.radians(elevation)
    centres = []
    for p, t, r in zip(np.radians(phi), np.radians(theta), closer, strict=True):
        y, z = radius * np.sin(e), radius * np.cos(e) * (1 + r)  # r is along the level
        y, z = y * np.cos(t) - z * np.sin(t), y * np.sin(t) + z * np.cos(t)  # a positive theta goes down
        centres.append([z * np.sin(p), y, z * np.cos(p)])  # a positive phi goes right
    return np.array(centres)


@pytest.mark.parametrize(
    ("right", "up", "closer", "elevation"),
    [(30, 0, 0, 12), (-25, 0, 0, 0), (0, 18, 0, 5), (0, 0, 0.25, 0), (20, 10, 0.1, 0)],
    ids=["right", "left", "up", "in", "all"],
)
def test_a_path_on_the_sphere_is_told_exactly(
    make_cases_by_hand: MakeCases, tmp_path: Path, right: float, up: float, closer: float, elevation: float
) -> None:
    cases = make_cases_by_hand("camera", frames=25, change=on_the_sphere(right, up, closer, elevation))
    record = export_cases(cases, ViewCrafter(), tmp_path / "out")
    assert not record.skipped
    lines, told_elevation, scale = read(tmp_path / "out")
    assert [len(line) for line in lines] == [25, 25, 25]
    assert [line[0] for line in lines] == [0, 0, 0]
    assert told_elevation == pytest.approx(elevation, abs=1e-3)
    if not (closer or up):  # golden: signs and units
        assert lines[0][-1] == pytest.approx(right, rel=0.05)
        assert np.abs(lines[1]).max() < 0.5
    if up and not right:
        assert lines[1][-1] == pytest.approx(-up, rel=0.05)
    if closer and not right:
        assert lines[2][-1] == pytest.approx(-closer / scale, rel=0.05)
    commanded = cases.scene("camera-0001").camera.world_from_camera[:, :3, 3] - FRONT
    told = positions(lines, told_elevation, RADIUS * scale)
    shift = told[0] - commanded[0]  # the middle may lie elsewhere on the camera's axis
    length = np.linalg.norm(np.diff(commanded, axis=0), axis=1).sum()
    assert np.abs(told - shift - commanded).max() < 0.05 * length


def test_what_circles_nothing_is_left_out_and_said(make_cases_by_hand: MakeCases, tmp_path: Path) -> None:
    def turn_away(scene: Scene) -> Scene:
        poses = [
            scene.photo_world_from_camera @ np.block([[transforms.about_y(-0.4 * s), np.zeros((3, 1))], [0, 0, 0, 1]])
            for s in np.linspace(0, 1, scene.frames)
        ]
        for s, pose in zip(np.linspace(0, 1, scene.frames), poses, strict=True):
            pose[:3, 3] += 0.3 * s * pose[:3, 0]
        return replace(scene, camera=replace(scene.camera, world_from_camera=np.stack(poses)))

    cases = make_cases_by_hand("camera", change=turn_away)
    with pytest.raises(UserError, match=r"viewcrafter can be told of no case: camera-0001: the nearest path .* is off"):
        export_cases(cases, ViewCrafter(), tmp_path / "out")
    assert not (tmp_path / "out" / "export.json").exists()
    record = export_cases(cases, ViewCrafter(nearest=True), tmp_path / "out")
    assert "what it is told is off by up to" in record.cases[0].note


def test_a_zoom_is_refused_and_other_cases_go_on(make_cases_by_hand: MakeCases, tmp_path: Path) -> None:
    made = []

    def one_zooms(scene: Scene) -> Scene:
        moved = on_the_sphere(20, 0, 0, 0)(scene)
        made.append(moved)
        zoom = np.geomspace(1, 1.5, scene.frames) if len(made) == 2 else np.ones(scene.frames)
        return replace(moved, camera=replace(moved.camera, zoom=zoom))

    cases = make_cases_by_hand("camera", count=2, change=one_zooms)
    record = export_cases(cases, ViewCrafter(), tmp_path / "out")
    assert [case.name for case in record.cases] == ["camera-0001"]
    assert [(case.name, case.reason) for case in record.skipped] == [
        ("camera-0002", "its lens zooms, for which the format has no words")
    ]
    assert "camera-0002" not in (tmp_path / "out" / "run.sh").read_text()
    first, second = jobs_of(cases, "viewcrafter", tmp_path / "out")
    with pytest.raises(UserError, match="not exported: its lens zooms"):
        second.frames()
    folder = tmp_path / "out" / VIDEOS / "camera-0001"
    for name in ("render0.mp4", "viz_traj.mp4", "diffusion0.mp4"):  # as it leaves them
        media.write_video(folder / name, np.zeros((25, 32, 64, 3), np.uint8), 8)
    first, second = jobs_of(cases, "viewcrafter", tmp_path / "out")
    assert first.video == folder / "diffusion0.mp4"
    assert len(first.frames()) == 9
    shown = first.shown(cases.scene("camera-0001")).camera
    assert np.allclose(shown.world_from_camera, retimed(cases.scene("camera-0001"), 9).camera.world_from_camera)
