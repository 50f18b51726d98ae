"""Shots as JSON values: every move of both vocabularies goes there and back, and mistakes name the move."""

import json
from dataclasses import MISSING, fields
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from real2sam2real.errors import UserError
from real2sam2real.scene import camera_moves as cm
from real2sam2real.scene import entity_moves as em
from real2sam2real.scene import move_syntax as ms
from real2sam2real.scene.paths import FORMATS
from real2sam2real.scene.shot import Shot, parse_shot, shot_from_data
from real2sam2real.scene.timing import EASINGS, BezierEasing
from real2sam2real.scene.units import BadValueError, Length, Span, Time

numbers = st.floats(-1e6, 1e6, allow_nan=False).map(lambda x: x + 0.0)
factors = st.floats(1e-3, 1e3)
names = st.text("carmn 0_-.é'(),;:#[]{}\"&*!|>%@", min_size=1, max_size=8).map(str.strip).filter(bool)
# A name that looks like a number, a point, a list or an easing, or that stands in quotes, is read as such.
plain_names = st.from_regex(r"\A[a-z][a-z_]{0,6}( [a-z]{1,4})?\Z").filter(
    lambda name: name not in ("yes", "true", "on")
)
lengths = st.builds(Length, numbers, st.sampled_from(["units", "m", "%"]))
points = st.tuples(lengths, lengths, lengths)
times = st.builds(Time, st.floats(0, 1e4), st.sampled_from(["frames", "s", "%"]))
sides = st.none() | times
unit = st.floats(0, 1)
easings = st.sampled_from(EASINGS) | st.builds(BezierEasing, unit, st.floats(-10, 10), unit, st.floats(-10, 10))


def ordered(span: Span) -> bool:
    start, end = span.start, span.end
    return start is None or end is None or start.unit != end.unit or start.value <= end.value


def some(each: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(each, min_size=1, max_size=3).map(tuple)


def value_of(kind: ms.Kind[Any]) -> st.SearchStrategy[Any]:
    """Values of a kind of setting."""
    known = {
        ms.ANGLE: numbers, ms.LENGTH: lengths, ms.FACTOR: factors, ms.HERTZ: factors, ms.INTEGER: st.integers(0, 10**6),
        ms.TIME: times, ms.SPAN: st.builds(Span, sides, sides).filter(ordered), ms.EASING: easings,
        ms.TARGET: plain_names | points, ms.POINT: points, ms.NAME: plain_names, ms.YES_NO: st.booleans(),
        cm.ZOOM: st.builds(cm.FocalLength, st.floats(1, 170), st.sampled_from(["x", "mm", "deg"])),
        cm.FORMAT: st.sampled_from(list(FORMATS)), em.HEADING: numbers, em.POINTS: some(points),
        em.DISPLACEMENT: points | some(st.tuples(st.sampled_from(em.DIRECTIONS), lengths)).map(em.Steps),
        em.FACTORS: st.builds(em.Factors, factors, factors, factors), em.OTHER: plain_names, em.SUPPORT: plain_names,
        em.NO_OTHER: st.just("") | plain_names,
        em.JOINT_TURN: st.builds(em.JointTurn, st.from_regex(r"\A[a-z]{1,4}(_[a-z]{1,4})?\Z"), numbers),
        em.BENDING: st.sampled_from(em.BENDINGS), em.AXES: st.sampled_from(["entity", "camera", "world"]),
        em.PIVOT: st.sampled_from(["footprint", "middle"]),
    }  # fmt: skip
    return known[kind]


def moves_of(cls: type[ms.WrittenMove]) -> st.SearchStrategy[Any]:
    """Moves of a class with any values, each setting given or left out."""
    values = {}
    for field in fields(cls):
        if field.name == "where":
            continue
        item = ms.settings_of(cls)[field.name]
        if item.kind.nested:
            keys = cm.CameraKeyframe if cls is cm.CameraKeyframes else em.EntityKeyframe
            given_ = some(moves_of(keys))
        else:
            given_ = value_of(item.kind)
        values[field.name] = given_ if field.default is MISSING else st.just(field.default) | given_
    return st.fixed_dictionaries(values).map(lambda found: made(cls, found)).filter(lambda move: move is not None)


def made(cls: type[ms.WrittenMove], values: dict[str, Any]) -> Any:
    try:
        return cls(**values)
    except BadValueError:  # a keyframe with both 'position' and 'by'
        return None


CLASSES = [*cm.CAMERA_MOVES.names.values(), *em.ENTITY_MOVES.names.values()]


@pytest.mark.parametrize("cls", CLASSES, ids=[f"{cls.vocabulary.what} {cls.kind}" for cls in CLASSES])
@given(data=st.data())
@settings(max_examples=12)
def test_every_move_survives_as_data_and_as_yaml(cls, data):
    moves = tuple(data.draw(st.lists(moves_of(cls), min_size=1, max_size=2)))
    shot = Shot(camera=moves) if issubclass(cls, cm.CameraMove) else Shot(entities={data.draw(names): moves})
    told = json.loads(json.dumps(shot.to_data()))
    again = shot_from_data(told)
    assert again.entities == shot.entities
    assert [absolute(move) for move in again.camera or ()] == [absolute(move) for move in shot.camera or ()]
    assert shot_from_data(again.to_data()) == again == parse_shot(again.to_yaml())


def absolute(move: Any) -> Any:
    """A path in a shot is relative to a folder, here the empty one."""
    return (move.kind, move.file.strip("/"), move.span, move.easing) if isinstance(move, cm.ImportedPath) else move


@given(
    frames=st.integers(0, 100).map(lambda k: 4 * k + 1) | st.none(),
    fps=st.floats(0.01, 1000) | st.none(),
    prompt=st.text(max_size=30).map(str.strip) | st.none(),
    seed=st.integers(0, 10**9),
)
def test_the_rest_of_a_shot_survives(frames, fps, prompt, seed):
    shot = Shot(frames=frames, fps=fps, prompt=prompt, seed=seed)
    assert shot_from_data(json.loads(json.dumps(shot.to_data()))) == shot


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"camera": ["pan 3", {"orbti": 3}]}, r"camera, move 2 \(orbti\): .*'orbti'; did you mean 'orbit'"),
        ({"camera": [{"keyframes": [{"frame": 3}, {"frame": 4, "pn": 1}]}]}, r"move 1 \(keyframes\), key 2: .*'pn'"),
        ({"entities": {"car": [{"turn": "3 miles"}]}}, r"car, move 1 \(turn\): 'miles' is not a unit of an angle"),
        ({"entities": {"car": 7}}, "car: unknown entity move '7'"),
        ({"entities": [1]}, "entities: expected moves by entity name"),
        ({"frames": 50}, "frames: frames is 50"),
        ({"frames": None}, "frames: 'frames' has no value"),
        ({"fps": float("nan")}, "fps: 'nan' is not a frame rate"),
        ({"cameras": []}, "cameras: 'cameras' is not a key of a shot file; did you mean 'camera'"),
        ([], "the shot: expected a shot file"),
        ({"camera": {"pan": {"angle": 3}}}, "camera: expected a value, found settings"),
        ({"prompt": {"a": 1}}, "prompt: expected a value of 'prompt', found settings"),
    ],
)  # fmt: skip
def test_mistakes_name_the_move(data, message):
    with pytest.raises(UserError, match=message):
        shot_from_data(data)


