"""What else stands in a photo beside its objects: people, vehicles, animals and the like that nobody named.

One look of the network has to do: these are drawn in the background.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from real2sam2real.arrays import Mask, UInt8
from real2sam2real.perceive.masks import touching
from real2sam2real.perceive.segment.box_masks import grow_box, guided_filter
from real2sam2real.perceive.segment.detections import Detection, box_area, box_of, box_overlaps, suppress_overlapping
from real2sam2real.perceive.segment.nanodet import ScoredBox
from real2sam2real.perceive.segment.saliency import SIDE, SaliencyNet
from real2sam2real.perceive.segment.things import LEAST_SCORE
from real2sam2real.workfolder.kept import KeptResults

# What stands on the ground by itself, of NanoDet's words.
STANDING = (
    "person", "bicycle", "car", "motorcycle", "bus", "train", "truck", "boat", "traffic light", "fire hydrant",
    "stop sign", "parking meter", "bench", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra",
    "giraffe", "suitcase", "chair", "couch", "potted plant", "bed", "toilet", "refrigerator",
)  # fmt: skip
_TAKEN = 0.5  # a thing of whose box, or pixels, objects have this share is one of them
_SMALLEST_SHARE = 0.0015  # of the photo
_MOST = 20
_SAME = 0.7  # IoU of two boxes that are one thing
_CROP_MARGIN = 0.35  # of a box's longer side: in a tighter crop a rider is lost beside the motorcycle
_STANDS_OUT = 0.4
_FAINTLY = 0.12  # what stands out less, beside what does: dark legs before a dark road
_FILLED = 0.55  # IoU of an unsure box and what stands out in it, for it to count
_BEYOND = 0.2  # of what stands out there that may lie outside the box
_BELOW = 0.35  # of a box's longer side: how far below it a rider goes on
_FOOTLESS = 0.25  # of a box's height: what ends higher above its lower end lacks its foot
_EDGE_CELLS = 2.5  # radius of the guided filter, in pixels of the network
_EDGE_EPSILON = 3e-4  # variance of colours 0…1 that is no edge
_RIDERS = ("person", "bicycle", "motorcycle")


def find_bystanders(
    pixels: UInt8, things: Sequence[ScoredBox], taken: Mask, kept: KeptResults | None = None
) -> list[Detection]:
    """Those `things` that stand in a photo `(H, W, 3)` uint8 apart from its objects, whose pixels `(H, W)` are `taken`.

    The nearest first, which is the one that ends lowest, and at most twenty; no two share a pixel, and none has one
    that is taken. What the network cut out before is taken from `kept`.
    """
    nearest, free, looks = _nearest_first(things, taken.size), ~taken, 0
    saliency = SaliencyNet.load() if any(_share(taken, each) < _TAKEN for each in nearest) else None
    found: list[Detection] = []
    for each in nearest:
        if saliency is None or looks >= _MOST:
            break
        if _share(~free, each) >= _TAKEN:
            continue
        looks += 1
        mask, beyond = _cut_out(saliency, pixels, each, kept or KeptResults())
        if not mask.any() or (mask & free).sum() < (1 - _TAKEN) * mask.sum():
            continue
        mask = _largest_part(mask & free)
        if not (_shows_its_foot(mask, each, _FOOTLESS) if each.score >= LEAST_SCORE else _fills(mask, beyond, each)):
            continue
        if mask.sum() >= 0.3 * _SMALLEST_SHARE * taken.size:
            free &= ~mask
            found.append(Detection(word=each.word, mask=mask, score=each.score, asked=False))
    return found


def foresee_bystanders(pixels: UInt8, things: Sequence[ScoredBox], kept: KeptResults) -> Iterator[None]:
    """Cut out for `kept` what `find_bystanders` will need of a photo `(H, W, 3)` uint8, one thing at each step.

    Before it is known which of them are objects, so a step or two may be for nothing.
    """
    nearest = _nearest_first(things, pixels.shape[0] * pixels.shape[1])[:_MOST]
    saliency = SaliencyNet.load() if nearest else None
    for each in nearest:
        if saliency is not None:
            _cut_out(saliency, pixels, each, kept)
            yield


def _nearest_first(things: Sequence[ScoredBox], photo_area: int) -> list[ScoredBox]:
    """What can stand and is not too small in a photo of so many pixels; what ends lowest is the nearest."""
    standing = _each_once([each for each in things if each.word in STANDING])
    large = [each for each in standing if box_area(each.box) >= _SMALLEST_SHARE * photo_area]
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


def _cut_out(saliency: SaliencyNet, pixels: UInt8, thing: ScoredBox, kept: KeptResults) -> tuple[Mask, Mask]:
    """What stands out in a thing's box, of riders also faintly and a little below it; and what goes on outside."""
    height, width = pixels.shape[:2]
    left, top, right, bottom = grow_box(thing.box, _CROP_MARGIN, width, height)
    crop = pixels[top:bottom, left:right]
    made = kept.get(("perceive",), ["bystander", crop], lambda: {"seen": seen_along_edges(saliency, crop)})
    seen = np.zeros((height, width), np.uint8)
    seen[top:bottom, left:right] = made["seen"]
    own = np.zeros(seen.shape, bool)
    left, top, right, bottom = grow_box(thing.box, 0.03, width, height)
    own[top:bottom, left:right] = True
    clear = seen > 255 * _STANDS_OUT
    beyond = touching(clear, clear & own) & ~own
    if thing.word not in _RIDERS:
        return clear & own, beyond
    own[bottom : round(thing.box[3] + _BELOW * max(right - left, bottom - top)), left:right] = True
    return touching(own & (seen > 255 * _FAINTLY), clear & own), beyond


def seen_along_edges(saliency: SaliencyNet, crop: UInt8) -> UInt8:
    """`(H, W)` 0…255: how much what a crop `(H, W, 3)` shows stands out; its edges are those of the photo."""
    seen = saliency.look(crop)
    radius = max(2, int(np.ceil(_EDGE_CELLS * max(seen.shape) / SIDE)))
    return np.rint(guided_filter(crop, seen, radius, _EDGE_EPSILON) * 255).astype(np.uint8)


def _shows_its_foot(mask: Mask, thing: ScoredBox, share: float) -> bool:
    """Whether a mask `(H, W)` reaches down to the lower end of a thing's box; a torso alone stands nowhere."""
    low, high = thing.box[1], thing.box[3]
    return bool(np.flatnonzero(mask.any(axis=1))[-1] + 1 >= high - share * (high - low))


def _fills(mask: Mask, beyond: Mask, thing: ScoredBox) -> bool:
    """Whether what stands out is the thing of a box that the network is not sure of: it fills it, and ends there."""
    if beyond.sum() > _BEYOND * mask.sum() or not _shows_its_foot(mask, thing, _FOOTLESS / 2):
        return False
    return bool(box_overlaps(box_of(mask), np.array([thing.box]))[0] > _FILLED)


def _largest_part(mask: Mask) -> Mask:
    _, parts, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if len(stats) < 2:
        return mask
    largest: Mask = parts == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    return largest
