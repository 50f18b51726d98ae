"""The photo as all stages use it, and the masks of the objects that the user names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from real2sam2real.arrays import Mask
from real2sam2real.errors import UserError
from real2sam2real.options import group_named
from real2sam2real.perceive.masks import Masks, load_masks
from real2sam2real.perceive.photo import Photo, load_photo
from real2sam2real.perceive.prompts import box_text
from real2sam2real.perceive.segment.options import SegmentOptions, parse_box, parse_points
from real2sam2real.perceive.segment.overlaps import MaskRequest, collect_masks
from real2sam2real.perceive.segment.segmenter import Segmenter
from real2sam2real.run.kept_masks import KeptMasks
from real2sam2real.run.progress import Progress
from real2sam2real.workfolder.kept import KeptResults

# The control is at most full-scale video size; a larger photo costs memory and shows nothing more.
LONGEST_SIDE = 1920


class WorkingPhoto(NamedTuple):
    """The photo at the size that all stages use."""

    photo: Photo  # at most 1920 pixels along its longer side
    shrink: float = 1.0  # working pixels per pixel of the file
    notes: tuple[str, ...] = ()  # what was changed


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
    return WorkingPhoto(photo, shrink, tuple(notes))


def find_masks(
    photo_path: Path,
    working: WorkingPhoto,
    options: SegmentOptions,
    progress: Progress | None = None,
    kept: Path | None = None,
) -> tuple[dict[str, Mask], tuple[str, ...]]:
    """Masks `(H, W)` bool by name, disjoint: from files first, then boxes and points, then words, then proposals.

    Where nothing is named, the one object that stands out most. Masks, boxes or points under one name are parts of one
    object. What boxes and points cut out is looked up, and left, in the folder `kept`, where one is given.

    Returns:
        The masks, and notes for people.

    Raises:
        MissingPartError: a model is needed that is not there.
        UserError: one cannot be read or found, or a name comes twice; nothing is named, and nothing stands out.
    """
    photo, shrink = working.photo, working.shrink
    alone = not options.any_named
    if alone:
        options = replace(options, propose=True, max_objects=1)
    boxes = {
        name: [parse_box(f"--box {name}", text) for text in texts]
        for name, texts in group_named("--box", options.box).items()
    }
    points = {name: _all_points(name, texts) for name, texts in group_named("--points", options.points).items()}
    from_files = _from_files(photo_path, options.mask, photo)
    request = MaskRequest(
        masks=from_files,
        boxes={name: [[value * shrink for value in box] for box in parts] for name, parts in boxes.items()},
        points={
            name: (np.reshape(inside, (-1, 2)) * shrink, np.reshape(outside, (-1, 2)) * shrink)
            for name, (inside, outside) in points.items()
        },
        words=dict(_words(text) for text in options.text),
        propose=options.propose,
    )
    opened = Segmenter(options).open(photo.pixels)
    keeper = None if kept is None else KeptMasks(opened, photo.pixels, options, KeptResults(kept))
    with (progress or Progress()).bar("cut out") as advance:
        masks = collect_masks(keeper or opened, request, advance)
    if keeper is not None:
        keeper.kept.sweep()
    notes = [note for name, parts in boxes.items() for box in parts for note in _beyond(name, box, working)]
    if alone:
        notes.append(
            f"nothing was named, so the object that stands out most was taken: '{next(iter(masks))}'. Name others by "
            "--text, --box, --points or --mask, or all that stand out by --propose"
        )
    # Files are cleaned when they are read, and again among the others.
    return masks, tuple(dict.fromkeys([*notes, *from_files.notes, *masks.notes]))


def _all_points(name: str, texts: Sequence[str]) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """Points inside and outside of all texts for one object."""
    inside, outside = zip(*(parse_points(name, text) for text in texts), strict=True)
    return [point for part in inside for point in part], [point for part in outside for point in part]


def _beyond(name: str, box: tuple[int, int, int, int], working: WorkingPhoto) -> list[str]:
    """A note where a box, in pixels of the file, reaches beyond the photo."""
    width, height = (round(side / working.shrink) for side in (working.photo.width, working.photo.height))
    cut = max(0, box[0]), max(0, box[1]), min(width, box[2]), min(height, box[3])
    if cut == box:
        return []
    return [
        f"the box {box_text(box)} of '{name}' reaches beyond the photo of {width}×{height} pixels and is cut to "
        f"{box_text(cut)}"
    ]


def _words(text: str) -> tuple[str, str]:
    """The words, and the name that they give; empty for the words themselves."""
    name, equals, words = text.partition("=")
    return (words.strip(), name.strip()) if equals else (text.strip(), "")


def _from_files(photo_path: Path, given: tuple[str, ...], photo: Photo) -> Masks:
    folders = [item for item in given if Path(item).is_dir()]
    files = [item for item in given if item not in folders]
    masks = Masks()
    for source in [*folders, files]:
        if not source:
            continue
        found = load_masks(source, photo.width, photo.height, photo=photo_path)
        if double := masks.keys() & found.keys():
            raise UserError(f"two objects are called '{min(double)}'; give each its own name")
        masks |= found
        masks.notes += found.notes
    return masks


def occluder_mask(working: WorkingPhoto, options: SegmentOptions) -> Mask:
    """`(H, W)` bool: everything that --occluder names by a mask file or a box.

    A box stands for all of its pixels: what of them is no object's own may hide one, and need not be cut out exactly.

    Raises:
        UserError: a file cannot be read, or a box is empty.
    """
    photo = working.photo
    result = np.zeros(photo.pixels.shape[:2], bool)
    for item in options.occluder:
        if Path(item).is_file():
            for mask in load_masks(item, photo.width, photo.height).values():
                result |= mask
        else:
            left, top, right, bottom = (round(v * working.shrink) for v in parse_box("--occluder", item))
            result[max(0, top) : max(0, bottom), max(0, left) : max(0, right)] = True
    return result
