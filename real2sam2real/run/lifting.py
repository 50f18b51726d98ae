"""Photo and named objects to a scene at rest, in a scene folder."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from real2sam2real.errors import UserError
from real2sam2real.lift.embedded import lift_photo
from real2sam2real.perceive import Photo, estimate_intrinsics, load_masks, load_photo
from real2sam2real.perceive.grabcut import mask_from_box, mask_from_points
from real2sam2real.perceive.masks import clean_masks
from real2sam2real.run.config import ObjectOptions, parse_box, parse_points, split_named
from real2sam2real.run.progress import Progress
from real2sam2real.scene.folder import save_scene
from real2sam2real.scene.scene import Scene

Masks = dict[str, NDArray[np.bool_]]

# The control is at most full-scale video size; a larger photo costs memory and shows nothing more.
LONGEST_SIDE = 1920


class WorkingPhoto(NamedTuple):
    """The photo at the size that all stages use.

    Attributes:
        photo: at most 1920 pixels along its longer side.
        shrink: working pixels per pixel of the file.
        notes: what was changed.
    """

    photo: Photo
    shrink: float
    notes: list[str]


def lift_to_folder(photo_path: Path, objects: ObjectOptions, folder: Path, progress: Progress) -> list[str]:
    """Lift the objects of a photo and write the scene folder; returns notes for people.

    Raises:
        UserError: the photo, a mask, a box or a point cannot be used.
    """
    objects.require_any()
    working = read_photo(photo_path)
    notes = list(working.notes)
    masks = gather_masks(photo_path, working, objects, notes)
    intrinsics, lens_note = estimate_intrinsics(working.photo, objects.fov, masks=masks)
    notes.append(lens_note)
    progress.say(
        f"  {len(masks)} objects: {', '.join(masks)}" if len(masks) > 1 else f"  1 object: {next(iter(masks))}"
    )
    scene = lift_photo(
        working.photo.pixels, masks, intrinsics, frames=1, fps=16.0, pitch_degrees=objects.pitch, notes=notes
    )
    notes += lift_notes(scene)
    save_scene(scene, folder)
    return notes


def read_photo(path: Path) -> WorkingPhoto:
    """Read a photo and bring it to the size that all stages use.

    Raises:
        UserError: it cannot be read.
    """
    photo = load_photo(path)
    shrink = min(1.0, LONGEST_SIDE / max(photo.width, photo.height))
    notes = list(photo.notes)
    if shrink < 1:
        width, height = max(1, round(photo.width * shrink)), max(1, round(photo.height * shrink))
        notes.append(f"worked on at {width}×{height}; the file has {photo.width}×{photo.height} pixels")
        photo = photo.resized(width, height)
    return WorkingPhoto(photo, shrink, notes)


def gather_masks(photo_path: Path, working: WorkingPhoto, objects: ObjectOptions, notes: list[str]) -> Masks:
    """Masks `(H, W)` bool by name, disjoint: from files first, then boxes, then points.

    Raises:
        UserError: one cannot be read or found, or a name comes twice.
    """
    photo, shrink = working.photo, working.shrink
    folders = [item for item in objects.mask if Path(item).is_dir()]
    files = [item for item in objects.mask if item not in folders]
    size = (photo.width, photo.height)
    sources = [load_masks(source, *size, notes=notes, photo=photo_path) for source in [*folders, files] if source]
    for name, text in split_named("--box", objects.box):
        box = [value * shrink for value in parse_box(name, text)]
        sources.append({name: mask_from_box(photo.pixels, box)})
    for name, text in split_named("--points", objects.points):
        inside, outside = (np.reshape(points, (-1, 2)) * shrink for points in parse_points(name, text))
        sources.append({name: mask_from_points(photo.pixels, inside, outside)})
    masks: Masks = {}
    for source in sources:
        if double := masks.keys() & source.keys():
            raise UserError(f"two objects are called '{min(double)}'; give each its own name")
        masks |= source
    return clean_masks(masks, notes=notes)


def lift_notes(scene: Scene) -> list[str]:
    """What a lifter, or the closing of its meshes, wants people to know, from the entities' provenance."""
    notes = []
    for entity in scene.entities:
        told = entity.provenance.get("notes", [])
        notes += [f"{entity.name}: {note}" for note in ([told] if isinstance(told, str) else told)]
    return notes
