"""How videos look: with cases and without, a row for each and for what is missing; and all scores in one table."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from real2sam2real import media
from real2sam2real.cli.main import main
from real2sam2real.errors import UserError
from real2sam2real.lab.evaluate.camera_scores import CameraRow
from real2sam2real.lab.evaluate.case_set import CaseSet
from real2sam2real.lab.evaluate.measuring import ROWS, jobs_without_cases, read_rows
from real2sam2real.lab.evaluate.quality_scores import QualityRow
from real2sam2real.lab.evaluate.score_folders import joined_scores
from real2sam2real.workfolder.records import write_lines


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(each) for each in arguments])
    return int(ended.value.code or 0)


def write(path: Path, seed: int, *, still: bool = False) -> Path:
    """Four frames of coloured blobs that move by two pixels a frame, or stay."""
    wide = np.random.default_rng(seed).integers(0, 256, (8, 13, 3), np.uint8).repeat(8, axis=0).repeat(8, axis=1)
    steps = [0 if still else 2 * t for t in range(4)]
    media.write_video(path, [wide[:, s : s + 96] for s in steps], 16)
    return path


@pytest.fixture(scope="module")
def loose(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Videos of two methods without cases, and the folder of their scores."""
    folder = tmp_path_factory.mktemp("loose")
    for name in ("a", "b"):
        (folder / name / "deep" / "two").mkdir(parents=True)
        write(folder / name / "one.mp4", 1, still=name == "a")
        write(folder / name / "deep" / "two" / "generated.mp4", 2)
    (folder / "b" / "three.mp4").write_bytes(b"no video")
    command = ("evaluate", "quality", "--videos", folder / "a", "--videos", f"ours={folder / 'b'}", "-o", folder / "s")
    assert run(*command) == 0
    return folder, folder / "s"


def test_every_video_is_a_row_and_so_is_every_one_that_is_missing(loose: tuple[Path, Path]) -> None:
    rows = read_rows(loose[1], QualityRow)
    statuses = {place: row.status for place, row in rows.items()}
    assert statuses == {
        ("a", "deep/two"): "measured",
        ("a", "one"): "measured",
        ("a", "three"): "failed",
        ("ours", "deep/two"): "measured",
        ("ours", "one"): "measured",
        ("ours", "three"): "failed",
    }
    assert rows["a", "three"].problem == "there is no video of this case"
    assert "three.mp4" in rows["ours", "three"].problem
    assert rows["ours", "one"].video == "../b/one.mp4"
    assert rows["a", "one"].measures["foreground_likeness"] == pytest.approx(1, abs=1e-3)
    assert rows["a", "one"].frames == 4


def test_nothing_counts_as_a_photo_that_stands_still(loose: tuple[Path, Path]) -> None:
    text = (loose[1] / "scores.md").read_text()
    assert "All cases" not in text
    assert "| ours | 2 of 3 | 1 |" in text
    assert text.count("(stand-in)") == 2 * 7
    page = (loose[1] / "index.html").read_text()
    assert page.count("<article>") == 6
    assert 'src="../a/deep/two/generated.mp4"' in page


