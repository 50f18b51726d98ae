"""What of a bystander something nearer hides: its outline and colours, completed behind that (amodal completion).

When the nearer thing moves, or the camera travels, there must be something: a car that ends where another one stood
looks cut off. Cars, riders and people are about convex and about symmetric as the photo shows them.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from real2sam2real.arrays import Bool, Int, UInt8
from real2sam2real.lifting.outline import hull_mask
from real2sam2real.lifting.texture import OCCLUDER_RIM
from real2sam2real.perceive.masks import touching

_ALIKE = 45.0  # levels by which a thing may differ from its mirror image, in the median, to be symmetric
_LEAST_PAIRS = 50  # pixels that are seen on both sides, to tell


@dataclass(frozen=True, kw_only=True, eq=False)
class WholeThing:
    """A thing with what is hidden of it."""

    mask: Bool  # `(H, W)`, with its hidden pixels
    shown: Bool  # `(H, W)`, those whose colours are known, or mirrored
    pixels: UInt8  # `(H, W, 3)`, the photo with the mirrored ones in it


def completed(photo: UInt8, mask: Bool, nearer: Bool) -> WholeThing:
    """Complete a thing whose pixels `mask` `(H, W)` the photo `(H, W, 3)` shows, behind what is `nearer` `(H, W)`."""
    beside = _grown(mask, OCCLUDER_RIM) & nearer
    if not beside.any():
        return WholeThing(mask=mask, shown=mask, pixels=photo)
    columns = np.flatnonzero(mask.any(axis=0))
    at = int(columns[0] + columns[-1]) - np.arange(mask.shape[1])
    mirrored = _mirrored(mask, at)
    whole = mask | ((hull_mask(mask) | mirrored) & nearer)
    whole = touching(_opened(whole) | mask, mask)
    core = mask & ~_grown(nearer, OCCLUDER_RIM)  # the edge of what is nearer is mixed into the rest
    pixels, shown = photo, core if core.any() else mask
    pairs = core & _mirrored(core, at)
    image = photo[:, np.clip(at, 0, mask.shape[1] - 1)]
    difference = np.abs(image[pairs].astype(np.int16) - photo[pairs]).max(axis=-1)
    if len(difference) >= _LEAST_PAIRS and np.median(difference) < _ALIKE:
        filled = whole & ~core & _mirrored(core, at)
        pixels = np.where(filled[..., None], image, photo)
        shown = shown | filled
    return WholeThing(mask=whole, shown=shown, pixels=pixels)


def _mirrored(mask: Bool, at: Int) -> Bool:
    """A mask `(H, W)` of whose columns `(W,)` `at` says where each is taken from; nothing comes from outside."""
    inside = (at >= 0) & (at < mask.shape[1])
    return mask[:, np.where(inside, at, 0)] & inside


def _grown(mask: Bool, reach: int) -> Bool:
    return cv2.dilate(mask.astype(np.uint8), np.ones((2 * reach + 1,) * 2, np.uint8)) > 0


def _opened(mask: Bool) -> Bool:
    """Without rags of three pixels."""
    return cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)) > 0
