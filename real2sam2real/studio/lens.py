"""A photo's camera from lines that are drawn on it: the horizon, and pairs of lines that are parallel in the world.

Square pixels and a principal point in the middle of the photo, as everywhere (docs/conventions.md). Points are pixels
x, y of the photo's file; a homogeneous vector `(3,)` is counted from the middle, in units of half the diagonal, with y
upwards, which keeps its numbers near 1.

A pair of lines meets in the vanishing point of its direction. Two directions at a right angle, with vanishing points v
and w from the middle, give the focal length: f² = −v·w. The horizon is the polar of the vanishing point of what stands
upright, so the horizon with one pair of upright lines does the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from real2sam2real.arrays import Float
from real2sam2real.errors import UserError
from real2sam2real.geometry import Intrinsics
from real2sam2real.perceive.camera.gravity import pitch_roll_of, up_of

Direction = Literal["upright", "level", "across"]
"""Which way a pair of lines runs in the world: up, along the ground, or along the ground at a right angle to that."""

Ends = tuple[tuple[float, float], tuple[float, float]]
_SHORTEST = 4.0  # pixels, of a line
_LEAST_BEND = 1e-3  # f² over the half diagonal's: less than that is a lens nobody has
_MOST_BEND = 400.0
_FLAT = 1e-4  # of a vanishing point's last number: beyond it the lines are parallel in the photo, too


@dataclass(frozen=True, kw_only=True)
class LinePair:
    """Two lines of the photo that are parallel in the world."""

    direction: Direction
    lines: tuple[Ends, Ends]


@dataclass(frozen=True, kw_only=True)
class DrawnLines:
    """What a person has drawn on a photo of so many pixels."""

    width: int
    height: int
    horizon: Ends | None = None
    pairs: tuple[LinePair, ...] = ()
    focal: float | None = None  # pixels, where it is known otherwise


@dataclass(frozen=True, kw_only=True)
class SolvedLens:
    """What the lines say."""

    focal: float  # pixels of the photo's file
    pitch: float  # degrees that the camera looks down
    roll: float  # degrees that it is turned clockwise, seen from behind it
    focal_from: Literal["lines", "given"]
    notes: tuple[str, ...] = ()


def solve_lens(drawn: DrawnLines) -> SolvedLens:
    """The camera that lines tell.

    Raises:
        UserError: lines are too short, contradict each other, or do not tell enough.
    """
    found = {pair.direction: _vanishing(drawn, pair) for pair in drawn.pairs}
    horizon = _horizon(drawn, found)
    bend = _squared_focal(found, horizon)
    if bend is not None:
        focal = float(np.sqrt(bend)) * _unit(drawn)
    elif drawn.focal is not None:
        focal = drawn.focal
    else:
        raise UserError(
            "these lines do not tell the focal length; draw upright ones, or a second pair along the ground"
        )
    pitch, roll = pitch_roll_of(_up(found, horizon, focal / _unit(drawn)))
    return SolvedLens(
        focal=focal,
        pitch=pitch,
        roll=roll,
        focal_from="given" if bend is None else "lines",
        notes=(_why_no_focal(found),) if bend is None and found else (),
    )


def horizon_of(intrinsics: Intrinsics, pitch: float, roll: float) -> Ends:
    """Where the horizon crosses the left and the right edge of a photo, for a pitch and a roll in degrees.

    The points may lie outside the photo; a roll near 90° has none.
    """
    up = up_of(pitch, roll)
    slope, level = up[0] / up[1], intrinsics.fy * up[2] / up[1]
    left, right = ((x, intrinsics.cy - level + slope * (x - intrinsics.cx)) for x in (0.0, float(intrinsics.width)))
    return (left[0], float(left[1])), (right[0], float(right[1]))


def _unit(drawn: DrawnLines) -> float:
    return float(np.hypot(drawn.width, drawn.height)) / 2


def _point(drawn: DrawnLines, xy: ArrayLike) -> Float:
    x, y = np.asarray(xy, np.float64)
    return np.array([x - drawn.width / 2, drawn.height / 2 - y, _unit(drawn)]) / _unit(drawn)


def _line(drawn: DrawnLines, ends: Ends) -> Float:
    """The line `(3,)` through two points, its normal of length 1."""
    one, other = ends
    if np.hypot(one[0] - other[0], one[1] - other[1]) < _SHORTEST:
        raise UserError(f"a line is shorter than {_SHORTEST:g} pixels; drag its ends apart")
    line = np.cross(_point(drawn, one), _point(drawn, other))
    return np.asarray(line / np.linalg.norm(line[:2]))


def _vanishing(drawn: DrawnLines, pair: LinePair) -> Float:
    """Where two lines meet, `(3,)` of length 1; its last number is 0 where they are parallel in the photo."""
    one, other = (_line(drawn, ends) for ends in pair.lines)
    meeting = np.cross(one, other)
    if np.linalg.norm(meeting) < 1e-9:
        raise UserError(f"both {pair.direction} lines are one line; drag them onto different edges")
    return np.asarray(meeting / np.linalg.norm(meeting))


def _horizon(drawn: DrawnLines, found: dict[Direction, Float]) -> Float | None:
    """The horizon `(3,)`: through the vanishing points of two directions along the ground, else as drawn."""
    if "level" in found and "across" in found:
        line = np.cross(found["level"], found["across"])
        if np.linalg.norm(line[:2]) < 1e-9:
            raise UserError("both pairs along the ground run the same way; draw one of them along other edges")
        return np.asarray(line / np.linalg.norm(line[:2]))
    return None if drawn.horizon is None else _line(drawn, drawn.horizon)


def _squared_focal(found: dict[Direction, Float], horizon: Float | None) -> float | None:
    """f² in squares of half the diagonal; None where nothing tells it.

    Raises:
        UserError: no lens shows such lines at right angles.
    """
    directions: list[Direction] = ["upright", "level", "across"]
    known = [found[each] for each in directions if each in found]
    if len(known) >= 2:
        one, other = known[:2]
    elif "upright" in found and horizon is not None:
        # The horizon's normal through the middle meets it where "straight ahead and level" vanishes.
        one, other = found["upright"], np.array([*(-horizon[:2] * horizon[2]), 1.0])
    else:
        return None
    if min(abs(one[2]), abs(other[2])) < _FLAT:
        return None
    bend = -float(one[:2] @ other[:2]) / float(one[2] * other[2])
    if not _LEAST_BEND < bend < _MOST_BEND:
        raise UserError(
            "no lens shows these lines at right angles to each other; drag them onto edges that are, or take one away"
        )
    return bend


def _why_no_focal(found: dict[Direction, Float]) -> str:
    if len(found) == 1 and "upright" not in found:
        return "one pair of lines along the ground does not tell the focal length; draw upright lines, or a second pair"
    return "these lines are nearly parallel in the photo, so they do not tell the focal length; it is as given"


def _up(found: dict[Direction, Float], horizon: Float | None, focal: float) -> Float:
    """Up `(3,)` in the camera's frame, of length 1, not pointing down."""
    told_by_upright = "upright" in found and len(found) == 2
    if horizon is not None and not told_by_upright:
        # Points d of the horizon, at (d_x f, d_y f) / −d_z, have up · d = 0.
        up = np.array([horizon[0] * focal, horizon[1] * focal, -horizon[2]])
    elif "upright" in found:
        x, y, w = found["upright"]
        up = np.array([x, y, -w * focal])
    else:
        raise UserError("nothing tells which way is up; drag the horizon, or draw upright lines")
    up = up / np.linalg.norm(up)
    return np.asarray(up if up[1] >= 0 else -up)
