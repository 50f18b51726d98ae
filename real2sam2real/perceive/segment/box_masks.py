"""The object inside a box, by what stands out in crops around it.

The network of `saliency` looks at five crops, from the box itself to twice its size: a tight crop shows an object large
and its neighbours cut off, a wide one shows where the object ends. Their mean is right more often than any of them.
Where its mask does not fit the box (what a person boxes touches all four sides, and crosses none), the tight crops
alone, the wide ones, or colours (GrabCut) may fit better; what fits best is taken. Edges are drawn by a guided filter
(He et al., 2010), as the network's own pixels are coarser than a photo's. `benchmarks/masks.py` measures all of this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from real2sam2real.arrays import Float32, Mask, UInt8
from real2sam2real.errors import UserError
from real2sam2real.perceive.grabcut import cut_by_colour, mask_from_box
from real2sam2real.perceive.masks import MIN_PIXELS, SPECK_SHARE
from real2sam2real.perceive.segment.detections import box_of
from real2sam2real.perceive.segment.saliency import SIDE, SaliencyNet

WholeBox = tuple[int, int, int, int]
"""Left, top, right, bottom in whole pixels of the photo, the latter two not included."""

# By how much of its longer side a box grows at each side, and whether the crop is mirrored.
CROPS = ((0.02, False), (0.1, False), (0.25, False), (0.5, False), (0.15, True))
_ALL, _TIGHT, _WIDE = (1, 1, 1, 1, 1), (2, 1, 0, 0, 1), (0, 0, 1, 1, 0)  # weights of the crops
_BETTER = 0.03  # by how much another mask's misfit must be lower
_COLOURS_BETTER = 0.2  # the same for colours alone, which know nothing of objects
_SHRUNK = 0.3  # a mask of less than this share of another one is a part of the object
_UNSURE = (0.1, 0.9)  # between these, colours decide
_STRANGER = 0.2  # a part that goes on outside the box by more than this share of it belongs to something else
_PINHOLE_SHARE = 0.001  # of a mask
_EDGE_CELLS = 2.0  # radius of the guided filter, in pixels of the network
_EDGE_EPSILON = 1e-4  # variance of colours 0…1 that is no edge


@dataclass(frozen=True, eq=False)
class BoxMaps:
    """What stands out in the crops around one box."""

    pixels: UInt8  # `(H, W, 3)` uint8 sRGB, the photo
    box: WholeBox
    maps: tuple[tuple[WholeBox, Float32], ...]  # per crop: where it is, and the map `(h, w)` 0…1

    @classmethod
    def look(cls, net: SaliencyNet, pixels: UInt8, box: WholeBox) -> BoxMaps:
        """Look at the crops of a photo `(H, W, 3)` uint8 around a box inside it."""
        maps = []
        for grown, mirrored in CROPS:
            crop = grow_box(box, grown, pixels.shape[1], pixels.shape[0])
            maps.append((crop, net.look(pixels[crop[1] : crop[3], crop[0] : crop[2]], mirrored=mirrored)))
        return cls(pixels, box, tuple(maps))

    @property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns of the box."""
        left, top, right, bottom = self.box
        return slice(top, bottom), slice(left, right)

    def probability(self, weights: tuple[int, ...] = _ALL) -> Float32:
        """`(H, W)`: the crops' weighted mean inside the box, its edges drawn along those of the photo; 0 outside."""
        return self._all if weights == _ALL else self._weighted(weights)

    @cached_property
    def _all(self) -> Float32:
        return self._weighted(_ALL)

    def _weighted(self, weights: tuple[int, ...]) -> Float32:
        left, top, right, bottom = self.box
        total = np.zeros((bottom - top, right - left), np.float32)
        for weight, (crop, seen) in zip(weights, self.maps, strict=True):
            total += weight * seen[top - crop[1] : bottom - crop[1], left - crop[0] : right - crop[0]]
        result = np.zeros(self.pixels.shape[:2], np.float32)
        result[self.window] = self._along_edges(total / np.float32(sum(weights)))
        return result

    def _along_edges(self, inside: Float32) -> Float32:
        cell = 1.3 * max(inside.shape) / SIDE  # of the network, in the photo's pixels: the crops' mean
        if cell <= 1:
            return inside
        return guided_filter(self.pixels[self.window], inside, int(np.ceil(_EDGE_CELLS * cell)), _EDGE_EPSILON)

    @cached_property
    def around(self) -> Mask:
        """`(H, W)`: what stands out in and around the box, by the mean of the crops that show it."""
        total, count = (np.zeros(self.pixels.shape[:2], np.float32) for _ in range(2))
        for crop, seen in self.maps:
            total[crop[1] : crop[3], crop[0] : crop[2]] += seen
            count[crop[1] : crop[3], crop[0] : crop[2]] += 1
        return total > 0.5 * np.maximum(count, 1)

    def without_strangers(self, mask: Mask) -> Mask:
        """The largest part of a mask `(H, W)`, and those others, specks apart, that do not go on outside the box."""
        count, parts, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
        if count <= 2:
            return mask
        areas = stats[:, cv2.CC_STAT_AREA]
        largest = 1 + int(areas[1:].argmax())
        _, beyond = cv2.connectedComponents(self.around.astype(np.uint8), connectivity=8)
        outside = beyond.copy()
        outside[self.window] = 0
        beyond_areas = np.bincount(outside.ravel(), minlength=int(beyond.max()) + 1)
        kept = np.zeros(count, bool)
        for part in range(1, count):
            touched = np.unique(beyond[parts == part])
            outside_area = beyond_areas[touched[touched > 0]].sum()
            large = areas[part] >= SPECK_SHARE * areas[largest]
            kept[part] = part == largest or (large and outside_area <= _STRANGER * areas[part])
        return kept[parts]

    def misfit(self, mask: Mask) -> float:
        """How badly a mask `(H, W)` fits the box: its widest gap to a side, plus how much of the outline it crosses."""
        left, top, right, bottom = self.box
        inside = mask[self.window]
        if not inside.any():
            return 2.0
        x0, y0, x1, y1 = box_of(inside)
        height, width = inside.shape
        gap = max(x0 / width, y0 / height, 1 - x1 / width, 1 - y1 / height)
        photo_height, photo_width = mask.shape
        sides = (
            (left > 0, inside[:, 0]),
            (top > 0, inside[0]),
            (right < photo_width, inside[:, -1]),
            (bottom < photo_height, inside[-1]),
        )
        return float(gap + sum(int(side.sum()) for open_side, side in sides if open_side) / (2 * (width + height)))

    def best_mask(self) -> Mask:
        """`(H, W)` bool: what fits the box best.

        Raises:
            UserError: nothing stands out inside the box.
        """
        return self._best.copy()

    @cached_property
    def _best(self) -> Mask:
        probability = self.probability()
        best = self.without_strangers(probability > 0.5)
        misfit = self.misfit(best)
        for offer, better in self._others(probability):
            if misfit < _BETTER:
                break
            try:
                mask = self.without_strangers(offer())
            except UserError:  # colours cannot tell the object from what is around it
                continue
            found = self.misfit(mask) + _ragged(mask[self.window])
            if mask.sum() >= _SHRUNK * best.sum() and found < misfit - better:
                best, misfit = mask, found
        if best.sum() < MIN_PIXELS:
            raise UserError("nothing stands out inside the box; draw it closer, add points, or give a mask file")
        return without_pinholes(best)

    def _others(self, probability: Float32) -> Iterator[tuple[Callable[[], Mask], float]]:
        """Other ways to a mask, and by how much each must fit better."""
        yield lambda: self.probability(_TIGHT) > 0.5, _BETTER
        yield lambda: cut_by_colour(self.pixels, colour_labels(probability), "the box"), _BETTER
        yield lambda: self.probability(_WIDE) > 0.5, _BETTER
        yield lambda: mask_from_box(self.pixels, self.box), _COLOURS_BETTER


