"""A mesh of the user's own into a scene that is there already."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from real2sam2real.arrays import Float, Mask, UInt8
from real2sam2real.errors import UserError
from real2sam2real.lifting.assembling import (
    Surroundings,
    align_lifted,
    animation_frames,
    cleaned,
    entity_of,
    on_one_ground,
    standing_entity,
)
from real2sam2real.lifting.mesh_files import read_mesh_file
from real2sam2real.lifting.options import LiftOptions
from real2sam2real.lifting.outline import outlines_by_nearness
from real2sam2real.mesh import Mesh
from real2sam2real.perceive.photo import Photo
from real2sam2real.perceive.segment.options import SegmentOptions
from real2sam2real.perceive.view import PhotoView
from real2sam2real.rendering import staging
from real2sam2real.run.directing import open_scene, provenance_notes
from real2sam2real.run.lifting import read_own_mesh, settled, surroundings
from real2sam2real.run.options import DEFAULT_FPS
from real2sam2real.run.photo import WorkingPhoto, find_masks, occluder_mask
from real2sam2real.run.progress import Progress
from real2sam2real.scene import Entity, Scene
from real2sam2real.scene.carrying import carry, release
from real2sam2real.scene.folder import save_scene
from real2sam2real.scene.retime import retimed

_FARTHEST = 3.0  # times as far away as the farthest object: a ray that meets the ground behind it points at no place
_SMALLEST, _LARGEST = 0.01, 1 / 3  # of its distance: smaller, nobody sees it; larger, it stands before all else


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


@dataclass(frozen=True, kw_only=True)
class Ray:
    """A line of sight in the scene's world: where somebody points."""

    origin: tuple[float, float, float]
    direction: tuple[float, float, float]  # of any length but 0


def place_in_folder(
    folder: Path, mesh: Path, name: str, ray: Ray, options: LiftOptions, progress: Progress
) -> list[str]:
    """Put a mesh that the photo does not show into the scene: on the ground where a ray meets it, facing the camera.

    The scene folder is written anew, whole or not at all; returns notes for people.

    Raises:
        UserError: the mesh cannot be used, or an entity has its name.
    """
    scene, notes = open_scene(folder)
    if name in scene.names:
        raise UserError(f"there is an entity called '{name}' already; give another name")
    lifted = read_mesh_file(
        mesh,
        name=name,
        coordinate_frame="object",
        up=options.mesh_up,
        fps=DEFAULT_FPS,
        clip=options.clip,
        loop=options.loop,
    )
    progress.info(f"  {name}: closing {len(lifted.mesh.faces):,} triangles")
    lifted = cleaned(lifted, options.max_faces)
    place = landing_point(scene, ray)
    scale, note = _fitting_scale(scene, lifted.mesh, place)
    if scene.frames == 1:
        scene = retimed(scene, animation_frames([lifted], scene.fps))
    entity = standing_entity(lifted, place, scene, scale)
    save_scene(scene.with_entity(entity), folder)
    return [*notes, *lifted.notes, *([f"{name}: {note}"] if note else [])]


def landing_point(scene: Scene, ray: Ray) -> Float:
    """`(3,)`: where a ray meets the ground; where it does not, or only far behind the objects, as far away as they are.

    Where the scene knows no ground, the lowest point of its objects is taken for it.
    """
    eye = scene.photo_world_from_camera[:3, 3]
    corners = [staging.rest_corners_world(each) for each in scene.entities]
    away = [float(np.linalg.norm((each.mean(axis=0) - eye)[[0, 2]])) for each in corners]
    usual, reach = (float(np.median(away)), _FARTHEST * max(away)) if away else (1.0, np.inf)
    ground = scene.ground_y
    if ground is None:
        ground = min((float(each[:, 1].min()) for each in corners), default=float(eye[1]) - usual / 2)
    origin, direction = np.array(ray.origin), np.array(ray.direction)
    falls = direction[1] * (ground - origin[1]) > 0
    if falls:
        point = origin + direction * (ground - origin[1]) / direction[1]
        if np.linalg.norm((point - eye)[[0, 2]]) <= reach:
            point[1] = ground
            return point
    level = direction * [1, 0, 1]
    length = float(np.linalg.norm(level))
    level = level / length if length > 1e-9 else scene.photo_level_forward * [1, 0, 1]
    point = (origin if falls else eye) + level * usual
    point[1] = ground
    return point


def _fitting_scale(scene: Scene, mesh: Mesh, place: Float) -> tuple[float, str]:
    """The factor that makes a mesh as large as things of the scene are, and what is to be said of it.

    Where both are in metres, the file's own size is kept, unless nobody could see it or it would fill the picture.
    """
    low, high = mesh.bounds()
    own = max(float(np.linalg.norm(high - low)), 1e-12)
    distance = max(float(np.linalg.norm(place - scene.photo_world_from_camera[:3, 3])), 1e-9)
    if scene.unit == "metre" and _SMALLEST * distance < own < distance:
        return 1.0, ""
    sizes = [staging.size(each) for each in scene.entities]
    wanted = min(float(np.median(sizes)) if sizes else np.inf, _LARGEST * distance)
    scale = wanted / own
    return scale, f"scaled by {scale:.3g} to go with the other objects; R has handles that change it"


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
