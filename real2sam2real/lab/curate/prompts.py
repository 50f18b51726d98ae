"""What the user marks in a source video: boxes and masks of instances, on frames of the source.

A mark is given on the command line, or for folders of videos in a file `VIDEO.instances.json` beside each:

    {"instances": [{"label": "child", "frame": 0, "box": [812, 240, 1010, 700]}, {"label": "dog", "mask": "dog.png"}],
     "caption": "A child runs after a dog."}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from real2sam2real.arrays import Bool
from real2sam2real.errors import UserError
from real2sam2real.lab.curate.clip_format import ClipFormat, fitted_frame
from real2sam2real.lab.curate.instances.interface import InstancePrompt, VideoPrompt
from real2sam2real.perceive.masks import load_masks
from real2sam2real.workfolder.json_values import read_json
from real2sam2real.workfolder.records import WRONG_VALUES, reason_of

SUFFIX = ".instances.json"


@dataclass(frozen=True, kw_only=True)
class SourcePrompt(VideoPrompt[str]):
    """What is shown on a source video; the mask is a file of its size, not black where the instance is.

    Raises:
        UserError: see `VideoPrompt`, or the box is empty.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.box is not None and not (self.box[0] < self.box[2] and self.box[1] < self.box[3]):
            raise UserError(f"the box of '{self.label}' is {self.box}; it must be left, top, right, bottom")

    def on_clip(self, frame: int, size: tuple[int, int], clip_format: ClipFormat) -> InstancePrompt:
        """The mark on a clip, of a source of `size` width, height, whose `frame` shows the source's `self.frame`.

        Raises:
            UserError: the box lies outside of the picture, or the mask has another size or is black.
        """
        if self.mask is not None:
            return InstancePrompt(label=self.label, frame=frame, mask=self._mask(size, clip_format))
        assert self.box is not None
        scale = max(clip_format.width / size[0], clip_format.height / size[1])
        left, top = (size[0] - clip_format.width / scale) / 2, (size[1] - clip_format.height / scale) / 2
        corners = np.array(self.box).reshape(2, 2)
        fitted = np.clip((corners - (left, top)) * scale, 0, (clip_format.width, clip_format.height))
        if (fitted[1] - fitted[0] < 1).any():
            raise UserError(
                f"the box of '{self.label}', {self.box}, lies outside of what is kept of {size[0]}×{size[1]}"
            )
        (x0, y0), (x1, y1) = fitted.tolist()
        return InstancePrompt(label=self.label, frame=frame, box=(x0, y0, x1, y1))

    def _mask(self, size: tuple[int, int], clip_format: ClipFormat) -> Bool:
        assert self.mask is not None
        given = load_masks(self.mask, *size)
        mask = fitted_mask(np.logical_or.reduce(list(given.values())), clip_format)
        if not mask.any():
            raise UserError(f"{self.mask} is black where the video is kept; it shows no instance")
        return mask


def fitted_mask(mask: Bool, clip_format: ClipFormat) -> Bool:
    """A mask `(H, W)` of a source's frame on its clip."""
    white = np.where(mask[..., None], np.uint8(255), np.uint8(0)).repeat(3, axis=2)
    return np.asarray(fitted_frame(white, clip_format)[..., 0] > 127)


def parse_prompt(text: str, *, is_mask: bool) -> SourcePrompt:
    """A mark of the command line: `LABEL=LEFT,TOP,RIGHT,BOTTOM` or `LABEL=FILE`, each with `@FRAME` or without.

    Raises:
        UserError: it is none.
    """
    label, equals, value = text.partition("=")
    head, at, tail = value.rpartition("@")
    value, frame = (head, int(tail)) if at and tail.isdigit() else (value, 0)
    example = "child=child.png" if is_mask else "child=812,240,1010,700"
    if not equals or not value:
        raise UserError(f"'{text}' is no mark; write {example}, or {example}@12 for another frame than the first")
    if is_mask:
        return SourcePrompt(label=label, frame=frame, mask=value)
    try:
        x0, y0, x1, y1 = (float(part) for part in value.split(","))
    except ValueError as error:
        raise UserError(f"'{text}' is no box; write left, top, right, bottom: {example}") from error
    return SourcePrompt(label=label, frame=frame, box=(x0, y0, x1, y1))


def read_prompts(video: Path) -> tuple[tuple[SourcePrompt, ...], str | None]:
    """The marks and the caption beside a video; none where there is no such file.

    Raises:
        UserError: the file does not say what it should.
    """
    path = video.with_suffix(SUFFIX)
    if not path.is_file():
        return (), None
    try:
        values = read_json(path, finite=True)
        prompts = tuple(_mark(entry, path.parent) for entry in values["instances"])
        caption = values.get("caption")
    except WRONG_VALUES as error:
        raise UserError(f"{path} cannot be used ({reason_of(error)}); see docs/curation.md") from error
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    if not (caption is None or isinstance(caption, str)):
        raise UserError(f"{path}: the caption is {caption!r}; it must be text")
    return prompts, caption


def _mark(entry: Mapping[str, Any], folder: Path) -> SourcePrompt:
    unknown = set(entry) - {"label", "frame", "box", "mask"}
    if unknown:
        raise ValueError(f"an instance has {', '.join(sorted(unknown))}; known are label, frame, box and mask")
    box: Sequence[float] | None = entry.get("box")
    x0, y0, x1, y1 = (0, 0, 0, 0) if box is None else map(float, box)
    return SourcePrompt(
        label=str(entry["label"]),
        frame=int(entry.get("frame", 0)),
        box=None if box is None else (x0, y0, x1, y1),
        mask=None if entry.get("mask") is None else str(folder / entry["mask"]),
    )
