"""Which clips are of no use for training, and why: each reason names what was measured and what would do."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from real2sam2real.arrays import Bool, Float32, UInt8
from real2sam2real.errors import UserError

_ROWS = 270  # clips are looked at with so many rows, so that limits mean the same at every size
_CHANGE = 12  # grey levels from which a pixel counts as changed
_BAR_LEVEL = 24  # grey level under which a bar lies
_BAR_SPREAD = 6  # and by how much its pixels may differ
_EDGE = 40  # grey levels by which a letter stands out from what is beside it
_LASTING = 0.95  # share of the frames in which an edge has to be for it to be burnt in


@dataclass(frozen=True, kw_only=True)
class QualityFilter:
    """The limits. Each may be opened by setting it to zero (`max_bar` and `max_text`: to one).

    Raises:
        UserError: a value is negative, or a share is above 1.
    """

    min_change: float = 0.02  # least share of pixels that differ from the first frame, in the frame where most do
    min_light: float = 50.0  # least 95th percentile of the grey levels, 0…255, mean over the frames
    # least variance of the Laplacian at 270 rows, median over the frames. A clip in focus has some tens, one that is
    # blurred by a hundredth of its height about 3.
    min_sharpness: float = 5.0
    max_bar: float = 0.03  # most share of the height or the width that black bars take
    max_text: float = 0.004  # most share of the picture that burnt-in lettering takes

    def __post_init__(self) -> None:
        most_of = {"min_change": 1.0, "min_light": 255.0, "min_sharpness": np.inf, "max_bar": 1.0, "max_text": 1.0}
        for name, most in most_of.items():
            if not 0 <= getattr(self, name) <= most:
                raise UserError(f"{name} is {getattr(self, name):g}; it lies in 0…{most:g}")


@dataclass(frozen=True, kw_only=True)
class Quality:
    """What was measured of a clip; see `QualityFilter` for the units."""

    change: float  # as `QualityFilter.min_change`
    light: float  # as `QualityFilter.min_light`
    sharpness: float  # as `QualityFilter.min_sharpness`
    bar: float  # as `QualityFilter.max_bar`
    text: float  # as `QualityFilter.max_text`

    def reasons(self, limits: QualityFilter) -> list[str]:
        """Why the clip is dropped, in words; empty where it is kept."""
        found = []
        if self.change < limits.min_change:
            found.append(f"static: {self.change:.1%} of its pixels ever change, less than {limits.min_change:.1%}")
        if self.light < limits.min_light:
            found.append(f"dark: its light parts reach {self.light:.0f} of 255, less than {limits.min_light:.0f}")
        if self.sharpness < limits.min_sharpness:
            found.append(f"blurred: a sharpness of {self.sharpness:.1f}, less than {limits.min_sharpness:.1f}")
        if self.bar > limits.max_bar:
            found.append(f"letterboxed: bars take {self.bar:.1%} of a side, more than {limits.max_bar:.1%}")
        if self.text > limits.max_text:
            found.append(f"burnt-in text: on {self.text:.2%} of the picture, more than {limits.max_text:.2%}")
        return found


def measure(video: UInt8) -> Quality:
    """Measure a clip `(T, H, W, 3)` uint8."""
    gray = np.stack([_small_gray(frame) for frame in video])
    difference = np.abs(gray - gray[0])
    moving = np.asarray(difference.max(axis=0) > _CHANGE)
    return Quality(
        change=float((difference > _CHANGE).mean(axis=(1, 2)).max()),
        light=float(np.percentile(gray, 95, axis=(1, 2)).mean()),
        sharpness=float(np.median([_sharpness(frame) for frame in gray])),
        bar=_bar(gray),
        text=float(_lettering(gray, moving).mean()),
    )


def _small_gray(frame: UInt8) -> Float32:
    """`(270, w)` float32 grey levels."""
    height, width = frame.shape[:2]
    gray = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    size = (max(1, round(width * _ROWS / height)), _ROWS)
    shrinks = height > _ROWS
    small = cv2.resize(gray, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return np.asarray(small, np.float32)


def _sharpness(gray: Float32) -> float:
    """Variance of the Laplacian after a slight blur, which noise does not outlive."""
    return float(cv2.Laplacian(cv2.GaussianBlur(gray, (3, 3), 0), cv2.CV_32F).var())


def _bar(gray: Float32) -> float:
    """Share of the height or the width, whichever is more, that lies under lasting black bars."""
    high, low = gray.max(axis=0), gray.min(axis=0)
    black = (high < _BAR_LEVEL) & (high - low < _BAR_SPREAD)
    if black.mean() > 0.9:  # a dark clip, not one with bars
        return 0.0
    shares = []
    for axis in (0, 1):
        lines = black.mean(axis=1 - axis) > 0.98
        shares.append((_run(lines) + _run(lines[::-1])) / len(lines))
    return float(max(shares))


def _run(lines: Bool) -> int:
    """How many are true from the start on."""
    return len(lines) if lines.all() else int(np.argmin(lines))


def _lettering(gray: Float32, moving: Bool) -> Bool:
    """Pixels `(h, w)` of lines of lettering: fine strong edges that stay while what is around them moves.

    A heuristic: it knows neither letters nor logos, and cannot tell a sign on a wall from a subtitle where nothing
    moves, so it looks only where things move.
    """
    kernel = np.ones((5, 5), np.uint8)
    fine = np.stack([cv2.morphologyEx(frame, cv2.MORPH_TOPHAT, kernel) > _EDGE for frame in gray])
    lasting = (fine.mean(axis=0) >= _LASTING) & (np.ptp(gray, axis=0) < 2 * _EDGE)
    # Letters of a line come together, and a line is wide and low.
    joined = cv2.morphologyEx(lasting.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 15), np.uint8))
    near_motion = cv2.blur(moving.astype(np.float32), (61, 61)) > 0.15
    count, labels, stats, _ = cv2.connectedComponentsWithStats(joined)
    result = np.zeros(moving.shape, bool)
    for number in range(1, count):
        _, _, width, height, area = stats[number]
        part = labels == number
        if width >= 4 * height and 4 <= height <= 0.15 * _ROWS and area >= 0.35 * width * height:
            result |= part & (near_motion[part].mean() > 0.5)
    return result
