"""One process per folder at a time. The operating system drops the lock when its holder dies, however it dies."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from real2sam2real.errors import UserError
from real2sam2real.files import refuse_pipe

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
    with _held(folder / LOCK, f"another run is working in {folder}", "folder"):
        yield


@contextmanager
def writing(target: Path) -> Iterator[None]:
    """Hold a file or folder that is replaced at the end of the work, and may not be there yet, for this process.

    The lock lies among the system's temporary files, so it holds on one machine, for one user.

    Raises:
        UserError: another process is writing it; the message says which.
    """
    places = Path(tempfile.gettempdir()) / f"r2s2r-locks-{os.getuid() if sys.platform != 'win32' else os.getlogin()}"
    places.mkdir(mode=0o700, exist_ok=True)
    name = hashlib.sha256(os.fsencode(target.resolve())).hexdigest()[:32]
    with _held(places / f"{name}.lock", f"{target} is being written by another command", "place"):
        yield


@contextmanager
def _held(lock: Path, taken: str, what: str) -> Iterator[None]:
    """Hold a lock file, and write into it who does; the first byte is the one that is locked."""
    refuse_pipe(lock)
    handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            _try_lock(handle)
        except OSError:
            os.lseek(handle, 1, os.SEEK_SET)
            holder = os.read(handle, 200).decode(errors="replace").strip()
            raise UserError(
                f"{taken}{f' ({holder})' if holder else ''}; wait until it has ended, or choose another {what} with -o"
            ) from None
        os.ftruncate(handle, 0)
        os.lseek(handle, 0, os.SEEK_SET)
        with suppress(OSError):  # on a full disk; that it is held is known without
            os.write(handle, f"\nprocess {os.getpid()}".encode())
        os.lseek(handle, 0, os.SEEK_SET)
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
