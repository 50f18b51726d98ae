"""STL files: triangles without colours, binary or as text."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from real2sam2real.errors import UserError
from real2sam2real.mesh.readers.mesh_file import MeshFile, check_faces, check_positions, still_file, surface_of

_TRIANGLE = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
_HEADER = 84
_VERTEX = re.compile(rb"^[ \t]*vertex[ \t]+(\S+)[ \t]+(\S+)[ \t]+(\S+)[ \t]*\r?$", re.MULTILINE | re.IGNORECASE)


def read_stl(path: Path, data: bytes) -> MeshFile:
    """The mesh of an STL file, its triangles welded.

    Raises:
        UserError: the file is no STL, cut off, or holds no triangle with an area.
    """
    count = int(np.frombuffer(data[80:_HEADER], "<u4")[0]) if len(data) >= _HEADER else -1
    if len(data) == _HEADER + count * _TRIANGLE.itemsize:
        corners = np.frombuffer(data, _TRIANGLE, count, _HEADER)["corners"].reshape(-1, 3)
    elif data.lstrip()[:5].lower() == b"solid":
        corners = _text_corners(path, data)
    else:
        held = f"says it holds {count:,} triangles and has {len(data):,} bytes, which do not fit" if count >= 0 else ""
        raise UserError(f"{path.name} {held or 'is too short for an STL file'}; it is cut off: export it again")
    check_faces(path.name, len(corners) // 3)
    positions = corners.astype(np.float64)
    check_positions(path.name, positions)
    return still_file(path, "STL", [surface_of(path.name, positions, np.arange(len(corners)).reshape(-1, 3))])


def _text_corners(path: Path, data: bytes) -> np.ndarray:
    try:
        corners = np.array(_VERTEX.findall(data), np.float64).reshape(-1, 3)
    except ValueError as error:
        raise UserError(f"{path.name} holds a vertex that is no number ({str(error)[:60]}); export it again") from None
    if len(corners) % 3 or b"endsolid" not in data.lower():
        raise UserError(f"{path.name} ends within a triangle: it is cut off; export it again")
    return corners
