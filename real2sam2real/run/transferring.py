"""Motion transfer from a scene: its shot over another photo, with a preview that generation can start from.

A control folder holds normals alone, and what a small model makes of those from noise is mush. A scene has the meshes,
so that the other photo can be laid on them and drawn as any preview is.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from real2sam2real.arrays import Bool, UInt8
from real2sam2real.control.folder import DESCRIPTION, OFFICIAL_NORMALS
from real2sam2real.control.transfer import Fit, fit_photo, transfer_control
from real2sam2real.errors import UserError
from real2sam2real.geometry import transforms
from real2sam2real.lifting.photo_texture import with_photo
from real2sam2real.perceive.photo import load_photo
from real2sam2real.rendering import render_frames, staging
from real2sam2real.run.directing import open_scene
from real2sam2real.run.progress import Progress
from real2sam2real.run.rendering import CONTROL_PREVIEW, control_size, render_to_folder, upscales
from real2sam2real.scene.folder import SCENE_FILE
from real2sam2real.scene.scene import Entity, Scene


def transfer_to_folder(
    source: Path, photo: Path, out: Path, progress: Progress, *, prompt: str | None, fit: Fit
) -> list[str]:
    """Write the control folder `out`: the motion of `source` over another photo; returns notes for people.

    Args:
        source: a scene folder, a run folder that holds one, or a control folder.
        photo: a picture file.
        out: is made, or replaced when it exists.
        progress: where the work is shown.
        prompt: the new caption; None keeps the old one.
        fit: see `place_photo`.

    Raises:
        UserError: `source` holds no motion, or one of the two cannot be used.
    """
    folder = source if (source / SCENE_FILE).is_file() else source / "scene"
    if not (folder / SCENE_FILE).is_file():
        if not any((source / name).is_file() for name in (DESCRIPTION, OFFICIAL_NORMALS)):
            raise UserError(f"{source} holds no motion to transfer; give a scene, a run or a control folder")
        control = transfer_control(source, photo, out, prompt=prompt, fit=fit)
        warning = (
            f"{source} is a control folder, whose normals do not say where the photo's pixels go: there is no "
            f"{CONTROL_PREVIEW} to start from, and mini from noise gives mush; give the scene's or the run's folder"
        )
        return [control.notes[-1], warning]
    scene, notes = open_scene(folder)
    if scene.frames == 1:
        raise UserError(f"{folder} is at rest, so there is no motion to transfer; direct it, or give the run's folder")
    loaded = load_photo(photo)
    camera = scene.camera.intrinsics
    pixels, placement = fit_photo(loaded.pixels, (camera.width, camera.height), fit)
    scene = with_other_photo(scene, pixels)
    scene = scene if prompt is None else replace(scene, prompt=prompt)
    width, height = control_size(scene, None)
    render_to_folder(scene, out, width=width, height=height, progress=progress, upscale=upscales("mini"))
    moved = f"motion transferred to another photo: {placement.note}; its objects are taken to lie where the scene's do"
    return [*notes, *loaded.notes, moved]


def with_other_photo(scene: Scene, photo: UInt8) -> Scene:
    """The scene over another photo `(H, W, 3)` uint8 of its photo's size, laid on the meshes as they stand at rest.

    Billboards and the background's relief belong to the old photo and are left out.
    """
    shown = [entity for entity in (*scene.entities, *scene.removed) if entity.in_photo]
    camera = scene.camera.intrinsics
    drawn = next(render_frames(staging.at_rest(scene), width=camera.width, height=camera.height)).ids
    outlines = {entity.name: drawn == number for number, entity in enumerate(shown, start=1)}

    def repainted(entity: Entity) -> Entity:
        if entity.name not in outlines:
            return entity
        outline = outlines[entity.name]
        return _painted(entity, scene, photo, outline, (drawn > 0) & ~outline)

    entities, removed = (tuple(map(repainted, group)) for group in (scene.entities, scene.removed))
    return replace(scene, photo=photo, entities=entities, removed=removed, billboards=(), background=None)


def _painted(entity: Entity, scene: Scene, photo: UInt8, outline: Bool, others: Bool) -> Entity:
    """The entity with the photo's colours in place of its own; `outline` and `others` are `(H, W)`."""
    bare = replace(entity.mesh, texture=None, corner_uvs=None, vertex_colors=None)
    if not outline.any():
        return replace(entity, mesh=bare, mask=outline)
    camera_from_object = transforms.invert_rigid(scene.photo_world_from_camera) @ entity.rest_world_from_object
    mesh = with_photo(bare, camera_from_object, photo, outline, others, scene.camera.intrinsics)
    return replace(entity, mesh=mesh, mask=np.ascontiguousarray(outline))
