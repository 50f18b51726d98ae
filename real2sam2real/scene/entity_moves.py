"""Entity moves with names, units and signs; docs/shots.md is their reference.

Positive is right, up, forward and clockwise. The moves are values; `entity_animation` performs them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from real2sam2real.scene import move_syntax as s
from real2sam2real.scene.camera_moves import CLOCKWISE, RIGHT, UP
from real2sam2real.scene.move_syntax import TimedMove, Vocabulary, WrittenKeyframe, WrittenMove, setting
from real2sam2real.scene.relation import GROUND, Relation, RelationWord
from real2sam2real.scene.timing import Easing
from real2sam2real.scene.units import (
    BadValueError,
    Length,
    Point,
    Span,
    located,
    nearest,
    number_text,
    parse_angle,
    parse_factor,
    parse_point,
    point_text,
    split_list,
)

DIRECTIONS = ("forward", "back", "left", "right", "up", "down", "towards", "away")
_SYNONYMS = {"forwards": "forward", "backward": "back", "backwards": "back", "toward": "towards"}
DIRECTION_WORDS = frozenset((*DIRECTIONS, *_SYNONYMS))
_YES = ("yes", "true", "on")
BENDINGS = ("forward", "sideways", "twist")
_HEADINGS = {"away": 0.0, "right": 90.0, "towards": 180.0, "toward": 180.0, "left": -90.0}


@dataclass(frozen=True)
class Steps:
    """A displacement in words, such as "forward 2 m, up 0.5": directions with distances that add up."""

    parts: tuple[tuple[str, Length], ...]

    def __str__(self) -> str:
        return ", ".join(f"{direction} {length}" for direction, length in self.parts)


@dataclass(frozen=True)
class Factors:
    """Scale factors along an object's own x, y and z axes."""

    x: float
    y: float
    z: float

    @classmethod
    def parse(cls, text: str) -> Factors:
        """Read "1.5x", "150%" or three of them: "(1, 2x, 100%)"."""
        parts = split_list(text)
        if len(parts) not in (1, 3):
            raise BadValueError(f"'{text}' has {len(parts)} parts; a scale has one factor, or three for x, y and z")
        values = [parse_factor(part) for part in parts]
        return cls(*(values * 3 if len(values) == 1 else values))

    def __str__(self) -> str:
        if self.x == self.y == self.z:
            return f"{number_text(self.x)}x"
        return f"({', '.join(number_text(value) for value in (self.x, self.y, self.z))})"


@dataclass(frozen=True)
class JointTurn:
    """A joint of an entity's skin and an angle in degrees, such as "left_elbow 40 deg"."""

    joint: str
    angle: float

    def __str__(self) -> str:
        return f"{self.joint} {number_text(self.angle)} deg"


def _parse_displacement(text: str) -> Steps | Point:
    """Read "forward 2 m, up 0.5" or "(1, 0, 2)"."""
    words = " , ".join(split_list(text)).split()
    if not any(word[0].isalpha() and word.lower() in DIRECTION_WORDS for word in words):
        if words and words[0].isalpha():
            raise BadValueError(f"unknown direction '{words[0]}'{nearest(words[0], DIRECTIONS)}")
        return parse_point(text)
    parts: list[tuple[str, list[str]]] = []
    for word in words:
        name = _SYNONYMS.get(word.lower(), word.lower())
        if name in DIRECTIONS:
            parts.append((name, []))
        elif word == ",":
            continue
        elif not parts:
            raise BadValueError(f"'{text}' starts with '{word}'; write a direction first, such as 'forward {word}'")
        else:
            parts[-1][1].append(word)
    return Steps(tuple((name, Length.parse(" ".join(rest))) for name, rest in parts))


def _parse_joint_turn(text: str) -> JointTurn:
    words = text.split()
    number = next((k for k, word in enumerate(words) if not word[0].isalpha()), len(words))
    if not 0 < number < len(words):
        raise BadValueError(f"'{text}' is no joint with an angle; write for example 'left_elbow 40 deg'")
    return JointTurn("_".join(words[:number]).lower(), parse_angle(" ".join(words[number:])))


def _parse_points(text: str) -> tuple[Point, ...]:
    points = tuple(parse_point(part) for part in split_list(text))
    if not points:
        raise BadValueError("the list of points is empty; give at least one, such as '((1, 0, 0), (1, 0, -2))'")
    return points


