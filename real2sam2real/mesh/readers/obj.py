"""Wavefront OBJ files: polygons, texture coordinates, materials, and colours behind the coordinates of vertices.

Lines are read in blocks, all of a kind at once. Indices below zero count back from the last vertex *so far*, which
readers that collect all vertices first get wrong.
"""

from __future__ import annotations

import re
from itertools import chain, compress, repeat
from pathlib import Path
from typing import NamedTuple

import numpy as np

from real2sam2real.arrays import Float, Int, UInt8
from real2sam2real.errors import UserError
from real2sam2real.mesh.gltf.materials import Material
from real2sam2real.mesh.gltf.surfaces import Surface
from real2sam2real.mesh.readers.materials import read_libraries
from real2sam2real.mesh.readers.mesh_file import MeshFile, check_faces, check_positions, still_file, surface_of
from real2sam2real.mesh.readers.polygons import triangulated

_CURVED = {"surf", "surf2", "curv", "curv2", "cstype"}
_OTHERS = {key[:2] for key in ("usemtl", "mtllib", *_CURVED)}
_CONTINUED = re.compile(r"(?:[^\n]*\\\n)+[^\n]*")
_BLOCK = 2**16
_NONE = -(2**62)  # in place of the number of a texture coordinate or normal: it is below any that counts back


def read_obj(path: Path, data: bytes) -> MeshFile:
    """The mesh of an OBJ file, all its objects and groups together.

    Raises:
        UserError: a line cannot be understood, an index points at nothing, or there is no face with an area.
    """
    text = data.decode("utf-8-sig", errors="replace").replace("\r\n", "\n").replace("\r", "\n")
    if "\\\n" in text:  # such a line goes on in the next one; empty lines behind it keep the numbers of the others
        text = _CONTINUED.sub(lambda found: found[0].replace("\\\n", " ") + "\n" * found[0].count("\n"), text)
    text = text.replace("\t", " ")
    lines = text.split("\n")
    if text.startswith(" ") or "\n " in text or " \n" in text:
        lines = [line.strip() for line in lines]
    parser = _Parser(path.name, commented=" #" in text)
    for start in range(0, len(lines), _BLOCK):
        parser.read(lines[start : start + _BLOCK], start + 1)
        check_faces(path.name, parser.faces)
    return parser.finish(path)


class _ObjBlock(NamedTuple):
    """What some lines hold: coordinates, vertices with a colour and those, texture coordinates, normals, polygons."""

    positions: Float
    colored: Int
    colors: Float
    uvs: Float
    normals: Float
    sizes: Int
    corners: Int
    materials: Int


