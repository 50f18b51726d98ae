"""Thin upright things that no network names: lamp posts, poles, columns that stand free before the ground.

What stands out around a shaft, to the network that cuts out bystanders, is the whole post with its head.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from real2sam2real.arrays import Float, Mask, UInt8
from real2sam2real.geometry import Intrinsics
from real2sam2real.perceive.segment.box_masks import WholeBox
from real2sam2real.perceive.segment.detections import Detection
from real2sam2real.perceive.segment.saliency import SaliencyNet
from real2sam2real.perceive.segment.shafts import Shaft, find_shafts, mean_within
from real2sam2real.workfolder.kept import KeptResults

WORD = "post"
_MOST = 3  # posts of a photo: each takes two to five looks of the network
_ABOVE = (1.0, 2.5, 6.0)  # times its length: how far above a shaft its head is looked for, one after the other
_CLOSE, _MOST_CLOSE = 8.0, 2  # times a shaft's width: the length of it that one closer look takes in; such looks
_ASIDE = 0.5  # of a window's height: its width
_SYMMETRY = 0.75  # of a post: what is also there mirrored about its axis, or it is no symmetric one
_SAME_GROUND = 30.0  # of 255: how far it may differ below a foot and beside it
_AT_BORDER = 0.01  # of the picture's height
_UPRIGHTNESS = 2.0  # times as high as wide: a post


def find_posts(
    pixels: UInt8, taken: Mask, intrinsics: Intrinsics, up_camera: Float, kept: KeptResults | None = None
) -> list[Detection]:
    """Posts in a photo `(H, W, 3)` uint8 beside the pixels `(H, W)` that are `taken`, the longest first.

    `up_camera` `(3,)` is up in the camera frame. What the network saw before is taken from `kept`.
    """
    found: list[Detection] = []
    shafts = find_shafts(pixels, taken, intrinsics, up_camera)
    saliency = SaliencyNet.load() if shafts else None
    free = ~taken
    for group in shafts[:_MOST]:
        mask = None if saliency is None else _cut_out(saliency, pixels, group, free, kept or KeptResults())
        if mask is not None:
            free &= ~mask
            found.append(Detection(word=WORD, mask=mask, score=1.0, asked=False))
    return found


def _cut_out(
    saliency: SaliencyNet, pixels: UInt8, group: Sequence[Shaft], free: Mask, kept: KeptResults
) -> Mask | None:
    """The post of a shaft; None where what stands out there is none."""
    top, bottom = min(piece.top for piece in group), max(piece.bottom for piece in group)
    length, middle = bottom - top, group[0].middle
    core = np.zeros(free.shape, np.uint8)
    for piece in group:
        cv2.fillConvexPoly(core, np.rint(piece.corners() * 16).astype(np.int32), 1, shift=4)

    def look(window: WholeBox) -> Mask:
        left, upper, right, lower = window
        crop, seen = pixels[upper:lower, left:right], np.zeros(free.shape, bool)
        made = kept.get(("perceive",), crop, lambda: {"mask": saliency.look(crop) > 0.5})
        seen[upper:lower, left:right] = made["mask"]
        return seen

    near = np.any([look(window) for window in _windows_along(group, free.shape)], axis=0)
    for above in _ABOVE:
        window = _window(middle, top - above * length, bottom + 0.1 * length, free.shape)
        mask = _holding((look(window) | near | (core > 0)) & free, core > 0)
        mask = _to_border(_symmetric(mask, middle))
        if _is_post(mask, window):
            return mask if _ends_on_ground(mask, pixels, ~free) else None
        if window[1] == 0:
            break
    return None


def _windows_along(group: Sequence[Shaft], shape: tuple[int, ...]) -> list[WholeBox]:
    """Windows beside each other along a shaft, in which it is not lost for its thinness."""
    top, bottom = min(piece.top for piece in group), max(piece.bottom for piece in group)
    count = int(np.clip(round((bottom - top) / (_CLOSE * group[0].width)), 1, _MOST_CLOSE))
    each = (bottom - top) / count
    starts = top + each * np.arange(count)
    return [_window(group[0].middle, start - 0.2 * each, start + 1.2 * each, shape, aside=1.0) for start in starts]


def _window(middle: float, top: float, bottom: float, shape: tuple[int, ...], *, aside: float = _ASIDE) -> WholeBox:
    top, bottom = max(0, round(top)), min(shape[0], round(bottom))
    half = aside * (bottom - top) / 2
    return max(0, round(middle - half)), int(top), min(shape[1], round(middle + half)), int(bottom)


def _holding(mask: Mask, core: Mask) -> Mask:
    """The parts of a mask that hold some of its core."""
    _, parts = cv2.connectedComponents(mask.astype(np.uint8))
    numbers = np.unique(parts[core & mask])
    return np.isin(parts, numbers[numbers > 0])


def _symmetric(mask: Mask, middle: float) -> Mask:
    """What of a mask is also there mirrored about the axis, where that is most of it: what else is something behind."""
    columns = np.round(2 * middle - np.arange(mask.shape[1]) - 1).astype(int)
    known = (columns >= 0) & (columns < mask.shape[1])
    mirrored = np.zeros_like(mask)
    mirrored[:, known] = mask[:, columns[known]]
    reach = max(1, round(0.01 * mask.shape[1]))
    both = mask & (cv2.dilate(mirrored.astype(np.uint8), np.ones((1, 2 * reach + 1), np.uint8)) > 0)
    return both if both.sum() >= _SYMMETRY * mask.sum() else mask


def _ends_on_ground(mask: Mask, pixels: UInt8, taken: Mask) -> bool:
    """Whether what is below its foot looks as what is beside its foot, or the picture's border cuts it.

    Else it is a part of something: a bar of a window stands on its frame.
    """
    rows = np.flatnonzero(mask.any(axis=1))
    bottom = int(rows[-1]) + 1
    if bottom >= len(mask):
        return True
    columns = np.flatnonzero(mask[bottom - max(1, len(rows) // 50) : bottom].any(axis=0))
    width, middle = max(4, len(columns)), float(columns.mean())
    high = float(bottom + 2), float(bottom + 2 + width)
    below = Shaft(top=high[0], bottom=high[1], left=(middle - width / 2,) * 2, right=(middle + width / 2,) * 2)
    picture = pixels.astype(np.float32)
    colours = [mean_within(below.corners(beside), picture, taken | mask) for beside in (0.0, -1.5, 1.5)]
    under, beside = colours[0], [each for each in colours[1:] if each is not None]
    if under is None or not beside:
        return False
    return bool(max(np.linalg.norm(under - each) for each in beside) / np.sqrt(3) < _SAME_GROUND)


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
