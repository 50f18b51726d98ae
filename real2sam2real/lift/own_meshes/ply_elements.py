"""The PLY format: a header that declares elements, and their values as text or in binary.

Format: G. Turk, The PLY Polygon File Format (1994). Its lists may have any integer type for their count and items.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from real2sam2real.errors import UserError

_TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "i2", "int16": "i2", "ushort": "u2",
    "uint16": "u2", "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4", "float": "f4", "float32": "f4",
    "double": "f8", "float64": "f8", "long": "i8", "int64": "i8", "ulong": "u8", "uint64": "u8",
}  # fmt: skip
_CODES = {"i1": "b", "u1": "B", "i2": "h", "u2": "H", "i4": "i", "u4": "I", "i8": "q", "u8": "Q", "f4": "f", "f8": "d"}
_ORDERS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
_LONGEST_HEADER = 2**20


@dataclass(frozen=True)
class Property:
    """A value of an element; `count_type` (a NumPy type name) is given for lists only."""

    name: str
    value_type: str
    count_type: str | None = None


@dataclass(frozen=True)
class Ragged:
    """A list property: `counts` `(N,)` int64 and all items in a row, `values` `(sum of counts,)`."""

    counts: NDArray[np.int64]
    values: NDArray[Any]


@dataclass
class Declared:
    """An element as the header declares it."""

    name: str
    count: int
    properties: list[Property] = field(default_factory=list)


Values = dict[str, NDArray[Any] | Ragged]
"""Of one element: `(N,)` per property, or a `Ragged` for lists."""


@dataclass(frozen=True, eq=False)
class PlyFile:
    """Header and values of a PLY file; `data` begins after the header."""

    name: str
    order: str
    comments: tuple[str, ...]
    elements: tuple[Declared, ...]
    data: memoryview

    def fail(self, reason: str, remedy: str = "export the file again") -> UserError:
        """The error to raise."""
        return UserError(f"{self.name}: {reason}; {remedy}")

    def declared(self, *names: str) -> Declared | None:
        """The first element with one of these names."""
        return next((e for e in self.elements if e.name in names), None)

    def values(self, wanted: set[str]) -> dict[str, Values]:
        """The values of the `wanted` elements.

        Raises:
            UserError: the data is cut off or holds something that is no number.
        """
        reader = _Text(self) if not self.order else _Binary(self)
        found: dict[str, Values] = {}
        for element in self.elements:
            if not wanted - found.keys():
                break
            found[element.name] = reader.element(element)
        return found


def read_header(name: str, data: bytes) -> PlyFile:
    """Split a PLY file into what its header declares and what follows.

    Raises:
        UserError: it is no PLY file, or its header is damaged.
    """
    end = data.find(b"end_header", 0, _LONGEST_HEADER)
    if not data.startswith(b"ply") or end < 0:
        raise UserError(f"{name} is not a PLY file: it has no PLY header; check that its suffix is right")
    stop = end + len(b"end_header")
    stop += 2 if data[stop : stop + 2] == b"\r\n" else 1
    order: str | None = None
    comments: list[str] = []
    elements: list[Declared] = []
    for line in data[:end].decode("latin-1").splitlines()[1:]:
        words = line.split()
        if words[:1] == ["format"] and len(words) > 1:
            order = _ORDERS.get(words[1])
        elif words[:1] in (["comment"], ["obj_info"]):
            comments.append(line.partition(" ")[2].strip())
        elif words:
            _declare(name, words, elements)
    if order is None:
        raise UserError(f"{name}: its header names no format that exists; export the file again")
    return PlyFile(name, order, tuple(comments), tuple(elements), memoryview(data)[stop:])


def _declare(name: str, words: list[str], elements: list[Declared]) -> None:
    if words[0] == "element" and len(words) == 3 and words[2].isdigit():
        elements.append(Declared(words[1], int(words[2])))
        return
    types = [_TYPES.get(word.lower()) for word in words[2:-1]] if words[1:2] == ["list"] else [_TYPES.get(words[1])]
    if words[0] != "property" or not elements or None in types or len(words) != (5 if len(types) == 2 else 3):
        raise UserError(f"{name}: its header has the line '{' '.join(words)[:60]}', which PLY does not know")
    kinds = [kind for kind in types if kind is not None]
    elements[-1].properties.append(Property(words[-1], kinds[-1], kinds[0] if len(kinds) == 2 else None))


class _Binary:
    def __init__(self, file: PlyFile) -> None:
        self._file = file
        self._at = 0

    def element(self, element: Declared) -> Values:
        if not element.count:
            return _collected(element, [], [])
        counts = self._first_counts(element)
        kind = self._row_type(element, counts)
        end = self._at + kind.itemsize * element.count
        if end <= len(self._file.data):
            rows = np.frombuffer(self._file.data[self._at : end], kind)
            if all(np.all(rows[f"#{name}"] == count) for name, count in counts.items()):
                self._at = end
                return _uniform(element, rows, counts)
        if not counts:
            raise self._cut_off(element)
        return self._ragged(element)

    def _cut_off(self, element: Declared) -> UserError:
        return self._file.fail(f"ends within its {element.count:,} entries of '{element.name}': it is cut off")

    def _first_counts(self, element: Declared) -> dict[str, int]:
        """List lengths in the first row: in most files all rows have the same."""
        at, counts = self._at, {}
        for part in element.properties:
            size = np.dtype(part.value_type).itemsize
            if part.count_type is None:
                at += size
                continue
            count = self._unpack(element, part.count_type, at, 1)[0]
            if count < 0 or count != int(count):
                raise self._file.fail(f"a list of '{element.name}' has {count} items")
            counts[part.name] = int(count)
            at += np.dtype(part.count_type).itemsize + size * int(count)
            if at > len(self._file.data):
                raise self._cut_off(element)
        return counts

    def _row_type(self, element: Declared, counts: dict[str, int]) -> np.dtype[Any]:
        order = self._file.order
        fields: list[Any] = []
        for part in element.properties:
            if part.count_type is None:
                fields.append((part.name, order + part.value_type))
            else:
                fields.append((f"#{part.name}", order + part.count_type))
                fields.append((part.name, order + part.value_type, (counts[part.name],)))
        return np.dtype(fields)

    def _unpack(self, element: Declared, kind: str, at: int, count: int) -> tuple[Any, ...]:
        try:
            return struct.unpack_from(f"{self._file.order}{count}{_CODES[kind]}", self._file.data, at)
        except struct.error as error:
            raise self._cut_off(element) from error

    def _ragged(self, element: Declared) -> Values:
        columns: list[list[Any]] = [[] for _ in element.properties]
        lengths: list[list[int]] = [[] for _ in element.properties]
        at = self._at
        for _ in range(element.count):
            for k, part in enumerate(element.properties):
                count = 1
                if part.count_type is not None:
                    count = self._unpack(element, part.count_type, at, 1)[0]
                    at += np.dtype(part.count_type).itemsize
                    if count < 0 or count != int(count) or count > len(self._file.data):
                        raise self._file.fail(f"a list of '{element.name}' has {count} items")
                    lengths[k].append(int(count))
                columns[k].extend(self._unpack(element, part.value_type, at, int(count)))
                at += np.dtype(part.value_type).itemsize * int(count)
        self._at = at
        return _collected(element, columns, lengths)


class _Text:
    def __init__(self, file: PlyFile) -> None:
        self._file = file
        try:
            self._numbers = np.array(bytes(file.data).split(), np.float64)
        except ValueError as error:
            raise file.fail(f"holds something that is not a number ({str(error)[-60:]})") from error
        self._at = 0

    def element(self, element: Declared) -> Values:
        columns: list[list[Any]] = [[] for _ in element.properties]
        lengths: list[list[int]] = [[] for _ in element.properties]
        if all(part.count_type is None for part in element.properties):
            width = len(element.properties)
            rows = self._take(element, width * element.count).reshape(element.count, width)
            return {part.name: rows[:, k].astype(part.value_type) for k, part in enumerate(element.properties)}
        for _ in range(element.count):
            for k, part in enumerate(element.properties):
                count = 1
                if part.count_type is not None:
                    count = self._count(element)
                    lengths[k].append(count)
                columns[k].extend(self._take(element, count).tolist())
        return _collected(element, columns, lengths)

    def _count(self, element: Declared) -> int:
        count = float(self._take(element, 1)[0])
        if count < 0 or not count.is_integer():
            raise self._file.fail(f"a list of '{element.name}' has {count:g} items")
        return int(count)

    def _take(self, element: Declared, count: int) -> NDArray[np.float64]:
        taken = self._numbers[self._at : self._at + count]
        if len(taken) < count:
            raise self._file.fail(f"ends within its {element.count:,} entries of '{element.name}': it is cut off")
        self._at += count
        return taken


def _uniform(element: Declared, rows: NDArray[Any], counts: dict[str, int]) -> Values:
    found: Values = {}
    for part in element.properties:
        values = rows[part.name].astype(part.value_type)
        if part.count_type is not None:
            found[part.name] = Ragged(np.full(len(rows), counts[part.name], np.int64), values.ravel())
        else:
            found[part.name] = values
    return found


def _collected(element: Declared, columns: list[list[Any]], lengths: list[list[int]]) -> Values:
    found: Values = {}
    for k, part in enumerate(element.properties):
        values = np.array(columns[k] if columns else [], part.value_type)
        found[part.name] = (
            values if part.count_type is None else Ragged(np.array(lengths[k] if lengths else [], np.int64), values)
        )
    return found
