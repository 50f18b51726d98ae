"""How much of a move is done at a moment: easing curves, and spans in frames."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from real2sam2real.arrays import Float
from real2sam2real.scene.units import BadValueError

Easing = Literal["linear", "ease", "ease-in", "ease-out", "hold"]
EASINGS: tuple[str, ...] = get_args(Easing)


def ease(fraction: ArrayLike, easing: Easing) -> Float:
    """Map time fractions `(...)` in 0…1 to move fractions in 0…1.

    `linear` runs at constant speed; `ease` starts and ends at rest (smoothstep, 3f² − 2f³); `ease-in` starts and
    `ease-out` ends at rest (quadratic); `hold` stays at 0 until the end.

    Raises:
        ValueError: an unknown easing.
    """
    f = np.clip(np.asarray(fraction, np.float64), 0.0, 1.0)
    if easing == "linear":
        return f
    if easing == "ease":
        return f * f * (3 - 2 * f)
    if easing == "ease-in":
        return f * f
    if easing == "ease-out":
        return f * (2 - f)
    if easing == "hold":
        return np.floor(f)
    raise ValueError(f"unknown easing '{easing}'; choose one of {', '.join(EASINGS)}")


@dataclass(frozen=True)
class Timing:
    """A span in frames, not rounded, and its easing."""

    start: float
    end: float
    easing: Easing

    def progress(self, time: float) -> float:
        """Share of the move, 0…1, that is done at frame number `time`."""
        if self.end <= self.start:
            return 0.0
        return float(ease((time - self.start) / (self.end - self.start), self.easing))

    def touches(self, before: float, after: float) -> bool:
        """True when some of the span lies between two moments."""
        return after > self.start and before < self.end


def check_distinct(frames: Iterable[float]) -> None:
    """Raise a `BadValueError` when two keyframes stand on the same frame."""
    for a, b in pairwise(sorted(frames)):
        if b - a < 1e-9:
            raise BadValueError(f"two keyframes stand on frame {a:g}; remove one")
