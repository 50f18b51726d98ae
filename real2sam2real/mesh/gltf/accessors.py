"""Arrays of a glTF file: accessors with strides, normalised integers and sparse substitutions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from real2sam2real.arrays import Float, Int
from real2sam2real.mesh.gltf.container import Document
from real2sam2real.mesh.gltf.json_object import JsonObject

Array = NDArray[Any]

COMPONENTS = {5120: "i1", 5121: "u1", 5122: "i2", 5123: "u2", 5125: "u4", 5126: "f4"}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}

MOST_IMPLICIT = 2**24
"""Largest count of an accessor without data of its own (all zeros, or sparse): nothing else bounds its memory."""


def read_floats(document: Document, index: int, *kinds: str) -> Float:
    """`(N, C)` float64 of an accessor of one of the `kinds` ("VEC3"), normalised integers mapped to their fractions.

    Raises:
        UserError: the accessor is of another kind, out of bounds, or holds values that are not finite.
    """
    element = document.element("accessors", index)
    array = _read(document, element, kinds)
    values = array.astype(np.float64)
    if element.flag("normalized", False) and array.dtype.kind in "iu":
        values = np.maximum(values / np.iinfo(array.dtype).max, -1.0)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        bad = int(np.sum(~np.isfinite(array).all(axis=1)))
        element.fail(f"{bad} of {len(array)} entries are not finite (NaN or infinity)")
    return values


def read_integers(document: Document, index: int, *kinds: str) -> Int:
    """`(N, C)` int64 of an accessor of unsigned integers.

    Raises:
        UserError: the accessor is of another kind, out of bounds, or not of unsigned integers.
    """
    element = document.element("accessors", index)
    array = _read(document, element, kinds)
    if array.dtype.kind != "u":
        element.fail(f"holds {array.dtype} where unsigned integers belong")
    return array.astype(np.int64)


def _read(document: Document, element: JsonObject, kinds: tuple[str, ...]) -> Array:
    kind = element.text("type")
    if kind not in kinds:
        element.fail(f"is of type '{kind[:20]}' where {' or '.join(kinds)} belongs")
    dtype = _dtype(element)
    count = element.integer("count", least=1)
    width = _WIDTHS[kind]
    view = element.index("bufferView", "bufferViews")
    if view is not None:
        array = _strided(document, element, view, dtype, count, width)
    elif count > MOST_IMPLICIT:
        element.fail(f"declares {count:,} entries without data; at most {MOST_IMPLICIT:,} are read")
    else:
        array = np.zeros((count, width), dtype)
    if element.has("sparse"):
        array = _substituted(document, element, array)
    return array


def _dtype(element: JsonObject) -> np.dtype[Any]:
    code = element.integer("componentType")
    if code not in COMPONENTS:
        element.fail(f"'componentType' {code} does not exist")
    return np.dtype(f"<{COMPONENTS[code]}")


def _strided(document: Document, element: JsonObject, view: int, dtype: np.dtype[Any], count: int, width: int) -> Array:
    """`(count, width)` from a buffer view; the bounds are checked before anything is allocated."""
    data, declared = document.buffer_view(view)
    size = dtype.itemsize * width
    stride = declared or size
    if stride < size:
        element.fail(f"its entries of {size} bytes do not fit the stride of {stride} bytes")
    offset = element.integer("byteOffset", 0)
    needed = offset + (count - 1) * stride + size
    if needed > len(data):
        element.fail(f"{count:,} entries need {needed:,} bytes but its buffer view has {len(data):,}")
    raw = np.frombuffer(data, np.uint8)[offset:needed]
    rows = np.lib.stride_tricks.as_strided(raw, (count, size), (stride, 1), writeable=False)
    return np.ascontiguousarray(rows).view(dtype).reshape(count, width)


def _substituted(document: Document, element: JsonObject, array: Array) -> Array:
    sparse = element.child("sparse")
    count = sparse.integer("count", least=1, most=len(array))
    places, values = sparse.child("indices"), sparse.child("values")
    place_view = places.needed_index("bufferView", "bufferViews")
    value_view = values.needed_index("bufferView", "bufferViews")
    at = _strided(document, places, place_view, _dtype(places), count, 1)[:, 0]
    if at.dtype.kind != "u":
        places.fail(f"holds {at.dtype} where unsigned integers belong")
    if int(at.max()) >= len(array):
        places.fail(f"replaces entry {int(at.max()):,} of {len(array):,}")
    replaced = array.copy()
    replaced[at] = _strided(document, values, value_view, array.dtype, count, array.shape[1])
    return replaced
