"""The one reader of tars, of whatever origin: plain files alone, within a limit of size."""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Iterator
from typing import IO

MAX_BYTES = 4 << 30
"""Of one member."""


def read_tar(file: IO[bytes], *, gzipped: bool = False) -> Iterator[tuple[str, bytes]]:
    """Names and contents of a tar's files in order, one in memory at a time; folders are left out.

    Args:
        file: open at the tar's beginning.
        gzipped: whether the tar is compressed.

    Raises:
        ValueError: it is damaged, or holds what is no plain file: a link, a device, a file with holes.
    """
    try:
        with tarfile.open(fileobj=file, mode="r:gz" if gzipped else "r:") as tar:
            for member in tar:
                if member.isdir():
                    continue
                if not member.isfile() or member.issparse():
                    raise ValueError(f"'{member.name[:80]}' in it is a link, a device or a file with holes")
                yield member.name, _content(tar, member)
            _check_end(tar)
    except (tarfile.TarError, EOFError, RecursionError, OverflowError, zlib.error, UnicodeError) as error:
        raise ValueError(f"it is no whole tar ({str(error)[:80] or type(error).__name__})") from error


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    if not 0 <= member.size <= MAX_BYTES:
        raise ValueError(f"'{member.name[:80]}' in it says to have {member.size:,} bytes")
    content = tar.extractfile(member)
    read = b"" if content is None else content.read()
    if len(read) != member.size:
        raise ValueError(f"it ends within '{member.name[:80]}'")
    return read


def _check_end(tar: tarfile.TarFile) -> None:
    """See that a block of zeros follows; `tarfile` takes a tar that is cut off within a header for a whole one."""
    tar.fileobj.seek(tar.offset)
    if tar.fileobj.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise ValueError("it ends without its end mark, so it is cut off")
