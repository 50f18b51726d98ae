"""What kills leave: a folder as it is on disk before every step that gives, takes or changes a name in it.

A process that is killed then leaves these very files; what it has in memory it takes along. So work is done once, the
folder is copied before each of its steps, and a test goes on from every copy. Steps are seen by Python's audit events,
whatever code takes them; those inside what is still half-written are none, as nobody believes that.
"""

import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from real2sam2real.files import is_half_written
from real2sam2real.workfolder.lock import LOCK

# Where in an event's arguments names are, each with the folder that it is relative to, if there is one.
_NAMES = {
    "os.rename": ((0, 2), (1, 3)), "os.link": ((1, 3),), "os.symlink": ((1, 2),), "os.remove": ((0, 1),),
    "os.rmdir": ((0, 1),), "os.mkdir": ((0, 2),), "os.truncate": ((0, None),), "open": ((0, None),),
}  # fmt: skip
SPARSE = 1 if "R2S2R_EVERY_KILL" in os.environ else 10
"""Of kills whose sequels take long, the tests go on after every so many-th, with this variable set after all."""
_watched: list[tuple[Path, tuple[str, ...], Callable[[str], None]]] = []


@dataclass(frozen=True, kw_only=True)
class Kill:
    """A kill before a step."""

    step: str  # what would have come next, such as "os.rename .run-x1y2z3a4.json run.json"
    folder: Path  # that was worked in
    copy: Path  # of it, as the kill leaves it; not there where it was not

    def strike(self, folder: Path | None = None) -> None:
        """Make the folder, or another one, what the kill leaves."""
        folder = folder or self.folder
        shutil.rmtree(folder, ignore_errors=True)
        if self.copy.exists():
            shutil.copytree(self.copy, folder, symlinks=True)


@contextmanager
def every_kill(folder: Path, copies: Path, *, ignored: tuple[str, ...] = ()) -> Iterator[list[Kill]]:
    """The kills of the work that is done inside, in order; names in `ignored` are of no account."""
    kills: list[Kill] = []

    def note(step: str) -> None:
        kills.append(Kill(step=step, folder=folder, copy=copies / f"{len(kills):03d}"))
        if folder.exists():
            shutil.copytree(folder, kills[-1].copy, symlinks=True, ignore=shutil.ignore_patterns(*ignored))

    _watch(folder, ignored, note)
    try:
        yield kills
    finally:
        _watched.clear()


def kill_before(number: int, folder: Path) -> None:
    """From now on, kill this process, really, before so many-th of the steps that `every_kill` counts, from 0."""
    steps = iter(range(number))

    def note(step: str) -> None:
        if next(steps, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)

    _watch(folder, (), note)


def _watch(folder: Path, ignored: tuple[str, ...], note: Callable[[str], None]) -> None:
    if _hook not in _hooks:
        sys.addaudithook(_hook)  # for good: Python takes none away
        _hooks.append(_hook)
    _watched.append((folder, (LOCK, *ignored), note))


def _hook(event: str, arguments: tuple) -> None:
    if not _watched or event not in _NAMES:
        return
    if event == "open" and not arguments[2] & (os.O_WRONLY | os.O_RDWR):
        return
    folder, ignored, note = _watched[-1]
    if event == "os.mkdir" and Path(os.fsdecode(arguments[0])).exists():
        return
    names = [_inside(folder, arguments[at], None if base is None else arguments[base]) for at, base in _NAMES[event]]
    if any(name and not any(p in ignored or is_half_written(p) for p in name.parts) for name in names):
        held = _watched.pop()  # what is done to note it is no step
        note(" ".join([event, *map(str, names)]))
        _watched.append(held)


def _inside(folder: Path, name: object, base: int | None) -> Path | None:
    """The name relative to the folder, None outside of it and for open files."""
    if isinstance(name, int):
        return None
    path = Path(os.fsdecode(name))
    if base is not None and base >= 0:
        path = Path(f"/proc/self/fd/{base}").readlink() / path
    return path.relative_to(folder) if path.is_relative_to(folder) else None


_hooks: list[Callable[[str, tuple], None]] = []
