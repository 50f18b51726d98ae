"""Lifted meshes become entities: aligned with the photo, closed and light, coloured, standing in one upright world.

A silhouette leaves open how far away a thing is. That is decided here in this order: by the depths of the photo where a
view has them; else by the lifter's pose, where it was found under the photo's own focal length; else by the ground,
which all that stand on it share. The photo's camera is the world's origin.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from real2sam2real.arrays import Float, Mask, UInt8
from real2sam2real.geometry import transforms
from real2sam2real.lifting.align import Alignment, ObjectObservation, align
from real2sam2real.lifting.file_animation import entity_motion
from real2sam2real.lifting.lifted import LiftedMesh
from real2sam2real.lifting.outline import Outline
from real2sam2real.lifting.photo_texture import refined, with_photo
from real2sam2real.lifting.scene_repair import repaired_motion
from real2sam2real.mesh import Mesh
from real2sam2real.mesh.mesh import footprint
from real2sam2real.mesh.repair import repair
from real2sam2real.perceive.view import PhotoView
from real2sam2real.scene import Entity, Motion, Scene

SAME_FOCAL = 0.01  # relative difference of focal lengths
TRUSTED_IOU = 0.5  # a pose that fits the mask so well was found under the photo's focal length, whatever it says
MOST_FRAMES = 481  # of an animation: half a minute
NEARER_MARGIN = 0.03  # of the depth: pixels that much nearer than all of the object are in front of it


@dataclass(frozen=True, kw_only=True, eq=False)
class Surroundings:
    """What all entities of a photo share."""

    pixels: UInt8  # `(H, W, 3)` uint8 sRGB photo
    view: PhotoView  # its camera
    world_from_camera: Float  # `(4, 4)` upright, the camera at the origin
    occluder: Mask  # `(H, W)` bool, pixels of things in front that are no entities
    max_faces: int  # of a mesh
    align: bool = True  # whether meshes may leave the pose that they come with
    optimize_focal: bool = False  # whether the focal length may be another than the view's

    def observation(self, outline: Outline) -> ObjectObservation:
        """What the photo says about one entity."""
        depth = None if self.view.points_camera is None else -self.view.points_camera[..., 2].astype(np.float64)
        hidden = outline.hidden | self.occluder
        if depth is not None:
            known = depth[outline.mask & np.isfinite(depth)]
            if len(known):
                nearest = np.quantile(known, 0.05)
                hidden = hidden | (np.nan_to_num(depth, nan=np.inf) < (1 - NEARER_MARGIN) * nearest)
        return ObjectObservation(
            mask=outline.mask, intrinsics=self.view.intrinsics, hidden=hidden & ~outline.mask, depth=depth
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Aligned:
    """A lifted mesh, clean and in its place."""

    lifted: LiftedMesh  # with its mesh cleaned
    outline: Outline  # its mask among the others
    alignment: Alignment  # where it came to be
    trusted: bool  # whether its distance is known, from depths or a pose found under the photo's focal length

    def height_of_camera(self, world_from_camera: Float) -> float:
        """How far its lowest point lies below the camera, in the world's up."""
        matrix = world_from_camera @ self.alignment.camera_from_object
        return -float(transforms.apply(matrix, self.lifted.mesh.vertices)[:, 1].min())

    def nearer(self, factor: float) -> Aligned:
        """The same in the photo, at another distance."""
        matrix = self.alignment.camera_from_object.copy()
        matrix[:3] *= factor
        return replace(self, alignment=replace(self.alignment, camera_from_object=matrix))


