"""Records are written whole, and a damaged one is named with what to do about it."""

import json
from pathlib import Path

import pytest

from real2sam2real.errors import UserError
from real2sam2real.workfolder.records import (
    keep_settings,
    read_lines,
    read_record,
    trim_lines,
    write_json,
    write_lines,
)


def test_json_is_readable_text(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"what": "Tür", "size": [1, 2]})
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert "Tür" in text
    assert read_record(tmp_path / "a.json", dict, what="record", remedy="") == {"what": "Tür", "size": [1, 2]}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"steps": "many"}', "3"])
def test_a_damaged_record_is_named_with_its_remedy(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(UserError, match=r"a\.json is not a readable record of a run \(.+\); delete it"):
        read_record(tmp_path / "a.json", lambda v: int(v["steps"]), what="record of a run", remedy="delete it")


def test_a_record_that_is_not_there_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_record(tmp_path / "a.json", dict, what="record", remedy="")


def test_a_line_that_was_cut_short_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    assert read_lines(path) == []
    write_lines(path, [{"step": 1}, {"step": 2}])
    with path.open("a") as file:
        file.write('{"step": 3')
    assert read_lines(path) == [{"step": 1}, {"step": 2}]


def test_lines_of_later_steps_are_dropped(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    trim_lines(path, 2)
    assert not path.exists()
    write_lines(path, [{"step": step} for step in range(5)])
    trim_lines(path, 2)
    assert [row["step"] for row in read_lines(path)] == [0, 1, 2]


def test_a_folder_keeps_the_settings_of_its_work(tmp_path: Path) -> None:
    path = tmp_path / "new" / "config.json"
    settings = {"steps": 3, "size": {"layers": 2, "heads": (1, 2)}}
    keep_settings(path, settings)
    assert json.loads(path.read_text()) == {"steps": 3, "size": {"layers": 2, "heads": [1, 2]}}
    keep_settings(path, settings)
    keep_settings(path, {**settings, "steps": 5}, changeable=("steps",))
    assert json.loads(path.read_text())["steps"] == 5
    with pytest.raises(UserError, match=r"holds a training with another size\.layers, steps; choose another folder"):
        keep_settings(path, {"size": {"layers": 4, "heads": (1, 2)}}, what="training")
    assert json.loads(path.read_text())["size"]["layers"] == 2
    path.write_text("{")
    with pytest.raises(UserError, match=r"config\.json is not a readable record of a run"):
        keep_settings(path, settings)
