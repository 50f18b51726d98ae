"""Kinds that are read badly on purpose, so that a test sees the fuzzer see it."""

import os
import time
from pathlib import Path

import numpy as np

from real2sam2real.errors import UserError
from tests.fuzz.registry import kind


def _reader(damaged):
    """Calls `damaged` for what is damaged and nothing for the seed."""

    def read(path: Path) -> None:
        if path.read_bytes() != b"whole":
            damaged()

    return read


def _refuse() -> None:
    raise UserError("it is damaged")


def _raise() -> None:
    raise KeyError("damaged")


def _grow() -> None:
    held = [np.ones(1 << 20) for _ in range(100)]
    time.sleep(10)
    del held


def _damage(data: bytes, draw: object) -> bytes:
    return b"damaged"


for _name, _read in {
    "refused": _reader(_refuse),
    "raises": _reader(_raise),
    "hangs": _reader(lambda: time.sleep(10)),
    "dies": _reader(lambda: os._exit(3)),
    "grows": _reader(_grow),
    "no seed": lambda path: _refuse(),
}.items():

    @kind(_name, _read, _damage)
    def _whole(folder: Path) -> Path:
        (folder / "file").write_bytes(b"whole")
        return folder / "file"