def test_the_same_command_measures_only_what_changed(
    loose: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from real2sam2real.lab.evaluate import quality_scores

    looked = []
    monkeypatch.setattr(quality_scores, "measure_stand_ins", lambda frames: looked.append(len(frames)) or {})
    folder, out = loose
    (tmp_path / ROWS).write_bytes((out / ROWS).read_bytes())
    assert run("evaluate", "quality", "--videos", folder / "a", "-o", tmp_path) == 0
    assert looked == []
    methods = [json.loads(line)["method"] for line in (tmp_path / ROWS).read_text().splitlines()]
    assert methods.count("ours") == 3  # rows of methods that are not asked for stay
    assert methods.count("a") == 3
    other = write(tmp_path / "x" / "one.mp4", 5)
    assert run("evaluate", "quality", "--videos", f"a={other.parent}", "-o", tmp_path) == 0
    assert looked == [4]


def test_with_cases_the_length_is_theirs(camera_cases: CaseSet, tmp_path: Path) -> None:
    write(tmp_path / "videos" / "camera-0001.mp4", 3)
    command = ("evaluate", "quality", camera_cases.folder, "--videos", f"own={tmp_path / 'videos'}")
    assert run(*command, "--baseline", "photo", "-o", tmp_path / "s") == 0
    rows = read_rows(tmp_path / "s", QualityRow)
    assert rows["own", "camera-0001"].problem == "the video has 4 frames, the case 9"
    assert rows["own", "camera-0002"].problem == "there is no video of this case"
    photo = rows["photo", "camera-0001"]
    assert (photo.frames, photo.measures["interpolation"]) == (9, 1.0)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "there is nothing to measure; give --videos FOLDER"),
        (("--baseline", "photo"), "--baseline photo is made of cases"),
        (("--videos", "none"), "there is no MP4 file in 'none'"),
    ],
)
def test_what_cannot_be_measured_is_told(
    arguments: tuple[str, ...], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("evaluate", "quality", *arguments, "-o", tmp_path) == 2
    assert told in capsys.readouterr().err


def test_two_videos_of_one_name_are_refused(tmp_path: Path) -> None:
    for path in ("x.mp4", "x/made.mp4"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).touch()
    with pytest.raises(UserError, match="two videos that are called 'x'"):
        jobs_without_cases({"m": tmp_path})


def camera_row(method: str, case: str, error: float | None) -> CameraRow:
    path = ((0.0, 0.0, 0.0), (1.0, 0.0, 0.5))
    measures = {"ate_share": error, "rpe_translation": error, "rpe_rotation": error}
    return CameraRow(
        method=method,
        case=case,
        status="not found" if error is None else "measured",
        problem="no path" if error is None else "",
        measures={} if error is None else measures,
        standing={"ate_share": 0.5, "rpe_translation": 0.5, "rpe_rotation": 0.5},
        video=f"../{method}/{case}.mp4",
        seconds=1.0,
        points=100,
        registered=0.0 if error is None else 1.0,
        turns_only=False,
        path=() if error is None else path,
        commanded=path,
    )


def quality_row(method: str, case: str, value: float) -> QualityRow:
    measures = {"foreground_likeness": value, "blur": 1 - value}
    video = f"../{method}/{case}.mp4"
    about = {"method": method, "case": case, "video": video, "problem": "", "standing": {}, "frames": 9}
    return QualityRow(status="measured", measures=measures, **about)  # type: ignore[arg-type]


@pytest.fixture
def scored(tmp_path: Path) -> tuple[Path, Path]:
    """Camera scores of two methods on eight cases, quality of one of them and a third."""
    cases = [f"camera-{n:04}" for n in range(8)]
    camera, quality = tmp_path / "scores" / "camera", tmp_path / "scores" / "quality"
    rows = [camera_row("theirs", case, 0.2 + 0.01 * n) for n, case in enumerate(cases)]
    rows += [camera_row("ours", case, None if n == 3 else 0.1 + 0.01 * n) for n, case in enumerate(cases)]
    looks = [quality_row(method, case, 0.9) for method in ("ours", "old") for case in cases]
    for folder, kept in ((camera, rows), (quality, looks)):
        folder.mkdir(parents=True)
        write_lines(folder / ROWS, map(vars, kept))
    return camera, quality


def test_scores_of_the_same_cases_come_side_by_side(scored: tuple[Path, Path], tmp_path: Path) -> None:
    camera, quality = scored
    out = tmp_path / "table"
    assert run("evaluate", "table", quality, camera, "-o", out) == 0
    text = (out / "scores.md").read_text()
    lines = {line.split(" | ")[0].strip("| "): line.strip("| ").split(" | ") for line in text.splitlines()[4:7]}
    assert lines["theirs"][1:3] == ["8 of 8", "–"]
    assert lines["ours"][1:3] == ["7 of 8", "8 of 8"]
    assert lines["old"][1:5] == ["–", "8 of 8", "–", "–"]
    assert lines["ours"][3].startswith("**0.13")
    assert lines["theirs"][6] == lines["old"][3] == "–"
    assert lines["ours"][6] == lines["old"][6]  # equal, so neither is bold
    together = text.split("All cases")[1].splitlines()
    assert any(line.startswith("| ours | 0.1813") for line in together)  # with one case as bad as the photo
    assert "(p = " in text.split("Difference from theirs")[1]
    with (out / "scores.csv").open(encoding="utf-8") as file:
        numbers = list(csv.DictReader(file))
    (ours,) = [n for n in numbers if (n["method"], n["measure"], n["videos"]) == ("ours", "ate_share", "measured")]
    assert float(ours["mean"]) == pytest.approx(np.mean([0.1 + 0.01 * n for n in range(8) if n != 3]))
    assert (ours["n"], ours["cases"]) == ("7", "8")
    assert r"\begin{tabular}" in (out / "scores.tex").read_text()
    page = (out / "index.html").read_text()
    assert page.count("<article>") == 24
    assert 'src="../scores/ours/camera-0003.mp4"' in page
    assert page.index("<li><b>ours</b> camera-0003, camera: no path</li>") < page.index("Every video")
    first = page.split("<article>")[1]
    assert "<b>ours</b> camera-0003" in first
    assert "foreground likeness" in first  # what is known of it from the other folder
    assert "0.2700" in page.split("<article>")[2]  # then the worst that was recovered


def test_another_method_may_be_the_reference(scored: tuple[Path, Path], tmp_path: Path) -> None:
    assert run("evaluate", "table", *scored, "--against", "ours", "-o", tmp_path / "t") == 0
    assert "| minus ours |" in (tmp_path / "t" / "scores.md").read_text()


def test_what_does_not_belong_together_is_refused(scored: tuple[Path, Path], tmp_path: Path) -> None:
    camera, _ = scored
    twice = tmp_path / "twice"
    twice.mkdir()
    write_lines(twice / ROWS, [vars(camera_row("ours", "camera-0000", 0.1))])
    with pytest.raises(UserError, match="two folders measure camera of ours's camera-0000"):
        joined_scores([camera, twice], tmp_path)
    write_lines(twice / ROWS, [{**vars(camera_row("new", "camera-0000", 0.1)), "standing": {"ate_share": 0.7}}])
    with pytest.raises(UserError, match="different sets of cases"):
        joined_scores([camera, twice], tmp_path)
    write_lines(twice / ROWS, [{"method": "of another version"}])
    with pytest.raises(UserError, match="holds no row of this version"):
        joined_scores([twice], tmp_path)
    damaged = {**vars(camera_row("new", "camera-0000", 0.1)), "measures": {"ate_share": "low"}}
    write_lines(twice / ROWS, [damaged])
    with pytest.raises(UserError, match=r"line 1: 'measures.ate_share' is low, which is not a finite number"):
        joined_scores([twice], tmp_path)
    with pytest.raises(UserError, match=r"has no rows\.jsonl"):
        joined_scores([tmp_path], tmp_path)
