"""One process per folder at a time. The operating system drops the lock when its holder dies, however it dies."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from real2sam2real.errors import UserError

LOCK = ".lock"
_LOOK_EVERY_SECONDS = 0.2

if sys.platform == "win32":
    import msvcrt

    def _try_lock(handle: int) -> None:
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _try_lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def require_own_place(folder: Path, what: str, *, known: bool) -> None:
    """See that work which replaces what it finds under its own names starts in a folder that is empty or its own.

    Raises:
        UserError: it is a file, or holds something else and no record of such work (`known`).
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file; a {what} needs a folder: choose another with -o")
    if folder.is_dir() and not known and not (folder / LOCK).exists() and any(folder.iterdir()):
        raise UserError(f"{folder} is neither empty nor an earlier {what}; choose another folder with -o")


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold `folder` for this process.

    Raises:
        UserError: another run holds it.
    """
    handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            _try_lock(handle)
        except OSError:
            raise UserError(
                f"another run is working in {folder}; wait until it has ended, or choose another folder with -o"
            ) from None
        yield
    finally:
        os.close(handle)


@contextmanager
def claimed(folder: Path, *, patience: float, on_wait: Callable[[], None] | None = None) -> Iterator[bool]:
    """Hold the folder of one job, made if need be, also against workers that outlived the run that started them.

    Args:
        folder: of the job's results.
        patience: seconds to wait for another process that holds it.
        on_wait: called once, if another process holds it.

    Yields:
        Whether it is held; False if another process kept it for all of `patience`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + patience
    with ExitStack() as stack:
        held = _try_to_hold(stack, folder)
        if not held and on_wait is not None:
            on_wait()
        while not held and time.monotonic() < deadline:
            time.sleep(_LOOK_EVERY_SECONDS)
            held = _try_to_hold(stack, folder)
        yield held


def _try_to_hold(stack: ExitStack, folder: Path) -> bool:
    try:
        stack.enter_context(locked(folder))
    except UserError:
        return False
    return True
