"""What else stands in a photo beside its objects: people, vehicles, animals and the like that nobody named.

One look of the network has to do: these are drawn in the background.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from real2sam2real.arrays import Mask, UInt8
from real2sam2real.perceive.segment.box_masks import grow_box
from real2sam2real.perceive.segment.detections import Detection, box_area, suppress_overlapping
from real2sam2real.perceive.segment.nanodet import ScoredBox
from real2sam2real.perceive.segment.saliency import SaliencyNet
from real2sam2real.workfolder.kept import KeptResults

# What stands on the ground by itself, of NanoDet's words.
STANDING = (
    "person", "bicycle", "car", "motorcycle", "bus", "train", "truck", "boat", "traffic light", "fire hydrant",
    "stop sign", "parking meter", "bench", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra",
    "giraffe", "suitcase", "chair", "couch", "potted plant", "bed", "toilet", "refrigerator",
)  # fmt: skip
_TAKEN = 0.5  # a thing of whose box, or pixels, objects have this share is one of them
_SMALLEST_SHARE = 0.0015  # of the photo
_MOST = 16
_SAME = 0.7  # IoU of two boxes that are one thing
_CROP_MARGIN = 0.35  # of a box's longer side: in a tighter crop a rider is lost beside the motorcycle
_STANDS_OUT = 0.4


def find_bystanders(
    pixels: UInt8, things: Sequence[ScoredBox], taken: Mask, kept: KeptResults | None = None
) -> list[Detection]:
    """Those `things` that stand in a photo `(H, W, 3)` uint8 apart from its objects, whose pixels `(H, W)` are `taken`.

    The largest sixteen at most, the nearest first, which is the one that ends lowest; no two share a pixel, and none
    has one that is taken. What the network cut out before is taken from `kept`.
    """
    nearest = _nearest_of_the_largest(things, taken)
    saliency, free = SaliencyNet.load() if nearest else None, ~taken
    found: list[Detection] = []
    for each in nearest:
        if saliency is None:
            break
        mask = _cut_out(saliency, pixels, each, kept or KeptResults())
        if not mask.any() or (mask & free).sum() < (1 - _TAKEN) * mask.sum():
            continue
        mask = _largest_part(mask & free)
        if mask.sum() >= 0.3 * _SMALLEST_SHARE * taken.size:
            free &= ~mask
            found.append(Detection(word=each.word, mask=mask, score=each.score, asked=False))
    return found


def foresee_bystanders(pixels: UInt8, things: Sequence[ScoredBox], kept: KeptResults) -> Iterator[None]:
    """Cut out for `kept` what `find_bystanders` will need of a photo `(H, W, 3)` uint8, one thing at each step.

    Before it is known which of them are objects, so a step or two may be for nothing.
    """
    nearest = _nearest_of_the_largest(things, np.zeros(pixels.shape[:2], bool))
    saliency = SaliencyNet.load() if nearest else None
    for each in nearest:
        if saliency is not None:
            _cut_out(saliency, pixels, each, kept)
            yield


def _nearest_of_the_largest(things: Sequence[ScoredBox], taken: Mask) -> list[ScoredBox]:
    """Sixteen things at most that stand apart from what is `taken` `(H, W)`, the nearest first."""
    standing = _each_once([each for each in things if each.word in STANDING])
    large = [
        each for each in standing if box_area(each.box) >= _SMALLEST_SHARE * taken.size and _share(taken, each) < _TAKEN
    ]
    large = sorted(large, key=lambda each: box_area(each.box), reverse=True)[:_MOST]
    return sorted(large, key=lambda each: each.box[3], reverse=True)


def _each_once(things: Sequence[ScoredBox]) -> list[ScoredBox]:
    """The things without those that a surer one's box covers under another word, as a car that is a truck, too."""
    if not things:
        return []
    boxes, scores = np.array([thing.box for thing in things]), np.array([thing.score for thing in things])
    return [things[k] for k in suppress_overlapping(boxes, scores, _SAME)]


def _share(taken: Mask, thing: ScoredBox) -> float:
    left, top, right, bottom = grow_box(thing.box, 0, taken.shape[1], taken.shape[0])
    return float(taken[top:bottom, left:right].mean())


def _cut_out(saliency: SaliencyNet, pixels: UInt8, thing: ScoredBox, kept: KeptResults) -> Mask:
    height, width = pixels.shape[:2]
    left, top, right, bottom = grow_box(thing.box, _CROP_MARGIN, width, height)
    mask = np.zeros((height, width), bool)
    crop = pixels[top:bottom, left:right]
    seen = kept.get(("perceive",), ["bystander", crop], lambda: {"mask": saliency.look(crop) > _STANDS_OUT})
    mask[top:bottom, left:right] = seen["mask"]
    own = np.zeros_like(mask)
    left, top, right, bottom = grow_box(thing.box, 0.03, width, height)
    own[top:bottom, left:right] = True
    return mask & own


def _largest_part(mask: Mask) -> Mask:
    _, parts, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if len(stats) < 2:
        return mask
    largest: Mask = parts == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    return largest
