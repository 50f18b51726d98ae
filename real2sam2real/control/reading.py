"""Reading control folders: as a whole, or by slice, so that a long shot's normals never lie in memory as a whole."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from real2sam2real import media
from real2sam2real.arrays import UInt8
from real2sam2real.control.folder import (
    CAPTION,
    DESCRIPTION,
    IDS,
    NORMALS,
    OFFICIAL_NORMALS,
    PHOTO,
    VERSION,
    Control,
    ControlHeader,
    converted,
    is_of_shape,
    letterboxed,
)
from real2sam2real.control.normal_convention import OPENGL, NormalConvention, with_current_names
from real2sam2real.errors import UserError
from real2sam2real.files import refuse_if_system, refuse_pipe
from real2sam2real.workfolder.json_values import read_json

# H.264 leaves a noise of a few levels around black; real normals are never this dark (their colours lie on a sphere
# around mid-grey, the darkest being 54, 54, 54).
_BLACK_LIMIT = 24
_OFFICIAL_NOTE = f"Read from {OFFICIAL_NORMALS}: lossy normals, and all instances are one because the file has no ids."


@dataclass(frozen=True, kw_only=True, eq=False)
class NormalsInConvention:
    """Coded normals by slice, `(t, H, W, 3)` uint8."""

    stream: ControlStream  # the videos, as they are encoded
    wanted: NormalConvention  # how the slices are encoded

    def __len__(self) -> int:
        return self.stream.frames

    def __getitem__(self, window: slice, /) -> UInt8:
        colors = self.stream.colors[window]
        if self.wanted == self.stream.normal_convention:
            return colors
        ids = _clear_black(colors) if self.stream.ids is None else self.stream.ids[window]
        return converted(colors, ids, self.stream.normal_convention, self.wanted)


@dataclass(frozen=True, kw_only=True, eq=False)
class ControlStream(ControlHeader):
    """What `Control` holds, with the videos still on disk; of the official files, the photo may have any size."""

    colors: media.VideoFrames  # the video of the normals
    # the video of the instance ids, or None for the official, lossy video: it is shown as it is, and where its colours
    # have to be converted, what is nearly black is empty
    ids: media.VideoFrames | None

    @property
    def frames(self) -> int:
        """Number of frames T."""
        return len(self.colors)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the normals in pixels."""
        return self.colors.info.width, self.colors.info.height

    def normals_in(self, convention: NormalConvention) -> NormalsInConvention:
        """The normals in a convention, by slice."""
        return NormalsInConvention(stream=self, wanted=convention)


def read_control(folder: Path | str, *, from_official: bool = False) -> Control:
    """Read a control folder and check that its parts fit together.

    Args:
        folder: as `write_control` makes it.
        from_official: read the official files only. Their video is lossy and has no ids: every pixel that is not
            black becomes id 1, and the result's notes say so. A photo of quite another shape is letterboxed.

    Raises:
        UserError: a file is missing or damaged, or sizes, frame counts, rates or ids contradict each other.
    """
    folder = Path(folder)
    if not from_official and _holds_official_files_alone(folder):
        raise UserError(
            f"{folder} holds the official files only, without {DESCRIPTION}, {NORMALS} and {IDS}. "
            "Render the scene again, or read it with from_official=True (one lossy instance, no ids)."
        )
    stream = _open(folder, official=from_official)
    normals = media.read_video(stream.colors.path)
    ids = _clear_black(normals) if stream.ids is None else media.read_video(stream.ids.path)
    if stream.names and ids.max() > len(stream.names):
        raise UserError(f"{folder / IDS} holds id {ids.max()}, but {DESCRIPTION} names {len(stream.names)} entities.")
    header = {entry.name: getattr(stream, entry.name) for entry in fields(ControlHeader)}
    width, height = stream.size
    header["photo"] = photo_at(stream.photo, width=width, height=height)
    return Control(normals=normals, ids=ids, **header)


def open_control(folder: Path | str, *, from_official: bool = False) -> ControlStream:
    """Open a control folder, ours or with the official files alone, and check that its parts fit together.

    Args:
        folder: as `write_control` makes it, or in the official form, where `caption.json` may be missing.
        from_official: of one of ours, read the official files too.

    Raises:
        UserError: a file is missing or damaged, or sizes, frame counts or rates contradict each other.
    """
    return _open(Path(folder), official=from_official or _holds_official_files_alone(Path(folder)))


def photo_at(photo: UInt8, *, width: int, height: int) -> UInt8:
    """The photo at `width × height`: resized, or letterboxed where that would visibly stretch it."""
    if is_of_shape(photo, width=width, height=height):
        return media.resized(photo, width, height)
    return letterboxed(photo, width=width, height=height)


def _holds_official_files_alone(folder: Path) -> bool:
    return not (folder / DESCRIPTION).is_file() and (folder / OFFICIAL_NORMALS).is_file()


