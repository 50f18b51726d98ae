"""Instances whose word the package's detector knows are looked for anew where their masks have left them.

What is followed by colours and flow alone loses parts that come to look like what is behind them, and never gets them
back. The detector knows nothing of the frames before, so it is right again wherever the thing is in plain sight.

Shape legend: T frames, H height, W width in pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import cv2
import numpy as np

from real2sam2real.arrays import Bool, Float, Float32, UInt8
from real2sam2real.errors import UserError
from real2sam2real.lab.curate.instances.interface import Box
from real2sam2real.perceive.segment.box_masks import grow_box
from real2sam2real.perceive.segment.detections import box_area, box_of, box_overlaps
from real2sam2real.perceive.segment.embedded import BOX_MARGIN, LEAST_SCORE, EmbeddedNetworks, EmbeddedPhoto
from real2sam2real.perceive.segment.nanodet import ScoredBox, coco_word

_LEAST_SIDE = 128  # pixels of a clip's shorter side from which the detector tells anything
_SAME_WORD = 0.6  # IoU from which two boxes of one word are one thing
_AGREES = 0.75  # IoU of a mask's box and the detector's, from which the mask is left alone
_USUAL_FILL = 0.85  # times the share of its box that an instance fills at best, from which it is left alone
_BETTER = 0.05  # by which a new mask must exceed the old one in one of both, and may fall short of it in the other
_CLAIMS = 0.25  # IoU, or
_INSIDE = 0.8  # share of a mask's box inside the detector's, from which both may be one thing
_TAKEN = 0.3  # share of a new mask that may be other instances', at most


class Redetector:
    """Looks at frames of a clip `(T, H, W, 3)` uint8 sRGB for instances with these labels, each frame once."""

    def __init__(self, video: UInt8, labels: Sequence[str], networks: EmbeddedNetworks) -> None:
        self._video, self._networks = video, networks
        visible = min(video.shape[1:3]) >= _LEAST_SIDE
        words = [coco_word(label.lower()) if visible else None for label in labels]
        self.words = {k: word for k, word in enumerate(words) if word}  # of instances by their index, where known
        self._fills: dict[int, float] = {}  # the most of its box that each instance has filled
        self._boxes: dict[int, list[ScoredBox]] = {}
        self._masks: dict[tuple[int, Box], Bool | None] = {}

    @cached_property
    def _asked(self) -> list[str]:
        return sorted(set(self.words.values()))

    def full_size(self, soft: Float32) -> Bool:
        """A soft mask of any size, 0…1, as `(H, W)` bool of the clip."""
        height, width = self._video.shape[1:3]
        return np.asarray(cv2.resize(soft, (width, height), interpolation=cv2.INTER_LINEAR) > 0.5, np.bool_)

    def replaced(self, at: int, masks: Mapping[int, Bool]) -> dict[int, Bool]:
        """New masks on a frame for the instances whose masks do not fill the detector's box.

        Args:
            at: the frame.
            masks: `(H, W)` of the instances by index, all that are in sight.

        Returns:
            `(H, W)` by index; nothing for an instance without a known word or whose mask is as good.
        """
        found = {}
        for k, box in self._claimed(at, masks).items():
            overlap, fill = _fit(masks[k], box)
            usual = self._fills[k] = max(fill, self._fills.get(k, 0.0))
            if overlap >= _AGREES and fill >= _USUAL_FILL * usual:
                continue
            new = self._cut_out(at, box)
            if new is None:
                continue
            others = np.any([mask for j, mask in masks.items() if j != k] or [np.zeros_like(new)], axis=0)
            left = new & ~others
            if left.sum() < (1 - _TAKEN) * new.sum():
                continue
            gains = np.subtract(_fit(left, box), (overlap, fill)) if left.any() else np.array([-1.0])
            if gains.max() > _BETTER and gains.min() > -_BETTER:
                found[k] = left
        return found

    def _claimed(self, at: int, masks: Mapping[int, Bool]) -> dict[int, Box]:
        """The box of each instance on a frame; one that fits several instances of a word is the best fitting one's."""
        boxes = {k: np.array(box_of(masks[k]), float) for k in self.words if k in masks and masks[k].any()}
        if not boxes:
            return {}
        claims = []
        for number, seen in enumerate(self._detected(at)):
            for k, box in boxes.items():
                overlap = float(box_overlaps(seen.box, box[None])[0])
                if self.words[k] == seen.word and (overlap > _CLAIMS or _share_inside(box, seen.box) > _INSIDE):
                    claims.append((overlap, k, number, seen.box))
        claimed: dict[int, Box] = {}
        given = set()
        for _, k, number, seen_box in sorted(claims, reverse=True):
            if k not in claimed and number not in given:
                claimed[k] = seen_box
                given.add(number)
        return claimed

    def _detected(self, at: int) -> list[ScoredBox]:
        if at not in self._boxes:
            detect = self._networks.detector.detect
            self._boxes[at] = detect(self._video[at], self._asked, LEAST_SCORE, _SAME_WORD)
        return self._boxes[at]

    def _cut_out(self, at: int, box: Box) -> Bool | None:
        """What stands out in a box of a frame, `(H, W)`; None where nothing does."""
        if (at, box) not in self._masks:
            try:
                height, width = self._video.shape[1:3]
                whole = grow_box(box, BOX_MARGIN, width, height)
                self._masks[at, box] = EmbeddedPhoto(self._networks, self._video[at]).from_box(whole)
            except UserError:
                self._masks[at, box] = None
        return self._masks[at, box]


def _fit(mask: Bool, box: Box) -> tuple[float, float]:
    """IoU of the box around a mask `(H, W)` with another, and the share of that which the mask fills."""
    left, top, right, bottom = (round(value) for value in box)
    fill = mask[top:bottom, left:right].sum() / box_area(box)
    return float(box_overlaps(box, np.array([box_of(mask)], float))[0]), float(fill)


def _share_inside(box: Float, other: Sequence[float]) -> float:
    """Share of a box that lies inside another."""
    width = max(0.0, min(box[2], other[2]) - max(box[0], other[0]))
    height = max(0.0, min(box[3], other[3]) - max(box[1], other[1]))
    return float(width * height / box_area(box.tolist()))
