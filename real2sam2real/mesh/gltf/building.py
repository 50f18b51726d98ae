"""Grow a glTF document: arrays go into one binary buffer, and their accessors into the JSON."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from real2sam2real.errors import UserError
from real2sam2real.mesh.gltf.accessors import COMPONENTS

_KINDS = {1: "SCALAR", 2: "VEC2", 3: "VEC3", 4: "VEC4", 16: "MAT4"}
_CODES = {kind: code for code, kind in COMPONENTS.items()}
VERTICES, INDICES = 34962, 34963


class GltfBuilder:
    """The JSON (`root`) and the binary chunk (`binary`) of a GLB in the making."""

    def __init__(self, generator: str) -> None:
        self.root: dict[str, Any] = {"asset": {"version": "2.0", "generator": generator}}
        self.binary = bytearray()

    def add(self, kind: str, element: dict[str, Any]) -> int:
        """Append an element such as a node and return its index."""
        self.root.setdefault(kind, []).append(element)
        return len(self.root[kind]) - 1

    def view(self, data: bytes, **fields: int) -> int:
        """A buffer view of `data`, aligned to four bytes."""
        self.binary.extend(b"\0" * (-len(self.binary) % 4))
        start = len(self.binary)
        self.binary.extend(data)
        return self.add("bufferViews", {"buffer": 0, "byteOffset": start, "byteLength": len(data), **fields})

    def accessor(
        self, array: NDArray[Any], *, target: int | None = None, bounds: bool = False, normalized: bool = False
    ) -> int:
        """An accessor of `(N, C)`, or `(N,)` for scalars; `bounds` states the least and greatest values.

        Raises:
            UserError: a number does not fit into glTF's 32-bit floats.
        """
        array = np.ascontiguousarray(array.reshape(len(array), -1))
        if not np.isfinite(array).all():
            raise UserError("a coordinate of the scene is too large for glTF's 32-bit floats; scale the scene down")
        fields = {} if target is None else {"target": target}
        view = self.view(array.astype(array.dtype.newbyteorder("<")).tobytes(), **fields)
        element: dict[str, Any] = {
            "bufferView": view,
            "componentType": _CODES[array.dtype.str[1:]],
            "count": len(array),
            "type": _KINDS[array.shape[1]],
        }
        if normalized:
            element["normalized"] = True
        if bounds:
            element["min"] = [float(v) for v in array.min(axis=0)]
            element["max"] = [float(v) for v in array.max(axis=0)]
        return self.add("accessors", element)

    def finished(self) -> dict[str, Any]:
        """The JSON with its buffer's length."""
        if self.binary:
            self.root["buffers"] = [{"byteLength": len(self.binary)}]
        return self.root