def _ragged(inside: Mask) -> float:
    """The share of a box's mask `(h, w)` that is narrower than a thirtieth of the box: colours leave such rags."""
    side = max(3, round(max(inside.shape) / 30)) | 1
    full = cv2.morphologyEx(inside.astype(np.uint8), cv2.MORPH_OPEN, np.ones((side, side), np.uint8))
    return 1 - float(full.sum()) / max(1.0, float(inside.sum()))


def without_pinholes(mask: Mask) -> Mask:
    """A mask `(H, W)` with holes filled that are too small to be seen through."""
    _, parts, stats, _ = cv2.connectedComponentsWithStats((~mask).astype(np.uint8), connectivity=4)
    small = stats[:, cv2.CC_STAT_AREA] < _PINHOLE_SHARE * mask.sum()
    small[0] = False  # the mask itself
    return mask | small[parts]


def colour_labels(probability: Float32) -> UInt8:
    """GrabCut's labels `(H, W)` for a probability `(H, W)`: it may decide where the network is unsure."""
    labels = np.where(probability > 0.5, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    labels[probability < _UNSURE[0]] = cv2.GC_BGD
    labels[probability > _UNSURE[1]] = cv2.GC_FGD
    return labels


def grow_box(box: tuple[float, ...], share: float, width: int, height: int) -> WholeBox:
    """A box grown at each side by a share of its longer one, in whole pixels, cut at the photo's edges."""
    left, top, right, bottom = box
    by = share * max(right - left, bottom - top)
    x0, y0 = max(0, int(left - by)), max(0, int(top - by))
    return x0, y0, min(width, int(np.ceil(right + by))), min(height, int(np.ceil(bottom + by)))


def guided_filter(guide: UInt8, values: Float32, radius: int, epsilon: float) -> Float32:
    """Values smoothed except across the edges of a picture: locally, they are linear in its colours.

    Args:
        guide: `(H, W, 3)` uint8.
        values: `(H, W)`.
        radius: of the neighbourhood, in pixels.
        epsilon: variance of colours 0…1 below which there is no edge.
    """
    side = (2 * radius + 1, 2 * radius + 1)

    def mean(picture: NDArray[Any]) -> Float32:
        return np.asarray(cv2.blur(picture, side), np.float32)

    colours = guide.astype(np.float32) / 255
    mean_colour, mean_value = mean(colours), mean(values)
    covariance = mean(colours * values[..., None]) - mean_colour * mean_value[..., None]
    variance = np.empty((*values.shape, 3, 3), np.float32)
    for row in range(3):
        for column in range(row, 3):
            product = mean(colours[..., row] * colours[..., column])
            spread = product - mean_colour[..., row] * mean_colour[..., column]
            variance[..., row, column] = variance[..., column, row] = spread + (epsilon if row == column else 0)
    slope = np.linalg.solve(variance, covariance[..., None])[..., 0].astype(np.float32)
    offset = mean_value - (slope * mean_colour).sum(axis=-1)
    return np.clip((mean(slope) * colours).sum(axis=-1) + mean(offset), 0, 1).astype(np.float32)
