"""Which shots a command line names."""

from pathlib import Path

import pytest

from real2sam2real.errors import UserError
from real2sam2real.run.batch.finding import find_shots, shorten
from real2sam2real.run.batch.records import input_names


def official(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for name in ("source_image.png", "object_animation_normal.mp4", "caption.json"):
        (folder / name).touch()
    return folder


def names(*given: Path, out: Path | None = None) -> list[str]:
    return [shot.name for shot in find_shots(given, out).shots]


def test_the_official_form_at_every_level(tmp_path: Path) -> None:
    for name in ("in/street/pan", "in/street/orbit", "in/cup/pan"):
        official(tmp_path / name)
    everything = ["cup/pan", "street/orbit", "street/pan"]
    assert names(tmp_path / "in") == everything
    assert names(tmp_path / "in" / "street", tmp_path / "in" / "cup") == everything
    assert names(*(tmp_path / "in").glob("*/*")) == everything


def test_control_folders_of_runs_keep_apart(tmp_path: Path) -> None:
    for name in ("runs/cup/control", "runs/street/control"):
        official(tmp_path / name)
    assert names(tmp_path / "runs" / "cup" / "control", tmp_path / "runs" / "street" / "control") == [
        "cup/control",
        "street/control",
    ]


def test_a_shot_named_twice_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shot = official(tmp_path / "in" / "cup" / "pan")
    monkeypatch.chdir(shot)
    found = find_shots([tmp_path / "in", shot, Path(), Path("../pan")])
    assert [(s.name, s.control, s.missing) for s in found.shots] == [("cup/pan", shot, ())]


def test_two_shots_of_one_name_are_refused(tmp_path: Path) -> None:
    one, other = official(tmp_path / "a" / "cup" / "pan"), official(tmp_path / "b" / "cup" / "pan")
    with pytest.raises(UserError, match="would both be written to cup/pan") as error:
        find_shots([tmp_path / "a", tmp_path / "b"])
    assert str(one) in str(error.value)
    assert str(other) in str(error.value)


def test_folders_without_a_shot_are_named(tmp_path: Path) -> None:
    official(tmp_path / "in" / "cup" / "pan")
    (tmp_path / "in" / "cup" / "notes").mkdir()
    (tmp_path / "in" / "empty" / "deeper").mkdir(parents=True)
    (tmp_path / "in" / ".cache").mkdir()
    found = find_shots([tmp_path / "in"])
    assert found.left_out == (tmp_path / "in" / "cup" / "notes", tmp_path / "in" / "empty")


def test_results_beside_the_inputs_are_no_inputs(tmp_path: Path) -> None:
    official(tmp_path / "cup" / "pan")
    official(tmp_path / "out" / "strange")
    assert names(tmp_path, out=tmp_path / "out") == ["cup/pan"]


def test_a_shot_with_a_missing_file_is_found_and_says_so(tmp_path: Path) -> None:
    (official(tmp_path / "in" / "cup" / "pan") / "source_image.png").unlink()
    (official(tmp_path / "in" / "cup" / "still") / "caption.json").unlink()  # which the official form may lack
    ours = official(tmp_path / "in" / "cup" / "orbit")
    for name in ("control.json", "ids.mkv"):
        (ours / name).touch()
    found = find_shots([tmp_path / "in"]).shots
    assert [(shot.name, shot.missing) for shot in found] == [
        ("cup/orbit", ("normals.mkv",)),
        ("cup/pan", ("source_image.png",)),
        ("cup/still", ()),
    ]


@pytest.mark.parametrize(
    ("given", "message"),
    [("missing", "does not exist"), ("file.txt", "is a file"), ("empty", "holds no shot"), (None, "no shot is given")],
)
def test_what_is_no_shot_is_named(tmp_path: Path, given: str | None, message: str) -> None:
    (tmp_path / "file.txt").touch()
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=message) as error:
        find_shots([] if given is None else [tmp_path / given])
    assert given is None or str(tmp_path / given) in str(error.value)


def test_long_lists_are_shortened() -> None:
    assert shorten("abc") == "a, b, c"
    assert shorten("abcdefgh") == "a, b, c, d, e and 3 more"


def test_as_official_the_official_files_decide_where_there_are_lossless_ones_too(tmp_path: Path) -> None:
    ours = official(tmp_path / "cup" / "orbit")
    for name in ("control.json", "normals.mkv", "ids.mkv", "preview.mkv"):
        (ours / name).touch()
    always = ["source_image.png", "caption.json"]
    (shot,) = find_shots([ours]).shots
    assert input_names(shot) == [*always, "control.json", "normals.mkv", "ids.mkv", "preview.mkv"]
    (shot,) = find_shots([ours], as_official=True).shots
    assert input_names(shot) == [*always, "object_animation_normal.mp4", "control.json"]
    (ours / "object_animation_normal.mp4").unlink()
    assert find_shots([ours], as_official=True).shots[0].missing == ("object_animation_normal.mp4",)
    assert find_shots([ours]).shots[0].missing == ()
