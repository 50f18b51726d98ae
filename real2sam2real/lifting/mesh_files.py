"""Mesh files of the user's own as lifted meshes: in which frame their numbers are, and the object frame they get.

Files do not say whether they are in the photo's camera frame: lifters leave posed meshes there, modellers do not.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import ArrayLike

from real2sam2real.arrays import Float, Mask
from real2sam2real.errors import UserError
from real2sam2real.geometry import Intrinsics, transforms
from real2sam2real.geometry.transforms import OPENCV_FROM_OPENGL, upright_rotation
from real2sam2real.lifting.file_animation import animation_notes, moved_frame, object_motion
from real2sam2real.lifting.lifted import LiftedMesh
from real2sam2real.lifting.options import MeshFrame, MeshUp
from real2sam2real.mesh.gltf.animation import Playback
from real2sam2real.mesh.mesh import footprint
from real2sam2real.mesh.readers import read_mesh
from real2sam2real.perceive.segment.detections import box_of, box_overlaps

_CAMERA_FROM: dict[MeshFrame, Float] = {
    "camera-opengl": np.eye(4),
    "camera-opencv": OPENCV_FROM_OPENGL,
    "camera-pytorch3d": np.diag([-1.0, 1.0, -1.0, 1.0]),
}
_Y_UP_FROM_Z_UP = np.array([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]])

# What is expected of a posed object: without intrinsics, its middle is within 60° of the line of sight; the photo shows
# half of its vertices, as people and cars may stand half outside it; and it keeps that much of its own size away from
# the camera, which a sword modelled along −Z does not.
_WIDEST_VIEW, _SEEN_SHARE, _NEAREST = np.tan(np.radians(60.0)), 0.5, 0.05
_ON_MASK = 0.5  # IoU of the boxes of what a pose would show and of the mask, from which the pose is believed


def read_mesh_file(
    path: Path | str,
    *,
    name: str,
    coordinate_frame: MeshFrame = "auto",
    up: MeshUp = "y",
    intrinsics: Intrinsics | None = None,
    up_camera: ArrayLike | None = None,
    frames: int | None = None,
    fps: float | None = None,
    clip: str | None = None,
    rest_seconds: float = 0.0,
    loop: bool = False,
    mask: Mask | None = None,
) -> LiftedMesh:
    """Read one object from a glTF, OBJ, PLY or STL file. See docs/meshes.md.

    All components of the file become one mesh with one texture or vertex colours; units are the file's.

    Args:
        path: the file; what it is is told by its content first, then by its ending.
        name: of the entity.
        coordinate_frame: what the file's numbers mean: "camera-opengl" (posed in the photo's camera, +X right, +Y up,
            looking along −Z), "camera-opencv" (+X right, +Y down, looking along +Z), "camera-pytorch3d" (+X left,
            +Y up, looking along +Z), "object" (its own), or "auto", which decides by where the file's numbers lie and,
            with `mask`, by what a camera would show of them, and says so in a note.
        up: the axis that points up in the file where its frame is its own.
        intrinsics: of the photo at its working size; helps "auto".
        up_camera: `(3,)` gravity's up in the photo's camera frame; a posed mesh's object frame takes it as +Y.
        frames: of the animation to sample; by default as many as it lasts, or one period of a loop.
        fps: at which it is sampled; by default 16.
        clip: name of the animation clip to play; by default the first.
        rest_seconds: moment of the animation that the photo shows, after its first keyframe; its motion begins there.
        loop: begin the animation again after its end; otherwise its last pose holds.
        mask: `(H, W)` bool where the photo shows it; helps "auto".

    Returns:
        The mesh at rest in its object frame (+Y up, origin in the middle of the footprint), its claimed pose if the
        file is posed, and the file's animation, or None where nothing moves.

    Raises:
        UserError: the file is missing, damaged, too large, of another format, or holds no surface.
        ValueError: an option has an impossible value.
    """
    path = Path(path)
    _check_choices(coordinate_frame, up)
    file = read_mesh(path, frames=frames, fps=fps, playback=Playback(clip=clip, start=rest_seconds, loop=loop))
    motion = object_motion(path.name, file)
    decided = ""
    if coordinate_frame == "auto":
        coordinate_frame, decided = _decided(path.name, file.mesh.vertices, up, intrinsics, mask)
    placed = _place(path.name, file.mesh.vertices, frame=coordinate_frame, up=up, note=decided, up_camera=up_camera)
    provenance: dict[str, Any] = {"lifter": "own mesh", "file": path.name, "format": file.format, "frame": placed.frame}
    if motion is not None and file.animation is not None:
        provenance["animation"] = asdict(file.animation)
    return LiftedMesh(
        name=name,
        mesh=file.mesh.transformed(placed.object_from_file),
        camera_from_object=placed.camera_from_object,
        motion=None if motion is None else moved_frame(motion, placed.object_from_file),
        motion_fps=None if motion is None or file.animation is None else file.animation.fps,
        provenance=provenance,
        notes=(*file.notes, *animation_notes(path.name, file, motion), *([placed.note] if placed.note else [])),
    )


def _check_choices(coordinate_frame: str, up: str) -> None:
    if coordinate_frame not in get_args(MeshFrame):
        raise ValueError(f"coordinate_frame is '{coordinate_frame}'; it is one of {', '.join(get_args(MeshFrame))}")
    if up not in get_args(MeshUp):
        raise ValueError(f"up is '{up}'; it is {' or '.join(get_args(MeshUp))}")


@dataclass(frozen=True, eq=False)
class _Placed:
    # `(4, 4)` rigid: into an object frame with +Y up and its origin in the middle of the footprint
    object_from_file: Float
    camera_from_object: Float | None  # `(4, 4)` rigid pose that the file claims in the photo's camera, or None
    frame: MeshFrame  # what the file's frame was taken for
    note: str  # the same for a person; empty where the user said it


def _place(
    name: str,
    vertices: Float,
    *,
    frame: MeshFrame,
    up: MeshUp,
    note: str,
    up_camera: ArrayLike | None,
) -> _Placed:
    """The object frame of `vertices` `(V, 3)`, as the file `name` has them, in a known frame; `note` says how known.

    Raises:
        UserError: a mesh that is said to be posed lies behind the camera, or "z" is up in a camera frame.
    """
    if frame == "object":
        upright_from_file = _Y_UP_FROM_Z_UP if up == "z" else np.eye(4)
        upright = transforms.apply(upright_from_file, vertices)
        return _Placed(_moved(-footprint(upright)) @ upright_from_file, None, frame, note)
    if up != "y":
        raise UserError(f"{name}: a mesh in the frame {frame} has no up axis of its own; leave out up or say object")
    camera_from_file = _CAMERA_FROM[frame]
    points_camera = transforms.apply(camera_from_file, vertices)
    behind = int((points_camera[:, 2] >= 0).sum())
    if behind == len(vertices):
        other = "camera-opencv or camera-pytorch3d" if frame == "camera-opengl" else "camera-opengl"
        raise UserError(f"{name}: as {frame}, all of it lies behind the camera; it may be {other}, or object")
    if behind:
        note = (
            f"{name}: {behind:,} of its {len(vertices):,} vertices lie behind the camera that it is said to be posed in"
        )
    turned = np.eye(4)
    if up_camera is not None:
        turned[:3, :3] = upright_rotation(np.asarray(up_camera, np.float64))
    camera_from_object = turned @ _moved(footprint(transforms.apply(turned.T, points_camera)))
    return _Placed(transforms.invert_rigid(camera_from_object) @ camera_from_file, camera_from_object, frame, note)


def _decided(
    name: str, vertices: Float, up: str, intrinsics: Intrinsics | None, mask: Mask | None
) -> tuple[MeshFrame, str]:
    own = "its numbers were taken for a frame of its own, which says nothing about its place in the photo"
    if up != "y":
        return "object", f"{name}: {own}"
    if mask is not None and intrinsics is not None and (seen := _seen_on_mask(vertices, intrinsics, mask)) is not None:
        return seen, f"{name}: its place in front of the camera is where the mask is, so it was taken as posed ({seen})"
    against = _against_a_pose(vertices, intrinsics)
    if not against:
        taken = "all of it lies in front of a camera at the origin, so it was taken as posed there (camera-opengl)"
        return "camera-opengl", f"{name}: {taken}; if it is not, say that its frame is object"
    mirrored = transforms.apply(OPENCV_FROM_OPENGL, vertices)
    if not _against_a_pose(mirrored, intrinsics):
        said = "say camera-opencv (+Y down) or camera-pytorch3d (+Y up, as PyTorch3D and SAM 3D have it)"
        return "object", f"{name}: {own}; if it is posed in a camera that looks along +Z, {said}"
    return "object", f"{name}: {own}, because {against}"


def _seen_on_mask(vertices: Float, intrinsics: Intrinsics, mask: Mask) -> MeshFrame | None:
    """The camera frame in which `vertices` `(V, 3)` are seen where the mask `(H, W)` is; None where none is."""
    if not mask.any():
        return None
    wanted = np.array([box_of(mask)], np.float64)
    best, found = _ON_MASK, None
    for frame, camera_from_file in _CAMERA_FROM.items():
        points = transforms.apply(camera_from_file, vertices)
        if _against_a_pose(points, intrinsics):
            continue
        pixels = intrinsics.project(points)[0].clip(0, [intrinsics.width, intrinsics.height])
        box = np.concatenate([pixels.min(axis=0), pixels.max(axis=0)])
        if (share := float(box_overlaps(box, wanted)[0])) > best:
            best, found = share, frame
    return found


def _against_a_pose(points_camera: Float, intrinsics: Intrinsics | None) -> str:
    """Why `points_camera` `(V, 3)` can hardly be what a camera at the origin saw; empty where they can."""
    depth = -points_camera[:, 2]
    if depth.min() <= _NEAREST * np.ptp(points_camera, axis=0).max():
        return "it is not all in front of the camera"
    if intrinsics is None:
        middle = np.median(points_camera, axis=0)
        outside = np.linalg.norm(middle[:2]) > _WIDEST_VIEW * -middle[2]
        return "it lies far from the line of sight" if outside else ""
    pixels, _ = intrinsics.project(points_camera)
    inside = (pixels >= 0) & (pixels <= [intrinsics.width, intrinsics.height])
    return "" if inside.all(axis=1).mean() >= _SEEN_SHARE else "it lies outside the picture"


def _moved(by: Float) -> Float:
    matrix = np.eye(4)
    matrix[:3, 3] = by
    return matrix