class _Parser:
    """Collects what blocks of lines say: V vertices, U texture coordinates, P polygons of C corners in all."""

    def __init__(self, name: str, *, commented: bool) -> None:
        self.name, self.commented = name, commented
        self.vertices = self.uvs = self.normals = self.faces = self.dropped = 0
        self.curved = False
        self.libraries: list[str] = []
        self.materials = {"": 0}
        self.material = 0
        self._blocks: list[_ObjBlock] = []

    def read(self, lines: list[str], number: int) -> None:
        """Read `lines`, of which the first is line `number` of the file."""
        try:
            self._read(lines)
        except (ValueError, OverflowError) as error:
            if len(lines) > 1:  # which one?
                half = len(lines) // 2
                self.read(lines[:half], number)
                self.read(lines[half:], number + half)
                return
            shown, reason = lines[0].strip()[:60], str(error)[:80]
            raise UserError(f"{self.name}, line {number}: cannot read '{shown}' ({reason}); export it again") from error

    def _read(self, lines: list[str]) -> None:
        """Read `lines` or, where one of them cannot be read, none."""
        keys = [line[:2] for line in lines]
        polygons, corner_words, sizes = self._words(lines, keys, "f")
        points, point_words, widths = self._words(lines, keys, "v")
        coordinates, uv_words, uv_widths = self._words(lines, keys, "vt")
        directions, normal_words, normal_widths = self._words(lines, keys, "vn")
        if min(widths.min(initial=3), normal_widths.min(initial=3)) < 3:
            raise ValueError("a vertex or normal needs three coordinates")
        if uv_widths.min(initial=1) < 1:
            raise ValueError("a texture coordinate needs a number")
        positions = _numbers(point_words, widths, range(3))
        normals = _numbers(normal_words, normal_widths, range(3))
        colored = np.flatnonzero(widths >= 6)
        colors = _numbers(point_words, widths, range(3, 6), colored) if len(colored) else np.zeros((0, 3))
        uvs = np.zeros((len(coordinates), 2))  # one number is a u, with a v of 0
        uvs[:, :1] = _numbers(uv_words, uv_widths, range(1))
        flat = np.flatnonzero(uv_widths > 1)
        uvs[flat, 1:] = _numbers(uv_words, uv_widths, range(1, 2), flat)
        used = sizes >= 3
        if not used.all():
            corner_words = list(compress(corner_words, np.repeat(used, sizes).tolist()))
        polygons, sizes = polygons[used], sizes[used]
        corners = _corner_indices(corner_words)
        if ((corners < 1) & (corners != _NONE)).any():
            so_far = [
                self.vertices + np.searchsorted(points, polygons),
                self.uvs + np.searchsorted(coordinates, polygons),
                self.normals + np.searchsorted(directions, polygons),
            ]
            corners = _counted_from_start(corners, np.repeat(np.stack(so_far, axis=1), sizes, axis=0))
        materials = self._read_names(lines, keys, polygons)
        block = _ObjBlock(positions, colored + self.vertices, colors, uvs, normals, sizes, corners - 1, materials)
        self._blocks.append(block)
        self.vertices += len(positions)
        self.uvs += len(uvs)
        self.normals += len(normals)
        self.faces += len(sizes)
        self.dropped += int((~used).sum())

    def _words(self, lines: list[str], keys: list[str], key: str) -> tuple[Int, list[str], Int]:
        """Of the lines that begin with `key`: their numbers, all words behind it in a row, and how many each has."""
        both = (key, f"{key} ")
        numbers = [k for k, begin in enumerate(keys) if begin in both]
        chosen = [lines[k] for k in numbers]
        if self.commented:
            chosen = [line.partition(" #")[0] for line in chosen]
        words = " ".join(chosen).split()
        spaces = set(map(str.count, chosen, repeat(" ")))
        width = max(spaces, default=0) + 1
        if len(spaces) == 1 and len(words) == width * len(chosen):  # all have the same
            del words[::width]
            return np.array(numbers, np.int64), words, np.full(len(chosen), width - 1)
        rows = [line.split()[1:] for line in chosen]
        widths = np.array([len(row) for row in rows], np.int64)
        return np.array(numbers, np.int64), list(chain.from_iterable(rows)), widths

    def _read_names(self, lines: list[str], keys: list[str], polygons: Int) -> Int:
        """Note the names of libraries and materials; the materials `(P,)` of the faces on the lines `polygons`."""
        at, numbers = [0], [self.material]
        for k, begin in enumerate(keys):
            if begin in _OTHERS:
                key, _, name = lines[k].partition(" ")
                name = name.strip()
                if key == "mtllib":
                    self.libraries.append(name)
                elif key == "usemtl":
                    at.append(k)
                    numbers.append(self.materials.setdefault(name, len(self.materials)))
                self.curved = self.curved or key in _CURVED
        self.material = numbers[-1]
        found: Int = np.array(numbers)[np.searchsorted(at, polygons, side="right") - 1]
        return found

    def finish(self, path: Path) -> MeshFile:
        """The whole mesh.

        Raises:
            UserError: there is no face, or one points at a vertex or a texture coordinate that the file does not have.
        """
        if not self.faces:
            what = f"{self.vertices:,} vertices but no face" if self.vertices else "no vertex and no face"
            raise UserError(f"{path.name} holds {what}: it is no surface; export the object as a mesh")
        whole = _ObjBlock(*(np.concatenate(column) for column in zip(*self._blocks, strict=True)))
        corners = whole.corners
        for kind, most, count in zip(
            ("vertex", "coordinate vt"), corners.max(axis=0), (self.vertices, self.uvs), strict=False
        ):
            if most >= count:
                reason = f"a face points at {kind} {int(most) + 1:,} of {count:,}"
                raise UserError(f"{path.name}: {reason}; the file is damaged or cut off: export it again")
        notes = []
        if self.dropped:
            notes.append(f"{self.dropped:,} faces with fewer than three corners were left out")
        if self.curved:
            notes.append("its curved surfaces were left out; only polygons are read")
        if not (finite := bool(np.isfinite(whole.colors).all())):
            notes.append("its vertex colours are not finite; they were left out")
        elif 0 < len(whole.colors) < self.vertices:
            notes.append(f"{self.vertices - len(whole.colors):,} of its vertices have no colour; they are white")
        materials, left_out = read_libraries(path.parent, self.libraries)
        if self.libraries and (lost := sorted(set(self.materials) - {*materials, ""})):
            left_out.append(f"no library has the materials {', '.join(lost[:5])}; they are shown without colours")
        colors = self._vertex_colors(whole) if finite and len(whole.colors) else None
        return still_file(path, "OBJ", self._surfaces(whole, colors, materials), [*notes, *left_out])

    def _vertex_colors(self, whole: _ObjBlock) -> UInt8:
        most = 255.0 if whole.colors.max(initial=0) <= 1 else 1.0  # some tools write bytes
        colors = np.full((self.vertices, 3), 255, np.uint8)
        colors[whole.colored] = np.round(np.clip(whole.colors * most, 0, 255)).astype(np.uint8)
        return colors

    def _surfaces(self, whole: _ObjBlock, colors: UInt8 | None, materials: dict[str, Material]) -> list[Surface]:
        """One surface per material, and one more where some of its faces have no texture coordinates."""
        positions, uvs, corners = whole.positions, whole.uvs, whole.corners
        directions = np.concatenate([whole.normals, np.zeros((1, 3))]).astype(np.float32)  # the last one for none
        normal = np.where((corners[:, 2] >= 0) & (corners[:, 2] < self.normals), corners[:, 2], self.normals)
        check_positions(self.name, positions, corners[:, 0])
        triangles, polygon = triangulated(positions, corners[:, 0], whole.sizes)
        check_faces(self.name, len(triangles))
        textured = (corners[:, 1] >= 0)[triangles].all(axis=1)
        kinds = whole.materials[polygon] * 2 + textured
        names, nothing = list(self.materials), Material()
        surfaces = []
        for kind in np.unique(kinds).tolist():
            chosen = triangles[kinds == kind].ravel()
            name, with_uvs = names[kind // 2], bool(kind % 2)
            vertex, uv = corners[chosen, 0], corners[chosen, 1] if with_uvs else None
            first, numbers = _distinct(vertex, uv, len(uvs))
            surfaces.append(
                surface_of(
                    f"{self.name}: material '{name[:60]}'" if name else self.name,
                    positions[vertex[first]],
                    numbers.reshape(-1, 3),
                    material=materials.get(name, nothing),
                    uvs=None if uv is None else uvs[uv[first]],
                    colors=None if colors is None else colors[vertex[first]],
                    corner_normals=directions[normal[chosen]].reshape(-1, 3, 3) if self.normals else None,
                )
            )
        return surfaces


def _distinct(vertex: Int, uv: Int | None, uvs: int) -> tuple[Int, Int]:
    """Corners that share vertex and texture coordinate are one: a corner of each, in order, and the number of each."""
    if uv is None or np.array_equal(uv, vertex):  # the numbers are small: no need to sort
        found = np.full(vertex.max(initial=-1) + 1, -1)
        found[vertex[::-1]] = np.arange(len(vertex))[::-1]
        used = found >= 0
        return found[used], (np.cumsum(used) - 1)[vertex]
    _, first, numbers = np.unique(vertex * uvs + uv, return_index=True, return_inverse=True)
    return first, numbers


def _numbers(words: list[str], widths: Int, columns: range, rows: Int | None = None) -> Float:
    """`(N, len(columns))` numbers of `rows` (all for None) of `widths` words each."""
    starts = np.cumsum(widths) - widths
    width = int(widths[0]) if rows is None and len(widths) and (widths == widths[0]).all() else None
    found = np.empty((len(starts if rows is None else rows), len(columns)))
    for k, column in enumerate(columns):
        chosen = words[column::width] if width else [words[i] for i in (starts[rows] + column).ravel().tolist()]
        found[:, k] = list(map(float, chosen))
    return found


def _corner_indices(words: list[str]) -> Int:
    """`(C, 3)` indices of vertex, texture coordinate and normal as the file counts them; `_NONE` for none."""
    indices = np.full((len(words), 3), _NONE)
    slashes = set(map(str.count, words, repeat("/")))
    if slashes <= {0}:
        indices[:, 0] = list(map(int, words))
        return indices
    joined = " ".join(words)
    parts = joined.replace("/", " ").split()
    if slashes == {2} and joined.count("//") == len(words) == len(parts) / 2:  # all have a normal alone
        indices[:, 0] = list(map(int, parts[::2]))
        indices[:, 2] = list(map(int, parts[1::2]))
        return indices
    if len(slashes) == 1 and len(parts) == len(words) * (width := slashes.pop() + 1):  # all are given
        indices[:, 0] = list(map(int, parts[::width]))
        for k in range(1, width):
            indices[:, k] = list(map(int, parts[k::width]))
        return indices
    split = [word.split("/", 2) for word in words]
    indices[:, 0] = [int(part[0]) for part in split]
    for k in (1, 2):
        indices[:, k] = [int(part[k]) if len(part) > k and part[k] else _NONE for part in split]
    return indices


def _counted_from_start(indices: Int, counts: Int) -> Int:
    """`indices` `(C, 3)` of which those below zero count back from `counts` `(C, 3)`, the last ones so far.

    Raises:
        ValueError: one points at nothing.
    """
    wrong = (indices == 0) | ((indices < -counts) & (indices != _NONE))
    indices = np.where(wrong & [False, False, True], _NONE, indices)  # a normal can be done without
    wrong = np.argwhere(wrong[:, :2])
    if len(wrong):
        at = tuple(wrong[0])
        raise ValueError(f"the index {indices[at]} points at nothing: {counts[at]:,} are listed so far")
    return np.where((indices < 0) & (indices != _NONE), indices + counts + 1, indices)
