"""The elements of a PLY file as arrays: text, and binary of both byte orders, with lists of any length."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from real2sam2real.arrays import Float, Int
from real2sam2real.errors import UserError

_TYPES = {
    "char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4", "float": "f4",
    "double": "f8", "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4",
    "int64": "i8", "uint64": "u8", "float32": "f4", "float64": "f8",
}  # fmt: skip
_ORDERS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
_MOST_HEADER = 2**20
_AGAIN = "export it again"


@dataclass(frozen=True)
class PlyProperty:
    """A number per row, or, where `counted_by` is given, a list of them. Types are NumPy's, such as "u1"."""

    name: str
    kind: str
    counted_by: str | None = None


@dataclass(eq=False)
class PlyElement:
    """`count` rows of the same properties."""

    name: str
    count: int
    properties: list[PlyProperty] = field(default_factory=list)

    def names(self) -> set[str]:
        """Names of its properties."""
        return {p.name for p in self.properties}


@dataclass(frozen=True, eq=False)
class Lists:
    """A list property: `lengths` `(N,)` and all `values` in a row."""

    lengths: Int
    values: NDArray[Any]


Columns = dict[str, "NDArray[Any] | Lists"]


@dataclass(frozen=True, eq=False)
class PlyHeader:
    """What a PLY says about itself.

    Attributes:
        order: byte order, "<" or ">"; empty for text.
        elements: in file order.
        comments: without the word "comment".
        size: where the data begins.
    """

    order: str
    elements: list[PlyElement]
    comments: list[str]
    size: int

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
    source = _TextRows(name, data, header) if not header.order else _BinaryRows(name, data, header)
    return {element.name: source.rows(element) for element in header.elements}


class _BinaryRows:
    """Reads rows in one step where all lists of an element are equally long, else row by row."""

    def __init__(self, name: str, data: bytes, header: PlyHeader) -> None:
        self.name, self.data, self.order, self.at = name, data, header.order, header.size

    def rows(self, element: PlyElement) -> Columns:
        if not element.count or not element.properties:
            return _no_rows(element)
        lengths = self._first_lengths(element)
        fields: list[Any] = []
        for k, p in enumerate(element.properties):
            if p.counted_by is not None:
                fields.append((f"n{k}", self.order + p.counted_by))
            fields.append((f"v{k}", self.order + p.kind, *([(lengths[k],)] if p.counted_by is not None else [])))
        row = np.dtype(fields)
        if len(self.data) - self.at >= element.count * row.itemsize:
            table = np.frombuffer(self.data, row, element.count, self.at)
            if all((table[f"n{k}"] == length).all() for k, length in lengths.items()):
                self.at += element.count * row.itemsize
                return {p.name: self._column(table, k, lengths) for k, p in enumerate(element.properties)}
        if not lengths:
            self._cut_off(element)
        return self._uneven_rows(element)

    def _first_lengths(self, element: PlyElement) -> dict[int, int]:
        """Lengths of the lists in the first row, by property."""
        at, lengths = self.at, {}
        for k, p in enumerate(element.properties):
            if p.counted_by is not None:
                lengths[k], at = self._length(element, p, at)
                at += lengths[k] * np.dtype(p.kind).itemsize
            else:
                at += np.dtype(p.kind).itemsize
        return lengths

    def _length(self, element: PlyElement, p: PlyProperty, at: int) -> tuple[int, int]:
        kind = np.dtype(self.order + str(p.counted_by))
        if at + kind.itemsize > len(self.data):
            self._cut_off(element)
        length = self._whole(element, np.frombuffer(self.data, kind, 1, at)[0].item())
        at += kind.itemsize
        if at + length * np.dtype(p.kind).itemsize > len(self.data):
            self._cut_off(element)
        return length, at

    def _whole(self, element: PlyElement, length: float) -> int:
        """A list's length: some writers have floats even there."""
        if not 0 <= length <= len(self.data) or length % 1:
            self._cut_off(element)
        return int(length)

    def _column(self, table: NDArray[Any], k: int, lengths: dict[int, int]) -> NDArray[Any] | Lists:
        values = table[f"v{k}"]
        if k not in lengths:
            return values
        return Lists(np.full(len(table), lengths[k], np.int64), values.reshape(-1))

    def _uneven_rows(self, element: PlyElement) -> Columns:
        """Lists of several lengths: first where each value lies, then all of them at once."""
        readers = [
            (
                None if p.counted_by is None else struct.Struct(self.order + _code(p.counted_by)),
                np.dtype(p.kind).itemsize,
            )
            for p in element.properties
        ]
        places: list[list[int]] = [[] for _ in readers]
        lengths: list[list[int]] = [[] for _ in readers]
        at = self.at
        try:
            for _ in range(element.count):
                for k, (counter, size) in enumerate(readers):
                    length = 1
                    if counter is not None:
                        length = self._whole(element, counter.unpack_from(self.data, at)[0])
                        at += counter.size
                    places[k].append(at)
                    lengths[k].append(length)
                    at += length * size
        except struct.error:
            self._cut_off(element)
        if at > len(self.data):
            self._cut_off(element)
        self.at = at
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
        have = f"{len(self.data):,} bytes do not hold its {element.count:,} rows of '{element.name[:40]}'"
        raise UserError(f"{self.name}: {have}; the file is cut off or damaged: {_AGAIN}")


