"""Mesh files of the user's own: which format, which frame, what moves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from real2sam2real.errors import UserError
from real2sam2real.geometry import Intrinsics
from real2sam2real.lift.lifted import LiftedMesh
from real2sam2real.lift.mesh_files.frames import FRAMES, Frame, Placed, place
from real2sam2real.lift.mesh_files.gltf import read_gltf
from real2sam2real.lift.mesh_files.joining import Joined
from real2sam2real.lift.mesh_files.playing import moved_frame
from real2sam2real.mesh import Mesh
from real2sam2real.mesh.readers.limits import read_bytes
from real2sam2real.mesh.readers.obj import read_obj
from real2sam2real.mesh.readers.ply import read_ply
from real2sam2real.mesh.readers.stl import read_stl
from real2sam2real.scene.gltf import Playback

_STILL_FORMATS: dict[str, Callable[[Path, bytes, list[str]], Mesh]] = {
    "OBJ": read_obj,
    "PLY": read_ply,
    "STL": read_stl,
}
_FORMATS = {".glb": "glTF", ".gltf": "glTF", ".obj": "OBJ", ".ply": "PLY", ".stl": "STL"}
_SCENES_OF_OTHER_TOOLS = (
    ".3ds",
    ".3mf",
    ".abc",
    ".blend",
    ".dae",
    ".fbx",
    ".ma",
    ".mb",
    ".usd",
    ".usda",
    ".usdc",
    ".usdz",
)


def mesh_extensions() -> tuple[str, ...]:
    """Endings of the files that `read_mesh_file` reads, for messages and file choosers."""
    return tuple(_FORMATS)


def read_mesh_file(
    path: Path | str,
    *,
    name: str,
    frame: Frame = "auto",
    up: Literal["y", "z"] = "y",
    intrinsics: Intrinsics | None = None,
    up_camera: ArrayLike | None = None,
    frames: int | None = None,
    fps: float | None = None,
    clip: str | None = None,
    rest_seconds: float = 0.0,
    loop: bool = False,
) -> LiftedMesh:
    """Read one object from a glTF, OBJ, PLY or STL file. See docs/meshes.md.

    All parts of the file become one mesh with one texture or vertex colours; units are the file's.

    Args:
        path: the file; what it is is told by its content first, then by its ending.
        name: of the entity.
        frame: what the file's numbers mean: "camera-opengl" (posed in the photo's camera, +X right, +Y up, looking
            along −Z), "camera-opencv" (+X right, +Y down, looking along +Z), "object" (its own), or "auto", which
            decides between "camera-opengl" and "object" and says so in a note.
        up: the axis that points up in the file where its frame is its own.
        intrinsics: of the photo at its working size; helps "auto".
        up_camera: `(3,)` gravity's up in the photo's camera frame; a posed mesh's object frame takes it as +Y.
        frames: of the animation to sample; by default as many as it lasts, or one period of a loop.
        fps: at which it is sampled; by default 16.
        clip: name of the animation clip to play; by default the first.
        rest_seconds: moment of the animation that the photo shows, after its first keyframe; its motion begins there.
        loop: begin the animation again after its end; otherwise its last pose holds.

    Returns:
        The mesh at rest in its object frame (+Y up, origin in the middle of the footprint), its claimed pose if the
        file is posed, and the file's animation, or None where nothing moves.

    Raises:
        UserError: the file is missing, damaged, too large, of another format, or holds no surface.
        ValueError: an option has an impossible value.
    """
    path = Path(path)
    if frame not in FRAMES:
        raise ValueError(f"frame is '{frame}'; it is one of {', '.join(FRAMES)}")
    if up not in ("y", "z"):
        raise ValueError(f"up is '{up}'; it is y or z")
    data = read_bytes(path)
    kind = _format(path, data)
    notes: list[str] = []
    facts: dict[str, Any] = {}
    if kind == "glTF":
        playback = Playback(clip=clip, start=rest_seconds, loop=loop)
        animated = read_gltf(path, notes, frames=frames, fps=fps, playback=playback)
        found, facts = animated.found, animated.facts
    elif clip is not None:
        raise UserError(f"{path.name} is {kind}, which holds no animation, so it has no clip '{clip}'")
    else:
        found = Joined(_STILL_FORMATS[kind](path, data, notes), None)
    gravity = None if up_camera is None else np.asarray(up_camera, np.float64)
    placed = place(path.name, found.mesh.vertices, frame=frame, up=up, intrinsics=intrinsics, up_camera=gravity)
    notes += [placed.note] if placed.note else []
    return _lifted(name, path, kind, found, placed, facts, notes)


def _lifted(
    name: str, path: Path, kind: str, found: Joined, placed: Placed, animation: dict[str, Any], notes: list[str]
) -> LiftedMesh:
    provenance: dict[str, Any] = {"lifter": "own mesh", "file": path.name, "format": kind, "frame": placed.frame}
    if animation:
        provenance["animation"] = animation
    return LiftedMesh(
        name=name,
        mesh=found.mesh.transformed(placed.object_from_file),
        camera_from_object=placed.camera_from_object,
        motion=None if found.motion is None else moved_frame(found.motion, placed.object_from_file),
        motion_fps=animation.get("fps"),
        provenance=provenance,
        notes=tuple(notes),
    )


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
    if ending in _FORMATS:
        return _FORMATS[ending]
    read = ", ".join(mesh_extensions())
    if ending in _SCENES_OF_OTHER_TOOLS:
        raise UserError(f"{path.name}: {ending} is not read; open it in Blender and export it as GLB. Read are {read}")
    raise UserError(f"{path.name} is no mesh file that is read; export the object as GLB. Read are {read}")
