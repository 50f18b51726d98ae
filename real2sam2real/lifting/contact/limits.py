"""The least changes of some numbers that keep differences of them within limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from real2sam2real.arrays import Float

IMPOSSIBLE = 1e-9
ROUNDING = 1e-9


@dataclass(frozen=True, kw_only=True)
class Limit:
    """`low` ≤ x[second] − x[first] ≤ `high`; either may be infinite."""

    first: int
    second: int
    low: float
    high: float

    def holds(self, x: Float) -> bool:
        """Whether `x` keeps it, up to rounding."""
        difference = float(x[self.second] - x[self.first])
        return self.low - ROUNDING <= difference <= self.high + ROUNDING


def least_change(wanted: Float, fixed: Sequence[bool], limits: Sequence[Limit]) -> Float | None:
    """The `(N,)` numbers next to the wanted ones, in least squares, that keep all limits; None where there are none.

    The fixed ones may not change. A least distance problem, solved by non-negative least squares (Lawson and Hanson,
    1974, chapter 23).
    """
    free = np.nonzero(~np.asarray(fixed, bool))[0]
    rows, bounds = [], []
    for limit in limits:
        row = np.zeros(len(wanted))
        row[limit.second], row[limit.first] = 1.0, -1.0
        now = float(wanted[limit.second] - wanted[limit.first])
        for sign, bound in ((1.0, limit.low), (-1.0, limit.high)):
            if not np.isfinite(bound):
                continue
            needed = sign * (bound - now)
            if row[free].any():
                rows.append(sign * row[free])
                bounds.append(needed)
            elif needed > ROUNDING:
                return None
    if not rows or max(bounds) <= 0:
        return wanted.copy()
    system = np.concatenate([np.array(rows).T, np.array(bounds)[None]])
    aim = np.zeros(len(free) + 1)
    aim[-1] = 1.0
    multipliers, _ = nnls(system, aim)
    residual = system @ multipliers - aim
    if -residual[-1] < IMPOSSIBLE:
        return None
    result = wanted.copy()
    result[free] -= residual[:-1] / residual[-1]
    return result if all(limit.holds(result) for limit in limits) else None


def least_change_of_most(wanted: Float, fixed: Sequence[bool], limits: Sequence[Limit]) -> tuple[Float, list[int]]:
    """As `least_change`, but limits that contradict those before them are left out; also their numbers."""
    found = least_change(wanted, fixed, limits)
    if found is not None:
        return found, []
    kept: list[Limit] = []
    left_out = []
    found = wanted.copy()
    for k, limit in enumerate(limits):
        tried = least_change(wanted, fixed, [*kept, limit])
        if tried is None:
            left_out.append(k)
        else:
            kept.append(limit)
            found = tried
    return found, left_out
