"""Photo and named objects to a scene at rest, in a scene folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from real2sam2real.arrays import Mask
from real2sam2real.errors import UserError
from real2sam2real.lift.assembling import (
    Surroundings,
    align_lifted,
    animation_frames,
    entity_of,
    on_one_ground,
    upright,
)
from real2sam2real.lift.contact import ContactOptions, settle
from real2sam2real.lift.embedded import lift_photo
from real2sam2real.lift.ground import estimate_ground
from real2sam2real.lift.lifted import LiftedMesh
from real2sam2real.lift.outline import Outline, outlines_by_nearness
from real2sam2real.perceive import camera
from real2sam2real.perceive.view import PhotoView
from real2sam2real.run.config import DEFAULT_FPS, LiftOptions, ObjectOptions, ViewOptions
from real2sam2real.run.finding import WorkingPhoto, find_masks, read_photo, things_in_front
from real2sam2real.run.meshing import lift_elsewhere, own_meshes
from real2sam2real.run.progress import Progress
from real2sam2real.scene import CameraPath, Entity, Scene
from real2sam2real.scene.folder import save_scene
from real2sam2real.scene.retime import retimed


def lift_to_folder(
    photo_path: Path,
    objects: ObjectOptions,
    view_options: ViewOptions,
    options: LiftOptions,
    folder: Path,
    progress: Progress,
    *,
    offline: bool = False,
) -> list[str]:
    """Lift the objects of a photo and write the scene folder; returns notes for people.

    Raises:
        MissingPartError: a model or a lifter's environment is not there.
        UserError: the photo, a mask, a box, a point or a mesh cannot be used.
    """
    objects.require_any()
    working = read_photo(photo_path)
    notes = list(working.notes)
    masks = find_masks(photo_path, working, objects, notes, offline=offline)
    progress.say(
        f"  {len(masks)} objects: {', '.join(masks)}" if len(masks) > 1 else f"  1 object: {next(iter(masks))}"
    )
    view = camera.look(working.photo, masks, camera_options(view_options, working, offline=offline))
    notes += view.notes
    lifted = _lifted(masks, working, view, options, folder, progress, offline=offline)
    scene = _scene(working, masks, view, lifted, objects, view_options, options, progress, notes)
    if options.contact == "auto":
        scene, report = settle(scene, ContactOptions())
        notes += report.notes
    notes += lift_notes(scene)
    save_scene(scene, folder)
    return notes


def camera_options(options: ViewOptions, working: WorkingPhoto, *, offline: bool) -> camera.ViewOptions:
    """What `perceive.camera` is told."""
    fov = options.fov
    if options.focal is not None:
        fov = float(np.degrees(2 * np.arctan(working.photo.width / (2 * options.focal * working.shrink))))
    return camera.ViewOptions(
        estimator=options.depth, model=options.depth_model, offline=offline, fov=fov, pitch=options.pitch
    )


def _lifted(
    masks: Mapping[str, Mask],
    working: WorkingPhoto,
    view: PhotoView,
    options: LiftOptions,
    folder: Path,
    progress: Progress,
    *,
    offline: bool,
) -> dict[str, LiftedMesh]:
    """The meshes that do not come from the embedded lifter, by name."""
    own = own_meshes(options, view)
    if strangers := own.keys() - masks.keys():
        raise UserError(
            f"--mesh names '{min(strangers)}', but no mask, box or point does; the objects are {', '.join(masks)}"
        )
    elsewhere: dict[str, list[str]] = {}
    for name in masks:
        lifter = options.lifter_of(name)
        if name not in own and lifter != "embedded":
            elsewhere.setdefault(lifter, []).append(name)
    made: dict[str, LiftedMesh] = {}
    for lifter, names in elsewhere.items():
        chosen = {name: masks[name] for name in names}
        made |= lift_elsewhere(lifter, chosen, working.photo, view, options, folder, progress, offline=offline)
    return {**own, **made}


def _scene(
    working: WorkingPhoto,
    masks: Mapping[str, Mask],
    view: PhotoView,
    lifted: Mapping[str, LiftedMesh],
    objects: ObjectOptions,
    view_options: ViewOptions,
    options: LiftOptions,
    progress: Progress,
    notes: list[str],
) -> Scene:
    """The scene at rest: all by the embedded lifter, or with other meshes in their places."""
    pixels = working.photo.pixels
    pitch = view_options.pitch if view_options.pitch is not None else _pitch_of(view)
    embedded = None
    if len(lifted) < len(masks):
        embedded = lift_photo(
            pixels, masks, view.intrinsics, frames=1, fps=DEFAULT_FPS, pitch_degrees=pitch, notes=notes
        )
        if not lifted:
            return embedded
    outlines = {outline.name: outline for outline in outlines_by_nearness(masks)}
    around = Surroundings(
        pixels=pixels,
        view=view,
        world_from_camera=_world_from_camera(view, outlines, pitch, embedded, notes),
        in_front=things_in_front(working, objects.in_front),
        max_triangles=options.triangles,
        align=not options.keep_pose,
        free_focal=options.free_lens,
    )
    found = {name: align_lifted(mesh, outlines[name], around, progress.say) for name, mesh in lifted.items()}
    known = None if view.ground is None else -view.ground.offset
    found, height = on_one_ground(found, around.world_from_camera, known)
    frames = animation_frames(lifted.values(), DEFAULT_FPS)
    entities = {name: entity_of(item, around, frames=frames, fps=DEFAULT_FPS) for name, item in found.items()}
    if embedded is not None:
        entities = _joined(retimed(embedded, frames), entities, around, height)
    return Scene(
        entities=tuple(entities[name] for name in masks),
        camera=CameraPath.still(frames, view.intrinsics, around.world_from_camera),
        photo=pixels,
        photo_world_from_camera=around.world_from_camera,
        fps=DEFAULT_FPS,
        unit=view.unit,
        ground_y=None if height is None else -height,
    )


def _pitch_of(view: PhotoView) -> float | None:
    """Degrees that the camera looks down, as the view knows it."""
    return None if view.up_camera is None else float(np.degrees(np.arcsin(np.clip(view.up_camera[2], -1, 1))))


def _world_from_camera(
    view: PhotoView, outlines: Mapping[str, Outline], pitch: float | None, embedded: Scene | None, notes: list[str]
) -> np.ndarray:
    if view.up_camera is not None:
        return upright(view.up_camera)
    if embedded is not None:
        return embedded.photo_world_from_camera
    standing = [outline for outline in outlines.values() if outline.stands_in_view]
    ground = estimate_ground(
        view.intrinsics,
        [outline.bottom for outline in standing],
        [outline.height for outline in standing],
        pitch_degrees=pitch,
    )
    notes.append(ground.note)
    return ground.world_from_camera


def _joined(
    embedded: Scene, entities: Mapping[str, Entity], around: Surroundings, height: float | None
) -> dict[str, Entity]:
    """The embedded lifter's other entities beside the given ones, in their world and at their scale."""
    factor = 1.0 if height is None or embedded.ground_y is None else height / -embedded.ground_y
    turn = around.world_from_camera @ np.linalg.inv(embedded.photo_world_from_camera)
    turn[:3, :3] *= factor
    joined = {}
    for entity in embedded.entities:
        joined[entity.name] = entities.get(entity.name) or _moved(entity, turn, factor)
    return joined


def _moved(entity: Entity, matrix: np.ndarray, factor: float) -> Entity:
    """An entity at rest under a similarity about the origin, its size kept in its mesh."""
    rest = matrix @ entity.rest_world_from_object
    rest[:3, :3] /= factor
    mesh = replace(entity.mesh, vertices=entity.mesh.vertices * factor)
    motion = type(entity.motion).still(entity.motion.frames, rest)
    return replace(entity, mesh=mesh, rest_world_from_object=rest, motion=motion)


def lift_notes(scene: Scene) -> list[str]:
    """What a lifter, or the closing of its meshes, wants people to know, from the entities' provenance."""
    notes = []
    for entity in scene.entities:
        told = entity.provenance.get("notes", [])
        notes += [f"{entity.name}: {note}" for note in ([told] if isinstance(told, str) else told)]
    return notes
