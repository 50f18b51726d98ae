"""What a result depends on, as one hash: its inputs' content, its settings, and the code that makes it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import real2sam2real
from real2sam2real.files import refuse_pipe

# Reading tens of gigabytes of weights at every start would cost more than it protects from; their size and time do.
_READ_WHOLE_BYTES = 256 * 2**20
_PACKAGE = Path(real2sam2real.__file__).parent


def digest(path: Path) -> str:
    """Hash of a file's content, or of a folder's file names and contents (hidden files left out).

    A file beyond 256 MiB counts by its size and modification time.

    Raises:
        FileNotFoundError: there is nothing at `path`.
        UserError: it is a pipe or a device.
    """
    if not path.is_dir():
        return _file_digest(path)
    return digest_of((p for p in path.rglob("*") if p.is_file() and not p.name.startswith(".")), path)


def digest_of(files: Iterable[Path], folder: Path) -> str:
    """Hash of the names, relative to `folder`, and the contents of files in it."""
    total = hashlib.sha256()
    for file in sorted(files):
        total.update(f"{file.relative_to(folder).as_posix()}\0{_file_digest(file)}\n".encode())
    return total.hexdigest()


def _file_digest(path: Path) -> str:
    refuse_pipe(path)
    status = path.stat()
    if status.st_size > _READ_WHOLE_BYTES:
        return hashlib.sha256(f"{status.st_size} {status.st_mtime_ns}".encode()).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@cache
def code_version(code: tuple[str, ...]) -> str:
    """Hash of the package's Python sources in `code`, folders or files, and of the modules that all share."""
    files = [*_PACKAGE.glob("*.py"), *(_PACKAGE / "media").glob("*.py")]
    for name in code:
        files += [_PACKAGE / name] if name.endswith(".py") else (_PACKAGE / name).rglob("*.py")
    return digest_of(files, _PACKAGE)


def fingerprint(*, code: tuple[str, ...], settings: Any, inputs: Iterable[Path]) -> str:
    """One hash of code, settings (JSON values) and input files or folders, in the order given."""
    parts = {"code": code_version(code), "settings": settings, "inputs": [digest(path) for path in inputs]}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Stamp:
    """A file's content, and its size and time of change when it had that content.

    A file is compared by size and time, and read only when its time differs: thousands of files are not all read.
    """

    sha256: str
    bytes: int
    modified_ns: int

    @classmethod
    def of(cls, path: Path) -> Stamp:
        """The stamp of a file as it is now.

        Raises:
            FileNotFoundError: there is none.
        """
        status = path.stat()  # first: a change while it is read shows as another time afterwards
        return cls(sha256=digest(path), bytes=status.st_size, modified_ns=status.st_mtime_ns)

    def fits(self, path: Path) -> bool:
        """True if the file is there with the same content."""
        if not path.is_file():
            return False
        status = path.stat()
        if status.st_size != self.bytes:
            return False
        return status.st_mtime_ns == self.modified_ns or digest(path) == self.sha256
