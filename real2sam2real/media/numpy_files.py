"""Arrays of strangers' NumPy files: plain numbers and texts, no larger than they may be, or a reason."""

from __future__ import annotations

import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from real2sam2real.errors import UserError, first_line
from real2sam2real.files import existing_file, refuse_if_system

Arrays = dict[str, NDArray[Any]]
ALONE = ""  # what the array of a bare `.npy` is called


def read_arrays(path: Path, what: str, *, most_bytes: int, names: Collection[str] | None = None) -> Arrays:
    """The arrays of an `.npz` by name, or the one of an `.npy` under the name `ALONE`; which it is, its bytes tell.

    Args:
        path: the file.
        what: it is, for messages.
        most_bytes: that all arrays may take in memory; a header or an archive can claim any size.
        names: of those that are read; all by default. What else an archive holds is never unpacked.

    Raises:
        UserError: the file is missing, damaged, too large, or holds pickled objects.
    """
    path = existing_file(path)
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                return _unpacked(archive, names, most_bytes)
        with path.open("rb") as file:
            return {ALONE: _array(file, path.stat().st_size, most_bytes)}
    except _TooLargeError as error:
        raise UserError(f"{path}: {error}, too much for a {what} (up to {most_bytes / 1e6:.0f} MB)") from None
    except OSError as error:
        raise UserError(f"{path}: cannot read the {what} ({error.strerror or error})") from error
    except Exception as error:  # NumPy evaluates an array's header, and any of Python's errors may come of it
        refuse_if_system(error, path)
        raise UserError(
            f"{path}: the {what} cannot be read as a NumPy file of plain numbers ({first_line(error)[:120]}); it is "
            "damaged, cut off, or of another kind: save it again with numpy.save or numpy.savez"
        ) from error


def array_names(path: Path) -> list[str]:
    """Names of the arrays in an `.npz`, or `ALONE`, without reading any; none where it is no file that can be read."""
    if not (path.is_file() and zipfile.is_zipfile(path)):
        return [ALONE]
    try:
        with zipfile.ZipFile(path) as archive:
            return [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile):
        return []


class _TooLargeError(Exception):
    """Its text says what and how much."""


def _unpacked(archive: zipfile.ZipFile, names: Collection[str] | None, most_bytes: int) -> Arrays:
    arrays: Arrays = {}
    left = most_bytes
    for entry in archive.infolist():
        name = entry.filename.removesuffix(".npy")
        if name == entry.filename or (names is not None and name not in names):
            continue
        with archive.open(entry) as file:
            arrays[name] = _array(file, entry.file_size, left)
        left -= arrays[name].nbytes
    return arrays


def _array(file: IO[bytes], size: int, most_bytes: int) -> NDArray[Any]:
    """The array of a file of `size` bytes, whose header is checked before anything is allocated."""
    form = np.lib.format
    version = form.read_magic(file)
    if version not in ((1, 0), (2, 0), (3, 0)):
        raise ValueError(f"version {version} of the format is unknown")
    header = form.read_array_header_1_0 if version == (1, 0) else form.read_array_header_2_0
    shape, by_columns, kind = header(file)
    if kind.hasobject:
        raise ValueError("it holds pickled Python objects, which are not loaded")
    if any(n < 0 for n in shape):
        raise ValueError(f"its shape is {shape}")
    count = 1
    for n in shape:
        count *= n
    length = count * kind.itemsize
    if length > most_bytes:
        raise _TooLargeError(f"an array {shape} would take {length / 1e6:.0f} MB")
    if length > size:
        raise ValueError(f"an array {shape} needs {length:,} bytes, and the file has {size:,}")
    data = file.read(length)
    if len(data) < length:
        raise ValueError(f"an array {shape} needs {length:,} bytes, and {len(data):,} are there")
    flat = np.frombuffer(bytearray(data), kind, count) if length else np.zeros(count, kind)
    return flat.reshape(shape[::-1]).T if by_columns else flat.reshape(shape)
