"""Wavefront OBJ files: polygons, texture coordinates, materials, and colours behind the coordinates of vertices.

Indices below zero count back from the last vertex *so far*, which readers that collect all vertices first get wrong.
"""

from __future__ import annotations

import io
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import numpy as np

from real2sam2real.arrays import Float, Int, UInt8
from real2sam2real.errors import UserError
from real2sam2real.mesh import Mesh
from real2sam2real.mesh.gltf.materials import Material
from real2sam2real.mesh.gltf.surfaces import Surface
from real2sam2real.mesh.readers.limits import MOST_FACES, check_faces, check_positions
from real2sam2real.mesh.readers.mtl import read_materials
from real2sam2real.mesh.readers.polygons import triangulated
from real2sam2real.mesh.readers.welding import surface, welded

_CURVED = {"surf", "surf2", "curv", "curv2", "cstype"}


def read_obj(path: Path, data: bytes, notes: list[str]) -> Mesh:
    """The mesh of an OBJ file, all its objects and groups together, in the file's coordinates.

    Raises:
        UserError: a line cannot be understood, an index points at nothing, or there is no face with an area.
    """
    parser = _Parser(path.name)
    for number, line in _lines(data):
        parser.read_line(number, line)
    listed = parser.listed()
    if not len(listed.sizes):
        what = f"{len(listed.positions):,} vertices but no face" if len(listed.positions) else "no vertex and no face"
        raise UserError(f"{path.name} holds {what}: it is no surface; export the object as a mesh")
    notes += [f"{path.name}: {remark}" for remark in listed.notes]
    own: list[str] = []
    materials: dict[str, Material] = {}
    for library in listed.libraries:
        materials.update(read_materials(path.parent, library, own))
    if listed.libraries and (lost := sorted(set(listed.materials) - {*materials, ""})):
        own.append(f"no library has the materials {', '.join(lost[:5])}; they are shown without colours")
    mesh = welded(path, _surfaces(path.name, listed, materials), own)
    notes += [remark if remark.startswith(path.name) else f"{path.name}: {remark}" for remark in dict.fromkeys(own)]
    return mesh


@dataclass(frozen=True, kw_only=True, eq=False)
class _Listed:
    """What the file lists: V vertices, U texture coordinates, P polygons of C corners in all.

    Attributes:
        positions: `(V, 3)`.
        colors: `(V, 3)` uint8 sRGB, or None.
        uvs: `(U, 2)`, origin at the bottom left.
        sizes: `(P,)` corners of each polygon.
        corner_vertex: `(C,)` numbers from 0.
        corner_uv: `(C,)` numbers from 0, −1 where a corner has none.
        material: `(P,)` numbers into `materials`.
        materials: names in use; "" is none.
        libraries: names of the material libraries.
        notes: what was left out.
    """

    positions: Float
    colors: UInt8 | None
    uvs: Float
    sizes: Int
    corner_vertex: Int
    corner_uv: Int
    material: Int
    materials: list[str]
    libraries: list[str]
    notes: list[str]


def _lines(data: bytes) -> Iterator[tuple[int, str]]:
    """Lines with their numbers; those that end in a backslash go on in the next one."""
    begun, first = "", 0
    for number, line in enumerate(io.TextIOWrapper(io.BytesIO(data), "utf-8-sig", errors="replace"), start=1):
        line = line.rstrip("\n")
        if line.endswith("\\"):
            begun, first = begun + line[:-1] + " ", first or number
            continue
        yield first or number, begun + line
        begun, first = "", 0
    if begun:
        yield first, begun


