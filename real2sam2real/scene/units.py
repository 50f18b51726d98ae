"""Quantities as people write them: "30 deg", "1.5 units", "25%", "0.5 s", "frames 10-40". See docs/shots.md.

Each parser takes text and returns a value; each value writes itself back as text that parses to the same value.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

from real2sam2real.errors import UserError

LengthUnit = Literal["units", "m", "%"]
TimeUnit = Literal["frames", "s", "%"]

MAX_NUMBER = 1e9
MAX_FACTOR = 1e4

_QUANTITY = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*([^\d\s,()\[\]+-]*)\s*", re.IGNORECASE)

_ANGLE_UNITS = {"": 1.0, "deg": 1.0, "degree": 1.0, "degrees": 1.0, "°": 1.0}
_ANGLE_UNITS |= {"rad": 180 / math.pi, "radians": 180 / math.pi, "turn": 360.0, "turns": 360.0}
_LENGTH_UNITS: dict[str, tuple[LengthUnit, float]] = dict.fromkeys(("", "unit", "units"), ("units", 1.0))
_LENGTH_UNITS |= dict.fromkeys(("m", "metre", "metres", "meter", "meters"), ("m", 1.0))
_LENGTH_UNITS |= {"cm": ("m", 0.01), "%": ("%", 1.0), "percent": ("%", 1.0)}
_TIME_UNITS: dict[str, tuple[TimeUnit, float]] = {"f": ("frames", 1.0), "frame": ("frames", 1.0)}
_TIME_UNITS |= {"": ("frames", 1.0), "frames": ("frames", 1.0), "ms": ("s", 0.001), "%": ("%", 1.0)}
_TIME_UNITS |= dict.fromkeys(("s", "sec", "second", "seconds"), ("s", 1.0)) | {"percent": ("%", 1.0)}
_FACTOR_UNITS = {"": 1.0, "x": 1.0, "×": 1.0, "times": 1.0, "%": 0.01, "percent": 0.01}

UNIT_WORDS: dict[str, dict[str, tuple[str, float]]] = {
    "angle": {word: ("deg", degrees) for word, degrees in _ANGLE_UNITS.items()},
    "distance": {word: (str(unit), factor) for word, (unit, factor) in _LENGTH_UNITS.items()},
    "time": {word: (str(unit), factor) for word, (unit, factor) in _TIME_UNITS.items()},
    "factor": {word: ("x", factor) for word, factor in _FACTOR_UNITS.items()},
}
"""By quantity and unit word ("" for a bare number): the unit that a value is kept in, and how many of it one is."""


class BadValueError(ValueError):
    """A value that cannot be used. Whoever knows where it was written turns it into a `UserError` (see `located`)."""


class NotAQuantityError(BadValueError):
    """Text that is not one number with an optional unit."""


@contextmanager
def located(where: str) -> Iterator[None]:
    """Turn a `BadValueError` into a `UserError` that starts with `where`: a file and line, or a flag's text."""
    try:
        yield
    except BadValueError as error:
        raise UserError(f"{where}: {error}" if where else str(error)) from error


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint such as "; did you mean 'orbit'?" that names the known word most like `word`; empty when none is known."""
    words = [name for name in known if name]
    close = difflib.get_close_matches(word.lower(), words, n=1, cutoff=0.0)
    return f"; did you mean '{close[0]}'?" if close else ""


def number_text(value: float) -> str:
    """The shortest text that reads back as `value`: "30" and not "30.0"."""
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))


def split_quantity(text: str, what: str, units: Iterable[str]) -> tuple[float, str]:
    """A number and its unit word (maybe empty), which is one of `units`.

    Raises:
        BadValueError: there is no number, more than one quantity, or an unknown unit.
    """
    match = _QUANTITY.fullmatch(text)
    known = list(units)
    shown = ", ".join(name for name in known if name)
    if match is None:
        unit_hint = f" with a unit ({shown})" if shown else ""
        raise NotAQuantityError(f"'{text}' is not {what}; write a number{unit_hint}")
    number, unit = float(match[1]), match[2].lower()
    if abs(number) > MAX_NUMBER:
        raise BadValueError(f"'{text}' is too large to be {what}; numbers go up to {MAX_NUMBER:g}")
    if unit not in known:
        raise BadValueError(f"'{match[2]}' is not a unit of {what} in '{text}'{nearest(unit, known)} ({shown})")
    return number, unit


def parse_number(text: str) -> float:
    """A number without a unit."""
    return split_quantity(text, "a plain number", [""])[0]


def parse_angle(text: str) -> float:
    """Degrees. Units: deg, rad, turns; a bare number is in degrees."""
    value, unit = split_quantity(text, "an angle", _ANGLE_UNITS)
    return value * _ANGLE_UNITS[unit]


def parse_factor(text: str) -> float:
    """A positive factor: "1.5x", "150%" or "1.5"."""
    value, unit = split_quantity(text, "a factor", _FACTOR_UNITS)
    factor = value * _FACTOR_UNITS[unit]
    if factor <= 0:
        raise BadValueError(f"the factor '{text}' is not positive; 1x leaves things as they are, 2x doubles them")
    if not 1 / MAX_FACTOR <= factor <= MAX_FACTOR:
        raise BadValueError(f"the factor '{text}' is outside {1 / MAX_FACTOR:g}x…{MAX_FACTOR:g}x")
    return factor


def parse_hertz(text: str) -> float:
    """A frequency in hertz: "1.5 Hz"; a bare number is in hertz."""
    value, _ = split_quantity(text, "a frequency", ["", "hz"])
    if value <= 0:
        raise BadValueError(f"a frequency of '{text}' is not positive; a hand shakes at about 1 Hz")
    return value


@dataclass(frozen=True)
class Length:
    """A distance: scene units, metres (where the scene knows its scale), or percent of what a move refers to."""

    value: float
    unit: LengthUnit = "units"

    @classmethod
    def parse(cls, text: str) -> Length:
        """Units: units, m, cm, %; a bare number is in scene units."""
        value, word = split_quantity(text, "a distance", _LENGTH_UNITS)
        unit, factor = _LENGTH_UNITS[word]
        return cls(value * factor, unit)

    def __str__(self) -> str:
        return f"{number_text(self.value)}{'%' if self.unit == '%' else ' ' + self.unit}"

    def __neg__(self) -> Length:
        return Length(-self.value, self.unit)

    def in_scene(self, scene_unit: str, reference: float) -> float:
        """The distance in world units of a scene.

        Args:
            scene_unit: `Scene.unit`, "metre" or "unit".
            reference: what 100% stands for, in world units.

        Raises:
            BadValueError: metres were asked for in a scene of unknown scale.
        """
        if self.unit == "%":
            return self.value / 100 * reference
        if self.unit == "m" and scene_unit != "metre":
            raise BadValueError(
                f"'{self}' needs a scene in metres, but this one does not know its scale; "
                f"write '{number_text(self.value)} units' (scene units) or a percentage such as '25%'"
            )
        return self.value


@dataclass(frozen=True)
class Time:
    """A moment of a shot: a frame number, seconds, or percent of the whole shot."""

    value: float
    unit: TimeUnit = "frames"

    @classmethod
    def parse(cls, text: str) -> Time:
        """Units: frames, s, ms, %; a bare number is a frame. "frame 10" and "10 frames" are the same."""
        words = text.split()
        if len(words) == 2 and words[0].lower() in _TIME_UNITS:
            text = f"{words[1]} {words[0]}"
        value, word = split_quantity(text, "a time", _TIME_UNITS)
        unit, factor = _TIME_UNITS[word]
        return cls(value * factor, unit)

    def __str__(self) -> str:
        return f"{number_text(self.value)}{'%' if self.unit == '%' else ' ' + self.unit}"

    def frame(self, frames: int, fps: float) -> float:
        """The frame number, not rounded, in a shot of `frames` frames.

        Raises:
            BadValueError: it lies outside the shot.
        """
        last = frames - 1
        frame = {"frames": self.value, "s": self.value * fps, "%": self.value / 100 * last}[self.unit]
        if not -1e-9 <= frame <= last + 1e-9:
            raise BadValueError(
                f"'{self}' lies outside the shot, which ends at frame {last} ({last / fps:.3g} s at {fps:g} fps); "
                "choose a time inside it or make the shot longer"
            )
        return min(max(frame, 0.0), float(last))


@dataclass(frozen=True)
class Span:
    """From one moment of a shot to another; an open side means the shot's first or last frame."""

    start: Time | None = None
    end: Time | None = None

    @classmethod
    def parse(cls, text: str) -> Span:
        """A span such as "frames 10-40", "0.5 s - 2 s", "0.5-2 s", "10%-50%", "frames 10-" or "2 s" (the first 2 s).

        Raises:
            BadValueError: it cannot be read, or it ends before it starts.
        """
        body, unit = text.strip(), ""
        head = body.split(maxsplit=1)
        if len(head) == 2 and head[0].lower() in _TIME_UNITS:
            unit, body = head
        sides = re.split(r"\s*(?:(?<![\d.]e)[-–…]|\.\.|\bto\b)\s*", body)  # the − of 1e-5 parts nothing
        if len(sides) > 2 or not any(sides):
            raise BadValueError(f"'{text}' is not a span of time; write 'frames 10-40', '0.5-2 s' or '10%-50%'")
        if len(sides) == 1:
            sides = ["", sides[0]]
        last_unit = re.sub(r"[^%a-z]", "", sides[1].lower())
        texts = [
            f"{side} {unit or last_unit}" if side and not re.search(r"[a-z%]", side, re.I) else side for side in sides
        ]
        start, end = (Time.parse(side) if side else None for side in texts)
        for time in (start, end):
            if time is not None and time.value < 0:
                raise BadValueError(f"the span '{text}' starts before the shot; times are at least 0")
        if start and end and start.unit == end.unit and end.value < start.value:
            raise BadValueError(f"the span '{text}' ends before it starts; write '{end} - {start}'")
        return cls(start, end)

    def __str__(self) -> str:
        return "" if self.whole else f"{self.start or ''} - {self.end or ''}".strip()

    @property
    def whole(self) -> bool:
        """True for the whole shot."""
        return self.start is None and self.end is None

    def in_frames(self, frames: int, fps: float) -> tuple[float, float]:
        """First and last frame, not rounded.

        Raises:
            BadValueError: a side lies outside the shot, or the span takes no time.
        """
        start = self.start.frame(frames, fps) if self.start else 0.0
        end = self.end.frame(frames, fps) if self.end else float(frames - 1)
        if end < start or (end == start and not self.whole):
            raise BadValueError(
                f"the span '{self}' runs from frame {start:g} to frame {end:g} and takes no time; "
                f"end it at least one frame after its start"
            )
        return start, end


