"""Thin upright things that no network names: lamp posts, poles, columns that stand free before the ground.

A shaft shows as two upright edges beside each other, with one and the same background to its left and to its right;
so a picket of a fence, the edge of a wall or a window is none. What stands out around the shaft, to the network that
cuts out bystanders, is the whole post with its head.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from real2sam2real.arrays import Bool, Float, Float32, Mask, UInt8
from real2sam2real.geometry import Intrinsics
from real2sam2real.perceive.camera.vanishing import LONGEST_SIDE, UPRIGHT_DEGREES, StraightEdges
from real2sam2real.perceive.segment.box_masks import WholeBox
from real2sam2real.perceive.segment.detections import Detection
from real2sam2real.perceive.segment.saliency import SaliencyNet
from real2sam2real.workfolder.kept import KeptResults

WORD = "post"
_MOST = 3  # posts of a photo: each takes two to five looks of the network
_WIDEST = 0.05  # of the picture's longer side: of a shaft
_NARROWEST = 2.0  # pixels of the working picture
_SLENDER = 1.5  # times as long as wide: a stretch of a shaft that both edges show
_SLENDER_IN_ALL = 3.0  # the same of all that is found of it
_OVERLAP = 0.6  # of the shorter of its two edges
_CONTRAST = 18.0  # of 255: between a shaft and what is beside it, at least
_ALIKE = 0.5  # of that contrast: how far left and right of it may differ
_LEAST_LENGTH = 0.1  # of the picture's height: all stretches of a shaft together
_ABOVE = (1.0, 2.5, 6.0)  # times its length: how far above a shaft its head is looked for, one after the other
_CLOSE, _MOST_CLOSE = 8.0, 2  # times a shaft's width: the length of it that one closer look takes in; such looks
_ASIDE = 0.5  # of a window's height: its width
_SYMMETRY = 0.75  # of a post: what is also there mirrored about its axis, or it is no symmetric one
_SAME_GROUND = 30.0  # of 255: how far it may differ below a foot and beside it
_AT_BORDER = 0.01  # of the picture's height
_UPRIGHTNESS = 2.0  # times as high as wide: a post


@dataclass(frozen=True, kw_only=True, eq=False)
class Shaft:
    """A straight upright piece between two edges, in pixels."""

    top: float
    bottom: float
    left: tuple[float, float]  # x of its left edge at top and bottom
    right: tuple[float, float]

    @property
    def length(self) -> float:
        """From top to bottom."""
        return self.bottom - self.top

    @property
    def width(self) -> float:
        """The mean of top's and bottom's."""
        return (self.right[0] - self.left[0] + self.right[1] - self.left[1]) / 2

    @property
    def middle(self) -> float:
        """x of its axis, half-way up."""
        return float(np.mean([*self.left, *self.right]))

    def scaled(self, factor: float) -> Shaft:
        """The same in a picture that is so many times as large."""
        ends = ((self.left[0] * factor, self.left[1] * factor), (self.right[0] * factor, self.right[1] * factor))
        return Shaft(top=self.top * factor, bottom=self.bottom * factor, left=ends[0], right=ends[1])

    def between(self, top: float, bottom: float) -> Shaft:
        """Its edges' lines from one row to another."""

        def at(ends: tuple[float, float], row: float) -> float:
            return ends[0] + (row - self.top) / max(self.length, 1e-6) * (ends[1] - ends[0])

        left, right = ((at(ends, top), at(ends, bottom)) for ends in (self.left, self.right))
        return Shaft(top=top, bottom=bottom, left=left, right=right)

    def corners(self, beside: float = 0.0, aside: float = 1.0) -> Float:
        """`(4, 2)` corners of it, or of the strip `beside` it by so many of its widths and `aside` so wide."""
        (a, b), (c, d) = self.left, self.right
        one, two = (c - a), (d - b)
        top = (a + beside * one, a + (beside + aside) * one)
        low = (b + beside * two, b + (beside + aside) * two)
        return np.array([[top[0], self.top], [top[1], self.top], [low[1], self.bottom], [low[0], self.bottom]])


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


def find_shafts(pixels: UInt8, taken: Mask, intrinsics: Intrinsics, up_camera: Float) -> list[list[Shaft]]:
    """Shafts of posts, each in one piece or in several above each other; the longest first."""
    edges, _, hole = StraightEdges.of_photo(pixels, taken, intrinsics)
    if not len(edges.ends):
        return []
    upright = edges.ends[edges.deviations(np.asarray(up_camera)[None])[:, 0] < UPRIGHT_DEGREES]
    size = (hole.shape[1], hole.shape[0])
    small = cv2.GaussianBlur(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), (0, 0), 0.8).astype(np.float32)
    pieces = [piece for piece in _pairs(upright, max(size)) if _stands_free(piece, small, hole)]
    groups = [group for group in _stacked([_followed(piece, small, hole) for piece in pieces]) if _is_long(group, size)]
    scale = max(pixels.shape[:2]) / max(min(LONGEST_SIDE, max(pixels.shape[:2])), 1)
    groups.sort(key=lambda group: -sum(piece.length for piece in group))
    return [[piece.scaled(scale) for piece in group] for group in groups]


