"""Bring a shot to the data set's rate, length and size, without inventing frames."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from real2sam2real.arrays import Int, UInt8
from real2sam2real.errors import UserError
from real2sam2real.media import resized

_SLOWEST = 0.8
"""A source may have this share of the wanted rate: its frames are taken as they are, and it plays a little fast."""


@dataclass(frozen=True, kw_only=True)
class ClipFormat:
    """What every clip of a data set is brought to.

    Raises:
        UserError: a value cannot be.
    """

    width: int = 1280  # in pixels
    height: int = 720  # in pixels
    frames: int = 81  # T = 4k + 1
    fps: float = 16.0  # frames per second

    def __post_init__(self) -> None:
        if self.frames < 5 or self.frames % 4 != 1:
            below = max(5, (self.frames - 1) // 4 * 4 + 1)
            raise UserError(f"clips of {self.frames} frames cannot be; take 4k + 1, such as {below} or {below + 4}")
        if min(self.width, self.height) < 16 or self.width % 16 or self.height % 16:
            raise UserError(f"clips of {self.width}×{self.height} cannot be; both must be multiples of 16 pixels")
        if not 0 < self.fps <= 240:
            raise UserError(f"{self.fps:g} frames per second cannot be; take more than 0 and at most 240")

    def are_enough(self, filmed: int) -> bool:
        """Whether a clip of so many different frames moves; a video of a variable rate holds some for a while."""
        return filmed >= _SLOWEST * self.frames


def clip_frames(shot: range, source_fps: float, clip_format: ClipFormat, *, anchor: int | None = None) -> list[Int]:
    """Which source frames make the clips of a shot: as many as fit without sharing a frame, centred in it.

    With an anchor, a frame of the shot that a clip has to show, such as one on which instances are marked, one of the
    clips begins there, or ends with the shot where there is no room behind it.

    Frames are the nearest in time. A source slower than the wanted rate, but not by more than a fifth, is taken frame
    by frame; a slower one would need frames that nobody filmed.

    Returns:
        One `(T,)` int64 of source frame numbers per clip; none where the shot is too short or its source too slow.
    """
    if source_fps < _SLOWEST * clip_format.fps:
        return []
    step = max(1.0, source_fps / clip_format.fps)
    offsets = np.floor(np.arange(clip_format.frames) * step + 0.5).astype(np.int64)
    length = int(offsets[-1]) + 1
    number = len(shot) // length
    start = shot.start + (len(shot) - number * length) // 2
    if anchor is not None and number:
        start = shot.start + (min(anchor, shot.stop - length) - shot.start) % length
        number = (shot.stop - start) // length
    return [start + k * length + offsets for k in range(number)]


def fitted_frame(frame: UInt8, clip_format: ClipFormat) -> UInt8:
    """A frame `(H, W, 3)` uint8 at the wanted size: scaled evenly to fill it, and cut alike on both sides."""
    height, width = frame.shape[:2]
    scale = max(clip_format.width / width, clip_format.height / height)
    # The part of the source that fills the wanted size; cut first, so that no pixel is scaled in vain.
    cut_width, cut_height = min(width, round(clip_format.width / scale)), min(height, round(clip_format.height / scale))
    left, top = (width - cut_width) // 2, (height - cut_height) // 2
    cut = frame[top : top + cut_height, left : left + cut_width]
    return np.ascontiguousarray(resized(cut, clip_format.width, clip_format.height))
