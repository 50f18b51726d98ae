"""Thin upright things that no network names: lamp posts, poles, columns that stand free before the ground.

What stands out around a shaft, to the network that cuts out bystanders, is the whole post with its head.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from real2sam2real.arrays import Float, Mask, UInt8
from real2sam2real.geometry import Intrinsics
from real2sam2real.perceive.masks import touching
from real2sam2real.perceive.segment.box_masks import WholeBox
from real2sam2real.perceive.segment.bystanders import seen_along_edges
from real2sam2real.perceive.segment.detections import Detection
from real2sam2real.perceive.segment.saliency import SaliencyNet
from real2sam2real.perceive.segment.shafts import Shaft, find_shafts, mean_within
from real2sam2real.workfolder.kept import KeptResults

WORD = "post"
_MOST = 2  # shafts of a photo that are looked at: each takes two or three looks of the network
_ABOVE = (1.2, 4.0)  # times its length: how far above a shaft its head is looked for, one after the other
_CLOSE = 8.0  # times a shaft's width: the length of it that a closer look takes in
_ASIDE = 0.5  # of a window's height: its width
_SYMMETRY = 0.75  # of a post: what is also there mirrored about its axis, or it is no symmetric one
_SAME_GROUND = 30.0  # of 255: how far it may differ below a foot and beside it
_LEAST_SLOPE = 0.035  # sine of the angle below the horizon at which a foot is seen
_BASE = 2.5  # times a shaft's width: how high a base may be that it stands on
_GROUND_BELOW, _LEAST_BLOCKS = 0.2, 3  # of the picture's height: how far below a foot the ground is looked at; places
_AT_BORDER = 0.01  # of the picture's height
_UPRIGHTNESS = 2.0  # times as high as wide: a post


def find_posts(
    pixels: UInt8, taken: Mask, intrinsics: Intrinsics, up_camera: Float, kept: KeptResults | None = None
) -> list[Detection]:
    """Posts in a photo `(H, W, 3)` uint8 beside the pixels `(H, W)` that are `taken`, the longest first.

    `up_camera` `(3,)` is up in the camera frame. What the network saw before is taken from `kept`.
    """
    found: list[Detection] = []
    shafts = [
        group for group in find_shafts(pixels, taken, intrinsics, up_camera) if _can_stand(group, intrinsics, up_camera)
    ]
    saliency = SaliencyNet.load() if shafts else None
    free = ~taken
    for group in shafts[:_MOST]:
        mask = None if saliency is None else _cut_out(saliency, pixels, group, free, kept or KeptResults())
        if mask is not None:
            free &= ~mask
            found.append(Detection(word=WORD, mask=mask, score=1.0, asked=False))
    return found


def _can_stand(group: Sequence[Shaft], intrinsics: Intrinsics, up_camera: Float) -> bool:
    """Whether the ground can be at its lower end: that is clearly below the horizon."""
    foot = np.array([[group[0].middle, max(piece.bottom for piece in group)]])
    ray = intrinsics.unproject(foot, np.ones(1))[0]
    return bool(-(ray @ up_camera) > _LEAST_SLOPE * float(np.linalg.norm(ray)))


def _cut_out(
    saliency: SaliencyNet, pixels: UInt8, group: Sequence[Shaft], free: Mask, kept: KeptResults
) -> Mask | None:
    """The post of a shaft; None where what stands out there is none."""
    top, bottom = min(piece.top for piece in group), max(piece.bottom for piece in group)
    length, middle = bottom - top, group[0].middle
    core = np.zeros(free.shape, np.uint8)
    for piece in group:
        cv2.fillConvexPoly(core, np.rint(piece.corners() * 16).astype(np.int32), 1, shift=4)
    base = _BASE * group[0].width
    if not _ends_on_ground(core > 0, pixels, ~free, base):  # it may stand on a base that is no shaft
        return None

    def look(window: WholeBox) -> Mask:
        left, upper, right, lower = window
        crop, seen = pixels[upper:lower, left:right], np.zeros(free.shape, bool)
        made = kept.get(("perceive",), ["post", crop], lambda: {"mask": seen_along_edges(saliency, crop) > 127})
        seen[upper:lower, left:right] = made["mask"]
        return seen

    near = look(_foot_window(group, free.shape))
    for above in _ABOVE:
        window = _window(middle, top - above * length, bottom + 0.1 * length, free.shape)
        mask = touching((look(window) | near | (core > 0)) & free, core > 0)
        mask = _to_border(_symmetric(mask, middle))
        if _is_post(mask, window):
            return mask if _ends_on_ground(mask, pixels, ~free) else None
        if window[1] == 0:
            break
    return None


def _foot_window(group: Sequence[Shaft], shape: tuple[int, ...]) -> WholeBox:
    """A square window around the lower end of a shaft, in which it is not lost for its thinness."""
    bottom = max(piece.bottom for piece in group)
    top = max(min(piece.top for piece in group), bottom - _CLOSE * group[0].width)
    return _window(group[0].middle, top - 0.2 * (bottom - top), bottom + 0.2 * (bottom - top), shape, aside=1.0)


def _window(middle: float, top: float, bottom: float, shape: tuple[int, ...], *, aside: float = _ASIDE) -> WholeBox:
    top, bottom = max(0, round(top)), min(shape[0], round(bottom))
    half = aside * (bottom - top) / 2
    return max(0, round(middle - half)), int(top), min(shape[1], round(middle + half)), int(bottom)


def _symmetric(mask: Mask, middle: float) -> Mask:
    """What of a mask is also there mirrored about the axis, where that is most of it: what else is something behind."""
    columns = np.round(2 * middle - np.arange(mask.shape[1]) - 1).astype(int)
    known = (columns >= 0) & (columns < mask.shape[1])
    mirrored = np.zeros_like(mask)
    mirrored[:, known] = mask[:, columns[known]]
    reach = max(1, round(0.01 * mask.shape[1]))
    both = mask & (cv2.dilate(mirrored.astype(np.uint8), np.ones((1, 2 * reach + 1), np.uint8)) > 0)
    return both if both.sum() >= _SYMMETRY * mask.sum() else mask


def _ends_on_ground(mask: Mask, pixels: UInt8, taken: Mask, base: float = 2.0) -> bool:
    """Whether one and the same ground goes on below its foot, from `base` pixels on, or the picture's border cuts it.

    Else it is a part of something: a bar of a window stands on its frame, and below a wall something else begins.
    """
    rows = np.flatnonzero(mask.any(axis=1))
    bottom = int(rows[-1]) + 1
    if bottom + base >= len(mask) - 1:
        return True
    columns = np.flatnonzero(mask[bottom - max(1, len(rows) // 50) : bottom].any(axis=0))
    width, middle = max(4, len(columns)), float(columns.mean())
    picture, hidden = pixels.astype(np.float32), taken | mask
    colours: list[Float] = []
    for start in np.arange(bottom + base, min(len(mask) - width, bottom + _GROUND_BELOW * len(mask)) + 1, width):
        block = Shaft(
            top=float(start),
            bottom=float(start + width),
            left=(middle - width / 2,) * 2,
            right=(middle + width / 2,) * 2,
        )
        strips = (0.0, -1.5, 1.5) if not colours else (0.0,)
        colours += [c for c in (mean_within(block.corners(each), picture, hidden) for each in strips) if c is not None]
    if len(colours) < _LEAST_BLOCKS:
        return False
    return bool(max(np.linalg.norm(colours[0] - each) for each in colours) / np.sqrt(3) < _SAME_GROUND)


def _to_border(mask: Mask) -> Mask:
    """A mask that ends just above the picture's lower border, continued to it."""
    height = len(mask)
    rows = np.flatnonzero(mask.any(axis=1))
    if not len(rows) or rows[-1] < height - 1 - _AT_BORDER * height:
        return mask
    mask = mask.copy()
    mask[rows[-1] :] |= mask[rows[-1] - max(1, round(_AT_BORDER * height)) : rows[-1] + 1].any(axis=0)
    return mask


def _is_post(mask: Mask, window: WholeBox) -> bool:
    """Whether it is higher than wide, and ends within the window that was looked at or at the picture's border."""
    if not mask.any():
        return False
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    left, top, right, _ = window
    height, width = len(rows), int(columns[-1] - columns[0]) + 1
    inner = (
        (columns[0] > left + 1 or left == 0)
        and (columns[-1] < right - 2 or right == mask.shape[1])
        and (rows[0] > top + 1 or top == 0)
    )
    return bool(inner and height >= _UPRIGHTNESS * width)
