"""PLY meshes: polygons with vertex colours or a texture. Point clouds and Gaussian splats are told apart from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from real2sam2real.errors import UserError
from real2sam2real.geometry import Mesh
from real2sam2real.geometry.quaternions import Float
from real2sam2real.lift.own_meshes.contents import FileMesh, check_count
from real2sam2real.lift.own_meshes.gluing import glued
from real2sam2real.lift.own_meshes.pictures import read_picture
from real2sam2real.lift.own_meshes.ply_elements import PlyFile, Ragged, Values, read_header
from real2sam2real.lift.own_meshes.polygons import triangulated

_SPLATS = {"opacity", "rot_0", "scale_0"}
_CORNERS = ("vertex_indices", "vertex_index")
_COLORS = (("red", "green", "blue"), ("r", "g", "b"), ("diffuse_red", "diffuse_green", "diffuse_blue"))
_UVS = (("s", "t"), ("u", "v"), ("texture_u", "texture_v"), ("texture_s", "texture_t"))


def read_ply(path: Path) -> FileMesh:
    """Read a PLY file of polygons, as text or in either binary order.

    Raises:
        UserError: it is damaged, holds points or splats in place of a mesh, or numbers that are not finite.
    """
    file = read_header(path.name, path.read_bytes())
    _refuse_points(file)
    found = file.values({"vertex", "face"})
    vertices = np.stack([_column(file, found["vertex"], axis) for axis in "xyz"], axis=1).astype(np.float64)
    if not np.isfinite(vertices).all():
        bad = int(np.sum(~np.isfinite(vertices).all(axis=1)))
        raise file.fail(f"{bad:,} of {len(vertices):,} vertices are not finite (NaN or infinity)")
    polygons = _polygons(file, found["face"], len(vertices))
    corners = triangulated(polygons.counts, vertices, polygons.values)
    check_count(path.name, len(corners))
    texture, notes = _texture(path, file)
    uvs = _corner_uvs(found, polygons) if texture is not None else None
    mesh = Mesh(
        vertices=vertices,
        faces=polygons.values[corners].astype(np.int32),
        vertex_colors=_colors(found["vertex"]),
        corner_uvs=None if uvs is None else uvs[corners],
        texture=None if uvs is None else texture,
    )
    return FileMesh(mesh=glued(mesh), provenance={"format": "PLY"}, notes=notes)


def _refuse_points(file: PlyFile) -> None:
    vertex, face = file.declared("vertex"), file.declared("face", "tristrips")
    names = {part.name for part in vertex.properties} if vertex is not None else set()
    if names >= _SPLATS:
        raise file.fail(
            "holds Gaussian splats, not a mesh",
            "export a mesh from the same program (SAM 3D Objects and TRELLIS also write a GLB)",
        )
    if vertex is None or not vertex.count:
        raise file.fail("holds no vertices", "export a mesh with faces")
    if face is None or not face.count:
        raise file.fail(
            f"is a point cloud of {vertex.count:,} points without faces",
            "make a surface of it (in MeshLab: Screened Poisson), or give a mesh",
        )
    if face.name == "tristrips":
        raise file.fail("holds triangle strips, which are not read", "open and save it with MeshLab or Blender")


def _column(file: PlyFile, vertex: Values, name: str) -> NDArray[np.generic]:
    values = vertex.get(name)
    if values is None or isinstance(values, Ragged):
        raise file.fail(f"its vertices have no '{name}'")
    return values


def _polygons(file: PlyFile, face: Values, vertices: int) -> Ragged:
    found = next((face[name] for name in _CORNERS if name in face), None)
    if not isinstance(found, Ragged):
        raise file.fail("its faces have no list 'vertex_indices'")
    corners = found.values.astype(np.int64)
    if np.any(corners != found.values) or (len(corners) and (corners.min() < 0 or corners.max() >= vertices)):
        raise file.fail(f"a face points at vertex {corners.max():,} or {corners.min():,} of {vertices:,}")
    return Ragged(found.counts, corners)


def _colors(vertex: Values) -> NDArray[np.uint8] | None:
    """`(V, 3)` sRGB; numbers with a fraction run from 0 to 1, and 16-bit ones to 65,535."""
    for names in _COLORS:
        columns = [vertex.get(name) for name in names]
        if all(isinstance(column, np.ndarray) for column in columns):
            colors = np.stack([np.asarray(column) for column in columns], axis=1)
            full = 1.0 if colors.dtype.kind == "f" else 65535.0 if colors.dtype.itemsize == 2 else 255.0
            scaled = np.nan_to_num(colors.astype(np.float64)) * (255.0 / full)
            return np.clip(np.round(scaled), 0, 255).astype(np.uint8)
    return None


def _corner_uvs(found: dict[str, Values], polygons: Ragged) -> Float | None:
    """`(C, 2)` of the polygons' corners, origin at the top-left corner: per corner, else per vertex."""
    wedges = found["face"].get("texcoord")
    if isinstance(wedges, Ragged) and np.array_equal(wedges.counts, 2 * polygons.counts):
        return _top_left(wedges.values.reshape(-1, 2))
    for names in _UVS:
        columns = [found["vertex"].get(name) for name in names]
        if all(isinstance(column, np.ndarray) for column in columns):
            return _top_left(np.stack([np.asarray(column) for column in columns], axis=1)[polygons.values])
    return None


def _top_left(uvs: NDArray[np.generic]) -> Float:
    """PLY counts v from the bottom."""
    finite = np.nan_to_num(uvs.astype(np.float64), posinf=0.0, neginf=0.0)
    return np.stack([finite[:, 0], 1.0 - finite[:, 1]], axis=1)


def _texture(path: Path, file: PlyFile) -> tuple[NDArray[np.uint8] | None, tuple[str, ...]]:
    named = [c.partition(" ")[2].strip() for c in file.comments if c.lower().startswith("texturefile ")]
    if not named:
        return None, ()
    if len(named) > 1:
        return None, (f"{path.name} has {len(named)} textures, of which none is shown; use OBJ or GLB for several",)
    try:
        return read_picture(path, named[0]), ()
    except UserError as error:
        return None, (f"{error}; it is shown without it",)
