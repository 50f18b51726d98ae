"""What a person sees: help, messages, exit statuses."""

import dataclasses
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import get_type_hints

import pytest
from tyro.conf import Suppress

from real2sam2real.cli import main as cli_main
from real2sam2real.errors import UserError

FULL = "its disk is full. Free some space and run again, or choose another place"
OPTIONS = Path(__file__).parent / "options.txt"


def test_help_names_every_command(cli) -> None:
    ended = cli("--help")
    assert ended.status == 0
    assert all(f"\n  {name} " in ended.out for name in cli_main.MODULES)
    assert cli() == ended


def test_every_command_explains_itself(cli) -> None:
    for name in command_classes():
        ended = cli(*name.split(), "--help")
        assert ended.status == 0
        assert f"r2s2r {name}" in ended.out


def command_classes() -> dict[str, type]:
    """Every command by its full name, such as `"train base"`."""
    classes = {}
    for name in cli_main.MODULES:
        module = cli_main.load(name)
        if command := cli_main.command_of(module, name):
            classes[name] = command
        classes.update({f"{name} {sub}": command for sub, command in getattr(module, "COMMANDS", {}).items()})
    return classes


def option_lines(command: type) -> list[str]:
    """A command's fields as flags with their defaults, groups of options spread out."""
    lines = []
    types = get_type_hints(command)
    marks = get_type_hints(command, include_extras=True)
    for field in dataclasses.fields(command):
        if Suppress in getattr(marks[field.name], "__metadata__", ()):
            continue  # for Python alone
        if dataclasses.is_dataclass(types[field.name]):
            lines += option_lines(types[field.name])
        else:
            default = "required" if field.default is dataclasses.MISSING else str(field.default)
            lines.append(f"  --{field.name.replace('_', '-')} = {default}")
    return lines


def all_options() -> str:
    """Every command with its options, one per line."""
    commands = command_classes().items()
    return "".join("\n".join([name, *option_lines(command)]) + "\n" for name, command in commands)


def test_no_option_comes_or_goes_by_accident() -> None:
    """A new flag is a decision: write it into options.txt, `python tests/cli/test_main.py` does so."""
    assert all_options() == OPTIONS.read_text(encoding="utf-8")


def test_version(cli) -> None:
    assert cli("--version").out == "0.1.0\n"


def test_unknown_command_names_the_nearest(cli) -> None:
    ended = cli("rendr", "x")
    assert ended.status == 2
    assert ended.err == "error: there is no command 'rendr'; did you mean 'render'?; r2s2r --help lists them\n"


def test_unknown_flag_names_the_nearest(cli) -> None:
    ended = cli("run", "photo.png", "--maks", "a.png")
    assert ended.status == 2
    assert "--mask" in ended.err


def failing(error: BaseException):
    def fail(arguments: list[str]) -> int:
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (UserError("the cup is empty; fill it"), 2, "error: the cup is empty; fill it\n"),
        (FileNotFoundError(2, "No such file", "a.png"), 2, "error: No such file: a.png\n"),
        (KeyboardInterrupt(), 130, "\ninterrupted; run the same command to go on\n"),
        (
            ZeroDivisionError("by zero"),
            1,
            "error: unexpected ZeroDivisionError: by zero; run again with --traceback to see where it happened\n",
        ),
        (
            OSError(28, "No space left on device"),
            2,
            f"error: a file could not be written: {FULL}\n",
        ),
        (
            RuntimeError("I/O error: No space left on device (os error 28)"),  # safetensors
            2,
            f"error: a file could not be written: {FULL}\n",
        ),
        (MemoryError(), 1, "error: out of memory; a smaller --size or fewer --frames need less\n"),
    ],
)
def test_errors_are_one_message(cli, monkeypatch, error: BaseException, status: int, message: str) -> None:
    monkeypatch.setattr(cli_main, "_dispatch", failing(error))
    assert cli("run") == (status, "", message)


@pytest.mark.parametrize("how", ["flag", "environment"])
def test_traceback_on_request(cli, monkeypatch, how: str) -> None:
    monkeypatch.setattr(cli_main, "_dispatch", failing(ZeroDivisionError("by zero")))
    if how == "environment":
        monkeypatch.setenv("R2S2R_TRACEBACK", "1")
    ended = cli("run", *(["--traceback"] if how == "flag" else []))
    assert "Traceback (most recent call last)" in ended.err
    assert ended.err.endswith("error: unexpected ZeroDivisionError: by zero\n")


def test_a_reader_that_leaves_early_is_no_error() -> None:
    script = f"import sys; sys.argv[1:] = ['--help']; from {cli_main.__name__} import main; main()"
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    child = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    )
    child.stdout.close()
    assert child.stderr.read() == b""
    assert child.wait() in (1, -signal.SIGPIPE)


if __name__ == "__main__":
    OPTIONS.write_text(all_options(), encoding="utf-8")
