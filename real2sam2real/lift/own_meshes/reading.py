"""One entry for every file format: `read_mesh_file`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from real2sam2real.errors import UserError
from real2sam2real.geometry import Intrinsics
from real2sam2real.geometry.quaternions import Float
from real2sam2real.lift.lifted import LiftedMesh
from real2sam2real.lift.own_meshes.contents import MOST_BYTES, FileMesh, check_count
from real2sam2real.lift.own_meshes.posing import Frame, Up, decided, object_frame
from real2sam2real.scene.motion import Motion

FORMATS = (".glb", ".gltf", ".obj", ".ply", ".stl")


def read_mesh_file(
    path: Path,
    *,
    name: str,
    intrinsics: Intrinsics | None = None,
    frame: Frame = "auto",
    up: Up = "y",
    clip: str | None = None,
    fps: float | None = None,
) -> LiftedMesh:
    """Read a mesh of the user's own: GLB, glTF, OBJ, PLY or STL. All that the file shows becomes one object.

    Args:
        path: the file; its suffix says the format.
        name: of the entity.
        intrinsics: of the photo; they help "auto" to tell whether the mesh is posed. No file says under which lens it
            was posed, so the result's own `intrinsics` stay None.
        frame: of the file's coordinates: an object frame of its own, the photo's camera in the OpenGL convention (+X
            right, +Y up, looking along −Z) or in the OpenCV convention (+X right, +Y down, looking along +Z). "auto"
            takes a mesh that lies in view of an OpenGL camera for posed, and says so in a note.
        up: which axis of an object frame points up. glTF's is always y; CAD and printing files often have z.
        clip: name of the animation to keep; by default the first one, and those that move other things.
        fps: at which to sample the animation, best the shot's; by default at the file's own rate.

    Returns:
        The mesh in an object frame with +Y up and its origin in the middle of its footprint; `camera_from_object` times
        its vertices are the file's (in the OpenGL convention) when the file is posed. Its motion begins with the
        identity.

    Raises:
        UserError: the file cannot be read, holds no mesh, or one that cannot be used.
    """
    path = Path(path)
    found = _read(path, clip, fps)
    check_count(path.name, len(found.mesh.faces))
    if up == "z" and frame.startswith("camera"):
        raise UserError(f"{path.name}: up 'z' is of an object frame, and '{frame}' is a camera's; give one of the two")
    chosen, note = decided(frame, up, found.mesh.vertices, intrinsics)
    object_from_file, camera_from_object = object_frame(found.mesh, chosen, up)
    return LiftedMesh(
        name=name,
        mesh=found.mesh.transformed(object_from_file),
        camera_from_object=camera_from_object,
        motion=None if found.motion is None else _in_frame(found.motion, object_from_file),
        motion_fps=found.fps,
        provenance={"lifter": "file", "file": path.name, "frame": chosen, **found.provenance},
        notes=(*found.notes, *([f"{path.name}: {note}"] if note else [])),
    )


def _read(path: Path, clip: str | None, fps: float | None) -> FileMesh:
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise UserError(f"'{path}' is not a mesh file that is read; give one of {', '.join(FORMATS)}")
    _check_file(path)
    if suffix in (".glb", ".gltf"):
        from real2sam2real.lift.own_meshes.gltf import read_gltf

        return read_gltf(path, clip=clip, fps=fps)
    if clip is not None:
        raise UserError(f"{path.name} has no animation, so no clip '{clip}'; only GLB and glTF files have one")
    from real2sam2real.lift.own_meshes.ply import read_ply

    readers = {".ply": read_ply}
    return readers[suffix](path)


def _check_file(path: Path) -> None:
    try:
        size = path.stat().st_size
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(f"cannot read the mesh '{path}': {reason}; check the path") from error
    if not path.is_file():
        raise UserError(f"'{path}' is not a file; name the mesh file itself")
    if size > MOST_BYTES:
        raise UserError(f"{path.name} has {size:,} bytes and at most {MOST_BYTES:,} are read; decimate the mesh")
    if not size:
        raise UserError(f"{path.name} is empty; export it again")


def _in_frame(motion: Motion, object_from_file: Float) -> Motion:
    """A motion of the file's frame, in the object's frame (rigidly related)."""
    matrices = object_from_file @ motion.matrices() @ np.linalg.inv(object_from_file)
    moved = Motion.from_matrices(matrices)
    vertices = motion.vertices_object
    if vertices is not None:
        turned = vertices @ object_from_file[:3, :3].T.astype(np.float32)
        vertices = turned + object_from_file[:3, 3].astype(np.float32)
    return Motion(
        translation=moved.translation,
        rotation_wxyz=moved.rotation_wxyz,
        scale=moved.scale,
        visible=motion.visible,
        vertices_object=vertices,
    )
