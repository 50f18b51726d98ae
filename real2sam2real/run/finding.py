"""The photo as all stages use it, and the masks of the objects that the user names."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from real2sam2real.arrays import Mask
from real2sam2real.errors import UserError
from real2sam2real.perceive import Photo, load_masks, load_photo
from real2sam2real.perceive.segment import MaskRequest, SegmentOptions, collect_masks, load_segmenter
from real2sam2real.run.config import LiftOptions, ObjectOptions, parse_box, parse_points, split_named

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


def find_masks(
    photo_path: Path, working: WorkingPhoto, objects: ObjectOptions, notes: list[str], *, offline: bool = False
) -> dict[str, Mask]:
    """Masks `(H, W)` bool by name, disjoint: from files first, then boxes and points, then words, then proposals.

    Raises:
        MissingPartError: a model is needed that is not there.
        UserError: one cannot be read or found, or a name comes twice.
    """
    opened = load_segmenter(SegmentOptions(model=objects.segmenter, offline=offline)).open(working.photo.pixels)
    told: list[str] = []
    masks = collect_masks(opened, _request(photo_path, working, objects, told), told)
    notes += dict.fromkeys(told)  # files are cleaned when they are read, and again among the others
    return masks


def _request(photo_path: Path, working: WorkingPhoto, objects: ObjectOptions, notes: list[str]) -> MaskRequest:
    photo, shrink = working.photo, working.shrink
    boxes = _only_once("--box", split_named("--box", objects.box))
    points = _only_once("--points", split_named("--points", objects.points))
    inside_and_outside = {name: parse_points(name, text) for name, text in points.items()}
    return MaskRequest(
        masks=_from_files(photo_path, objects.mask, photo, notes),
        boxes={name: [value * shrink for value in parse_box(f"--box {name}", text)] for name, text in boxes.items()},
        points={
            name: (np.reshape(inside, (-1, 2)) * shrink, np.reshape(outside, (-1, 2)) * shrink)
            for name, (inside, outside) in inside_and_outside.items()
        },
        words=dict(_words(text) for text in objects.text),
        propose=objects.propose,
    )


def _only_once(option: str, pairs: list[tuple[str, str]]) -> dict[str, str]:
    names = [name for name, _ in pairs]
    if double := sorted({name for name in names if names.count(name) > 1}):
        raise UserError(f"{option} names '{double[0]}' twice; give each object its own name")
    return dict(pairs)


def _words(text: str) -> tuple[str, str]:
    """The words, and the name that they give; empty for the words themselves."""
    name, equals, words = text.partition("=")
    return (words.strip(), name.strip()) if equals else (text.strip(), "")


def _from_files(photo_path: Path, given: tuple[str, ...], photo: Photo, notes: list[str]) -> dict[str, Mask]:
    folders = [item for item in given if Path(item).is_dir()]
    files = [item for item in given if item not in folders]
    masks: dict[str, Mask] = {}
    for source in [*folders, files]:
        if not source:
            continue
        found = load_masks(source, photo.width, photo.height, notes=notes, photo=photo_path)
        if double := masks.keys() & found.keys():
            raise UserError(f"two objects are called '{min(double)}'; give each its own name")
        masks |= found
    return masks


def things_in_front(working: WorkingPhoto, given: tuple[str, ...]) -> Mask:
    """`(H, W)` bool: everything that --in-front names by a mask file or a box.

    A box stands for all of its pixels: what of them is no object's own may hide one, and need not be cut out exactly.

    Raises:
        UserError: a file cannot be read, or a box is empty.
    """
    photo = working.photo
    result = np.zeros(photo.pixels.shape[:2], bool)
    for item in given:
        if Path(item).is_file():
            for mask in load_masks(item, photo.width, photo.height).values():
                result |= mask
        else:
            left, top, right, bottom = (round(v * working.shrink) for v in parse_box("--in-front", item))
            result[max(0, top) : max(0, bottom), max(0, left) : max(0, right)] = True
    return result


def named_files(objects: ObjectOptions, lift: LiftOptions) -> tuple[Path, ...]:
    """Files and folders that options name, without the names before them."""
    files = [_file_of(item) for item in (*objects.mask, *lift.mesh)]
    return (*files, *(Path(item) for item in objects.in_front if Path(item).exists()))


def _file_of(item: str) -> Path:
    name, equals, path = item.partition("=")
    return Path(path) if equals and name and not Path(item).exists() else Path(item)
