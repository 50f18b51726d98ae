"""Former names of options work for one more version, and say their new names."""

from pathlib import Path

import pytest

from real2sam2real.cli.main import RENAMED, with_new_names

OPTIONS = Path(__file__).parent / "options.txt"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (["--triangles", "500"], ["--max-faces", "500"]),
        (["--triangles=500"], ["--max-faces=500"]),
        (["--in_front", "a=b.png"], ["--occluder", "a=b.png"]),
        (["--in-front=a=b.png"], ["--occluder=a=b.png"]),
        (["--keep-pose"], ["--no-align"]),
        (["--live", "--lively", "x--live"], ["--preview-image", "--lively", "x--live"]),
    ],
)
def test_a_former_name_becomes_the_new_one(old: list[str], new: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert with_new_names(old) == new
    assert capsys.readouterr().err == (
        f"note: {old[0].partition('=')[0]} is now called {new[0].partition('=')[0]}; "
        "the old name goes with the next version\n"
    )


def test_it_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert with_new_names(["--in-front", "a", "--in-front", "b"]) == ["--occluder", "a", "--occluder", "b"]
    assert capsys.readouterr().err.count("\n") == 1


def test_new_names_are_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["photo.jpg", "--mask", "a=b.png", *RENAMED.values()]
    assert with_new_names(arguments) == arguments
    assert capsys.readouterr().err == ""


def test_every_new_name_is_an_option_and_no_old_one_is() -> None:
    lines = [line.split() for line in OPTIONS.read_text(encoding="utf-8").splitlines() if line.startswith("  --")]
    known = {name.replace("--", "--no-") if default == "True" else name for name, _, default, *_ in lines}
    assert set(RENAMED.values()) <= known
    assert not RENAMED.keys() & known


def test_a_command_takes_the_former_name(cli) -> None:
    ended = cli("lift", "nowhere.jpg", "--mask", "a.png", "--triangles=7", "-o", "out")
    assert ended.status == 2
    assert ended.err == (
        "note: --triangles is now called --max-faces; the old name goes with the next version\n"
        "error: --max-faces 7 is too few; at least 100 are needed\n"
    )


def test_help_does_not_show_former_names(cli) -> None:
    assert not any(f"{option} " in cli(command, "--help").out for command in ("run", "lift") for option in RENAMED)
