"""A mesh of the user's own into a scene that is there already."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from real2sam2real.arrays import Mask
from real2sam2real.errors import UserError
from real2sam2real.lift.assembling import Surroundings, align_lifted, animation_frames, entity_of, on_one_ground
from real2sam2real.lift.contact import ContactOptions, settle
from real2sam2real.lift.outline import outlines_by_nearness
from real2sam2real.perceive import Photo
from real2sam2real.perceive.view import PhotoView
from real2sam2real.run.config import LiftOptions, ObjectOptions
from real2sam2real.run.finding import WorkingPhoto, find_masks, things_in_front
from real2sam2real.run.lifting import lift_notes
from real2sam2real.run.meshing import read_own_mesh
from real2sam2real.run.opening import open_scene
from real2sam2real.run.progress import Progress
from real2sam2real.scene import Entity, Scene
from real2sam2real.scene.folder import save_scene
from real2sam2real.scene.retime import retimed


def add_to_folder(
    folder: Path, mesh: Path, name: str, objects: ObjectOptions, options: LiftOptions, progress: Progress
) -> list[str]:
    """Align a mesh with the object of the photo that a mask, a box or points name, and put it into the scene.

    The scene folder is written anew, whole or not at all. An entity of the same name is replaced.

    Raises:
        UserError: the scene has no photo, or the mesh or the mask cannot be used.
    """
    scene, notes = open_scene(folder)
    if scene.photo is None:
        raise UserError(f"{folder} has no photo, so there is nothing to align a mesh with")
    objects.require_any()
    working = WorkingPhoto(Photo(pixels=scene.photo), 1.0, [])
    mask = _one_mask(find_masks(folder / "photo.png", working, objects, notes), name)
    others = {e.name: e.mask for e in scene.entities if e.mask is not None and e.name != name}
    around = _surroundings(scene, things_in_front(working, objects.in_front), options)
    lifted = read_own_mesh(mesh, name, options, around.view)
    outline = next(o for o in outlines_by_nearness({**others, name: mask}) if o.name == name)
    item = align_lifted(lifted, outline, around, progress.say)
    height = None if scene.ground_y is None else float(scene.photo_world_from_camera[1, 3] - scene.ground_y)
    item = on_one_ground({name: item}, around.world_from_camera, height)[0][name]
    if scene.frames == 1:
        scene = retimed(scene, animation_frames([lifted], scene.fps))
    entity = _in_world(entity_of(item, around, frames=scene.frames, fps=scene.fps), scene)
    added = scene.with_entity(entity)
    if options.contact == "auto":
        added, report = settle(added, ContactOptions())
        notes += report.notes
    notes += lift_notes(replace(added, entities=(added.entity(name),)))
    save_scene(added, folder)
    return notes


def _one_mask(masks: dict[str, Mask], name: str) -> Mask:
    if len(masks) != 1:
        raise UserError(f"{len(masks)} objects are named ({', '.join(masks)}), but '{name}' is one; name just that one")
    return next(iter(masks.values()))


def _surroundings(scene: Scene, in_front: Mask, options: LiftOptions) -> Surroundings:
    """The scene's photo and camera, with the camera moved to the origin."""
    world_from_camera = scene.photo_world_from_camera.copy()
    world_from_camera[:3, 3] = 0
    assert scene.photo is not None
    view = PhotoView(
        intrinsics=scene.camera.intrinsics_at(0),
        up_camera=np.asarray(world_from_camera[1, :3], np.float64),
        unit="metre" if scene.unit == "metre" else "unit",
    )
    return Surroundings(
        pixels=scene.photo,
        view=view,
        world_from_camera=world_from_camera,
        in_front=in_front,
        max_triangles=options.triangles,
        align=not options.keep_pose,
        free_focal=options.free_lens,
    )


def _in_world(entity: Entity, scene: Scene) -> Entity:
    """From the world whose origin is the camera to the scene's."""
    origin = scene.photo_world_from_camera[:3, 3]
    rest = entity.rest_world_from_object.copy()
    rest[:3, 3] += origin
    motion = replace(entity.motion, translation=entity.motion.translation + origin)
    return replace(entity, rest_world_from_object=rest, motion=motion)