def _parse_heading(text: str) -> float:
    word = text.strip().lower()
    if word.isalpha() and word not in _HEADINGS:
        raise BadValueError(f"unknown facing '{text}'{nearest(word, _HEADINGS)} (or an angle: 0 deg faces away)")
    return _HEADINGS[word] if word in _HEADINGS else parse_angle(text)


DISPLACEMENT = s.Kind(
    "a displacement", _parse_displacement, lambda by: str(by) if isinstance(by, Steps) else point_text(by)
)
FACTORS = s.Kind("a scale", Factors.parse)
POINTS = s.Kind("a list of points", _parse_points, lambda points: f"({', '.join(map(point_text, points))})")
JOINT_TURN = s.Kind("a joint and an angle", _parse_joint_turn)
BENDING = s.choice("a way to bend", "way", "ways", BENDINGS)
AXES = s.choice("axes", "axes", "axes", ("entity", "camera", "world"))
PIVOT = s.choice("a pivot", "pivot", "pivots", ("footprint", "middle"))
OTHER = s.Kind("the name of an object", s.unquoted)
SUPPORT = s.Kind("the name of an object", s.unquoted, choices=(GROUND,))
NO_OTHER = s.Kind("nothing, or the name of an object", lambda text: "" if text.lower() in _YES else s.unquoted(text))
HEADING = s.Kind("a facing", _parse_heading, lambda degrees: f"{number_text(degrees)} deg")


ENTITY_MOVES: Vocabulary[EntityMove] = Vocabulary("entity move", DIRECTION_WORDS)
"""Every entity move by its words; a direction alone is a `move`."""


class EntityMove(WrittenMove):
    """What all entity moves share."""

    vocabulary = ENTITY_MOVES


class TimedEntityMove(EntityMove, TimedMove):
    """An entity move that takes time."""


class Move(TimedEntityMove, name="move", synonyms=sorted(DIRECTION_WORDS)):
    """Change place: by directions, or by a vector."""

    # directions with distances, or a vector `(x, y, z)`. Percent are of the entity's longest side.
    by: Steps | Point = setting(DISPLACEMENT, main=True, words=("by",))
    # whose left, right and vector axes: "entity", "camera" (the photo's) or "world"; unless given, forward and back are
    # the entity's, left, right, towards and away the camera's, and vectors the world's
    axes: Literal["entity", "camera", "world"] | None = setting(AXES, words=("in",), default=None)


class Turn(TimedEntityMove, name="turn", synonyms=("yaw", "rotate")):
    """Turn about the entity's own up axis; to its right (clockwise seen from above) is positive."""

    angle: float = setting(s.ANGLE, main=True, signs=CLOCKWISE)


class Pitch(TimedEntityMove, name="pitch"):
    """Turn about the entity's own right axis; its front goes up when positive."""

    angle: float = setting(s.ANGLE, main=True, signs=UP)
    pivot: Literal["footprint", "middle"] = setting(PIVOT, words=("about",), default="footprint")


class Tumble(TimedEntityMove, name="tumble", synonyms=("flip",)):
    """Turn head over heels about the entity's own right axis through its middle; forwards is positive."""

    angle: float = setting(s.ANGLE, main=True, signs={"forward": 1, "forwards": 1, "back": -1, "backwards": -1})
    pivot: Literal["footprint", "middle"] = setting(PIVOT, words=("about",), default="middle")


class EntityRoll(TimedEntityMove, name="roll"):
    """Turn about the entity's own forward axis; it leans to its right when positive."""

    angle: float = setting(s.ANGLE, main=True, signs=CLOCKWISE | RIGHT)
    pivot: Literal["footprint", "middle"] = setting(PIVOT, words=("about",), default="footprint")


class Scale(TimedEntityMove, name="scale", synonyms=("grow",)):
    """Grow or shrink; equal times multiply the size by equal factors."""

    factors: Factors = setting(FACTORS, main=True)
    pivot: Literal["footprint", "middle"] = setting(PIVOT, words=("about",), default="footprint")


