"""Videos against commanded cameras: the truth scores well, a still picture is a case that counts, rows are kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from real2sam2real import media
from real2sam2real.cli.main import main
from real2sam2real.errors import UserError
from real2sam2real.lab.evaluate import case_set
from real2sam2real.lab.evaluate.camera_recovery import RecoveryOptions
from real2sam2real.lab.evaluate.camera_scores import CAMERA_MEASURES, CameraMeasurer, CameraRow
from real2sam2real.lab.evaluate.case_set import FILM, CaseSet
from real2sam2real.lab.evaluate.measuring import ROWS, baselines, jobs_of, measure_all
from real2sam2real.lab.evaluate.score_page import write_page
from real2sam2real.lab.evaluate.score_report import Scores, report
from real2sam2real.scene.folder import read_scene
from real2sam2real.workfolder.fingerprint import digest

pytest.importorskip("pycolmap", reason="structure from motion needs pycolmap: pip install '.[sfm]'")
QUICK = RecoveryOptions(features=800, reach=4)


@pytest.fixture(scope="module")
def scored(camera_cases: CaseSet, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[CameraRow]]:
    """The true films, the photos repeated, and a method with one short video and one that is missing."""
    out, videos = tmp_path_factory.mktemp("scores"), tmp_path_factory.mktemp("videos")
    film = media.read_video(camera_cases.folder / "camera-0001" / FILM)
    media.write_video(videos / "camera-0001.mp4", film[:5], 16)
    jobs = [*baselines(camera_cases, "film"), *baselines(camera_cases, "photo"), *jobs_of(camera_cases, "own", videos)]
    return out, measure_all(CameraMeasurer(camera_cases, QUICK), jobs, out)


def test_the_true_film_follows_the_command(scored: tuple[Path, list[CameraRow]]) -> None:
    for row in scored[1][:2]:
        assert row.status == "measured"
        assert row.measures["ate_share"] is not None
        assert row.measures["ate_share"] < 0.005
        assert row.measures["rpe_rotation"] is not None
        assert row.measures["rpe_rotation"] < 0.2
        assert len(row.path) == 9


def test_what_cannot_be_measured_is_a_row_with_its_reason(scored: tuple[Path, list[CameraRow]]) -> None:
    photos, own = scored[1][2:4], scored[1][4:]
    assert {row.status for row in photos} == {"measured"}
    assert [row.problem for row in own] == [
        "the video has 5 frames, the case 9",
        "there is no video of this case",
    ]
    assert {row.status for row in own} == {"failed"}


def test_a_photo_that_is_repeated_is_measured_as_a_camera_that_stands(scored: tuple[Path, list[CameraRow]]) -> None:
    for row in scored[1][2:4]:
        assert row.turns_only
        assert row.standing["ate_share"] > 0.1
        assert row.measures == pytest.approx(row.standing, rel=0.01)
    assert not any(row.turns_only for row in scored[1][:2])


def test_the_table_counts_every_case(scored: tuple[Path, list[CameraRow]]) -> None:
    measured, everything, _ = report([Scores(kind="camera", rows=scored[1], measures=CAMERA_MEASURES)])
    assert [row[:4] for row in measured.rows] == [
        ("film", "2 of 2", "0", "0"),
        ("photo", "2 of 2", "0", "2"),  # without parallax
        ("own", "0 of 2", "2", "0"),
    ]
    assert measured.rows[2][4] == "–"
    assert not any("–" in row for row in everything.rows)


def test_rows_are_kept_and_a_changed_video_is_measured_anew(
    camera_cases: CaseSet, scored: tuple[Path, list[CameraRow]]
) -> None:
    out, rows = scored
    lines = (out / ROWS).read_text().splitlines()
    assert len(lines) == 6
    films = baselines(camera_cases, "film")
    assert measure_all(CameraMeasurer(camera_cases, QUICK), films, out) == rows[:2]  # in no time: nothing is solved
    assert len((out / ROWS).read_text().splitlines()) == 6


def test_the_page_has_every_video_the_worst_first(scored: tuple[Path, list[CameraRow]], tmp_path: Path) -> None:
    rows = [*scored[1][:-1], replace(scored[1][-1], video="../videos/a&b 1.mp4")]
    scores = [Scores(kind="camera", rows=rows, measures=CAMERA_MEASURES)]
    write_page(tmp_path / "page.html", "A", [(report(scores), scores)])
    text = (tmp_path / "page.html").read_text()
    assert text.count("<article>") == 6
    failures, videos = text.split("What could not be measured")[1].split("Every video")
    assert failures.count("<li>") == 2
    assert "camera: there is no video of this case" in failures
    assert videos.index("<b>own</b>") < videos.index("<b>photo</b>") < videos.index("<b>film</b>")
    assert 'src="../videos/a%26b%201.mp4"' in text
    assert text.count("<polyline") >= 6 * 2 + 2 * 2


def test_a_scene_is_opened_once_for_all_methods_and_the_page(
    camera_cases: CaseSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened, hashed = [], []

    def read(folder: Path) -> object:
        opened.append(folder.parent.name)
        return read_scene(folder)

    def digested(path: Path) -> str:
        hashed.append(path.parent.name)
        return digest(path)

    monkeypatch.setattr(case_set, "read_scene", read)
    monkeypatch.setattr(case_set, "digest", digested)
    (tmp_path / "none").mkdir()
    again = ["--videos", f"a={tmp_path / 'none'}", "--videos", f"b={tmp_path / 'none'}", "-o", str(tmp_path / "s")]
    for times in (1, 1):  # the second call measures nothing, so it opens nothing
        with pytest.raises(SystemExit):
            main(["evaluate", "camera", str(camera_cases.folder), *again])
        assert opened == ["camera-0001", "camera-0002"] * times
    assert hashed == ["camera-0001", "camera-0002"] * 2
    assert "| b | 0 of 2 | 2 |" in capsys.readouterr().out


def test_the_command_measures_a_baseline(
    camera_cases: CaseSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["evaluate", "camera", str(camera_cases.folder), "--baseline", "photo", "-o", str(tmp_path / "s")])
    assert ended.value.code == 0
    assert "| photo | 2 of 2 |" in capsys.readouterr().out
    assert (tmp_path / "s" / "index.html").is_file()
    assert (tmp_path / "s" / "scores.md").is_file()


def test_a_baseline_that_is_none_is_refused(camera_cases: CaseSet) -> None:
    with pytest.raises(UserError, match="no baseline 'truth'; choose among photo, preview, film"):
        baselines(camera_cases, "truth")
