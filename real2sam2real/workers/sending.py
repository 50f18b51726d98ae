"""Put a worker's program beside its request, find the Python that runs it, and understand what it tells."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import real2sam2real
from real2sam2real.errors import MissingPartError, UserError
from real2sam2real.files import replacing_folder
from real2sam2real.workers import there
from real2sam2real.workers.there.serving import EVENT
from real2sam2real.workfolder.json_values import parse_json, typed
from real2sam2real.workfolder.records import WRONG_VALUES, reason_of

OLDEST_PYTHON = (3, 10)
LIFELINE = "--until-stdin-closes"
PROBE = "--probe"
_OURS_ALONE = ("PYTHONHOME", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")
_STARTER = f"""\
import sys

if sys.version_info < {OLDEST_PYTHON}:
    sys.exit("Python %d.%d is too old" % sys.version_info[:2])

from WORKER.main import main

sys.exit(main())
"""


def write_worker(folder: Path, worker: ModuleType) -> None:
    """Put the program that runs in the other environment into a folder; `python FOLDER` starts it.

    The worker's package and what all workers share keep their full names there, in packages that hold nothing else.
    """
    with replacing_folder(folder) as new:
        for package in (there, worker):
            source, place = _folder_of(package), new.joinpath(*package.__name__.split("."))
            place.parent.mkdir(parents=True, exist_ok=True)
            for parent in place.parents[: len(place.relative_to(new).parts) - 1]:
                (parent / "__init__.py").touch()
            shutil.copytree(source, place, ignore=shutil.ignore_patterns("__pycache__"))
        (new / "__main__.py").write_text(_STARTER.replace("WORKER", worker.__name__), encoding="utf-8")


def find_python(given: str, title: str, option: str) -> str:
    """The Python that a path, a folder of an environment or a name on PATH stands for.

    Args:
        given: by the user.
        title: of what runs there, for the message.
        option: of the command line that names it, for the message.

    Raises:
        MissingPartError: there is none.
    """
    path = Path(given).expanduser()
    inside = [path / "bin" / "python", path / "Scripts" / "python.exe", path / "python.exe"]
    found = next((str(p) for p in inside if p.is_file()), None) if path.is_dir() else shutil.which(str(path))
    if found is None:
        raise MissingPartError(
            f"there is no Python at '{given}'. Give the one of {title}'s environment with {option}: with that "
            'environment activated, python -c "import sys; print(sys.executable)" prints it'
        )
    # Not resolved: the link inside an environment is what makes it that environment's Python.
    return os.path.abspath(found)  # noqa: PTH100


def variables(*, offline: bool = False) -> dict[str, str]:
    """Environment variables with which every worker runs."""
    wanted = {"PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}
    return {**wanted, "HF_HUB_OFFLINE": "1"} if offline else wanted


def surroundings(**more: str) -> Mapping[str, str]:
    """Our environment variables, without what makes another Python believe that it is ours, and further ones."""
    kept = {name: value for name, value in os.environ.items() if name not in _OURS_ALONE}
    return {**kept, **more}


def event_of(line: str, title: str) -> dict[str, Any] | None:
    """The event that a line tells, None for a line of a log.

    Raises:
        UserError: it cannot be understood.
    """
    if not line.startswith(EVENT):
        return None
    try:
        return typed(dict[str, Any], parse_json(line[len(EVENT) :]))
    except WRONG_VALUES as error:
        raise UserError(f"{title} says what cannot be understood ({reason_of(error)}): {line[:80]}") from error


def _folder_of(package: ModuleType) -> Path:
    top = Path(real2sam2real.__file__).parent
    return top.joinpath(*package.__name__.split(".")[1:])
