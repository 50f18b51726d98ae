"""Videos against commanded poses of objects: the truth scores well, a still photo as badly as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from real2sam2real.cli.main import main
from real2sam2real.lab.evaluate.case_making import CaseOptions, make_cases
from real2sam2real.lab.evaluate.case_set import CaseSet, open_cases
from real2sam2real.lab.evaluate.measuring import baselines, measure_all
from real2sam2real.lab.evaluate.object_scores import OBJECT_MEASURES, ObjectMeasurer, ObjectRow
from real2sam2real.lab.evaluate.score_report import Scores, report


@pytest.fixture(scope="module")
def object_cases(tmp_path_factory: pytest.TempPathFactory) -> CaseSet:
    folder: Path = tmp_path_factory.mktemp("cases") / "objects"
    make_cases(folder, CaseOptions(kind="objects", count=1, frames=5, width=480, height=270, objects=1))
    return open_cases(folder)


@pytest.fixture(scope="module")
def scored(object_cases: CaseSet, tmp_path_factory: pytest.TempPathFactory) -> list[ObjectRow]:
    jobs = [*baselines(object_cases, "film"), *baselines(object_cases, "photo")]
    return measure_all(ObjectMeasurer(object_cases), jobs, tmp_path_factory.mktemp("scores"))


def test_the_true_film_has_the_commanded_poses(scored: list[ObjectRow]) -> None:
    film = scored[0]
    assert film.status == "measured"
    assert film.measures["rot_err"] is not None
    assert film.measures["trans_err"] is not None
    assert film.measures["rot_err"] < 1.0
    assert film.measures["trans_err"] < 1.0
    (told,) = film.objects
    assert told["found"] == told["in_view"] == 5


def test_a_photo_that_stands_still_is_as_wrong_as_the_command_is_large(scored: list[ObjectRow]) -> None:
    photo = scored[1]
    assert photo.standing["rot_err"] is not None
    assert photo.standing["rot_err"] > 5
    if photo.status == "measured":  # found where it was in the photo
        assert photo.measures["rot_err"] == pytest.approx(photo.standing["rot_err"], rel=0.15)
    else:
        assert "not found in most frames" in photo.problem
    assert photo.standing == scored[0].standing


def test_the_table_counts_the_photo_as_standing_still(scored: list[ObjectRow]) -> None:
    measured, everything, apart = report([Scores(kind="objects", rows=scored, measures=OBJECT_MEASURES)])
    assert measured.rows[0][:3] == ("film", "1 of 1", "0")
    assert [row[0] for row in everything.rows] == ["film", "photo"]
    assert [row[0] for row in apart.rows] == ["photo"]


def test_the_command_wants_cases_of_its_kind(
    object_cases: CaseSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["evaluate", "camera", str(object_cases.folder), "--baseline", "photo", "-o", str(tmp_path / "s")])
    assert ended.value.code == 2
    assert "r2s2r evaluate objects measures those" in capsys.readouterr().err
