"""A control fitted to what a video model takes: its size, its normal convention, and its frames.

As we do it, photo and normals keep their aspect and stay over one another. As the official script does it (source:
`infer.py` of the authors' release and what it calls of VideoX-Fun), the sides are multiples of 32, which stretches the
normals a little, while the photo keeps its aspect between black bars; frames are left out to come near 16 a second, and
those after the 81st are not made.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import cv2
import numpy as np

from real2sam2real import media
from real2sam2real.arrays import UInt8
from real2sam2real.control.folder import letterboxed
from real2sam2real.control.normal_convention import NormalConvention
from real2sam2real.control.reading import photo_at
from real2sam2real.diffusion.checkpoints import CheckpointSettings
from real2sam2real.diffusion.presets import SCRIPT_FRAMES, Sampling
from real2sam2real.diffusion.segments import Frames

_SCRIPT_GRID, _SCRIPT_FPS = 32, 16


class Steering(Protocol):
    """What a video is steered by; `Control` holds it in memory, `ControlStream` on disk."""

    @property
    def photo(self) -> UInt8:
        """`(H, W, 3)` uint8, of any size."""

    @property
    def prompt(self) -> str:
        """May be empty."""

    @property
    def fps(self) -> float:
        """Frames per second."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the normals in pixels."""

    def normals_in(self, convention: NormalConvention, /) -> Frames:
        """`(T, H, W, 3)` uint8 normals in a convention, by slice."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FittedFrames:
    """`(T, height, width, 3)` uint8 frames at another size, by slice: all, or every `stride`-th, `count` at most."""

    frames: Frames
    width: int
    height: int
    stride: int = 1
    count: int | None = None
    resize: Callable[[UInt8, int, int], UInt8] = field(default=media.resized)  # of a frame to a width and a height

    def __len__(self) -> int:
        kept = -(-len(self.frames) // self.stride)
        return kept if self.count is None else min(kept, self.count)

    def __getitem__(self, window: slice, /) -> UInt8:
        first, stop, _ = window.indices(len(self))
        source = self.frames[slice(first * self.stride, (stop - 1) * self.stride + 1)]
        return np.stack([self.resize(frame, self.width, self.height) for frame in source[:: self.stride]])


@dataclass(frozen=True, kw_only=True, eq=False)
class FittedControl:
    """What a video model takes of a control."""

    photo: UInt8  # `(height, width, 3)`
    normals: FittedFrames
    prompt: str
    fps: float  # frames per second of the video
    notes: tuple[str, ...] = ()  # what a person should know about how it was fitted

    @property
    def frames(self) -> int:
        """Number of frames T."""
        return len(self.normals)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the video in pixels."""
        return self.normals.width, self.normals.height


def fit_control(control: Steering, settings: CheckpointSettings, sampling: Sampling | None = None) -> FittedControl:
    """A control at the size and in the normal convention of a checkpoint.

    Args:
        control: as it was rendered or read.
        settings: of the checkpoint.
        sampling: says whether it is fitted as the official script does; None as we do.
    """
    normals = control.normals_in(settings.normal_convention)
    if sampling is not None and sampling.as_script:
        return _as_script(control, normals, settings.area)
    width, height = settings.fit(*control.size)
    return FittedControl(
        photo=photo_at(control.photo, width=width, height=height),
        normals=FittedFrames(frames=normals, width=width, height=height),
        prompt=control.prompt,
        fps=control.fps,
    )


def script_size(area: int, width: int, height: int) -> tuple[int, int]:
    """`(width, height)` in pixels that the official script makes of normals of `width × height`, of about `area`."""
    ratio = width / height
    wide = math.sqrt(area * ratio)
    columns, rows = (max(1, round(side / _SCRIPT_GRID)) for side in (wide, wide / ratio))
    return columns * _SCRIPT_GRID, rows * _SCRIPT_GRID


def bilinear(picture: UInt8, width: int, height: int) -> UInt8:
    """`(height, width, 3)` uint8 of `(H, W, 3)`, between the nearest pixels, without smoothing where it shrinks."""
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.uint8, copy=False)


def _as_script(control: Steering, normals: Frames, area: int) -> FittedControl:
    width, height = script_size(area, *control.size)
    stride = max(1, int(control.fps // _SCRIPT_FPS))
    fitted = FittedFrames(
        frames=normals, width=width, height=height, stride=stride, count=SCRIPT_FRAMES, resize=bilinear
    )
    notes = [f"Fitted as the official script does: {width}×{height}, {len(fitted)} frames at {_SCRIPT_FPS} a second."]
    if stride > 1 or len(normals) > len(fitted):
        kept = "the first" if stride == 1 else f"one in {stride}, from the first on"
        notes.append(f"Of the control's {len(normals)} frames at {control.fps:g} a second, these are {kept}.")
    if control.fps / stride != _SCRIPT_FPS:
        notes.append(f"The shot plays {_SCRIPT_FPS * stride / control.fps:.2g} times as fast as it was directed.")
    return FittedControl(
        photo=letterboxed(control.photo, width=width, height=height, resize=bilinear),
        normals=fitted,
        prompt=control.prompt,
        fps=_SCRIPT_FPS,
        notes=tuple(notes),
    )
