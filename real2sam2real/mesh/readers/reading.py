"""Read a mesh file of any format."""

from __future__ import annotations

from pathlib import Path

from real2sam2real.errors import UserError
from real2sam2real.mesh.gltf.animation import Playback
from real2sam2real.mesh.gltf.container import read_bytes
from real2sam2real.mesh.readers.gltf import read_gltf
from real2sam2real.mesh.readers.mesh_file import MeshFile
from real2sam2real.mesh.readers.obj import read_obj
from real2sam2real.mesh.readers.ply import read_ply
from real2sam2real.mesh.readers.stl import read_stl

MESH_FORMATS = {".glb": "glTF", ".gltf": "glTF", ".obj": "OBJ", ".ply": "PLY", ".stl": "STL"}  # by the files' endings
_STILL_FORMATS = {"OBJ": read_obj, "PLY": read_ply, "STL": read_stl}
_SCENES_OF_OTHER_TOOLS = (
    ".3ds", ".3mf", ".abc", ".blend", ".dae", ".fbx", ".ma", ".mb", ".usd", ".usda", ".usdc", ".usdz",
)  # fmt: skip


def read_mesh(
    path: Path | str, *, frames: int | None = None, fps: float | None = None, playback: Playback | None = None
) -> MeshFile:
    """Read one object from a glTF, OBJ, PLY or STL file. See docs/meshes.md.

    Args:
        path: the file; what it is is told by its content first, then by its ending.
        frames: of the animation to sample; by default as many as it lasts, or one period of a loop.
        fps: at which it is sampled; by default 16.
        playback: which clip is sampled, from when, and what follows its end; by default the first one, once.

    Raises:
        UserError: the file is missing, damaged, too large, of another format, or holds no surface.
        ValueError: `frames` or `fps` is not positive.
    """
    path, playback = Path(path), playback or Playback()
    data = read_bytes(path)
    if not data:
        raise UserError(f"{path.name} is empty; export the object again")
    kind = _format(path, data)
    if kind == "glTF":
        return read_gltf(path, frames=frames, fps=fps, playback=playback)
    if playback.clip is not None:
        raise UserError(f"{path.name} is {kind}, which holds no animation, so it has no clip '{playback.clip}'")
    return _STILL_FORMATS[kind](path, data)


def _format(path: Path, data: bytes) -> str:
    """By content where it is unmistakable, since files get wrong endings, else by the ending.

    Raises:
        UserError: it is none that is read.
    """
    if data[:4] == b"glTF":
        return "glTF"
    if data[:4] in (b"ply\n", b"ply\r"):
        return "PLY"
    ending = path.suffix.lower()
    if ending in MESH_FORMATS:
        return MESH_FORMATS[ending]
    read = ", ".join(MESH_FORMATS)
    if ending in _SCENES_OF_OTHER_TOOLS:
        raise UserError(f"{path.name}: {ending} is not read; open it in Blender and export it as GLB. Read are {read}")
    raise UserError(f"{path.name} is no mesh file that is read; export the object as GLB. Read are {read}")
