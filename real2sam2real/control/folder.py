"""The control folder: what steers the generation, on disk.

Three files are what the official inference reads: `source_image.png`, `object_animation_normal.mp4` (lossy) and
`caption.json`. Beside them lie the lossless originals that our own stages read, `normals.mkv` and `ids.mkv`, and
`control.json`, which says what is what. See docs/control.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from real2sam2real import media
from real2sam2real.arrays import UInt8
from real2sam2real.control.normal_convention import OPENGL, NormalConvention
from real2sam2real.errors import UserError
from real2sam2real.files import replacing_folder
from real2sam2real.rendering.frame import Frame
from real2sam2real.workfolder.records import write_json

VERSION = 1
PHOTO = "source_image.png"
OFFICIAL_NORMALS = "object_animation_normal.mp4"
CAPTION = "caption.json"
NORMALS = "normals.mkv"
IDS = "ids.mkv"
DESCRIPTION = "control.json"
# The official model sees this file only, so it is worth more bits than a video for people.
_OFFICIAL_CRF = 8


@dataclass(frozen=True, kw_only=True, eq=False)
class ControlHeader:
    """What a control holds beside its frames; see `Control`."""

    photo: UInt8
    prompt: str
    fps: float
    normal_convention: NormalConvention = OPENGL
    names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Control(ControlHeader):
    """Everything that steers the generation of one video.

    Attributes:
        normals: `(T, H, W, 3)` uint8 encoded normals, `normal_convention.background` where there is no instance.
        ids: `(T, H, W)` uint8 instance ids, 0 = none.
        photo: `(H, W, 3)` uint8 sRGB, the appearance reference.
        prompt: text, may be empty.
        fps: frames per second.
        normal_convention: how `normals` are encoded.
        names: entity names; name k belongs to id k + 1. May be empty.
        notes: what a person should know about how this was read or made.
    """

    normals: UInt8
    ids: UInt8

    def __post_init__(self) -> None:
        if self.normals.ndim != 4 or self.normals.shape[3] != 3 or self.normals.dtype != np.uint8:
            raise ValueError(f"normals are (T, H, W, 3) uint8, not {self.normals.shape} {self.normals.dtype}")
        if self.ids.shape != self.normals.shape[:3] or self.ids.dtype != np.uint8:
            raise ValueError(f"ids are {self.ids.shape} {self.ids.dtype}; expected {self.normals.shape[:3]} uint8")
        if self.photo.shape != self.normals.shape[1:] or self.photo.dtype != np.uint8:
            raise ValueError(f"the photo is {self.photo.shape} {self.photo.dtype}; expected {self.normals.shape[1:]}")
        if not (np.isfinite(self.fps) and self.fps > 0):
            raise ValueError(f"fps is {self.fps}; it must be a positive number")

    @property
    def frames(self) -> int:
        """Number of frames T."""
        return len(self.normals)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.normals.shape[2], self.normals.shape[1]

    def normals_in(self, convention: NormalConvention) -> UInt8:
        """`(T, H, W, 3)` uint8: the normals in another convention."""
        return converted(self.normals, self.ids, self.normal_convention, convention)


def converted(colors: UInt8, ids: UInt8, given: NormalConvention, wanted: NormalConvention) -> UInt8:
    """`(T, H, W, 3)` uint8 normals of `ids` `(T, H, W)`, encoded as `wanted` in place of `given`."""
    return colors if given == wanted else wanted.encode(given.decode(colors, ids), ids)


def write_control(
    folder: Path | str,
    frames: Iterable[Frame],
    *,
    photo: UInt8,
    prompt: str,
    fps: float,
    convention: NormalConvention = OPENGL,
    names: Sequence[str] = (),
    also: Callable[[Path], None] = lambda folder: None,
) -> None:
    """Write a control folder from rendered frames, one frame in memory at a time; whole or not at all.

    The folder is made, or replaced when it exists. All is as in `Control`, but a photo `(H', W', 3)` uint8 of another
    size than the frames is resized to theirs. What `also` writes into the folder it is given belongs to the whole.

    Raises:
        ValueError: there is no frame, or the frames differ in size.
        UserError: the photo has quite another shape than the frames, or `folder` is a file.
    """
    encoded = ((convention.encode(frame.normals, frame.ids), frame.ids) for frame in frames)
    header = ControlHeader(photo=photo, prompt=prompt, fps=fps, normal_convention=convention, names=tuple(names))
    _write(Path(folder), encoded, header, also)


def save_control(folder: Path | str, control: Control) -> None:
    """Write a control folder from a `Control` in memory; `read_control` gives the same back.

    Raises:
        UserError: `folder` is a file.
    """
    _write(Path(folder), zip(control.normals, control.ids, strict=True), control)


def _write(
    folder: Path,
    encoded: Iterable[tuple[UInt8, UInt8]],
    header: ControlHeader,
    also: Callable[[Path], None] = lambda folder: None,
) -> None:
    if folder.is_file():
        raise UserError(f"{folder} is a file; a control needs a folder of its own. Choose another name.")
    with replacing_folder(folder) as temporary:
        largest_id, (height, width), count = _write_videos(temporary, encoded, header.fps)
        if header.names and largest_id > len(header.names):
            raise ValueError(f"id {largest_id} is drawn, but only {len(header.names)} entity names are given")
        media.write_png(temporary / PHOTO, fit_to_size(header.photo, width=width, height=height))
        write_json(temporary / CAPTION, {"text": header.prompt})
        description = {
            "version": VERSION,
            "width": width,
            "height": height,
            "frames": count,
            "fps": header.fps,
            "normal_convention": header.normal_convention.to_dict(),
            "entities": [{"id": k, "name": name} for k, name in enumerate(header.names, start=1)],
            "notes": list(header.notes),
        }
        write_json(temporary / DESCRIPTION, description)
        also(temporary)


def _write_videos(folder: Path, encoded: Iterable[tuple[UInt8, UInt8]], fps: float) -> tuple[int, tuple[int, int], int]:
    """Write the three videos frame by frame; returns the largest id, the frames' height and width, their number."""
    largest_id, shape, count = 0, (0, 0), 0
    with ExitStack() as stack:
        normals = stack.enter_context(media.lossless_video_writer(folder / NORMALS, fps))
        ids = stack.enter_context(media.lossless_video_writer(folder / IDS, fps, single_channel=True))
        official = stack.enter_context(media.video_writer(folder / OFFICIAL_NORMALS, fps, crf=_OFFICIAL_CRF))
        for colors, instance_ids in encoded:
            normals.add(colors)
            official.add(colors)
            ids.add(instance_ids)
            largest_id = max(largest_id, int(instance_ids.max()))
            shape, count = (colors.shape[0], colors.shape[1]), count + 1
    return largest_id, shape, count


