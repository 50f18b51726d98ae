"""How an instance looks beside its surroundings: histograms of colour, and of the difference from the background.

Shape legend: h w work size in pixels.
"""

from __future__ import annotations

import cv2
import numpy as np
from scipy import ndimage

from real2sam2real.arrays import Bool, Float32, Int, UInt8

_COLOR_SHAPE = (16, 32, 32)  # bins of L, a and b
_STEPS = 16  # bins of the difference, on a scale of its square root
_KEPT = 0.9  # share of what was learnt that stays when a frame is learnt
_FIRST = 0.7  # share of the marked frame in what the instance looks like: what it is taken for may drift
_LEAST = 2e-5  # of a colour never seen
_LEAST_STEP = 0.02
_LIMIT = 3.0  # most that a colour may say, in nats


def color_bins(frame: UInt8) -> Int:
    """`(h, w)` int64 bin of the colour of each pixel of `(h, w, 3)` uint8 sRGB; finer near grey, where most are."""
    lab = cv2.cvtColor(frame, cv2.COLOR_RGB2LAB).astype(np.int64)
    chroma = np.clip((lab[..., 1:] - 128) // 3 + 16, 0, 31)
    return np.asarray((lab[..., 0] // 16 * 32 + chroma[..., 0]) * 32 + chroma[..., 1], np.int64)


def difference_bins(difference: UInt8) -> Int:
    """`(h, w)` int64 bin of each pixel's difference from the background, `(h, w)` uint8."""
    return np.asarray(np.minimum(np.sqrt(difference), _STEPS - 1), np.int64)


class Appearance:
    """Histograms of an instance and of what surrounds it, from the marked frame and, fading, from those after it."""

    def __init__(self, colors: Int, steps: Int, inside: Bool, around: Bool) -> None:
        """Learn the marked frame: its bins `(h, w)`, and where the instance and its surroundings are, `(h, w)` bool."""
        self._first = _color_histogram(colors[inside])
        self._first_around = _color_histogram(colors[around])
        self._inside, self._around = self._first, self._first_around
        self._step_inside, self._step_around = _step_histogram(steps[inside]), _step_histogram(steps[around])

    def learn(self, colors: Int, steps: Int, inside: Bool, around: Bool) -> None:
        """Learn another frame; see `__init__`."""
        new = 1 - _KEPT
        if inside.any():
            self._inside = _KEPT * self._inside + new * _color_histogram(colors[inside])
            self._step_inside = _KEPT * self._step_inside + new * _step_histogram(steps[inside])
        if around.any():
            self._around = _KEPT * self._around + new * _color_histogram(colors[around])
            self._step_around = _KEPT * self._step_around + new * _step_histogram(steps[around])

    def color_evidence(self, colors: Int) -> Float32:
        """How much more likely each colour is inside than around, `(h, w)` float32 in nats, -3…3."""
        inside = _FIRST * self._first + (1 - _FIRST) * self._inside
        around = 0.5 * self._first_around + 0.5 * self._around
        ratio = np.log(inside + _LEAST) - np.log(around + _LEAST)
        return np.asarray(np.clip(ratio, -_LIMIT, _LIMIT)[colors], np.float32)

    def evidence(self, colors: Int, steps: Int) -> Float32:
        """The same of colour and difference together; the latter says little where it never told them apart."""
        ratio = np.log(self._step_inside + _LEAST_STEP) - np.log(self._step_around + _LEAST_STEP)
        by_difference = np.asarray(np.clip(ratio, -_LIMIT, _LIMIT)[steps], np.float32)
        return 0.7 * self.color_evidence(colors) + 0.8 * by_difference


def _color_histogram(bins: Int) -> Float32:
    counts = np.bincount(bins, minlength=int(np.prod(_COLOR_SHAPE))).astype(np.float32).reshape(_COLOR_SHAPE)
    smooth = ndimage.gaussian_filter(counts, 0.8, mode="constant", truncate=2.5)
    return np.asarray(smooth.ravel() / max(float(smooth.sum()), 1e-9), np.float32)


def _step_histogram(bins: Int) -> Float32:
    counts = np.bincount(bins, minlength=_STEPS).astype(np.float32)
    smooth = ndimage.gaussian_filter1d(counts, 0.7, mode="nearest")
    return np.asarray(smooth / max(float(smooth.sum()), 1e-9), np.float32)
