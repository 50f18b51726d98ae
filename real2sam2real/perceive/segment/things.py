"""What the things in a photo are, by NanoDet: one look serves the objects, for their words, and the background."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from real2sam2real.arrays import Float, Mask, UInt8
from real2sam2real.perceive.segment.detections import box_of, box_overlaps
from real2sam2real.perceive.segment.nanodet import WORDS, NanoDet, ScoredBox

LEAST_SCORE = 0.35  # of a box that tells a word or a size
FAINTEST_SCORE = 0.3  # of one that another network may confirm
SMALLEST_SIDE = 160  # pixels: what a smaller photo shows is too small to be told apart
# What is about as high as its likes, whatever it does: a sheep may lie. The network calls many a car a truck.
ALIKE = ("car", "truck")
_OVERLAP = 0.5  # IoU of boxes of one word that are one thing
_SAME = 0.6  # IoU of a thing's box and a mask's box from which they are one


def see_things(pixels: UInt8) -> list[ScoredBox]:
    """Every thing of NanoDet's words in a photo `(H, W, 3)` uint8, the surest first; none in one under 160 pixels.

    Those below `LEAST_SCORE` are no more than offers.
    """
    if min(pixels.shape[:2]) < SMALLEST_SIDE:
        return []
    return NanoDet.load().detect(pixels, WORDS, FAINTEST_SCORE, _OVERLAP)


def boxes_of_likes(things: Sequence[ScoredBox]) -> Float:
    """`(N, 4)` boxes of the things that are all about as high: vehicles."""
    return np.array([thing.box for thing in _sure(things) if thing.word in ALIKE], np.float64).reshape(-1, 4)


def words_of(masks: Mapping[str, Mask], things: Sequence[ScoredBox]) -> dict[str, str]:
    """What each object is, by its name, as far as a thing's box is that of its mask `(H, W)` bool."""
    things = _sure(things)
    if not things:
        return {}
    boxes, scores = np.array([thing.box for thing in things]), np.array([thing.score for thing in things])
    words = {}
    for name, mask in masks.items():
        overlaps = box_overlaps(box_of(mask), boxes)
        best = int((overlaps * scores).argmax())
        if overlaps[best] >= _SAME:
            words[name] = things[best].word
    return words


def _sure(things: Sequence[ScoredBox]) -> list[ScoredBox]:
    return [thing for thing in things if thing.score >= LEAST_SCORE]
