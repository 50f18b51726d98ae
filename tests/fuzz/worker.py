"""The process that reads mutants. It is ended from outside where it hangs or grows.

A mutant is made by its seed, kind and number alone.
"""

import contextlib
import faulthandler
import io
import logging
import os
import random
import shutil
import signal
import stat
import time
import traceback
import warnings
from multiprocessing.connection import Connection
from pathlib import Path

from tests.fuzz.registry import Kind, known_kinds

SEED_ITSELF = -1
"""The number of the mutant that is not damaged. Of those below it, one file is none: a pipe, device, socket, folder."""

STACK_SIGNAL = signal.SIGUSR1
"""Asks for the stack of a process that is to be ended: a timer's thread may meet a stack half built, and crash."""


class Seeds:
    """The valid files of each kind, made once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._files: dict[str, list[Path]] = {}

    def of(self, kind: Kind) -> tuple[Path, list[Path]]:
        """The folder of a kind's seed, and its files that are to be damaged, relative to it."""
        folder = self._root / "seeds" / kind.name.replace("/", "-")
        if kind.name not in self._files:
            folder.mkdir(parents=True)
            made = kind.make(folder)
            self._files[kind.name] = [p.relative_to(folder) for p in ([made] if isinstance(made, Path) else made)]
        return folder, self._files[kind.name]


def mutant(kind: Kind, number: int, seed: int, seeds: Seeds, place: Path) -> tuple[Path, str]:
    """Make a mutant in a new folder `place`; returns its damaged file and the name of the damage."""
    folder, files = seeds.of(kind)
    shutil.copytree(folder, place)
    if number == SEED_ITSELF:
        return place / files[0], "none"
    if number < SEED_ITSELF:
        return _without_file(place, SEED_ITSELF - 1 - number, files)
    draw = random.Random(f"{seed}/{kind.name}/{number}")
    path, how = place / draw.choice(files), draw.choice(kind.mutators)
    path.write_bytes(how(path.read_bytes(), draw))
    return path, how.__qualname__.partition(".")[0]


def _without_file(place: Path, number: int, damaged: list[Path]) -> tuple[Path, str]:
    """Put something else in the place of a file: of another one, and something else, for each number.

    Returns the path that is read: the file itself, if it is one of those that are damaged.
    """
    files = sorted(path.relative_to(place) for path in place.rglob("*") if path.is_file())
    file, how = files[number % len(files)], _NO_FILES[(number % len(files) + number // len(files)) % len(_NO_FILES)]
    (place / file).unlink()
    how(place / file)
    return place / (file if file in damaged else damaged[0]), how.__name__


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _socket(path: Path) -> None:
    os.mknod(path, stat.S_IFSOCK | 0o600)


def _folder(path: Path) -> None:
    path.mkdir()


_NO_FILES = (_pipe, _device, _socket, _folder)


def verdict(kind: Kind, path: Path, *, is_seed: bool) -> dict[str, str]:
    """Read a file: "read" or "refused" as it should be, or a finding with what was raised."""
    from real2sam2real.errors import UserError

    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            kind.read(path)
    except (UserError, OSError) as error:
        if is_seed or not (isinstance(error, UserError) or error.filename is not None):
            return {"verdict": "finding", "told": traceback.format_exc(limit=-6)}
        return {"verdict": "refused", "told": str(error)[:500]}
    except SystemExit as ended:  # of the command line, which says what is wrong and ends with 2
        if ended.code in (None, 0, 2) and not (is_seed and ended.code):
            return {"verdict": "refused" if ended.code else "read", "told": said.getvalue()[-500:]}
        return {"verdict": "finding", "told": f"the command ended with {ended.code}: {said.getvalue()[-2000:]}"}
    except BaseException as error:
        told = traceback.format_exc(limit=-6)
        return {"verdict": "finding", "told": told[-3000:] if len(told) < 10_000 else f"{type(error).__name__} …"}
    return {"verdict": "read", "told": ""}


def serve(connection: Connection, seed: int, log: Path, home: str) -> None:
    """Answer `(kind, number)` with "reading" as soon as the mutant is made, and then with what came of it.

    Args:
        connection: brings the questions; its end is the end.
        seed: of all mutants.
        log: takes what libraries say of their own, and the stack at `STACK_SIGNAL`.
        home: module or package of the kinds.
    """
    stream = log.open("w")
    os.dup2(stream.fileno(), 1)
    os.dup2(stream.fileno(), 2)
    faulthandler.register(STACK_SIGNAL, file=stream, all_threads=False)
    logging.disable(logging.CRITICAL)
    kinds, seeds = known_kinds(home), Seeds(log.parent)
    place = log.parent / "mutant"
    with contextlib.suppress(EOFError):
        while True:
            name, number = connection.recv()
            shutil.rmtree(place, ignore_errors=True)
            path, how = mutant(kinds[name], number, seed, seeds, place)
            connection.send("reading")
            start = time.perf_counter()
            answer = verdict(kinds[name], path, is_seed=number == SEED_ITSELF)
            connection.send({**answer, "damage": how, "seconds": time.perf_counter() - start})