def align_lifted(lifted: LiftedMesh, outline: Outline, around: Surroundings, say: Callable[[str], None]) -> Aligned:
    """Clean a mesh and lay it onto its mask.

    Raises:
        UserError: it cannot be closed, or its pose cannot be used.
    """
    say(f"  {lifted.name}: closing and aligning {len(lifted.mesh.faces):,} triangles")
    lifted = cleaned(lifted, around.max_faces)
    observation = around.observation(outline)
    found = align(
        lifted.mesh,
        observation,
        initial_pose=lifted.camera_from_object,
        up_camera=around.view.up_camera,
        optimize_focal=around.optimize_focal,
        keep_pose=lifted.on_mask or not around.align,
    )
    own, k = lifted.intrinsics, around.view.intrinsics
    same_focal = own is not None and abs(np.log(own.fx / own.width * k.width / k.fx)) < SAME_FOCAL
    fits = found.iou_before is not None and found.iou_before >= TRUSTED_IOU
    has_depth = observation.depth is not None and bool(np.isfinite(observation.depth[outline.mask]).any())
    return Aligned(lifted=lifted, outline=outline, alignment=found, trusted=same_focal or fits or has_depth)


def cleaned(lifted: LiftedMesh, max_faces: int) -> LiftedMesh:
    """A mesh closed, without floaters and light, with what moves it.

    Raises:
        UserError: it cannot be closed.
    """
    made = repair(lifted.mesh, clean=True, max_faces=max_faces)
    motion = None if lifted.motion is None else repaired_motion(lifted.motion, lifted.mesh, made)
    skin = None if lifted.skin is None else lifted.skin.of(made.source_vertices)
    return replace(lifted, mesh=made.mesh, motion=motion, skin=skin, notes=(*lifted.notes, *made.report.notes))


def standing_entity(lifted: LiftedMesh, place: Float, scene: Scene, scale: float) -> Entity:
    """A mesh that the photo does not show: it stands at a place `(3,)` of the world and faces the camera.

    Args:
        lifted: cleaned, its pose in no camera.
        place: under the middle of its footprint.
        scene: where it stands.
        scale: by which it is made larger.
    """
    eye = scene.photo_world_from_camera[:3, 3] - place
    yaw = np.arctan2(eye[0], eye[2])
    frame, scaling = np.eye(4), np.diag([scale, scale, scale, 1.0])
    frame[:3, 0] = [np.cos(yaw), 0, -np.sin(yaw)]
    frame[:3, 2] = [np.sin(yaw), 0, np.cos(yaw)]
    frame[:3, 3] = place
    mesh = lifted.mesh
    if lifted.motion is None:
        mesh, motion = mesh.transformed(scaling), Motion.still(scene.frames, frame)
    else:  # whose file moves it by the units that it is modelled in
        frame = frame @ scaling
        motion = entity_motion(lifted, frame, scene.frames, scene.fps)
    return Entity(
        name=lifted.name,
        mesh=mesh,
        rest_world_from_object=frame,
        motion=motion,
        in_photo=False,
        provenance={**lifted.provenance, "notes": list(lifted.notes)},
    )


def on_one_ground(
    found: Mapping[str, Aligned], world_from_camera: Float, height: float | None
) -> tuple[dict[str, Aligned], float | None]:
    """Put what stands in view of a camera at the origin onto one ground, by moving it along its line of sight.

    Also the height of the camera above the ground: as given, where that is known otherwise, else as what stands has it;
    None where nothing stands in view.
    """
    heights = {name: item.height_of_camera(world_from_camera) for name, item in found.items()}
    standing = {name for name, item in found.items() if item.outline.stands_in_view and heights[name] > 0}
    if height is None:
        known = [heights[name] for name in standing if found[name].trusted] or [heights[name] for name in standing]
        height = float(np.median(known)) if known else None
    if height is None:
        return dict(found), None
    moved = {
        name: item.nearer(height / heights[name]) if name in standing and not item.trusted else item
        for name, item in found.items()
    }
    return moved, height


