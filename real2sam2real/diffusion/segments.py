"""Long shots as segments: which frames each one covers, and how one is kept the colour of the one before.

A segment begins with the last `overlap` frames of the segment before it, given to the model as known. What a video
autoencoder and a denoiser add to a picture's colours on one round they add again on the next; because the overlap
exists twice, once as it was and once as it came back, that shift can be measured and taken out where it arises.

A model that was not trained to go on from given frames makes each segment on its own, and the overlap is where one
fades into the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from real2sam2real.arrays import UInt8

# A contrast that differs by more than this between two versions of the same frames is no drift but another picture.
_LARGEST_GAIN = 1.25


class Frames(Protocol):
    """`(T, H, W, 3)` uint8 frames by slice: an array, or a reader that decodes what it is asked for."""

    def __len__(self) -> int: ...

    def __getitem__(self, window: slice, /) -> UInt8: ...


@dataclass(frozen=True, kw_only=True)
class Segment:
    """One stretch of a shot."""

    start: int  # first frame, counted over the whole shot
    stop: int  # frame after the last one; may lie behind the shot's end, see `window`
    overlap: int  # how many frames at the start come from the segment before; 0 for the first

    @property
    def frames(self) -> int:
        """Number of frames, the overlap included."""
        return self.stop - self.start


def plan_segments(frames: int, *, longest: int, overlap: int, fixed: bool = False) -> tuple[Segment, ...]:
    """Segments that cover `frames` frames, each of 4k + 1.

    Args:
        frames: length of the shot.
        longest: most frames in one segment, 4k + 1.
        overlap: frames that neighbours share, 4k + 1.
        fixed: every segment has exactly `longest` frames, as in Wan2.2-Animate's own pipeline; otherwise the segments
            are as few as possible and then as short as possible, so that no pass is spent on frames nobody sees.

    Raises:
        ValueError: a number is not 4k + 1, or the overlap leaves nothing to generate.
    """
    for name, value in (("longest", longest), ("overlap", overlap)):
        if value < 1 or value % 4 != 1:
            raise ValueError(f"{name} is {value}; it must be 4k + 1")
    if overlap >= longest:
        raise ValueError(f"an overlap of {overlap} frames leaves nothing new in segments of {longest}")
    if frames < 1:
        raise ValueError(f"{frames} frames; at least 1 is needed")
    stride = longest - overlap
    count = max(1, -(-(frames - overlap) // stride))
    if fixed:
        lengths = [longest] * count
    else:
        # In units of four frames: the first segment gives one frame more than its units, a later one its overlap.
        shared = (overlap - 1) // 4
        units, rest = divmod(-(-(frames - 1) // 4) + (count - 1) * shared, count)
        lengths = [4 * (units + (index < rest)) + 1 for index in range(count)]
    segments = []
    start = 0
    for index, length in enumerate(lengths):
        segments.append(Segment(start=start, stop=start + length, overlap=overlap if index else 0))
        start += length - overlap
    return tuple(segments)


def window(frames: Frames, start: int, stop: int) -> UInt8:
    """Frames `start…stop − 1`; behind the end the shot runs back and forth, as Wan2.2-Animate pads."""
    count = len(frames)
    indices = np.arange(start, stop)
    period = max(1, 2 * (count - 1))
    indices = np.minimum(indices % period, period - indices % period) if count > 1 else np.zeros_like(indices)
    first, last = int(indices.min()), int(indices.max())
    return frames[slice(first, last + 1)][indices - first]


def without_drift(video: Tensor, previous: Tensor) -> Tensor:
    """Shift and scale the colours of a segment so that its overlap looks as the segment before left it.

    Args:
        video: `(1, 3, T, H, W)` in −1…1, a decoded segment with its overlap.
        previous: `(1, 3, overlap, H, W)` in −1…1, the same frames at the end of the segment before.

    Returns:
        `(1, 3, T, H, W)` in −1…1: per channel, mean and standard deviation over the overlap are those of `previous`.
    """
    return drift_correction(video[:, :, : previous.shape[2]], previous)(video)


def drift_correction(overlap: Tensor, previous: Tensor) -> Callable[[Tensor], Tensor]:
    """What takes the drift out of any frames of a segment; see `without_drift`.

    Args:
        overlap: `(1, 3, overlap, H, W)` in −1…1, the frames with which the segment begins.
        previous: the same frames at the end of the segment before.
    """
    axes = (2, 3, 4)
    gain = previous.std(axes, keepdim=True) / overlap.std(axes, keepdim=True).clamp_min(1e-3)
    gain = gain.clamp(1 / _LARGEST_GAIN, _LARGEST_GAIN)
    mean, wanted = overlap.mean(axes, keepdim=True), previous.mean(axes, keepdim=True)
    return lambda video: ((video - mean) * gain + wanted).clamp(-1, 1)


def cross_faded(previous: Tensor, video: Tensor) -> Tensor:
    """A segment that begins as the one before ended: over its overlap it fades from that into itself.

    Args:
        previous: `(1, 3, overlap, H, W)`, the end of the segment before.
        video: `(1, 3, T, H, W)`, the same frames as this segment made them, and what follows.
    """
    overlap = previous.shape[2]
    share = torch.arange(1, overlap + 1, device=video.device).view(1, 1, -1, 1, 1) / (overlap + 1)
    return torch.cat([previous * (1 - share) + video[:, :, :overlap] * share, video[:, :, overlap:]], dim=2)


def joined_on(chunks: Iterable[Tensor], previous: Tensor, *, match_colors: bool, fade: bool) -> Iterator[Tensor]:
    """The chunks `(1, 3, t, H, W)` of a segment, with what joins it to the one before; its overlap comes as one chunk.

    Args:
        chunks: in order.
        previous: `(1, 3, overlap, H, W)` in −1…1, the end of the segment before.
        match_colors: see `without_drift`.
        fade: see `cross_faded`.
    """
    overlap, rest = previous.shape[2], iter(chunks)
    head = next(rest)
    while head.shape[2] < overlap:
        head = torch.cat([head, next(rest)], dim=2)
    if match_colors:
        correct = drift_correction(head[:, :, :overlap], previous)
        head, rest = correct(head), map(correct, rest)
    yield cross_faded(previous, head) if fade else head
    yield from rest
