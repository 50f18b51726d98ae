"""The elements of a PLY file as arrays: text, and binary of both byte orders, with lists of any length."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np
from numpy.typing import DTypeLike, NDArray

from real2sam2real.arrays import Float, Int
from real2sam2real.errors import UserError

_TYPES = {
    "char": "b", "uchar": "B", "short": "h", "ushort": "H", "int": "i", "uint": "I", "float": "f", "double": "d",
    "int8": "b", "uint8": "B", "int16": "h", "uint16": "H", "int32": "i", "uint32": "I", "float32": "f",
    "float64": "d", "int64": "q", "uint64": "Q",
}  # fmt: skip
"""Letters that name a type for NumPy and `struct` alike."""

_ORDERS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
_MOST_HEADER = 2**20
_AGAIN = "export it again"


@dataclass(frozen=True)
class PlyProperty:
    """A number per row, or, where `counted_by` is given, a list of them. Types are letters of `struct`, such as "B"."""

    name: str
    kind: str
    counted_by: str | None = None


@dataclass(eq=False)
class PlyElement:
    """`count` rows of the same properties."""

    name: str
    count: int
    properties: list[PlyProperty] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class Lists:
    """A list property: `lengths` `(N,)` and all `values` in a row, or `(N, K)` where every list has K."""

    lengths: Int
    values: NDArray[Any]

    def values_as(self, kind: DTypeLike) -> NDArray[Any]:
        """All values in a row as another type. They lie apart in a file: one column at a time is faster by far."""
        if self.values.ndim == 1:
            return self.values.astype(kind)
        typed = np.empty(self.values.shape, kind)
        for k in range(self.values.shape[1]):
            typed[:, k] = self.values[:, k]
        return typed.reshape(-1)


Columns = dict[str, "NDArray[Any] | Lists"]


@dataclass(frozen=True, eq=False)
class PlyHeader:
    """What a PLY says about itself."""

    order: str  # byte order, "<" or ">"; empty for text
    elements: list[PlyElement]  # in file order
    comments: list[str]  # without the word "comment"
    size: int  # where the data begins

    def element(self, name: str) -> PlyElement | None:
        """The element called `name`, or None."""
        return next((e for e in self.elements if e.name == name), None)


def read_header(name: str, data: bytes) -> PlyHeader:
    """Read the header of the PLY called `name`.

    Raises:
        UserError: it is no PLY, or its header is damaged.
    """
    end = data.find(b"end_header", 0, _MOST_HEADER)
    if data[:3] != b"ply" or end < 0:
        raise UserError(f"{name} has no PLY header: it is no PLY file, or cut off; {_AGAIN}")
    newline = data.find(b"\n", end)
    size = newline + 1 if newline >= 0 else len(data)
    order: str | None = None
    elements: list[PlyElement] = []
    comments: list[str] = []
    for line in data[:end].decode("utf-8", errors="replace").splitlines()[1:]:
        key, *words = line.split() or [""]
        if key == "format" and words and words[0] in _ORDERS:
            order = _ORDERS[words[0]]
        elif key == "comment":
            comments.append(" ".join(words))
        elif key == "element" and len(words) == 2 and words[1].isdecimal():
            elements.append(PlyElement(words[0], int(words[1])))
        elif key == "property" and elements:
            elements[-1].properties.append(_property(name, line, words))
        elif key not in ("", "obj_info"):
            raise UserError(f"{name}: its header has the line '{line[:60]}', which is not PLY; {_AGAIN}")
    if order is None:
        raise UserError(f"{name}: its header does not say whether it is ascii or binary; {_AGAIN}")
    return PlyHeader(order, elements, comments, size)


def _property(name: str, line: str, words: list[str]) -> PlyProperty:
    if len(words) == 2 and words[0] in _TYPES:
        return PlyProperty(words[1], _TYPES[words[0]])
    if len(words) == 4 and words[0] == "list" and words[1] in _TYPES and words[2] in _TYPES:
        return PlyProperty(words[3], _TYPES[words[2]], _TYPES[words[1]])
    raise UserError(f"{name}: its header has the line '{line[:60]}', which names no PLY type; {_AGAIN}")


def read_elements(name: str, data: bytes, header: PlyHeader) -> dict[str, Columns]:
    """Columns of every element: `(N,)` arrays, or `Lists`.

    Raises:
        UserError: the data is cut off or damaged.
    """
    if header.order:
        rows = _Rows(name, data, header.size, header.order)
        return {element.name: rows.read(element) for element in header.elements}
    try:
        numbers = np.array(data[header.size :].split(), dtype=np.float64)  # where lines end does not matter
    except ValueError as error:
        raise UserError(f"{name} holds a word that is no number ({str(error)[:60]}); {_AGAIN}") from None
    try:
        rows = _Rows(name, numbers.tobytes(), 0, "=")
        found = {element.name: _text_columns(name, rows, element) for element in header.elements}
        if rows.at == len(rows.data):
            return found
    except UserError:
        told = _told_by_lines(data[header.size :], header)
        if told is None:
            raise
    else:
        told = _told_by_lines(data[header.size :], header)
        if told is None:
            raise UserError(f"{name} holds more numbers than its header tells of, so nobody knows which; {_AGAIN}")
    rows = _Rows(name, told.tobytes(), 0, "=")
    return {element.name: _text_columns(name, rows, element) for element in header.elements}


def _told_by_lines(data: bytes, header: PlyHeader) -> Float | None:
    """The numbers that the header tells of, where each line has a row and more behind it; None where they do not fit.

    MeshLab has written lists of colours per corner that the header gives as three or four single numbers.
    """
    lines = [words for line in data.splitlines() if (words := line.split())]
    elements = [element for element in header.elements for _ in range(element.count)]
    if len(lines) != len(elements):
        return None
    kept: list[bytes] = []
    for words, element in zip(lines, elements, strict=True):
        at = 0
        for p in element.properties:
            if at >= len(words):
                return None
            at += 1 if p.counted_by is None else 1 + int(float(words[at]))
        if at > len(words):
            return None
        kept += words[:at]
    return np.array(kept, dtype=np.float64)


def _text_columns(name: str, rows: _Rows, element: PlyElement) -> Columns:
    """Text is read as rows of 64-bit floats, which then take the types that the header tells."""
    floats = [PlyProperty(p.name, "d", p.counted_by and "d") for p in element.properties]
    columns = rows.read(PlyElement(element.name, element.count, floats))
    for p in element.properties:
        column = columns[p.name]
        values = column.values if isinstance(column, Lists) else column
        if p.kind in "fd":
            continue
        with np.errstate(invalid="ignore"):
            typed = values.astype(p.kind)
        if not np.array_equal(typed, values):
            raise UserError(f"{name}: '{p.name[:40]}' holds a number that its type cannot have; {_AGAIN}")
        columns[p.name] = Lists(column.lengths, typed) if isinstance(column, Lists) else typed
    return columns


class _Rows:
    """Reads rows in one step where all lists of an element are equally long, else row by row."""

    def __init__(self, name: str, data: bytes, at: int, order: str) -> None:
        self.name, self.data, self.at, self.order = name, data, at, order

    def read(self, element: PlyElement) -> Columns:
        if not element.count or not element.properties:
            nothing = np.zeros(0)
            lists = Lists(np.zeros(0, np.int64), nothing)
            return {p.name: nothing if p.counted_by is None else lists for p in element.properties}
        first = self._walk(element, 1)[1]
        fields: list[Any] = []
        for k, p in enumerate(element.properties):
            if p.counted_by is not None:
                fields.append((f"n{k}", self.order + p.counted_by))
            fields.append((f"v{k}", self.order + p.kind, *([(first[k][0],)] if p.counted_by is not None else [])))
        row = np.dtype(fields)
        if len(self.data) - self.at < element.count * row.itemsize:
            return self._uneven(element)
        table = np.frombuffer(self.data, row, element.count, self.at)
        columns: Columns = {}
        for k, p in enumerate(element.properties):
            columns[p.name] = values = table[f"v{k}"]
            if p.counted_by is not None:
                if (table[f"n{k}"] != first[k][0]).any():
                    return self._uneven(element)
                columns[p.name] = Lists(np.broadcast_to(first[k][0], element.count), values)
        self.at += element.count * row.itemsize
        return columns

    def _walk(self, element: PlyElement, count: int) -> tuple[list[list[int]], list[list[int]], int]:
        """Where the values of each property begin in `count` rows, how many they are, and where the rows end."""
        steps = [
            (p.counted_by and struct.Struct(self.order + p.counted_by), np.dtype(self.order + p.kind).itemsize)
            for p in element.properties
        ]
        places: list[list[int]] = [[] for _ in steps]
        lengths: list[list[int]] = [[] for _ in steps]
        at, end = self.at, len(self.data)
        for _ in range(count):
            for k, (counter, size) in enumerate(steps):
                length = 1
                if counter:
                    length = counter.unpack_from(self.data, at)[0] if at + counter.size <= end else -1
                    if not 0 <= length <= end or length % 1:  # some writers have floats even there
                        self._cut_off(element)
                    length, at = int(length), at + counter.size
                places[k].append(at)
                lengths[k].append(length)
                at += length * size
            if at > end:
                self._cut_off(element)
        return places, lengths, at

    def _uneven(self, element: PlyElement) -> Columns:
        """Lists of several lengths: first where each value lies, then all of them at once."""
        places, lengths, self.at = self._walk(element, element.count)
        columns: Columns = {}
        raw = np.frombuffer(self.data, np.uint8)
        for k, p in enumerate(element.properties):
            count, kind = np.array(lengths[k], np.int64), np.dtype(self.order + p.kind)
            starts = np.repeat(np.array(places[k], np.int64) - (np.cumsum(count) - count) * kind.itemsize, count)
            firsts = starts + np.arange(int(count.sum())) * kind.itemsize
            values = raw[firsts[:, None] + np.arange(kind.itemsize)].view(kind).reshape(-1)
            columns[p.name] = values if p.counted_by is None else Lists(count, values)
        return columns

    def _cut_off(self, element: PlyElement) -> NoReturn:
        reason = f"its data does not hold its {element.count:,} rows of '{element.name[:40]}'"
        raise UserError(f"{self.name}: {reason}; the file is cut off or damaged: {_AGAIN}")
