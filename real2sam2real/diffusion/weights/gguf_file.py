"""GGUF files, read with every length checked against the file: which tensors it holds, and where.

A header may claim any count of anything, and the `gguf` package's own reader, which believes it, makes an object of
every entry of every array; here entries that nobody asks for are stepped over. Format:
https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from real2sam2real.errors import UserError

_VERSIONS = (2, 3)
_SHAPES = "comfy.gguf.orig_shape."  # of city96's converter, before a tensor's name
_NUMBERS = ("B", "b", "H", "h", "I", "i", "f", "?", None, None, "Q", "q", "d")  # by GGUF's numbers of value types
_TEXT, _ARRAY = 8, 9
_MOST_DIMENSIONS = 8
_MOST_NESTED = 4  # arrays within arrays; converters write none at all
_MOST_STEPS = 5_000_000  # texts and inner arrays that are stepped over one by one; the largest vocabulary has 300,000
_ALIGNMENT = 32
_PLAIN = {"F64": np.float64, "F32": np.float32, "F16": np.float16}


@dataclass(frozen=True, kw_only=True, eq=False)
class GgufTensor:
    """One tensor, memory-mapped."""

    name: str
    kind: Any  # `gguf.GGMLQuantizationType`
    stored: tuple[int, ...]  # its shape, slowest dimension first, as PyTorch has it
    shape: tuple[int, ...]  # the same, unless a converter had to regroup it: then what it stands for
    # of a private mapping: numbers in the shape `stored`, or `(…, bytes of a row)` uint8 of packed or bfloat16 values
    data: NDArray[Any]


def read_gguf(path: Path) -> list[GgufTensor]:
    """The tensors of a GGUF file; nothing but the header is read.

    Raises:
        UserError: it is damaged, cut short, of a version or byte order that is not read, or names a tensor twice.
    """
    data = np.memmap(path, np.uint8, "c")  # private, so that torch may take the memory as its own without a copy
    header = _Header(path, data)
    version = header.at_start()
    if version not in _VERSIONS:
        order = ", or in the other byte order" if version and not version & 0xFFFF else ""
        raise UserError(f"{path} is GGUF of version {version}{order}; versions 2 and 3, little-endian, are read")
    tensors, fields = header.number("Q"), header.number("Q")
    values: dict[str, Any] = {}
    for _ in range(fields):
        name = header.text()
        values[name] = header.value(header.number("I"), keep=name == "general.alignment" or name.startswith(_SHAPES))
    entries = [_entry(header) for _ in range(tensors)]
    alignment = values.get("general.alignment", _ALIGNMENT)
    if not isinstance(alignment, int) or alignment < 1 or alignment & (alignment - 1):
        header.fail(f"its alignment is {alignment!r}, which is no power of two")
    start = -(-header.at // alignment) * alignment
    found: dict[str, GgufTensor] = {}
    for name, stored, kind, offset in entries:
        if name in found:
            header.fail(f"it holds '{name[:80]}' twice")
        original = values.get(_SHAPES + name)
        found[name] = _mapped(header, name, stored, kind, begin=start + offset, original=original)
    return list(found.values())


class _Header:
    """Reads forward, and never beyond the file's end."""

    def __init__(self, path: Path, data: NDArray[np.uint8]) -> None:
        self.path, self.data, self.at, self.steps = path, data, 0, 0
        self.bytes = data.data

    def at_start(self) -> int:
        """The version."""
        self.at = 4
        return int(self.number("I"))

    def fail(self, reason: str) -> NoReturn:
        raise UserError(f"{self.path} is damaged or cut short: {reason}. Get it from its publisher again")

    def skip(self, size: int) -> int:
        """Step over some bytes; returns where they begin."""
        begin, end = self.at, self.at + size
        if end > len(self.data):
            self.fail(f"its header needs {size:,} bytes at {begin:,}, and the file has {len(self.data):,} in all")
        self.at = end
        return begin

    def number(self, code: str) -> Any:
        form = struct.Struct("<" + code)
        return form.unpack_from(self.bytes, self.skip(form.size))[0]

    def text(self) -> str:
        begin = self.skip(self.number("Q"))
        return bytes(self.data[begin : self.at]).decode("utf-8", "replace")

    def value(self, kind: int, *, keep: bool, depth: int = 0) -> Any:
        """A number, or the numbers of an array, where they are to be kept; None for all else."""
        if kind == _TEXT:
            self.skip(self.number("Q"))
            return None
        if kind == _ARRAY:
            return self._array(keep, depth)
        number = self.number(self._code(kind))
        return number if keep else None

    def _code(self, kind: int) -> str:
        code = _NUMBERS[kind] if kind < len(_NUMBERS) else None
        if code is None:
            self.fail(f"a value in its header is of the type {kind}, which does not exist")
        return code

    def _array(self, keep: bool, depth: int) -> Any:
        kind, count = self.number("I"), self.number("Q")
        if kind in (_TEXT, _ARRAY):
            self.steps += count
            if depth >= _MOST_NESTED or self.steps > _MOST_STEPS:
                self.fail(f"its header holds more than {_MOST_STEPS:,} entries, or arrays within arrays within arrays")
            for _ in range(count):
                self.value(kind, keep=False, depth=depth + 1)
            return None
        form = struct.Struct("<" + self._code(kind))
        begin = self.skip(count * form.size)
        if not keep or count > _MOST_DIMENSIONS:
            return None
        return [form.unpack_from(self.bytes, begin + k * form.size)[0] for k in range(count)]


def _entry(header: _Header) -> tuple[str, tuple[int, ...], int, int]:
    """Name, shape as stored, number of the kind, and place behind the header."""
    name, count = header.text(), header.number("I")
    if count > _MOST_DIMENSIONS:
        header.fail(f"'{name[:80]}' has {count:,} dimensions")
    sizes = tuple(header.number("Q") for _ in range(count))
    return name, sizes[::-1], header.number("I"), header.number("Q")


def _mapped(
    header: _Header, name: str, stored: tuple[int, ...], number: int, *, begin: int, original: Any
) -> GgufTensor:
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

    try:
        kind = GGMLQuantizationType(number)
    except ValueError:
        raise UserError(
            f"{header.path}: '{name[:80]}' is stored in the form {number}, which the installed gguf does not know; "
            "a newer one may: pip install -U gguf"
        ) from None
    block, size = GGML_QUANT_SIZES[kind]
    if stored and stored[-1] % block:
        header.fail(f"rows of '{name[:80]}' hold {stored[-1]:,} values, no multiple of {kind.name}'s blocks of {block}")
    length = math.prod(stored) // block * size
    if begin + length > len(header.data):
        held = f"the file has {len(header.data):,} in all"
        header.fail(f"'{name[:80]}' needs {length:,} bytes at {begin:,}, and {held}")
    shape = stored if original is None else tuple(original)
    if not all(isinstance(n, int) and n >= 0 for n in shape) or math.prod(shape) != math.prod(stored):
        raise UserError(f"{header.path}: '{name[:80]}' says its shape is {shape} but holds {math.prod(stored)} values")
    raw = header.data[begin : begin + length]
    plain = _PLAIN.get(kind.name)
    if plain is not None:
        data = raw.view(plain).reshape(stored)
    else:
        data = raw.reshape((*stored[:-1], stored[-1] // block * size) if stored else (size,))
    return GgufTensor(name=name, kind=kind, stored=stored, shape=shape, data=data)