def _open(folder: Path, *, official: bool) -> ControlStream:
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder; give the control folder that rendering wrote.")
    photo = media.read_image(_required(folder, PHOTO))
    if official and not (folder / CAPTION).is_file():
        return _open_official(folder, photo, "", f"There is no {CAPTION}: the prompt is empty.")
    caption = _read_json(_required(folder, CAPTION))
    if not isinstance(caption, dict) or not isinstance(prompt := caption.get("text"), str):
        raise UserError(f'{folder / CAPTION} must hold {{"text": "…"}}; write the caption there (it may be empty).')
    return _open_official(folder, photo, prompt) if official else _open_lossless(folder, photo, prompt)


def _open_official(folder: Path, photo: UInt8, prompt: str, *notes: str) -> ControlStream:
    colors = media.VideoFrames(_required(folder, OFFICIAL_NORMALS))
    if not colors.info.fps > 0:
        raise UserError(f"{folder / OFFICIAL_NORMALS} does not say its frame rate; encode it again.")
    described = (folder / DESCRIPTION).is_file()
    return ControlStream(
        normal_convention=_convention(_read_description(folder / DESCRIPTION)) if described else OPENGL,
        photo=photo,
        prompt=prompt,
        fps=colors.info.fps,
        notes=(_OFFICIAL_NOTE, *notes, *(f"{OFFICIAL_NORMALS}: {note}" for note in colors.info.notes)),
        colors=colors,
        ids=None,
    )


def _open_lossless(folder: Path, photo: UInt8, prompt: str) -> ControlStream:
    description = _read_description(_required(folder, DESCRIPTION))
    colors, ids = (media.VideoFrames(_required(folder, name)) for name in (NORMALS, IDS))
    expected = (description["frames"], description["height"], description["width"])
    found = {
        NORMALS: (len(colors), colors.info.height, colors.info.width),
        IDS: (len(ids), ids.info.height, ids.info.width),
        PHOTO: (expected[0], *photo.shape[:2]),
    }
    for name, shape in found.items():
        if shape != expected:
            raise UserError(
                f"{folder / name} has the shape (T, H, W) = {shape} but {DESCRIPTION} says {expected}; render again."
            )
    return ControlStream(
        photo=photo,
        prompt=prompt,
        fps=description["fps"],
        normal_convention=_convention(description),
        names=tuple(entity["name"] for entity in description["entities"]),
        notes=tuple(description["notes"]),
        colors=colors,
        ids=ids,
    )


def _convention(description: dict[str, Any]) -> NormalConvention:
    return NormalConvention.from_dict(description["normal_convention"])


def _clear_black(normals: UInt8) -> UInt8:
    """Blacken, in place, what is nearly black in lossy normals `(T, H, W, 3)`; gives ids `(T, H, W)`, 1 elsewhere."""
    ids: UInt8 = (normals.max(axis=-1) > _BLACK_LIMIT).astype(np.uint8)
    normals[ids == 0] = 0
    return ids


def _required(folder: Path, name: str) -> Path:
    path = folder / name
    refuse_pipe(path)
    if not path.is_file():
        raise UserError(f"{folder} has no {name}; render the scene again to make a whole control folder.")
    return path


_EXPECTED_TYPES: dict[str, type | tuple[type, ...]] = {
    "version": int,
    "width": int,
    "height": int,
    "frames": int,
    "fps": (int, float),
    "normal_convention": dict,
    "entities": list,
    "notes": list,
}


def _read_description(path: Path) -> dict[str, Any]:
    values = _read_json(path)
    if not isinstance(values, dict):
        raise UserError(f"{path} does not describe a control; render again.")
    values = with_current_names(values)
    if (version := values.get("version")) != VERSION:
        raise UserError(f"{path} has version {version}; this program reads version {VERSION}. Render again.")
    for key, expected in _EXPECTED_TYPES.items():
        if not isinstance(values.get(key), expected):
            raise UserError(f"{path}: '{key}' is {repr(values.get(key))[:80]}, which is no valid value; render again.")
    for number, entity in enumerate(values["entities"], start=1):
        if not isinstance(entity, dict) or entity.get("id") != number or not isinstance(entity.get("name"), str):
            raise UserError(f"{path}: entity {number} is {repr(entity)[:80]}; expected its id {number} and a name.")
    if not (np.isfinite(values["fps"]) and values["fps"] > 0):
        raise UserError(f"{path}: fps is {values['fps']}; it must be a positive number.")
    if not all(isinstance(note, str) for note in values["notes"]):
        raise UserError(f"{path}: a note is no text; render again.")
    return values


def _read_json(path: Path) -> Any:
    try:
        return read_json(path, finite=True)
    except (OSError, ValueError) as error:
        refuse_if_system(error, path)
        raise UserError(f"{path} is not readable JSON ({error}); repair it or render again.") from error
