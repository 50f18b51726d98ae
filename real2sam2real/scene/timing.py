"""How much of a move is done at a moment: easing curves, and spans in frames."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, TypeVar, get_args

import numpy as np
from numpy.typing import ArrayLike

from real2sam2real.arrays import Float
from real2sam2real.scene.units import BadValueError, number_text, parse_number, split_list

EasingName = Literal["linear", "ease", "ease-in", "ease-out", "hold"]
EASINGS: tuple[str, ...] = get_args(EasingName)
BEZIER = "bezier"
NumberT = TypeVar("NumberT", float, Float)
MAX_OVERSHOOT = 10.0
_BISECTIONS = 60


@dataclass(frozen=True)
class BezierEasing:
    """A cubic Bézier curve from (0, 0) to (1, 1) by its two handles; x is time, y how much of the move is done.

    A y outside 0…1 overshoots, and comes back.

    Raises:
        BadValueError: time would run backwards (an x outside 0…1), or a y is beyond ±`MAX_OVERSHOOT`.
    """

    x1: float
    y1: float
    x2: float
    y2: float

    def __post_init__(self) -> None:
        for x in (self.x1, self.x2):
            if not 0 <= x <= 1:
                raise BadValueError(
                    f"a handle of '{self}' stands at time {x:g}; times are 0 to 1, or time runs backwards"
                )
        for y in (self.y1, self.y2):
            if not abs(y) <= MAX_OVERSHOOT:
                raise BadValueError(f"a handle of '{self}' stands at {y:g}; up to ±{MAX_OVERSHOOT:g} are taken")

    @classmethod
    def parse(cls, text: str) -> BezierEasing:
        """Read "bezier (0.4, 0, 0.2, 1)"."""
        parts = split_list(text.strip()[len(BEZIER) :])
        if len(parts) != 4:
            raise BadValueError(
                f"'{text}' has {len(parts)} numbers; a curve has four, x and y of both handles, such as "
                "'bezier (0.4, 0, 0.2, 1)'"
            )
        return cls(*map(parse_number, parts))

    def __str__(self) -> str:
        return f"{BEZIER} ({', '.join(number_text(value) for value in (self.x1, self.y1, self.x2, self.y2))})"

    def at(self, fraction: float) -> float:
        """How much of the move is done at a time fraction in 0…1."""
        if fraction <= 0 or fraction >= 1:
            return float(fraction >= 1)
        low, high = 0.0, 1.0
        for _ in range(_BISECTIONS):  # x grows with the curve's parameter, so this is exact to a float's last digits
            middle = (low + high) / 2
            if _cubic(middle, self.x1, self.x2) < fraction:
                low = middle
            else:
                high = middle
        return _cubic((low + high) / 2, self.y1, self.y2)


def _cubic(u: float, a: float, b: float) -> float:
    """A coordinate of the curve from 0 over the handles `a` and `b` to 1."""
    v = 1 - u
    return 3 * v * v * u * a + 3 * v * u * u * b + u * u * u


Easing = EasingName | BezierEasing


def ease(fraction: ArrayLike, easing: Easing) -> Float:
    """Map time fractions `(...)` in 0…1 to move fractions in 0…1.

    `linear` runs at constant speed; `ease` starts and ends at rest (smoothstep, 3f² − 2f³); `ease-in` starts and
    `ease-out` ends at rest (quadratic); `hold` stays at 0 until the end. A Bézier curve may leave 0…1 on its way.

    Raises:
        ValueError: an unknown easing.
    """
    f = np.clip(np.asarray(fraction, np.float64), 0.0, 1.0)
    if isinstance(easing, BezierEasing):
        return np.array([easing.at(float(each)) for each in f.ravel()]).reshape(f.shape)
    return np.asarray(_eased(f, easing))


def _eased(f: NumberT, easing: EasingName) -> NumberT:
    """`ease` of a float or an array in 0…1; a float alone is much faster."""
    if easing == "linear":
        return f
    if easing == "ease":
        return f * f * (3 - 2 * f)
    if easing == "ease-in":
        return f * f
    if easing == "ease-out":
        return f * (2 - f)
    if easing == "hold":
        return f // 1
    raise ValueError(f"unknown easing '{easing}'; choose one of {', '.join(EASINGS)}, {BEZIER}")


@dataclass(frozen=True)
class Timing:
    """A span in frames, not rounded, and its easing."""

    start: float
    end: float
    easing: Easing

    def progress(self, time: float) -> float:
        """Share of the move that is done at frame number `time`: 0 before its span, 1 after it."""
        if self.end <= self.start:
            return 0.0
        fraction = min(max((time - self.start) / (self.end - self.start), 0.0), 1.0)
        return self.easing.at(fraction) if isinstance(self.easing, BezierEasing) else _eased(fraction, self.easing)

    def touches(self, before: float, after: float) -> bool:
        """True when some of the span lies between two moments."""
        return after > self.start and before < self.end


def check_distinct(frames: Iterable[float]) -> None:
    """Raise a `BadValueError` when two keyframes stand on the same frame."""
    for a, b in pairwise(sorted(frames)):
        if b - a < 1e-9:
            raise BadValueError(f"two keyframes stand on frame {a:g}; remove one")
