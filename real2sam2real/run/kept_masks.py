"""Masks that boxes and points cut out of a photo, kept beside the scene: a run that changes one cuts out that one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from real2sam2real.arrays import Mask, UInt8
from real2sam2real.perceive.segment.detections import Detection
from real2sam2real.perceive.segment.options import SegmentOptions
from real2sam2real.perceive.segment.segmenter import OpenedPhoto
from real2sam2real.workfolder.kept import KeptResults, content_of

_HOW = ("segmenter", "sam2", "detector", "sam3", "precision", "threshold", "overlap")  # options that decide a mask
_CODE = ("perceive",)


@dataclass(eq=False)
class KeptMasks:
    """A photo whose boxes and points are cut out once; its methods are those of `segmenter.OpenedPhoto`."""

    opened: OpenedPhoto
    pixels: UInt8  # of the photo
    options: SegmentOptions
    kept: KeptResults

    def __post_init__(self) -> None:
        self._photo = content_of(self.pixels)

    def from_points(self, inside: ArrayLike, outside: ArrayLike = (), box_xyxy: Sequence[float] | None = None) -> Mask:
        """The object that holds the points inside."""
        box = None if box_xyxy is None else list(box_xyxy)
        asked = [np.asarray(inside).tolist(), np.asarray(outside).tolist(), box]
        return self._kept(asked, lambda: self.opened.from_points(inside, outside, box_xyxy))

    def from_box(self, box_xyxy: Sequence[float]) -> Mask:
        """The object that fills a box."""
        return self._kept(list(box_xyxy), lambda: self.opened.from_box(box_xyxy))

    def from_text(self, words: Sequence[str]) -> list[Detection]:
        """Asked anew each time."""
        return self.opened.from_text(words)

    def propose(self) -> list[Detection]:
        """Asked anew each time."""
        return self.opened.propose()

    def _kept(self, asked: object, cut_out: Callable[[], Mask]) -> Mask:
        made_from = [self._photo, [getattr(self.options, name) for name in _HOW], asked]
        mask: Mask = self.kept.get(_CODE, made_from, lambda: {"mask": cut_out()})["mask"]
        return mask