class Bend(TimedEntityMove, name="bend"):
    """Turn a joint of a person from its pose in the photo on, with all that hangs on it; several add up."""

    turn: JointTurn = setting(JOINT_TURN, main=True)
    # "forward" is how elbows and knees bend, and arms, legs, back and head go forward; "sideways" is away from the
    # body's middle, of back and head to its left; "twist" is about the bone itself
    going: Literal["forward", "sideways", "twist"] = setting(BENDING, default="forward")


class Follow(TimedEntityMove, name="follow", synonyms=("path",)):
    """Travel at the easing's speed along a smooth curve through points."""

    # offsets from the place in the photo, along the world's axes
    points: tuple[Point, ...] = setting(POINTS, main=True)
    # turn with the curve, keeping the angle to it that the entity has at the start
    face: bool = setting(s.YES_NO, default=True)


class EntityKeyframe(WrittenKeyframe, name="keyframe"):
    """Pose at one time; `position` is the footprint's middle, `by` goes along the world's axes.

    Turn, pitch and roll are angles from the pose in the photo, about the entity's own axes, in this order.
    """

    turn: float = setting(s.ANGLE, signs=CLOCKWISE, default=0.0)
    pitch: float = setting(s.ANGLE, signs=UP, default=0.0)
    roll: float = setting(s.ANGLE, signs=CLOCKWISE, default=0.0)
    scale: Factors = setting(FACTORS, default=Factors(1.0, 1.0, 1.0))  # factors on the size in the photo
    easing: Easing = setting(s.EASING, default="ease")


class EntityKeyframes(EntityMove, name="keyframes"):
    """Go through given poses; other moves add to them."""

    keys: tuple[EntityKeyframe, ...] = setting(s.keyframes_kind(EntityKeyframe), main=True)


class Facing(EntityMove, name="facing", synonyms=("faces",)):
    """Say which way the entity's front points in the photo; nothing moves."""

    # degrees clockwise seen from above: 0 away from the camera, 90 to the right of the picture
    heading: float = setting(HEADING, main=True)


class StandOn(EntityMove, name="on"):
    """Say that it stands on another entity, or on the ground; it goes where that goes."""

    other: str = setting(SUPPORT, main=True)


class BelongTo(EntityMove, name="with"):
    """Say that it belongs to another entity, in touch with it; it goes where that goes."""

    other: str = setting(OTHER, main=True)


class FloatFree(EntityMove, name="floating", synonyms=("floats",)):
    """Say that it stands on nothing, and goes its own way."""

    other: str = setting(NO_OTHER, main=True, default="")  # what is as far away as it; empty where that is not said


def relation_of(moves: Sequence[EntityMove]) -> Relation | None:
    """What the last of the moves that says so says about where an entity belongs; None where none does."""
    said = [move for move in moves if isinstance(move, StandOn | BelongTo | FloatFree)]
    if not said:
        return None
    words: dict[type, RelationWord] = {StandOn: "on", BelongTo: "with", FloatFree: "floating"}
    return Relation(word=words[type(said[-1])], to=said[-1].other or None)


class Hide(EntityMove, name="hide"):
    """Do not show the entity during the span (both ends included)."""

    span: Span = setting(s.SPAN, main=True, words=s.SPAN_WORDS, default=Span())


class Remove(EntityMove, name="remove"):
    """Take the entity out of the scene; the preview paints its place over."""


class Duplicate(EntityMove, name="duplicate", synonyms=("copy",)):
    """Add a copy of the entity, which rests until the shot moves it under its own name."""

    name: str = setting(s.NAME, main=True)  # of the copy
    by: Steps | Point = setting(DISPLACEMENT, words=("at",))  # where the copy stands, as for `Move`
    axes: Literal["entity", "camera", "world"] | None = setting(AXES, words=("in",), default=None)


def parse_entity_flag(text: str) -> tuple[str, tuple[EntityMove, ...]]:
    """Read an entity's name and its moves from `--move`: "car: forward 2 m, turn 25 deg".

    Raises:
        UserError: a part cannot be read; the message quotes the flag and names the nearest valid word.
    """
    where = f"--move '{text}'"
    name, colon, body = text.partition(":")
    name = s.unquoted(name)
    with located(where):
        if not colon or not name:
            raise BadValueError("write the entity's name, a colon and its moves, such as 'car: forward 2, turn 25 deg'")
    return name, ENTITY_MOVES.parse(body, where)
