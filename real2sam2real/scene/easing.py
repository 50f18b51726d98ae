"""Easing curves: how the fraction of a move done depends on the fraction of its time gone."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from real2sam2real.arrays import Float

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