def _pairs(upright: Float, longest: int) -> list[Shaft]:
    """Every two of the upright edges `(N, 2, 2)` that could bound a shaft."""
    ordered = [edge[np.argsort(edge[:, 1])] for edge in upright]
    ordered.sort(key=lambda edge: float(edge[:, 0].mean()))
    found = []
    for i, left in enumerate(ordered):
        for right in ordered[i + 1 :]:
            if right[:, 0].mean() - left[:, 0].mean() > 2 * _WIDEST * longest:
                break
            top, bottom = max(left[0, 1], right[0, 1]), min(left[1, 1], right[1, 1])
            shorter = min(left[1, 1] - left[0, 1], right[1, 1] - right[0, 1])
            if bottom - top < _OVERLAP * shorter:
                continue
            ends = [tuple(_x_at(edge, np.array([top, bottom]))) for edge in (left, right)]
            shaft = Shaft(top=top, bottom=bottom, left=ends[0], right=ends[1])
            narrow = min(ends[1][0] - ends[0][0], ends[1][1] - ends[0][1])
            if narrow >= _NARROWEST and shaft.width <= min(_WIDEST * longest, shaft.length / _SLENDER):
                found.append(shaft)
    return found


def _x_at(edge: Float, rows: Float) -> list[float]:
    (x0, y0), (x1, y1) = edge
    return [float(x0 + (row - y0) / max(y1 - y0, 1e-6) * (x1 - x0)) for row in rows]


def _stands_free(shaft: Shaft, picture: Float32, hole: Bool) -> bool:
    """Whether left and right of it look alike, and unlike itself, and nothing that is taken is near."""
    inside, *beside = (_mean(shaft.corners(*strip), picture, hole) for strip in ((0.2, 0.6), (-1.4, 1.0), (1.4, 1.0)))
    if inside is None or beside[0] is None or beside[1] is None:
        return False
    contrast = min(float(np.linalg.norm(inside - each)) for each in beside) / np.sqrt(3)
    across = float(np.linalg.norm(beside[0] - beside[1])) / np.sqrt(3)
    return contrast > _CONTRAST and across < _ALIKE * contrast


def _followed(shaft: Shaft, picture: Float32, hole: Bool) -> Shaft:
    """The shaft as far as it goes on straight, upwards and downwards: edges break where something crosses them."""
    step = max(0.5 * shaft.width, 4.0)
    while shaft.top - step > 0 and _stands_free(shaft.between(shaft.top - step, shaft.top), picture, hole):
        shaft = shaft.between(shaft.top - step, shaft.bottom)
    while shaft.bottom < len(picture):
        end = min(shaft.bottom + step, float(len(picture)))
        if not _stands_free(shaft.between(shaft.bottom, end), picture, hole):
            break
        shaft = shaft.between(shaft.top, end)
    return shaft


def _is_long(group: Sequence[Shaft], size: tuple[int, int]) -> bool:
    length = sum(piece.length for piece in group)
    return length >= max(_LEAST_LENGTH * size[1], _SLENDER_IN_ALL * group[0].width)


def _mean(corners: Float, picture: Float32, hole: Bool) -> Float | None:
    """`(3,)` mean colour within a quadrilateral; None where most of it is taken or outside."""
    low = np.maximum(np.floor(corners.min(axis=0)).astype(int), 0)
    high = np.ceil(corners.max(axis=0)).astype(int) + 1
    window = (slice(low[1], high[1]), slice(low[0], high[0]))
    area = np.zeros(hole[window].shape, np.uint8)
    if not area.size:
        return None
    cv2.fillConvexPoly(area, np.rint((corners - low) * 16).astype(np.int32), 1, shift=4)
    inside, known = area > 0, (area > 0) & ~hole[window]
    if known.sum() < max(4, 0.7 * inside.sum()):
        return None
    return np.asarray(picture[window][known].mean(axis=0), np.float64)


def _stacked(pieces: list[Shaft]) -> list[list[Shaft]]:
    """Pieces that lie above each other on one axis together; of pieces beside each other the longest."""
    groups: list[list[Shaft]] = []
    for piece in sorted(pieces, key=lambda piece: -piece.length):
        for group in groups:
            aside = abs(piece.middle - group[0].middle)
            if aside < max(piece.width, group[0].width):
                if all(piece.top >= other.bottom or piece.bottom <= other.top for other in group):
                    group.append(piece)
                break
        else:
            groups.append([piece])
    return groups


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
    return [_window(group[0].middle, start - 0.2 * each, start + 1.2 * each, shape) for start in starts]


def _window(middle: float, top: float, bottom: float, shape: tuple[int, ...]) -> WholeBox:
    top, bottom = max(0, round(top)), min(shape[0], round(bottom))
    half = _ASIDE * (bottom - top) / 2
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
    colours = [_mean(below.corners(beside), picture, taken | mask) for beside in (0.0, -1.5, 1.5)]
    known = [each for each in colours if each is not None]
    if colours[0] is None or len(known) < 2:
        return False
    return max(float(np.linalg.norm(known[0] - each)) for each in known[1:]) / np.sqrt(3) < _SAME_GROUND


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