Point = tuple[Length, Length, Length]


def parse_point(text: str) -> Point:
    """Three distances along x, y and z: "0, 1.5, -3 m" (each with its own unit), brackets allowed."""
    parts = split_list(text)
    if len(parts) != 3:
        raise BadValueError(f"'{text}' has {len(parts)} parts; a point or vector has three, such as '(0, 1.5, -3)'")
    x, y, z = (Length.parse(part) for part in parts)
    return x, y, z


def point_text(point: Point) -> str:
    """The text that `parse_point` reads."""
    return f"({', '.join(str(part) for part in point)})"


def split_list(text: str, separators: str = ",") -> list[str]:
    """Parts of a list between separators that stand outside quotes and brackets; one pair of outer brackets is removed.

    Raises:
        BadValueError: a bracket or a quote is not closed.
    """
    body = text.strip()
    depths = list(accumulate((char in "([") - (char in ")]") for char in body))
    if depths and depths[-1] == 0 and all(depth > 0 for depth in depths[:-1]) and len(body) > 1:
        body = body[1:-1].strip()
    parts = split_outside(body, separators)
    return [part.strip() for part in parts] if body else []


def split_outside(text: str, separators: str) -> list[str]:
    """Split at every separator character that stands outside quotes and brackets; parts are kept as they are.

    Raises:
        BadValueError: a bracket or a quote is not closed.
    """
    parts, depth, quote, part = [], 0, "", ""
    for char in text:
        if quote:
            quote = "" if char == quote else quote
        elif char in "\"'":
            quote = char
        else:
            depth += (char in "([") - (char in ")]")
        if char in separators and not depth and not quote:
            parts.append(part)
            part = ""
        else:
            part += char
    if depth or quote:
        raise BadValueError(f"'{text}' has a bracket or quote that is not closed, or closed twice")
    return [*parts, part]