class _TextRows:
    """Reads rows from words; where lines end does not matter."""

    def __init__(self, name: str, data: bytes, header: PlyHeader) -> None:
        self.name, self.at = name, 0
        words = data[header.size :].split()
        try:
            self.numbers: Float = np.array(words, dtype=np.float64)
        except ValueError as error:
            raise UserError(f"{name} holds a word that is no number ({str(error)[:60]}); {_AGAIN}") from None

    def rows(self, element: PlyElement) -> Columns:
        if not element.count or not element.properties:
            return _no_rows(element)
        spans = self._spans_of_first_row(element)
        width = spans[-1][1] if spans else 0
        if self.at + element.count * width <= len(self.numbers):
            table = self.numbers[self.at : self.at + element.count * width].reshape(element.count, width)
            counts = [begin - 1 for p, (begin, _) in zip(element.properties, spans, strict=True) if p.counted_by]
            if (table[:, counts] == table[:1, counts]).all():
                self.at += element.count * width
                return {
                    p.name: self._column(p, np.full(element.count, end - begin), table[:, begin:end].ravel())
                    for p, (begin, end) in zip(element.properties, spans, strict=True)
                }
        return self._uneven_rows(element)

    def _spans_of_first_row(self, element: PlyElement) -> list[tuple[int, int]]:
        """Where each property's values lie in the first row: one number, or a list behind its length."""
        at, spans = 0, []
        for p in element.properties:
            length = 1
            if p.counted_by is not None:
                length = self._length(element, self.at + at)
                at += 1
            spans.append((at, at + length))
            at += length
        return spans

    def _length(self, element: PlyElement, at: int) -> int:
        length = float(self.numbers[at]) if at < len(self.numbers) else -1.0
        if not 0 <= length <= len(self.numbers) or length % 1:
            self._cut_off(element)
        return int(length)

    def _uneven_rows(self, element: PlyElement) -> Columns:
        kept: list[list[Float]] = [[] for _ in element.properties]
        at = self.at
        for _ in range(element.count):
            for k, p in enumerate(element.properties):
                length = 1
                if p.counted_by is not None:
                    length = self._length(element, at)
                    at += 1
                kept[k].append(self.numbers[at : at + length])
                at += length
            if at > len(self.numbers):
                self._cut_off(element)
        self.at = at
        return {
            p.name: self._column(p, np.array([len(part) for part in parts], np.int64), np.concatenate(parts))
            for p, parts in zip(element.properties, kept, strict=True)
        }

    def _column(self, p: PlyProperty, lengths: Int, values: Float) -> NDArray[Any] | Lists:
        typed: NDArray[Any] = values
        if p.kind[0] != "f":
            with np.errstate(invalid="ignore"):
                typed = values.astype(p.kind)
            if not np.array_equal(typed, values):
                raise UserError(f"{self.name}: '{p.name[:40]}' holds a number that its type cannot have; {_AGAIN}")
        return typed if p.counted_by is None else Lists(lengths, typed)

    def _cut_off(self, element: PlyElement) -> NoReturn:
        reason = f"its text does not hold its {element.count:,} rows of '{element.name[:40]}'"
        raise UserError(f"{self.name}: {reason}; the file is cut off or damaged: {_AGAIN}")


def _no_rows(element: PlyElement) -> Columns:
    nothing = np.zeros(0)
    return {
        p.name: nothing if p.counted_by is None else Lists(np.zeros(0, np.int64), nothing) for p in element.properties
    }


def _code(kind: str) -> str:
    """The letter of the struct module for one of our types."""
    return {
        "i1": "b",
        "u1": "B",
        "i2": "h",
        "u2": "H",
        "i4": "i",
        "u4": "I",
        "i8": "q",
        "u8": "Q",
        "f4": "f",
        "f8": "d",
    }[kind]