@dataclass(eq=False)
class _Parser:
    """Collects what the lines say, in flat arrays: an OBJ may have millions of lines."""

    name: str
    positions: array[float] = field(default_factory=lambda: array("d"))
    colored: array[int] = field(default_factory=lambda: array("q"))
    colors: array[float] = field(default_factory=lambda: array("d"))
    uvs: array[float] = field(default_factory=lambda: array("d"))
    sizes: array[int] = field(default_factory=lambda: array("q"))
    corner_vertex: array[int] = field(default_factory=lambda: array("q"))
    corner_uv: array[int] = field(default_factory=lambda: array("q"))
    material: array[int] = field(default_factory=lambda: array("q"))
    materials: dict[str, int] = field(default_factory=lambda: {"": 0})
    libraries: list[str] = field(default_factory=list)
    current: int = 0
    dropped: int = 0
    curved: bool = False

    def read_line(self, number: int, line: str) -> None:
        words = line.split()
        if not words:
            return
        key = words[0]
        try:
            if key == "v":
                self._vertex(_uncommented(words)[1:])
            elif key == "f":
                self._face(_uncommented(words)[1:])
            elif key == "vt":
                numbers = [float(word) for word in _uncommented(words)[1:3]]
                self.uvs.extend((numbers[0], numbers[1] if len(numbers) > 1 else 0.0))
            elif key == "usemtl":
                self.current = self.materials.setdefault(line.strip()[6:].strip(), len(self.materials))
            elif key == "mtllib":
                self.libraries.append(line.strip()[6:].strip())
            elif key in _CURVED:
                self.curved = True
        except (ValueError, IndexError, OverflowError) as error:
            self._fail(number, line, str(error))
        if len(self.sizes) > MOST_FACES:
            check_faces(self.name, len(self.sizes))

    def _fail(self, number: int, line: str, reason: str) -> NoReturn:
        raise UserError(
            f"{self.name}, line {number}: cannot read '{line.strip()[:60]}' ({reason[:80]}); export it again"
        )

    def _vertex(self, words: list[str]) -> None:
        if len(words) < 3:
            raise ValueError("a vertex needs three coordinates")
        if len(words) >= 6:
            self.colored.append(len(self.positions) // 3)
            self.colors.extend([float(word) for word in words[3:6]])
        self.positions.extend([float(word) for word in words[:3]])

    def _face(self, words: list[str]) -> None:
        if len(words) < 3:
            self.dropped += 1
            return
        vertices, uvs = len(self.positions) // 3, len(self.uvs) // 2
        for word in words:
            vertex, _, rest = word.partition("/")
            uv = rest.partition("/")[0]
            self.corner_vertex.append(_number_from_zero(int(vertex), vertices))
            self.corner_uv.append(_number_from_zero(int(uv), uvs) if uv else -1)
        self.sizes.append(len(words))
        self.material.append(self.current)

    def listed(self) -> _Listed:
        """Everything as arrays.

        Raises:
            UserError: a face points at a vertex or a texture coordinate that the file does not have.
        """
        positions = np.array(self.positions, np.float64).reshape(-1, 3)
        uvs = np.array(self.uvs, np.float64).reshape(-1, 2)
        corner_vertex, corner_uv = np.array(self.corner_vertex, np.int64), np.array(self.corner_uv, np.int64)
        for kind, corners, count in (("vertex", corner_vertex, len(positions)), ("coordinate vt", corner_uv, len(uvs))):
            if len(corners) and corners.max() >= count:
                reason = f"a face points at {kind} {int(corners.max()) + 1:,} of {count:,}"
                raise UserError(f"{self.name}: {reason}; the file is damaged or cut off: export it again")
        notes = []
        if self.dropped:
            notes.append(f"{self.dropped:,} faces with fewer than three corners were left out")
        if self.curved:
            notes.append("its curved surfaces were left out; only polygons are read")
        return _Listed(
            positions=positions,
            colors=self._colors(len(positions), notes),
            uvs=uvs,
            sizes=np.array(self.sizes, np.int64),
            corner_vertex=corner_vertex,
            corner_uv=corner_uv,
            material=np.array(self.material, np.int64),
            materials=list(self.materials),
            libraries=list(dict.fromkeys(self.libraries)),
            notes=notes,
        )

    def _colors(self, count: int, notes: list[str]) -> UInt8 | None:
        if not self.colored:
            return None
        given = np.array(self.colors, np.float64).reshape(-1, 3)
        if not np.isfinite(given).all():
            notes.append("its vertex colours are not finite; they were left out")
            return None
        if len(given) < count:
            notes.append(f"{count - len(given):,} of its vertices have no colour; they are white")
        most = 255.0 if given.max(initial=0) <= 1 else 1.0  # some tools write bytes
        colors = np.full((count, 3), 255, np.uint8)
        colors[np.array(self.colored, np.int64)] = np.round(np.clip(given * most, 0, 255)).astype(np.uint8)
        return colors


def _uncommented(words: list[str]) -> list[str]:
    return next((words[:k] for k, word in enumerate(words) if word.startswith("#")), words)


def _number_from_zero(index: int, count: int) -> int:
    """The number from 0 of an index from 1, or of one that counts back from the last of `count` so far."""
    if index > 0:
        return index - 1
    if index == 0 or index < -count:
        raise ValueError(f"the index {index} points at nothing: {count:,} are listed so far")
    return count + index


def _surfaces(name: str, listed: _Listed, materials: dict[str, Material]) -> list[Surface]:
    """One surface per material, and one more where some of its faces have no texture coordinates."""
    check_positions(name, listed.positions[np.unique(listed.corner_vertex)])
    corners, polygon = triangulated(listed.positions[listed.corner_vertex], listed.sizes)
    check_faces(name, len(corners))
    textured = (listed.corner_uv[corners] >= 0).all(axis=1)
    material = listed.material[polygon]
    nothing = Material()
    surfaces = []
    for key in np.unique(material * 2 + textured).tolist():
        chosen = corners[(material == key // 2) & (textured == bool(key % 2))]
        called = listed.materials[key // 2]
        label = f"{name}: material '{called[:60]}'" if called else name
        surfaces.append(_surface(label, listed, chosen, materials.get(called, nothing), with_uvs=bool(key % 2)))
    return surfaces


def _surface(label: str, listed: _Listed, corners: Int, material: Material, *, with_uvs: bool) -> Surface:
    """Corners that share vertex and texture coordinate become one file vertex."""
    vertex = listed.corner_vertex[corners.ravel()]
    uv = listed.corner_uv[corners.ravel()] if with_uvs else np.zeros_like(vertex)
    keys = vertex * (len(listed.uvs) + 1) + uv
    _, first, triangles = np.unique(keys, return_index=True, return_inverse=True)
    return surface(
        label,
        listed.positions[vertex[first]],
        triangles.reshape(-1, 3).astype(np.int64),
        material=material,
        uvs=listed.uvs[uv[first]] if with_uvs else None,
        colors=None if listed.colors is None else listed.colors[vertex[first]],
    )
