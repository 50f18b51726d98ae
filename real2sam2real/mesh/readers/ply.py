"""PLY meshes: vertices, polygons, colours and texture coordinates per vertex."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from real2sam2real.arrays import Float, Int, UInt8
from real2sam2real.errors import UserError
from real2sam2real.mesh.gltf.materials import Material
from real2sam2real.mesh.readers.materials import read_texture
from real2sam2real.mesh.readers.mesh_file import MeshFile, check_faces, check_positions, still_file, surface_of
from real2sam2real.mesh.readers.ply_data import Columns, Lists, PlyHeader, read_elements, read_header
from real2sam2real.mesh.readers.polygons import triangulated

_CORNERS = ("vertex_indices", "vertex_index")
_COLORS = (
    ("red", "green", "blue"),
    ("r", "g", "b"),
    ("diffuse_red", "diffuse_green", "diffuse_blue"),
)
_COORDINATES = (("s", "t"), ("u", "v"), ("texture_u", "texture_v"), ("texcoord_u", "texcoord_v"))
_SPLAT = ({"f_dc_0", "opacity"}, {"scale_0", "rot_0"}, {"packed_position", "packed_rotation"})


def read_ply(path: Path, data: bytes) -> MeshFile:
    """The mesh of a PLY file.

    Raises:
        UserError: the file is damaged, or holds points or Gaussian splats in place of a surface.
    """
    header = read_header(path.name, data)
    _check_holds_a_surface(path.name, header)
    elements = read_elements(path.name, data, header)
    vertex = elements["vertex"]
    positions = _numbers(vertex, ("x", "y", "z"))
    if positions is None:
        raise UserError(f"{path.name}: its coordinates are lists, not numbers; export the object as a mesh")
    corners, sizes, corner_uvs, notes = _polygons(path.name, elements["face"], len(positions))
    check_positions(path.name, positions, corners)
    uvs = next((found for names in _COORDINATES if (found := _numbers(vertex, names)) is not None), None)
    colors = _colors(vertex)
    if isinstance(colors, str):
        notes.append(colors)
        colors = None
    normals = _numbers(vertex, ("nx", "ny", "nz"))
    if corner_uvs is not None:  # a vertex for every corner: welding joins them again
        triangles, _ = triangulated(positions, corners, sizes)
        positions, uvs = positions[corners], corner_uvs
        colors = None if colors is None else colors[corners]
        normals = None if normals is None else normals[corners]
    elif (sizes == 3).all():
        triangles = corners.reshape(-1, 3)
    else:
        triangles = corners[triangulated(positions, corners, sizes)[0]]
    texture = None if uvs is None else _texture(path, header)
    if isinstance(texture, str):
        notes.append(texture)
        texture = None
    material = Material(texture=texture)
    at_corners = None if normals is None else normals[triangles].astype(np.float32)
    surface = surface_of(
        path.name, positions, triangles, material=material, uvs=uvs, colors=colors, corner_normals=at_corners
    )
    return still_file(path, "PLY", [surface], notes)


def _check_holds_a_surface(name: str, header: PlyHeader) -> None:
    vertex, face = header.element("vertex"), header.element("face")
    names = {p.name for p in vertex.properties} if vertex is not None else set()
    has_faces = face is not None and face.count > 0
    if not has_faces and any(splat <= names for splat in _SPLAT):
        raise UserError(
            f"{name} holds Gaussian splats, which have no surface; extract a mesh from them first (SuGaR or 2DGS do), "
            "or lift the object from the photo"
        )
    if vertex is None or not vertex.count:
        raise UserError(f"{name} holds no vertices; export the object as a mesh")
    if lost := sorted({"x", "y", "z"} - names):
        raise UserError(f"{name}: its vertices have no {', '.join(lost)}; export the object as a mesh")
    if not has_faces or face is None:
        strips = ": its triangle strips are not read" if header.element("tristrips") else ""
        raise UserError(
            f"{name} holds {vertex.count:,} points but no faces{strips}; make a mesh of them first (in MeshLab: "
            "Screened Poisson Surface Reconstruction), or export with faces"
        )
    check_faces(name, face.count)
    if not any(p.name in _CORNERS and p.counted_by is not None for p in face.properties):
        raise UserError(f"{name}: its faces have no list called {' or '.join(_CORNERS)}; export the object as a mesh")


def _numbers(columns: Columns, names: tuple[str, ...]) -> Float | None:
    """`(N, len(names))` of columns that are all there and hold numbers, else None."""
    arrays = [column for name in names if isinstance(column := columns.get(name), np.ndarray)]
    return np.stack(arrays, axis=1, dtype=np.float64, casting="unsafe") if len(arrays) == len(names) else None


def _colors(vertex: Columns) -> UInt8 | str | None:
    """`(N, 3)` sRGB, None, or why there are none.

    Numbers with a fraction count up to 1, 16-bit ones up to 65535, others up to 255.
    """
    for names in _COLORS:
        values, first = _numbers(vertex, names), vertex.get(names[0])
        if values is None or not isinstance(first, np.ndarray):
            continue
        if not np.isfinite(values).all():
            return "its vertex colours are not finite; they were left out"
        kind = first.dtype
        most = np.iinfo(kind).max if kind.kind == "u" else 1.0 if values.max(initial=0.0) <= 1.0 else 255.0
        return np.round(np.clip(values / most, 0.0, 1.0) * 255).astype(np.uint8)
    return None


def _polygons(name: str, face: Columns, vertices: int) -> tuple[Int, Int, Float | None, list[str]]:
    """Vertex numbers `(C,)` of all corners in a row, corners `(P,)` of each polygon, uvs `(C, 2)`, and notes."""
    lists = next(column for key in _CORNERS if isinstance(column := face.get(key), Lists))
    numbers = lists.values_as(np.int64)
    if lists.values.dtype.kind == "f" and not np.array_equal(numbers, lists.values.reshape(-1)):
        raise UserError(f"{name}: a face points at a vertex by a number that is not whole; export it again")
    if len(numbers) and not 0 <= numbers.min() <= numbers.max() < vertices:
        wrong = int(numbers.min()) if numbers.min() < 0 else int(numbers.max())
        raise UserError(
            f"{name}: a face points at vertex {wrong:,} of {vertices:,}; the file is damaged: export it again"
        )
    colored = {"red", "r"} & face.keys()
    notes = ["the colours of its faces were left out; only those of vertices are read"] if colored else []
    uvs = face.get("texcoord")  # as MeshLab writes it
    fits = isinstance(uvs, Lists) and np.array_equal(uvs.lengths, 2 * lists.lengths)
    corner_uvs = uvs.values_as(np.float64).reshape(-1, 2) if isinstance(uvs, Lists) and fits else None
    usable = lists.lengths >= 3
    if usable.all():
        return numbers, lists.lengths, corner_uvs, notes
    notes.append(f"{int((~usable).sum()):,} faces with fewer than three corners were left out")
    kept = np.repeat(usable, lists.lengths)
    return numbers[kept], lists.lengths[usable], None if corner_uvs is None else corner_uvs[kept], notes


def _texture(path: Path, header: PlyHeader) -> UInt8 | str | None:
    """The texture that a comment names, as MeshLab writes it, or why it is not there."""
    for comment in header.comments:
        key, _, name = comment.partition(" ")
        if key.lower() == "texturefile" and name.strip():
            return read_texture(path.parent, name.strip())
    return None
