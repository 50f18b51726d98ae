"""A mesh of the user's own into a scene that is there already."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from real2sam2real.arrays import Mask, UInt8
from real2sam2real.errors import UserError
from real2sam2real.lifting.assembling import Surroundings, align_lifted, animation_frames, entity_of, on_one_ground
from real2sam2real.lifting.options import LiftOptions
from real2sam2real.lifting.outline import outlines_by_nearness
from real2sam2real.perceive.photo import Photo
from real2sam2real.perceive.segment.options import SegmentOptions
from real2sam2real.perceive.view import PhotoView
from real2sam2real.run.directing import open_scene, provenance_notes
from real2sam2real.run.lifting import read_own_mesh, settled, surroundings
from real2sam2real.run.photo import WorkingPhoto, find_masks, occluder_mask
from real2sam2real.run.progress import Progress
from real2sam2real.scene import Entity, Scene
from real2sam2real.scene.carrying import carry, release
from real2sam2real.scene.folder import save_scene
from real2sam2real.scene.retime import retimed


def add_to_folder(
    folder: Path, mesh: Path, name: str, objects: SegmentOptions, options: LiftOptions, progress: Progress
) -> list[str]:
    """Align a mesh with the object of the photo that a mask, a box or points name, and put it into the scene.

    An entity of the same name is replaced. The scene folder is written anew, whole or not at all; returns notes for
    people.

    Raises:
        UserError: the scene has no photo, or the mesh or the mask cannot be used.
    """
    objects.require_any()
    if options.optimize_focal:
        raise UserError(
            "--optimize-focal: the scene has a lens already, under which its objects were placed; lift the photo anew "
            "with it, or with --focal, and add the mesh then"
        )
    scene, notes = open_scene(folder)
    if scene.photo is None:
        raise UserError(f"{folder} has no photo, so there is nothing to align a mesh with")
    working = WorkingPhoto(Photo(pixels=scene.photo))
    masks, mask_notes = find_masks(folder / "photo.png", working, objects)
    if len(masks) != 1:
        raise UserError(f"{len(masks)} objects are named ({', '.join(masks)}), but '{name}' is one; name just that one")
    (mask,) = masks.values()
    around = _surroundings(scene, scene.photo, occluder_mask(working, objects), options)
    lifted = read_own_mesh(mesh, name, options, around.view, mask)
    others = {e.name: e.mask for e in scene.entities if e.mask is not None and e.name != name}
    outline = next(o for o in outlines_by_nearness({**others, name: mask}) if o.name == name)
    item = align_lifted(lifted, outline, around, progress.info)
    height = None if scene.ground_y is None else float(scene.photo_world_from_camera[1, 3] - scene.ground_y)
    item = on_one_ground({name: item}, around.world_from_camera, height)[0][name]
    if scene.frames == 1:
        scene = retimed(scene, animation_frames([lifted], scene.fps))
    entity = _in_world(entity_of(item, around, frames=scene.frames, fps=scene.fps), scene)
    relations = options.relations([*scene.names, *({name} - set(scene.names))])
    added = release(scene).with_entity(entity)
    for each, relation in relations.items():
        added = added.with_entity(replace(added.entity(each), relation=relation))
    added, contact_notes = settled(added, options)
    added = carry(added)
    save_scene(added, folder)
    own_notes = provenance_notes(replace(added, entities=(added.entity(name),)))
    return [*notes, *mask_notes, *contact_notes, *own_notes]


def _surroundings(scene: Scene, photo: UInt8, occluder: Mask, options: LiftOptions) -> Surroundings:
    """The scene's photo and camera, with the camera moved to the origin."""
    world_from_camera = scene.photo_world_from_camera.copy()
    world_from_camera[:3, 3] = 0
    view = PhotoView(
        intrinsics=scene.camera.intrinsics_at(0),
        up_camera=np.asarray(world_from_camera[1, :3], np.float64),
        unit="metre" if scene.unit == "metre" else "unit",
    )
    return surroundings(photo, view, world_from_camera, occluder, options)


def _in_world(entity: Entity, scene: Scene) -> Entity:
    """From the world whose origin is the camera to the scene's."""
    origin = scene.photo_world_from_camera[:3, 3]
    rest = entity.rest_world_from_object.copy()
    rest[:3, 3] += origin
    motion = replace(entity.motion, translation=entity.motion.translation + origin)
    return replace(entity, rest_world_from_object=rest, motion=motion)