@given(x1=unit, y1=st.floats(-10, 10), x2=unit, y2=st.floats(-10, 10), f=unit)
def test_a_bezier_easing_is_its_curve(x1, y1, x2, y2, f):
    """A point of the curve by its definition, found by its time."""
    u = f
    point = [3 * (1 - u) ** 2 * u * a + 3 * (1 - u) * u**2 * b + u**3 for a, b in ((x1, x2), (y1, y2))]
    slope = 3 * (1 - u) ** 2 * x1 + 6 * (1 - u) * u * (x2 - x1) + 3 * u**2 * (1 - x2)
    if slope > 1e-3:  # where time stands still, y is not a function of it
        assert BezierEasing(x1, y1, x2, y2).at(point[0]) == pytest.approx(point[1], abs=1e-6)


def test_bezier_easings_of_known_shape():
    f = np.linspace(0, 1, 21)
    from real2sam2real.scene.timing import ease

    np.testing.assert_allclose(ease(f, BezierEasing(1 / 3, 1 / 3, 2 / 3, 2 / 3)), f, atol=1e-12)
    np.testing.assert_allclose(ease(f, BezierEasing(1 / 3, 0, 2 / 3, 1)), ease(f, "ease"), atol=1e-12)
    assert ease(f, BezierEasing(0.3, 0, 0.4, 1.6)).max() > 1.05
    assert ease([-1, 0, 1, 2], BezierEasing(0.3, -3, 0.4, 5)).tolist() == [0, 0, 1, 1]
    with pytest.raises(BadValueError, match=r"stands at time 1.2; times are 0 to 1"):
        BezierEasing(1.2, 0, 0, 1)
    with pytest.raises(BadValueError, match=r"'bezier \(1, 2\)' has 2 numbers"):
        BezierEasing.parse("bezier (1, 2)")


@pytest.mark.parametrize(
    "flag",
    [
        "pan 30 bezier (0.4, 0, 0.2, 1)",
        "pan 30deg bezier(0.4,0,0.2,1) frames 0-40",
        "pan 30 easing bezier (0.4, 0, 0.2, 1)",
    ],
)
def test_a_flag_has_a_bezier_easing(flag):
    (move,) = Shot.from_flags(camera=[f"{flag}; tilt 3"]).camera[:1]
    assert move.easing == BezierEasing(0.4, 0, 0.2, 1)


def test_an_easing_that_overshoots_turns_back(scene):
    over = Shot.from_flags(frames=41, move=["car: up 1 bezier (0.3, 0, 0.4, 1.6)"]).apply(scene).entity("car").motion
    height = over.translation[:, 1] - over.translation[0, 1]
    assert height[-1] == pytest.approx(1)
    assert height.max() > 1.05
    along = Shot.from_flags(frames=41, move=["car: follow ((1, 0, 0), (2, 0, 0)) bezier (0.3, 0, 0.4, 1.6)"])
    path = along.apply(scene).entity("car").motion.translation[:, 0]
    assert path.max() - path[0] > 2.1
    assert path[-1] - path[0] == pytest.approx(2)
    with pytest.raises(UserError, match="the easing overshoots so far that the scale becomes"):
        Shot.from_flags(
            move=["car: keyframes (frame 4 scale 0.1x easing hold; frame 0 easing bezier (0, 9, 1, 9))"]
        ).apply(scene)
