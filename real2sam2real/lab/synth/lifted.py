"""Held-out clips as a user would direct them: objects lifted from the first frame, then moved as the truth moves.

The lifted mesh knows nothing of the side that the photo does not show, and its outline leaves depth open. How far away
an object is comes from the truth, as from a metric depth estimator, or its path would not lead where the video goes;
its shape is what the lifter makes of the photo.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from real2sam2real.arrays import Float, Float32, UInt8
from real2sam2real.errors import UserError
from real2sam2real.geometry import transforms
from real2sam2real.lab.synth import SynthClip
from real2sam2real.lifting.embedded import lift_photo
from real2sam2real.mesh import Mesh
from real2sam2real.rendering import render_frames
from real2sam2real.rendering.preview import preview_frames
from real2sam2real.scene import Entity, Scene

LEAST_PIXELS = 150
"""Smaller masks are left to the background: no lifter makes anything of them."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LiftedCase:
    """A clip with its control made from lifted meshes."""

    clip: SynthClip  # the truth
    scene: Scene  # the truth's camera and motions with lifted meshes
    numbers: tuple[int, ...]  # the truth's instance id of each of the scene's entities, in order
    normals: Float32  # `(T, H, W, 3)` float32, rendered from `scene`
    ids: UInt8  # `(T, H, W)` uint8, numbered as in the clip

    def preview(self) -> UInt8:
        """`(T, H, W, 3)` preview of the scene."""
        height, width = self.ids.shape[1:]
        return np.stack(list(preview_frames(self.scene, width=width, height=height)))

    def moved(self) -> list[int]:
        """Instance ids of the objects that the truth moves within the picture: less than 0.8 overlap at the end."""
        found = []
        for number in self.numbers:
            first, last = self.clip.ids[0] == number, self.clip.ids[-1] == number
            union = np.count_nonzero(first | last)
            if last.any() and union and np.count_nonzero(first & last) / union < 0.8:
                found.append(number)
        return found


def lifted_case(clip: SynthClip) -> LiftedCase | None:
    """Lift objects from a clip's first frame with the true masks, intrinsics and pitch; None where nothing can be."""
    chosen = [
        (number, entity)
        for number, entity in enumerate(clip.scene.entities, 1)
        if entity.mask is not None and np.count_nonzero(entity.mask) >= LEAST_PIXELS
    ]
    masks = {entity.name: entity.mask for _, entity in chosen if entity.mask is not None}
    photo, pose = clip.scene.photo, clip.scene.photo_world_from_camera
    if not masks or photo is None:
        return None
    looks_down = float(np.degrees(np.arcsin(np.clip(pose[1, 2], -1, 1))))  # the camera looks along its −Z
    try:
        lifted, _ = lift_photo(photo, masks, clip.scene.camera.intrinsics, frames=1, pitch_degrees=looks_down)
    except UserError:  # too far to the side or too covered for the embedded lifter, or the pitch is beyond its range
        return None
    camera_from_lifted = transforms.invert_rigid(lifted.photo_world_from_camera)
    entities = tuple(_in_place_of(entity, lifted.entity(entity.name), camera_from_lifted, pose) for _, entity in chosen)
    scene = replace(clip.scene, entities=entities)
    numbers = tuple(number for number, _ in chosen)
    normals, ids = _rendered(scene, numbers, clip.ids.shape[1:])
    return LiftedCase(clip=clip, scene=scene, numbers=numbers, normals=normals, ids=ids)


def _in_place_of(entity: Entity, lifted: Entity, camera_from_lifted: Float, world_from_camera: Float) -> Entity:
    """The true entity with the lifted mesh, brought to the true distance along the photo's rays."""
    camera_from_object = camera_from_lifted @ lifted.rest_world_from_object
    points = transforms.apply(camera_from_object, lifted.mesh.vertices)
    camera_from_world = transforms.invert_rigid(world_from_camera)
    truth = transforms.apply(camera_from_world, entity.vertices_world(0))
    points = points * (_middle_depth(truth) / _middle_depth(points))
    in_object = np.linalg.inv(entity.motion.matrices()[0]) @ world_from_camera
    mesh: Mesh = replace(lifted.mesh, vertices=transforms.apply(in_object, points))
    return replace(entity, mesh=mesh, motion=replace(entity.motion, vertices_object=None))


def _middle_depth(points_camera: Float) -> float:
    depths = -points_camera[:, 2]
    return float((depths.min() + depths.max()) / 2)


def _rendered(scene: Scene, numbers: tuple[int, ...], size: tuple[int, ...]) -> tuple[Float32, UInt8]:
    height, width = size
    names = np.array([0, *numbers], np.uint8)
    normals = np.zeros((scene.frames, height, width, 3), np.float32)
    ids = np.zeros((scene.frames, height, width), np.uint8)
    for index, frame in enumerate(render_frames(scene, width=width, height=height, antialias=True)):
        ids[index] = names[frame.ids]
        normals[index] = frame.normals * (frame.ids > 0)[..., None]
    return normals, ids
