"""Which way is up: the direction along which surfaces lie flat and stand upright.

Every cell's normal votes: for an "up" that it points along (floors, tables), that it points against (ceilings) or that
it is at right angles to (walls). A prior says how people hold cameras: little roll, a moderate pitch, rather down than
up. The best of a grid of directions is then refined where the prior no longer moves it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from real2sam2real.arrays import Float, Float32

USUAL_PITCH_DEGREES, LOOKING_DOWN_SPREAD, LOOKING_UP_SPREAD = 10.0, 30.0, 15.0
ROLL_SPREAD_DEGREES = 10.0
WALL_WEIGHT, CEILING_WEIGHT = 0.3, 0.3
SEARCH_PITCH_DEGREES, SEARCH_ROLL_DEGREES, SEARCH_STEP_DEGREES = (-44.0, 84.0), (-40.0, 40.0), 4.0
STEPS = ((4.0, 1.0), (1.0, 0.25))  # reach and step in degrees of each refinement
COARSE_WIDTH_DEGREES, FINE_WIDTH_DEGREES = 6.0, 4.0  # of a vote
PRIOR_LEFT = 0.02  # of the prior's logarithm while refining: it decides only what the votes leave open (a single wall)
MAX_VOTES = 5000
VOTES_AT_ONCE = 32  # that the processor's cache holds with all directions
AGREEMENT_DEGREES = 10.0
MIN_FLAT, MIN_UPRIGHT = 0.04, 0.4  # shares of the voting cells; normals at random reach 0.02 and 0.17


@dataclass(frozen=True, kw_only=True, eq=False)
class Gravity:
    """A direction against gravity and how many surfaces speak for it."""

    up_camera: Float  # `(3,)` float64 unit vector
    flat: float  # share of the cells that lie flat, within 10°
    upright: float  # share of the cells that stand upright, within 10°

    @property
    def is_seen(self) -> bool:
        """Whether enough surfaces agree; else the direction is the prior's."""
        return self.flat >= MIN_FLAT or self.upright >= MIN_UPRIGHT


def up_of(pitch_degrees: ArrayLike, roll_degrees: ArrayLike) -> Float:
    """Up `(..., 3)` in the frame of a camera that looks down by a pitch and is turned clockwise by a roll `(...)`."""
    pitch, roll = np.radians(pitch_degrees), np.radians(roll_degrees)
    return np.stack([-np.sin(roll) * np.cos(pitch), np.cos(roll) * np.cos(pitch), np.sin(pitch)], axis=-1)


def pitch_roll_of(up_camera: Float) -> tuple[float, float]:
    """Pitch and roll in degrees; inverse of `up_of`."""
    x, y, z = (float(value) for value in up_camera)
    return float(np.degrees(np.arcsin(np.clip(z, -1.0, 1.0)))), float(np.degrees(np.arctan2(-x, y)))


def vote_gravity(normals_camera: Float, *, pitch: float | None = None, roll: float | None = None) -> Gravity | None:
    """The likeliest direction of up, or None where there are no normals.

    Args:
        normals_camera: `(N, 3)` unit normals of surfaces that belong to no entity.
        pitch: in degrees, if known; kept exactly.
        roll: likewise.
    """
    if not len(normals_camera):
        return None
    votes = normals_camera[:: -(-len(normals_camera) // MAX_VOTES)]
    pitches = _range(*SEARCH_PITCH_DEGREES, SEARCH_STEP_DEGREES) if pitch is None else np.array([pitch])
    rolls = _range(*SEARCH_ROLL_DEGREES, SEARCH_STEP_DEGREES) if roll is None else np.array([roll])
    best = _best(votes, pitches, rolls, COARSE_WIDTH_DEGREES, prior=1.0)
    for reach, step in STEPS:
        around = _range(-reach, reach, step)
        pitches = best[0] + around if pitch is None else pitches
        rolls = best[1] + around if roll is None else rolls
        best = _best(votes, pitches, rolls, FINE_WIDTH_DEGREES, prior=PRIOR_LEFT)
    up = up_of(*best)
    cosines = normals_camera @ up
    return Gravity(
        up_camera=up,
        flat=float(np.mean(cosines > np.cos(np.radians(AGREEMENT_DEGREES)))),
        upright=float(np.mean(np.abs(cosines) < np.sin(np.radians(AGREEMENT_DEGREES)))),
    )


def _range(low: float, high: float, step: float) -> Float:
    return np.arange(low, high + step / 2, step)


def _best(votes: Float, pitches: Float, rolls: Float, width: float, *, prior: float) -> tuple[float, float]:
    """The pitch and roll in degrees with the most votes, weighted by the prior to the power of `prior`."""
    pitch, roll = (grid.ravel() for grid in np.meshgrid(pitches, rolls, indexing="ij"))
    total = np.log(_support(votes, up_of(pitch, roll), width) + 1e-6) + prior * _log_prior(pitch, roll)
    best = int(np.argmax(total))
    return float(pitch[best]), float(roll[best])


def _support(votes: Float, ups: Float, width: float) -> Float:
    """`(D,)` mean support of the votes `(N, 3)` for every direction of `ups` `(D, 3)`.

    Angles are counted in widths of the bell and in single precision, exact to some 0.02°.
    """
    directions, right_angle = ups.T.astype(np.float32), np.float32(90 / width)
    total = np.zeros(len(ups))
    for start in range(0, len(votes), VOTES_AT_ONCE):
        angles = votes[start : start + VOTES_AT_ONCE].astype(np.float32) @ directions
        np.arccos(np.clip(angles, -1, 1, out=angles), out=angles)
        angles *= np.float32(np.degrees(1) / width)
        # Of floor and ceiling the farther one, 90° off or more, is nothing beside the other two.
        level = _bell(np.minimum(angles, 2 * right_angle - angles))
        np.multiply(level, CEILING_WEIGHT, out=level, where=angles > right_angle)
        angles -= right_angle
        level += WALL_WEIGHT * _bell(angles)
        total += level.sum(axis=0, dtype=np.float64)
    return total / len(votes)


def _bell(widths: Float32) -> Float32:
    """In place."""
    widths *= widths
    widths *= np.float32(-0.5)
    return np.exp(widths, out=widths)


def _log_prior(pitch: Float, roll: Float) -> Float:
    off = pitch - USUAL_PITCH_DEGREES
    spread = np.where(off > 0, LOOKING_DOWN_SPREAD, LOOKING_UP_SPREAD)
    return -0.5 * ((off / spread) ** 2 + (roll / ROLL_SPREAD_DEGREES) ** 2)
