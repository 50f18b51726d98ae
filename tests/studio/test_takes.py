"""The shelf of takes on disk."""

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from real2sam2real.errors import UserError
from real2sam2real.media import write_video
from real2sam2real.studio.takes import (
    POSTER,
    change_take,
    delete_take,
    find_take,
    keep_take,
    read_take_shot,
    read_takes,
    take_file,
)
from real2sam2real.workfolder.records import write_json

SHOT = "frames: 5\nfps: 8\nprompt: a quiet street\n"


def made(folder: Path, value: int = 0) -> dict[str, Any]:
    """A workspace whose run folder holds a generated video; what the generation was given."""
    frames = np.full((5, 32, 48, 3), value, np.uint8)
    (folder / "run").mkdir(parents=True, exist_ok=True)
    write_video(folder / "run" / "generated.mp4", frames, fps=8)
    write_json(folder / "run" / "run.json", {"stages": {"generate": {"seconds": 2.5, "notes": ["1 pass"]}}})
    return {"shot": SHOT, "scene": "abc", "state": "s", "generate": {"seed": value}, "size": None, "name": None}


def test_a_take_carries_all_that_made_it(tmp_path: Path) -> None:
    first, second = keep_take(tmp_path, made(tmp_path)), keep_take(tmp_path, made(tmp_path, 90) | {"name": "Grey"})
    one, other = read_takes(tmp_path)
    assert (one.id, one.name, other.id, other.name) == (first, "Take 1", second, "Grey")
    assert (one.prompt, one.frames, one.fps, one.width, one.height) == ("a quiet street", 5, 8, 48, 32)
    assert (one.seconds, one.notes, one.scene, other.seed) == (2.5, ["1 pass"], "abc", 90)
    assert one.work > 0
    assert read_take_shot(tmp_path, one) == SHOT
    assert take_file(tmp_path, one, POSTER).stat().st_size > 100
    assert keep_take(tmp_path, made(tmp_path)) == first  # the same video of the same shot
    assert len(read_takes(tmp_path)) == 2
    assert keep_take(tmp_path, made(tmp_path) | {"shot": SHOT + "seed: 4\n"}) != first


def test_takes_are_named_kept_and_deleted(tmp_path: Path) -> None:
    take = find_take(tmp_path, keep_take(tmp_path, made(tmp_path)))
    assert take is not None
    change_take(tmp_path, take, name="  The best  ", keep=True)
    (kept,) = read_takes(tmp_path)
    assert (kept.name, kept.keep) == ("The best", True)
    with pytest.raises(UserError, match="marked to be kept"):
        delete_take(tmp_path, kept)
    for name in ("", " ", "x" * 121):
        with pytest.raises(UserError, match="1 to 120 characters"):
            change_take(tmp_path, kept, name=name)
    delete_take(tmp_path, change_take(tmp_path, kept, keep=False))
    assert read_takes(tmp_path) == []
    assert [*(tmp_path / "takes").iterdir()] == []


def test_what_is_damaged_is_left_out(tmp_path: Path) -> None:
    identifier = keep_take(tmp_path, made(tmp_path))
    (tmp_path / "takes" / identifier / "take.json").write_text("{")
    (tmp_path / "takes" / "other").mkdir()
    assert read_takes(tmp_path) == []
    assert find_take(tmp_path, identifier) is None
    assert find_take(tmp_path, "..") is None


def test_a_kill_leaves_a_take_whole_or_not_at_all(tmp_path: Path, kills: ModuleType) -> None:
    folder = tmp_path / "workspace"
    given = made(folder)
    with kills.every_kill(folder, tmp_path / "copies") as struck:
        keep_take(folder, given)
    before = len(struck)
    with kills.every_kill(folder, tmp_path / "more") as deleting:
        delete_take(folder, read_takes(folder)[0])
    assert before >= 1
    assert len(deleting) >= 1
    for kill in (*struck, *deleting):
        kill.strike()
        for take in read_takes(folder):
            assert take_file(folder, take, "video.mp4").stat().st_size > 100
            assert read_take_shot(folder, take) == SHOT
        keep_take(folder, given)
        assert len(read_takes(folder)) == 1
        assert len([*(folder / "takes").iterdir()]) == 1, kill.step