def entity_of(item: Aligned, around: Surroundings, *, frames: int, fps: float) -> Entity:
    """The entity, at rest or with its file's own animation."""
    matrix, intrinsics = item.alignment.camera_from_object, item.alignment.intrinsics
    hidden = (item.outline.hidden | around.occluder) & ~item.outline.mask
    lifted, skin = item.lifted, item.lifted.skin
    mesh = lifted.mesh if lifted.motion is not None or skin is not None else refined(lifted.mesh, matrix, intrinsics)
    mesh = with_photo(mesh, matrix, around.pixels, item.outline.mask, hidden, intrinsics)
    world_from_object = around.world_from_camera @ matrix
    lifted = replace(lifted, mesh=mesh)
    if lifted.motion is None:
        mesh, frame = standing_frame(mesh, world_from_object)
        skin = None if skin is None else skin.transformed(transforms.invert_rigid(frame) @ world_from_object)
        world_from_object = frame
        motion = Motion.still(frames, world_from_object)
    else:
        motion = entity_motion(lifted, world_from_object, frames, fps)
    return Entity(
        name=lifted.name,
        mesh=mesh,
        rest_world_from_object=world_from_object,
        motion=motion,
        mask=item.outline.mask,
        skin=skin,
        provenance={
            **lifted.provenance,
            "alignment": facts(item.alignment),
            "notes": [*lifted.notes, told(item.alignment)],
        },
    )


def animation_frames(lifted: Iterable[LiftedMesh], fps: float) -> int:
    """Frames that hold the longest animation at `fps`, 4k + 1; 1 where nothing moves."""
    longest = 0.0
    for mesh in lifted:
        if mesh.motion is not None:
            longest = max(longest, (mesh.motion.frames - 1) / (mesh.motion_fps or fps))
    return min(4 * math.ceil(longest * fps / 4 - 1e-6) + 1, MOST_FRAMES)


def standing_frame(mesh: Mesh, world_from_object: Float) -> tuple[Mesh, Float]:
    """An upright frame under the middle of the mesh at its lowest point; +Z points to the camera, at the origin."""
    origin = footprint(transforms.apply(world_from_object, mesh.vertices))
    yaw = np.arctan2(-origin[0], -origin[2])
    frame = np.eye(4)
    frame[:3, 0] = [np.cos(yaw), 0, -np.sin(yaw)]
    frame[:3, 2] = [np.sin(yaw), 0, np.cos(yaw)]
    frame[:3, 3] = origin
    return mesh.transformed(transforms.invert_rigid(frame) @ world_from_object), frame


def facts(found: Alignment) -> dict[str, object]:
    """What scene.json keeps of an alignment."""
    return {
        "iou_before": None if found.iou_before is None else round(found.iou_before, 4),
        "iou_after": round(found.iou_after, 4),
        "iou_whole": round(found.iou_whole, 4),
        "turned_degrees": round(found.turned_degrees, 2),
        "nearer": round(found.nearer, 4),
        "focal_px": round(found.intrinsics.fx, 2),
        "up": found.up,
    }


def told(found: Alignment) -> str:
    """The same for people."""
    before = "" if found.iou_before is None else f"{found.iou_before:.2f} → "
    hidden = "" if abs(found.iou_whole - found.iou_after) < 0.005 else f", {found.iou_whole:.2f} with what others hide"
    turned = f", turned by {found.turned_degrees:.0f}°" if found.turned_degrees >= 0.5 else ""
    axis = "" if found.up == "y" else f"; it fits with its {found.up.upper()} axis up, in place of Y"
    return f"silhouette on its mask: IoU {before}{found.iou_after:.2f}{hidden}{turned}{axis}"


def upright(up_camera: Float) -> Float:
    """`(4, 4)` world_from_camera at the origin that takes `up_camera` `(3,)` to +Y and keeps the heading.

    A camera that looks straight up or down has no heading; then the picture's up leads.
    """
    up = np.asarray(up_camera, np.float64) / np.linalg.norm(up_camera)
    backward = np.array([0.0, 0.0, 1.0]) - up * up[2]
    if np.linalg.norm(backward) < 1e-6:
        backward = np.array([0.0, -1.0, 0.0]) * np.sign(up[2])
    backward /= np.linalg.norm(backward)
    matrix = np.eye(4)
    matrix[:3, :3] = np.stack([np.cross(up, backward), up, backward])
    return matrix
