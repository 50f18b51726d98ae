"""Camera moves with the names, units and signs of a film set; docs/shots.md is their reference.

Positive is right, up, in (forwards) and clockwise. The moves are values; `camera_path` (module `rig`) performs them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from real2sam2real.scene import settings as s
from real2sam2real.scene.easing import Easing
from real2sam2real.scene.paths import FORMATS
from real2sam2real.scene.settings import Target, Timed, Written, build, setting
from real2sam2real.scene.units import (
    BadValueError,
    Length,
    Point,
    Span,
    Time,
    located,
    nearest,
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
NO_LENGTH = Length(0.0)


@dataclass(frozen=True)
class Lens:
    """What a zoom ends at: a factor on the focal length, a full-frame focal length in mm, or a field of view.

    `mm` is the focal length on a 36 mm wide sensor; `deg` the horizontal field of view.
    """

    value: float
    unit: Literal["x", "mm", "deg"] = "x"

    @classmethod
    def parse(cls, text: str) -> Lens:
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


def _parse_format(text: str) -> str:
    name = s.unquoted(text).lower()
    if name not in FORMATS:
        raise BadValueError(f"unknown format '{text}'{nearest(name, FORMATS)} (formats: {', '.join(FORMATS)})")
    return name


LENS = s.Kind("a zoom", Lens.parse)
FORMAT = s.Kind("a format", _parse_format)


@dataclass(frozen=True, kw_only=True)
class CameraMove(Written):
    """What all camera moves share."""


@dataclass(frozen=True, kw_only=True)
class TimedCameraMove(CameraMove, Timed):
    """A camera move that takes time."""


@dataclass(frozen=True, kw_only=True)
class Static(CameraMove):
    """The camera rests where the photo was taken."""

    kind: ClassVar[str] = "static"
    words: ClassVar[tuple[str, ...]] = ("still",)


@dataclass(frozen=True, kw_only=True)
class Orbit(TimedCameraMove):
    """Circle around a target, keeping it where it is in the picture; right and up are positive (camera's side)."""

    kind: ClassVar[str] = "orbit"
    words: ClassVar[tuple[str, ...]] = ("arc",)
    angle: float = setting(s.ANGLE, main=True, signs=RIGHT, default=0.0)
    elevation: float = setting(s.ANGLE, signs=UP, default=0.0)
    target: Target | None = setting(s.TARGET, words=TARGET_WORDS, default=None)


@dataclass(frozen=True, kw_only=True)
class Spiral(TimedCameraMove):
    """Circle around a target while the distance and the height change, keeping the target where it is in the picture.

    Attributes:
        radius: horizontal distance at the end over that at the start.
    """

    kind: ClassVar[str] = "spiral"
    angle: float = setting(s.ANGLE, main=True, signs=RIGHT)
    radius: float = setting(s.FACTOR, default=1.0)
    height: Length = setting(s.LENGTH, signs=UP, default=NO_LENGTH)
    target: Target | None = setting(s.TARGET, words=TARGET_WORDS, default=None)


@dataclass(frozen=True, kw_only=True)
class Crane(TimedCameraMove):
    """Rise or sink, tilting so that the target stays where it is in the picture."""

    kind: ClassVar[str] = "crane"
    words: ClassVar[tuple[str, ...]] = ("jib", "boom")
    height: Length = setting(s.LENGTH, main=True, signs=UP)
    target: Target | None = setting(s.TARGET, words=TARGET_WORDS, default=None)


@dataclass(frozen=True, kw_only=True)
class Dolly(TimedCameraMove):
    """Travel straight along the view (or the line to the target) as it is when the move starts."""

    kind: ClassVar[str] = "dolly"
    words: ClassVar[tuple[str, ...]] = ("push",)
    distance: Length = setting(s.LENGTH, main=True, signs=IN)
    target: Target | None = setting(s.TARGET, words=TARGET_WORDS, default=None)


@dataclass(frozen=True, kw_only=True)
class Truck(TimedCameraMove):
    """Travel straight to the camera's right or left."""

    kind: ClassVar[str] = "truck"
    distance: Length = setting(s.LENGTH, main=True, signs=RIGHT)
    target: Target | None = setting(s.TARGET, words=TARGET_WORDS, default=None)


@dataclass(frozen=True, kw_only=True)
class Pedestal(TimedCameraMove):
    """Travel straight up or down in the world."""

    kind: ClassVar[str] = "pedestal"
    distance: Length = setting(s.LENGTH, main=True, signs=UP)
    target: Target | None = setting(s.TARGET, words=TARGET_WORDS, default=None)


@dataclass(frozen=True, kw_only=True)
class Pan(TimedCameraMove):
    """Turn the head to the right or left about the vertical."""

    kind: ClassVar[str] = "pan"
    angle: float = setting(s.ANGLE, main=True, signs=RIGHT)


@dataclass(frozen=True, kw_only=True)
class Tilt(TimedCameraMove):
    """Turn the head up or down."""

    kind: ClassVar[str] = "tilt"
    angle: float = setting(s.ANGLE, main=True, signs=UP)


@dataclass(frozen=True, kw_only=True)
class Roll(TimedCameraMove):
    """Turn the camera about its view; clockwise seen from behind it, so that the picture turns the other way."""

    kind: ClassVar[str] = "roll"
    angle: float = setting(s.ANGLE, main=True, signs=CLOCKWISE)


@dataclass(frozen=True, kw_only=True)
class Zoom(TimedCameraMove):
    """Change the focal length."""

    kind: ClassVar[str] = "zoom"
    lens: Lens = setting(LENS, main=True)


@dataclass(frozen=True, kw_only=True)
class DollyZoom(TimedCameraMove):
    """Travel along the view while zooming so that the target keeps its size in the picture (the "vertigo" effect)."""

    kind: ClassVar[str] = "dolly-zoom"
    words: ClassVar[tuple[str, ...]] = ("vertigo", "zolly")
    distance: Length = setting(s.LENGTH, main=True, signs=IN)
    target: Target | None = setting(s.TARGET, words=TARGET_WORDS, default=None)


@dataclass(frozen=True, kw_only=True)
class LookAt(TimedCameraMove):
    """Turn until the target is in the middle of the picture, within the span; then keep it there to the end."""

    kind: ClassVar[str] = "look-at"
    target: Target = setting(s.TARGET, main=True)


@dataclass(frozen=True, kw_only=True)
class Track(TimedCameraMove):
    """Turn with the target during the span, so that it stays where it is in the picture when the span starts."""

    kind: ClassVar[str] = "track"
    words: ClassVar[tuple[str, ...]] = ("follow",)
    target: Target = setting(s.TARGET, main=True)


@dataclass(frozen=True, kw_only=True)
class Handheld(CameraMove):
    """Shake like a held camera: smooth noise that starts and ends at rest.

    Attributes:
        amount: 1 is a steady hand, 3 a running one.
        rotation: typical swing of each angle at amount 1.
        shift: typical sway along each axis at amount 1; percent are of the distance to the scene's main entity.
        frequency: fastest wobble.
        seed: which of the endless shakes; the shot's seed unless given.
        span: when it happens; the whole shot unless given.
    """

    kind: ClassVar[str] = "handheld"
    words: ClassVar[tuple[str, ...]] = ("shake",)
    amount: float = setting(s.FACTOR, main=True, default=1.0)
    rotation: float = setting(s.ANGLE, default=0.4)
    shift: Length = setting(s.LENGTH, default=Length(0.4, "%"))
    frequency: float = setting(s.HERTZ, default=1.5)
    seed: int | None = setting(s.INTEGER, default=None)
    span: Span = setting(s.SPAN, words=s.SPAN_WORDS, default=Span())


@dataclass(frozen=True, kw_only=True)
class CameraKeyframe(Written):
    """Where the camera is at one time, as offsets from the photo's camera or as places in the world.

    Attributes:
        time: the moment.
        position: place in the world, or None.
        by: offset from the photo's camera along its right, up and view direction, or None.
        pan, tilt, roll: angles from the photo's camera.
        look_at: what the camera looks at, in place of pan and tilt.
        zoom: factor on the photo's focal length.
        easing: shape of the way to the next keyframe.
    """

    kind: ClassVar[str] = "keyframe"
    time: Time = setting(s.TIME, words={"frame": "frame ", "at": ""})
    position: Point | None = setting(s.POINT, default=None)
    by: Point | None = setting(s.POINT, default=None)
    pan: float = setting(s.ANGLE, signs=RIGHT, default=0.0)
    tilt: float = setting(s.ANGLE, signs=UP, default=0.0)
    roll: float = setting(s.ANGLE, signs=CLOCKWISE, default=0.0)
    look_at: Target | None = setting(s.TARGET, default=None)
    zoom: float = setting(s.FACTOR, default=1.0)
    easing: Easing = setting(s.EASING, default="ease")

    def __post_init__(self) -> None:
        if self.position is not None and self.by is not None:
            raise BadValueError("a keyframe has a 'position' in the world or an offset 'by', not both")
        if self.look_at is not None and (self.pan or self.tilt):
            raise BadValueError("a keyframe looks at a target or has 'pan' and 'tilt', not both")


@dataclass(frozen=True, kw_only=True)
class Keyframes(CameraMove):
    """Go through given poses; other moves add to them."""

    kind: ClassVar[str] = "keyframes"
    keys: tuple[CameraKeyframe, ...] = setting(s.keyframes_kind(CameraKeyframe), main=True)


@dataclass(frozen=True, kw_only=True)
class ImportedPath(TimedCameraMove):
    """Follow a camera path from a file (see docs/camera-paths.md), starting at the photo's camera.

    Attributes:
        file: path of the file or folder.
        format: name of its format, or None to tell by its content.
        scale: factor on all distances of the file.
        easing: of the way along the path; linear keeps the file's own timing.
    """

    kind: ClassVar[str] = "path"
    file: str = setting(s.NAME, main=True)
    format: str | None = setting(FORMAT, default=None)
    scale: float = setting(s.FACTOR, default=1.0)
    easing: Easing = setting(s.EASING, default="linear")


CAMERA_MOVES: dict[str, type[CameraMove]] = {
    cls.kind: cls
    for cls in (
        Static, Orbit, Spiral, Crane, Dolly, Truck, Pedestal, Pan, Tilt, Roll, Zoom, DollyZoom, LookAt, Track, Handheld,
        Keyframes, ImportedPath,
    )
}  # fmt: skip
"""Every camera move by its name."""

CAMERA_WORDS: dict[str, type[CameraMove]] = {
    word: cls for cls in CAMERA_MOVES.values() for word in (cls.kind, *cls.words)
}
"""Every camera move by its name and its other names."""


def parse_camera_flag(text: str, *, flag: str = "--camera") -> tuple[CameraMove, ...]:
    """Read moves such as "orbit 30deg around car; dolly in 0.5" (separated by semicolons or commas).

    Raises:
        UserError: a part cannot be read; the message quotes the flag and names the nearest valid word.
    """
    where = f"{flag} '{text}'"
    moves = [camera_move_from_text(part, where) for part in s.parts_of_flag(text, where)]
    return tuple(moves)


def camera_move_from_text(text: str, where: str) -> CameraMove:
    """Read one move such as "orbit 30deg around car frames 10-40 ease-in"."""
    name, body = s.head_word(text)
    return build(cls := camera_move_class(name, where), s.flag_words(cls, body, where))


def camera_move_class(name: str, where: str) -> type[CameraMove]:
    """The move called `name`.

    Raises:
        UserError: there is none; the message names the nearest one.
    """
    with located(where):
        if name.lower() not in CAMERA_WORDS:
            names = ", ".join(CAMERA_MOVES)
            raise BadValueError(f"unknown camera move '{name}'{nearest(name, CAMERA_WORDS)} (moves: {names})")
    return CAMERA_WORDS[name.lower()]