def letterboxed(
    photo: UInt8, *, width: int, height: int, resize: Callable[[UInt8, int, int], UInt8] = media.resized
) -> UInt8:
    """All of the photo `(H', W', 3)` uint8 in the middle of a black picture of `width × height`, as large as fits.

    Args:
        photo: of any shape.
        width: in pixels.
        height: in pixels.
        resize: from a picture, a width and a height to the picture at that size.
    """
    rows, columns = photo.shape[:2]
    # The published script cuts off fractions of a pixel, of products in this order.
    if rows / columns > height / width:
        inner_width, inner_height = max(1, int(height / rows * columns)), height
    else:
        inner_width, inner_height = width, max(1, int(width / columns * rows))
    left, top = (width - inner_width) // 2, (height - inner_height) // 2
    picture = np.zeros((height, width, 3), np.uint8)
    picture[top : top + inner_height, left : left + inner_width] = resize(photo, inner_width, inner_height)
    return picture


def is_of_shape(photo: UInt8, *, width: int, height: int) -> bool:
    """Whether a photo `(H', W', 3)` comes to `width × height` without a stretch that is seen: a tenth at most."""
    stretch = (photo.shape[1] / photo.shape[0]) / (width / height)
    return 0.9 < stretch < 1 / 0.9


def fit_to_size(photo: UInt8, *, width: int, height: int) -> UInt8:
    """The photo `(H', W', 3)` uint8 at exactly `width × height`, for views of the same camera at another size.

    Raises:
        UserError: its aspect differs by more than a tenth, so that this would visibly stretch it.
    """
    if photo.shape[:2] == (height, width):
        return photo
    if not is_of_shape(photo, width=width, height=height):
        raise UserError(
            f"the photo is {photo.shape[1]}×{photo.shape[0]} but the frames are {width}×{height}, which is another "
            "shape; render at the photo's aspect, or crop the photo first."
        )
    return media.resized(photo, width, height)
