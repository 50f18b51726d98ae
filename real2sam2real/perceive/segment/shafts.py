"""Shafts of posts: two upright edges beside each other, with one and the same background to their left and right.

So the picket of a fence, the edge of a wall or a window is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from real2sam2real.arrays import Bool, Float, Float32, Mask, UInt8
from real2sam2real.geometry import Intrinsics
from real2sam2real.perceive.camera.vanishing import LONGEST_SIDE, UPRIGHT_DEGREES, StraightEdges

_WIDEST = 0.05  # of the picture's longer side
_NARROWEST = 2.0  # pixels of the working picture
_SLENDER = 1.5  # times as long as wide: a stretch of a shaft that both edges show
_SLENDER_IN_ALL = 3.0  # the same of all that is found of it
_OVERLAP = 0.6  # of the shorter of its two edges
_CONTRAST = 18.0  # of 255: between a shaft and what is beside it, at least
_ALIKE = 0.5  # of that contrast: how far left and right of it may differ
_LEAST_LENGTH = 0.1  # of the picture's height: all stretches of a shaft together


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
        """Its axis, half-way up: x."""
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
            top, bottom = float(max(left[0, 1], right[0, 1])), float(min(left[1, 1], right[1, 1]))
            shorter = min(left[1, 1] - left[0, 1], right[1, 1] - right[0, 1])
            if bottom - top < _OVERLAP * shorter:
                continue
            shaft = Shaft(top=top, bottom=bottom, left=_at(left, top, bottom), right=_at(right, top, bottom))
            narrow = min(shaft.right[0] - shaft.left[0], shaft.right[1] - shaft.left[1])
            if narrow >= _NARROWEST and shaft.width <= min(_WIDEST * longest, shaft.length / _SLENDER):
                found.append(shaft)
    return found


def _at(edge: Float, top: float, bottom: float) -> tuple[float, float]:
    (x0, y0), (x1, y1) = edge
    slope = (x1 - x0) / max(y1 - y0, 1e-6)
    return float(x0 + (top - y0) * slope), float(x0 + (bottom - y0) * slope)


def _stands_free(shaft: Shaft, picture: Float32, hole: Bool) -> bool:
    """Whether left and right of it look alike, and unlike itself, and nothing that is taken is near."""
    inside, left, right = (
        mean_within(shaft.corners(*strip), picture, hole) for strip in ((0.2, 0.6), (-1.4, 1.0), (1.4, 1.0))
    )
    if inside is None or left is None or right is None:
        return False
    contrast = min(float(np.linalg.norm(inside - each)) for each in (left, right)) / np.sqrt(3)
    return bool(contrast > _CONTRAST and float(np.linalg.norm(left - right)) / np.sqrt(3) < _ALIKE * contrast)


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


def mean_within(corners: Float, picture: Float32, hole: Bool) -> Float | None:
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
