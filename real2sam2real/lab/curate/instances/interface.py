"""What following instances through a clip takes and gives, whichever tracker does it.

Shape legend: T frames, H height, W width in pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np

from real2sam2real.arrays import Bool, UInt8
from real2sam2real.errors import UserError

Box = tuple[float, float, float, float]
Mask = TypeVar("Mask")

MAX_INSTANCES = 255


@dataclass(frozen=True, kw_only=True)
class VideoPrompt(Generic[Mask]):
    """One instance, shown on one frame of a video, by a box or by a mask.

    Raises:
        UserError: the label is empty, the frame is negative, or not exactly one of box and mask is given.
    """

    label: str  # what it is, in words, such as "child"
    frame: int = 0  # index of the frame on which it is shown
    box: Box | None = None  # left, top, right, bottom in pixels, right and bottom not included
    mask: Mask | None = None

    def __post_init__(self) -> None:
        if not self.label.strip():
            raise UserError("a mark has no label; say in a word what it shows, such as 'child'")
        if self.frame < 0:
            raise UserError(f"the mark '{self.label}' is on frame {self.frame}; frames are counted from 0")
        if (self.box is None) == (self.mask is None):
            raise UserError(f"the mark '{self.label}' needs a box or a mask, and not both")


@dataclass(frozen=True, kw_only=True, eq=False)
class InstancePrompt(VideoPrompt[Bool]):
    """What is shown on a clip, where its mask is `(H, W)` bool; see `VideoPrompt`."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Instances:
    """The instances of a clip."""

    ids: UInt8  # `(T, H, W)` uint8, 0 where there is none; an instance keeps its id through the clip
    labels: dict[int, str]  # what each id is, in words; also of ids that are nowhere to be seen

    def __post_init__(self) -> None:
        if self.ids.ndim != 3 or self.ids.dtype != np.uint8:
            raise ValueError(f"ids are (T, H, W) uint8, not {self.ids.shape} {self.ids.dtype}")


class InstanceTracker(Protocol):
    """Follows instances through a clip."""

    name: str  # by which `load_tracker` knows it

    def track(self, video: UInt8, prompts: Sequence[InstancePrompt]) -> Instances:
        """Find the instances in every frame.

        Args:
            video: `(T, H, W, 3)` uint8 sRGB.
            prompts: the instances to follow, which get the ids 1, 2, … in this order. Where there are none, a tracker
                with words finds instances by these.

        Raises:
            UserError: a mark does not fit the clip, or there is nothing to follow.
        """
        ...


def check_prompts(video: UInt8, prompts: Sequence[InstancePrompt]) -> None:
    """See that marks fit a clip.

    Raises:
        ValueError: the video is no such array.
        UserError: more than 255, one on a frame that the clip lacks, or a mask of another size or empty.
    """
    if video.ndim != 4 or video.shape[3] != 3 or video.dtype != np.uint8 or not len(video):
        raise ValueError(f"a clip is (T, H, W, 3) uint8, not {video.shape} {video.dtype}")
    if len(prompts) > MAX_INSTANCES:
        raise UserError(f"{len(prompts)} marks are more than the {MAX_INSTANCES} that fit 8-bit ids; leave some out")
    frames, height, width = video.shape[:3]
    for prompt in prompts:
        if prompt.frame >= frames:
            raise UserError(f"the mark '{prompt.label}' is on frame {prompt.frame}, but the clip has {frames} frames")
        if prompt.mask is None:
            continue
        if prompt.mask.shape != (height, width):
            rows, columns = prompt.mask.shape
            raise UserError(f"the mask of '{prompt.label}' has {columns}×{rows} pixels, but the clip {width}×{height}")
        if not prompt.mask.any():
            raise UserError(f"the mask of '{prompt.label}' is empty; paint the object")
