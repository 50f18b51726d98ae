"""A control folder read as it is needed: a long shot's normals never lie in memory as a whole."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from real2sam2real import media
from real2sam2real.arrays import UInt8
from real2sam2real.control.folder import (
    CAPTION,
    DESCRIPTION,
    IDS,
    NORMALS,
    OFFICIAL_NORMALS,
    OFFICIAL_NOTE,
    PHOTO,
    clear_black,
    converted,
    fit_to_size,
    read_caption,
    read_description,
    required,
)
from real2sam2real.control.normal_convention import OPENGL, NormalConvention
from real2sam2real.errors import UserError


@dataclass(frozen=True, kw_only=True, eq=False)
class NormalsInConvention:
    """Coded normals by slice, `(t, H, W, 3)` uint8.

    Attributes:
        colors: the video of the normals.
        ids: the video of the instance ids, or None for the official, lossy video: what is nearly black is then empty.
        given: how the video is encoded.
        wanted: how the slices are encoded.
    """

    colors: media.VideoFrames
    ids: media.VideoFrames | None
    given: NormalConvention
    wanted: NormalConvention

    def __len__(self) -> int:
        return len(self.colors)

    def __getitem__(self, window: slice, /) -> UInt8:
        colors = self.colors[window]
        ids = clear_black(colors) if self.ids is None else self.ids[window]
        return converted(colors, ids, self.given, self.wanted)


@dataclass(frozen=True, kw_only=True, eq=False)
class ControlStream:
    """What `Control` holds, with the videos still on disk.

    Attributes:
        photo: `(H, W, 3)` uint8 sRGB.
        prompt: text, may be empty.
        fps: frames per second.
        frames: number of frames T.
        normal_convention: how the video of the normals is encoded.
        notes: what a person should know about how this was read or made.
    """

    photo: UInt8
    prompt: str
    fps: float
    frames: int
    normal_convention: NormalConvention
    notes: tuple[str, ...]
    colors: media.VideoFrames
    ids: media.VideoFrames | None

    def normals_in(self, convention: NormalConvention) -> NormalsInConvention:
        """The normals in a convention, by slice."""
        return NormalsInConvention(colors=self.colors, ids=self.ids, given=self.normal_convention, wanted=convention)


def open_control(folder: Path | str) -> ControlStream:
    """Open a control folder, ours or with the three official files alone, and check that its parts fit together.

    Raises:
        UserError: a file is missing or damaged, or sizes, frame counts or rates contradict each other.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder; give the control folder that rendering wrote.")
    photo = media.read_image(required(folder, PHOTO))
    prompt = read_caption(required(folder, CAPTION))
    official = not (folder / DESCRIPTION).is_file() and (folder / OFFICIAL_NORMALS).is_file()
    return _open_official(folder, photo, prompt) if official else _open_lossless(folder, photo, prompt)


def _open_official(folder: Path, photo: UInt8, prompt: str) -> ControlStream:
    colors = media.VideoFrames(required(folder, OFFICIAL_NORMALS))
    if not colors.info.fps > 0:
        raise UserError(f"{folder / OFFICIAL_NORMALS} does not say its frame rate; encode it again.")
    return ControlStream(
        photo=fit_to_size(photo, width=colors.info.width, height=colors.info.height),
        prompt=prompt,
        fps=colors.info.fps,
        frames=len(colors),
        normal_convention=OPENGL,
        notes=(OFFICIAL_NOTE,),
        colors=colors,
        ids=None,
    )


def _open_lossless(folder: Path, photo: UInt8, prompt: str) -> ControlStream:
    description = read_description(required(folder, DESCRIPTION))
    colors, ids = (media.VideoFrames(required(folder, name)) for name in (NORMALS, IDS))
    expected = (description["frames"], description["height"], description["width"])
    found = {
        NORMALS: (len(colors), colors.info.height, colors.info.width),
        IDS: (len(ids), ids.info.height, ids.info.width),
        PHOTO: (expected[0], *photo.shape[:2]),
    }
    for name, shape in found.items():
        if shape != expected:
            raise UserError(
                f"{folder / name} has (frames, height, width) {shape} but {DESCRIPTION} says {expected}; render again."
            )
    return ControlStream(
        photo=photo,
        prompt=prompt,
        fps=description["fps"],
        frames=len(colors),
        normal_convention=NormalConvention.from_dict(description["normal_convention"]),
        notes=tuple(description["notes"]),
        colors=colors,
        ids=ids,
    )
