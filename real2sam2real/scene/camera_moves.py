"""Camera moves with the names, units and signs of a film set; docs/shots.md is their reference.

Positive is right, up, in (forwards) and clockwise. The moves are values; `camera_animation` performs them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from real2sam2real.scene import move_syntax as s
from real2sam2real.scene.move_syntax import Target, TimedMove, Vocabulary, WrittenKeyframe, WrittenMove, setting
from real2sam2real.scene.paths import FORMATS
from real2sam2real.scene.timing import Easing
from real2sam2real.scene.units import (
    BadValueError,
    Length,
    Span,
    number_text,
    parse_angle,
    parse_factor,
    split_quantity,
)

RIGHT = {"right": 1, "left": -1}
UP = {"up": 1, "down": -1}
IN = {"in": 1, "out": -1, "forward": 1, "forwards": 1, "back": -1, "backward": -1, "backwards": -1}
CLOCKWISE = {"clockwise": 1, "cw": 1, "right": 1, "counterclockwise": -1, "ccw": -1, "left": -1}
TARGET_WORDS = ("around", "towards", "of", "on")


@dataclass(frozen=True)
class FocalLength:
    """What a zoom ends at: a factor on the focal length, a full-frame focal length in mm, or a field of view.

    `mm` is the focal length on a 36 mm wide sensor; `deg` the horizontal field of view.
    """

    value: float
    unit: Literal["x", "mm", "deg"] = "x"

    @classmethod
    def parse(cls, text: str) -> FocalLength:
        """Read "1.5x", "150%", "out 2x", "to 35 mm" or "to 40 deg"."""
        body, sign = text.strip(), 1
        head = body.split(maxsplit=1)
        if len(head) == 2 and head[0].lower() in ("in", "out", "to"):
            sign, body = (-1 if head[0].lower() == "out" else 1), head[1]
        number = split_quantity(body, "a zoom", ["", "x", "×", "times", "%", "percent", "mm", "deg", "degrees", "°"])
        if number[1] == "mm":
            if number[0] <= 0:
                raise BadValueError(f"a focal length of '{body}' is not positive; 24 mm is wide, 85 mm is a portrait")
            return cls(number[0], "mm")
        if number[1] in ("deg", "degrees", "°"):
            angle = parse_angle(body)
            if not 0 < angle < 180:
                raise BadValueError(f"a field of view of '{body}' is outside 0…180 deg")
            return cls(angle, "deg")
        factor = parse_factor(body)
        return cls(1 / factor if sign < 0 else factor, "x")

    def __str__(self) -> str:
        return f"{number_text(self.value)}{'x' if self.unit == 'x' else ' ' + self.unit}"


ZOOM = s.Kind("a zoom", FocalLength.parse)
FORMAT = s.choice("a format", "format", "formats", FORMATS)


CAMERA_MOVES: Vocabulary[CameraMove] = Vocabulary("camera move")
"""Every camera move by its words."""


class CameraMove(WrittenMove):
    """What all camera moves share."""

    vocabulary = CAMERA_MOVES


class TimedCameraMove(CameraMove, TimedMove):
    """A camera move that takes time."""


class Static(CameraMove, name="static", synonyms=("still",)):
    """The camera rests where the photo was taken."""


class Orbit(TimedCameraMove, name="orbit", synonyms=("arc",)):
    """Circle around a target, keeping it where it is in the picture; right and up are positive (camera's side)."""

    angle: float = setting(s.ANGLE, main=True, signs=RIGHT, default=0.0)
    elevation: float = setting(s.ANGLE, signs=UP, default=0.0)
    target: Target | None = setting(s.TARGET, words=TARGET_WORDS, default=None)


class Spiral(TimedCameraMove, name="spiral"):
    """Circle around a target while distance and height change, keeping the target where it is in the picture."""

    angle: float = setting(s.ANGLE, main=True, signs=RIGHT)
    radius: float = setting(s.FACTOR, default=1.0)  # horizontal distance at the end over that at the start
    height: Length = setting(s.LENGTH, signs=UP, default=Length(0.0))
    target: Target | None = setting(s.TARGET, words=TARGET_WORDS, default=None)


class Crane(TimedCameraMove, name="crane", synonyms=("jib", "boom")):
    """Rise or sink, tilting so that the target stays where it is in the picture."""

    height: Length = setting(s.LENGTH, main=True, signs=UP)
    target: Target | None = setting(s.TARGET, words=TARGET_WORDS, default=None)


class Dolly(TimedCameraMove, name="dolly", synonyms=("push",)):
    """Travel straight along the view (or the line to the target) as it is when the move starts."""

    distance: Length = setting(s.LENGTH, main=True, signs=IN)
    target: Target | None = setting(s.TARGET, words=TARGET_WORDS, default=None)


class Truck(TimedCameraMove, name="truck"):
    """Travel straight to the camera's right or left."""

    distance: Length = setting(s.LENGTH, main=True, signs=RIGHT)
    target: Target | None = setting(s.TARGET, words=TARGET_WORDS, default=None)


class Pedestal(TimedCameraMove, name="pedestal"):
    """Travel straight up or down in the world."""

    distance: Length = setting(s.LENGTH, main=True, signs=UP)
    target: Target | None = setting(s.TARGET, words=TARGET_WORDS, default=None)


class Pan(TimedCameraMove, name="pan"):
    """Turn the head to the right or left about the vertical."""

    angle: float = setting(s.ANGLE, main=True, signs=RIGHT)


class Tilt(TimedCameraMove, name="tilt"):
    """Turn the head up or down."""

    angle: float = setting(s.ANGLE, main=True, signs=UP)


class CameraRoll(TimedCameraMove, name="roll"):
    """Turn the camera about its view; clockwise seen from behind it, so that the picture turns the other way."""

    angle: float = setting(s.ANGLE, main=True, signs=CLOCKWISE)


class Zoom(TimedCameraMove, name="zoom"):
    """Change the focal length."""

    end: FocalLength = setting(ZOOM, main=True)


class DollyZoom(TimedCameraMove, name="dolly-zoom", synonyms=("vertigo", "zolly")):
    """Travel along the view while zooming so that the target keeps its size in the picture (the "vertigo" effect)."""

    distance: Length = setting(s.LENGTH, main=True, signs=IN)
    target: Target | None = setting(s.TARGET, words=TARGET_WORDS, default=None)


class LookAt(TimedCameraMove, name="look-at"):
    """Turn until the target is in the middle of the picture, within the span; then keep it there to the end."""

    target: Target = setting(s.TARGET, main=True)


class TrackTarget(TimedCameraMove, name="track", synonyms=("follow",)):
    """Turn with the target during the span, so that it stays where it is in the picture when the span starts."""

    target: Target = setting(s.TARGET, main=True)


class Handheld(CameraMove, name="handheld", synonyms=("shake",)):
    """Shake like a held camera: smooth noise that starts and ends at rest."""

    amount: float = setting(s.FACTOR, main=True, default=1.0)  # 1 is a steady hand, 3 a running one
    rotation: float = setting(s.ANGLE, default=0.4)  # typical swing of each angle at amount 1
    # typical sway along each axis at amount 1; percent are of the distance to the scene's main entity
    shift: Length = setting(s.LENGTH, default=Length(0.4, "%"))
    frequency: float = setting(s.HERTZ, default=1.5)  # fastest wobble
    seed: int | None = setting(s.INTEGER, default=None)  # which of the endless shakes; the shot's seed unless given
    span: Span = setting(s.SPAN, words=s.SPAN_WORDS, default=Span())  # when it happens; the whole shot unless given


class CameraKeyframe(WrittenKeyframe, name="keyframe"):
    """Where the camera is at one time, as angles and offsets from the photo's camera or as places in the world.

    `by` goes along the photo camera's right, up and view direction.
    """

    pan: float = setting(s.ANGLE, signs=RIGHT, default=0.0)
    tilt: float = setting(s.ANGLE, signs=UP, default=0.0)
    roll: float = setting(s.ANGLE, signs=CLOCKWISE, default=0.0)
    look_at: Target | None = setting(s.TARGET, default=None)  # in place of pan and tilt
    zoom: float = setting(s.FACTOR, default=1.0)  # factor on the photo's focal length
    easing: Easing = setting(s.EASING, default="ease")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.look_at is not None and (self.pan or self.tilt):
            raise BadValueError("a keyframe looks at a target or has 'pan' and 'tilt', not both")


class CameraKeyframes(CameraMove, name="keyframes"):
    """Go through given poses; other moves add to them."""

    keys: tuple[CameraKeyframe, ...] = setting(s.keyframes_kind(CameraKeyframe), main=True)


class ImportedPath(TimedCameraMove, name="path"):
    """Follow a camera path from a file (see docs/camera-paths.md), starting at the photo's camera."""

    file: str = setting(s.NAME, main=True)  # path of the file or folder
    format: str | None = setting(FORMAT, default=None)  # name of its format, or None to tell by its content
    scale: float = setting(s.FACTOR, default=1.0)  # factor on all distances of the file
    # of the way along the path; linear keeps the file's own timing
    easing: Easing = setting(s.EASING, default="linear")


def parse_camera_flag(text: str) -> tuple[CameraMove, ...]:
    """Read the moves of `--camera`, such as "orbit 30deg around car; dolly in 0.5" (separated by semicolons or commas).

    Raises:
        UserError: a part cannot be read; the message quotes the flag and names the nearest valid word.
    """
    return CAMERA_MOVES.parse(text, f"--camera '{text}'")
