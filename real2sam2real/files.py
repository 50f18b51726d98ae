"""Whole files or none: write aside, then rename; the sweep of what killed processes left aside; text of people."""

from __future__ import annotations

import errno
import glob
import os
import re
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from real2sam2real.errors import NoRoomError, UserError, first_line

_NO_ROOM = {
    errno.ENOSPC: "its disk is full",
    errno.EDQUOT: "all of your space on its disk is taken (quota)",
    errno.EFBIG: "its file system, or a limit of your account, allows no file that large",
}
_SYSTEM = {  # what no content of a file can be the cause of
    errno.EACCES, errno.EPERM, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENAMETOOLONG, errno.ELOOP,
    getattr(errno, "ESTALE", errno.EIO),
}  # fmt: skip
_LEAST_ROOM = 1 << 16  # bytes; a library that fails with less left has filled the disk

# What the functions below call a file or a folder while it is written.
_HALF_WRITTEN = re.compile(r"\..+-(old-)?[a-z0-9_]{8}(\.\w+)?")
_REPLACED = re.compile(r"\.(.+)-old-[a-z0-9_]{8}")  # holds a folder of that name
_AT_WORKING_FOLDER, _RENAME_EXCHANGE = -100, 2  # of Linux


@contextmanager
def replacing_file(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path` (same suffix); on success it becomes `path`, on failure nothing remains.

    Raises:
        NoRoomError: there is no room for it, whichever library noticed.
    """
    with _needing_room(path) as stack:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
        os.close(handle)
        temporary = Path(name)
        stack.callback(temporary.unlink, missing_ok=True)
        yield temporary
        temporary.chmod(0o644)
        temporary.replace(path)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Give a temporary folder beside `path`; on success it takes the place of `path`, on failure nothing remains.

    Raises:
        NoRoomError: there is no room for it, whichever library noticed.
    """
    with _needing_room(path) as stack:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}-"))
        stack.callback(shutil.rmtree, temporary, ignore_errors=True)
        yield temporary
        temporary.chmod(0o755)
        put_in_place(temporary, path)


@contextmanager
def _needing_room(path: Path) -> Iterator[ExitStack]:
    """Say so where `path` is not written for want of room; only then is done what was put on the stack."""
    with ExitStack() as stack:
        try:
            yield stack
        except Exception as error:
            if isinstance(error, NoRoomError) and error.path and path.parent not in error.path.parents:
                raise  # another place is full, of which the error speaks
            reason = why_no_room(error, path.parent)
            if reason is None:
                raise
            named = path.parent if path.name.startswith(".") else path  # people do not know of hidden ones
            refusal = NoRoomError(
                f"{named} cannot be written: {reason}. What was there before is as it was; free some space and run "
                "again, or choose another place"
            )
            refusal.path = path
            raise refusal from error


def why_no_room(error: Exception, folder: Path | None = None) -> str | None:
    """Why there was no room, in words, where that is what an error came of; else None.

    Args:
        error: whatever was raised. Some libraries tell the cause in words alone.
        folder: that was written to, and is asked for its room where the error is not explained: some libraries tell no
            cause at all.
    """
    cause: BaseException | None = error
    while cause is not None:
        if (number := getattr(cause, "errno", None)) in _NO_ROOM:
            return _NO_ROOM[number]
        if "No space left on device" in str(cause):
            return _NO_ROOM[errno.ENOSPC]
        cause = cause.__cause__ or cause.__context__
    if folder is None or isinstance(error, UserError) or getattr(error, "errno", None) is not None:
        return None
    if not folder.is_dir() or (free := shutil.disk_usage(folder).free) >= _LEAST_ROOM:
        return None
    return f"its disk has {free:,} bytes of room left ({first_line(error)[:80]})"


def put_in_place(made: Path, path: Path) -> None:
    """Give a whole file or folder its name; what had that name is gone. They must be on one file system.

    There is always something of that name where the system swaps two names at once. Elsewhere a kill may leave none,
    and `bring_back` has to be called.
    """
    if not path.exists() or not (path.is_dir() or made.is_dir()):
        made.replace(path)
        return
    old = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}-old-"))  # folders are not replaced at once
    if _swapped(made, path):
        made.replace(old / path.name)
    else:
        path.replace(old / path.name)
        made.replace(path)
    shutil.rmtree(old)


def _swapped(one: Path, other: Path) -> bool:
    """Give each the other's name, at once, where system and file system can do that."""
    if sys.platform != "linux":
        return False
    import ctypes

    rename = getattr(ctypes.CDLL(None), "renameat2", None)
    if rename is None:
        return False
    sys.audit("os.rename", one, other, -1, -1)  # as Python's own do
    names = os.fsencode(one), os.fsencode(other)
    return bool(rename(_AT_WORKING_FOLDER, names[0], _AT_WORKING_FOLDER, names[1], _RENAME_EXCHANGE) == 0)


def bring_back(path: Path) -> None:
    """Give a folder its name back if a process was killed that replaced it, and there is none of its name."""
    if path.exists():
        return
    name = glob.escape(path.name)
    for old in list(path.parent.glob(f".{name}-old-????????/{name}"))[:1]:
        old.replace(path)
        old.parent.rmdir()


def half_written(folder: Path, *, recursive: bool = False) -> list[Path]:
    """Files and folders in `folder` that are being written, or that a killed process left; also below it if asked."""
    found = folder.rglob(".*") if recursive else folder.iterdir()
    return [path for path in found if is_half_written(path.name)]


def is_half_written(name: str) -> bool:
    """Whether a file or folder of this name is being written, or was left by a killed process."""
    return _HALF_WRITTEN.fullmatch(name) is not None


def sweep(folder: Path, *, recursive: bool = False) -> None:
    """Remove what killed processes left half-written, and bring back what they had taken away to replace it.

    Only for who knows that nobody else writes there.
    """
    for path in half_written(folder, recursive=recursive):
        if replaced := _REPLACED.fullmatch(path.name):
            bring_back(path.with_name(replaced[1]))
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)  # its folder may be swept already


_NO_FILES = {  # what would never end, or wait for somebody who writes
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


def existing_file(path: Path | str) -> Path:
    """The path of a file that is there and can be read to its end.

    Raises:
        UserError: there is none, the system does not let us read it, or it is a folder, a pipe or a device.
    """
    path = Path(path)
    refuse_pipe(path)
    try:
        if stat.S_ISDIR(path.stat().st_mode):
            raise UserError(f"{path} is a folder; give the path of a file.")
        path.open("rb").close()
    except (FileNotFoundError, NotADirectoryError, ValueError):  # the last of a name that no file can have
        raise UserError(f"{path} does not exist; give the path of a file.") from None
    except OSError as error:
        refuse_if_system(error, path)
        raise
    return path


def refuse_if_system(error: Exception, path: Path) -> None:
    """Where the system and not what is in a file is why it was not read, say that; else do nothing.

    For who would call a file damaged, or of another kind, whatever was raised.

    Raises:
        UserError: it is: the file is not allowed, the disk fails, there is no memory.
    """
    said = str(error)
    if isinstance(error, MemoryError) or "can't allocate memory" in said or "out of memory" in said.lower():
        raise UserError(
            f"{path} cannot be read: it asks for more memory than there is. Free some; a damaged file may ask so, too"
        ) from error
    number = getattr(error, "errno", None)
    if isinstance(error, OSError) and number in _SYSTEM:
        raise UserError(f"{path} cannot be read: {os.strerror(number)}") from error


def refuse_pipe(path: Path) -> None:
    """See that a path is no pipe, device or socket, also through links; what is not there is left to others.

    Raises:
        UserError: it is.
    """
    try:
        kind = _NO_FILES.get(stat.S_IFMT(path.stat().st_mode))
    except (OSError, ValueError):
        return
    if kind is not None:
        raise UserError(f"{path} is {kind}, not a file; write what comes from it into a file and give that")


def read_text(path: Path, what: str, *, most_bytes: int) -> str:
    """The text of a file in UTF-8, with or without a byte order mark; `what` the file is, for messages.

    Raises:
        UserError: the file is too large, or cannot be read as text.
    """
    refuse_pipe(path)
    try:
        if (size := path.stat().st_size) > most_bytes:
            raise UserError(f"{path}: {size / 1e6:.1f} MB is too large for a {what} (up to {most_bytes / 1e6:g} MB)")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"{path}: cannot read the {what} ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: the {what} is not text in UTF-8; save it as UTF-8") from error
