import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from real2sam2real.control import PRESETS, NormalConvention
from real2sam2real.control import folder as control_folder
from real2sam2real.errors import UserError

MAX_ERROR_DEGREES = np.degrees(np.arcsin(np.sqrt(3) / 255))  # each channel is off by at most 1/255

# right, up, towards: what each habit paints for a surface that faces right, up, or the camera
BRIGHT = {
    "opengl": ((255, 128, 128), (128, 255, 128), (128, 128, 255)),
    "left-up-towards": ((0, 128, 128), (128, 255, 128), (128, 128, 255)),
    "opencv": ((255, 128, 128), (128, 0, 128), (128, 128, 0)),
}

axes = st.permutations([("right", "left"), ("up", "down"), ("towards", "away")])
conventions = st.builds(
    lambda order, signs, background, rounding: NormalConvention(
        directions=tuple(pair[sign] for pair, sign in zip(order, signs, strict=True)),
        background=background,
        rounding=rounding,
    ),
    axes,
    st.tuples(*[st.integers(0, 1)] * 3),
    st.tuples(*[st.integers(0, 255)] * 3),
    st.sampled_from(["nearest", "down"]),
)


def unit_normals(*shape, seed=0):
    normals = np.random.default_rng(seed).normal(size=(*shape, 3))
    return (normals / np.linalg.norm(normals, axis=-1, keepdims=True)).astype(np.float32)


def degrees_between(a, b):
    a, b = a.astype(np.float64), b.astype(np.float64)
    return np.degrees(np.arctan2(np.linalg.norm(np.cross(a, b), axis=-1), (a * b).sum(axis=-1)))


def slow_encode(convention, normal, instance):
    """The definition, one pixel at a time."""
    if instance == 0:
        return convention.background
    value = {"right": 0, "left": 0, "up": 1, "down": 1, "towards": 2, "away": 2}
    color = []
    for direction in convention.directions:
        sign = 1 if direction in ("right", "up", "towards") else -1
        level = (sign * float(normal[value[direction]]) + 1) / 2 * 255
        color.append(int(np.floor(level + 0.5)) if convention.rounding == "nearest" else int(np.floor(level)))
    return tuple(np.clip(color, 0, 255))


@pytest.mark.parametrize("name", BRIGHT)
def test_presets_paint_the_axes_as_their_estimators_do(name):
    painted = PRESETS[name].encode(np.eye(3, dtype=np.float32)[None], np.ones((1, 3), np.uint8))
    np.testing.assert_array_equal(painted[0], BRIGHT[name])


def test_estimators_have_their_habits():
    for name in ("NormalCrafter", "marigold", "moge-2"):
        assert NormalConvention.preset(name) == NormalConvention.preset("opengl") == NormalConvention()
    for name in ("dsine", "StableNormal"):
        assert NormalConvention.preset(name) == NormalConvention.preset("left-up-towards")
    with pytest.raises(UserError, match="opengl"):
        NormalConvention.preset("directx-ish")


@settings(max_examples=40, deadline=None)
@given(conventions, st.lists(st.integers(1, 4), min_size=0, max_size=3), st.integers(0, 99))
def test_encoding_is_its_definition_in_any_batch_shape_and_comes_back_within_the_bound(convention, batch, seed):
    normals = unit_normals(*batch, 5, 7, seed=seed)
    ids = np.random.default_rng(seed).integers(0, 3, normals.shape[:-1], np.uint8)
    colors = convention.encode(normals, ids)
    assert colors.shape == normals.shape
    for index in np.ndindex(ids.shape):
        # float32 arithmetic may fall on the other side of a step that the slow reference's float64 just misses
        assert np.abs(colors[index].astype(int) - slow_encode(convention, normals[index], ids[index])).max() <= 1
    back = convention.decode(colors, ids)
    assert back.dtype == np.float32
    assert not back[ids == 0].any()
    inside = ids > 0
    np.testing.assert_allclose(np.linalg.norm(back[inside], axis=-1), 1, atol=1e-6)
    assert degrees_between(back[inside], normals[inside]).max(initial=0) < MAX_ERROR_DEGREES


def test_the_error_bound_is_tight():
    normals = unit_normals(400, 500)
    convention = NormalConvention()
    error = degrees_between(convention.decode(convention.encode(normals)), normals)
    assert 0.9 * MAX_ERROR_DEGREES < error.max() < MAX_ERROR_DEGREES


@settings(max_examples=40, deadline=None)
@given(conventions, conventions)
def test_conversion_keeps_the_normal(source, target):
    normals = unit_normals(9, 11)
    ids = (np.arange(99).reshape(9, 11) % 3).astype(np.uint8)
    converted = control_folder.converted(source.encode(normals, ids), ids, source, target)
    direct = target.encode(normals, ids)
    np.testing.assert_array_equal(converted[ids == 0], direct[ids == 0])
    assert degrees_between(target.decode(converted, ids), normals)[ids > 0].max() < 2.1 * MAX_ERROR_DEGREES


@settings(max_examples=20, deadline=None)
@given(conventions)
def test_json_round_trip(convention):
    assert NormalConvention.from_dict(json.loads(json.dumps(convention.to_dict()))) == convention


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"directions": ["right", "up", "towards"], "background": [0, 0, 0]},
        {"directions": ["right", "up", "right"], "background": [0, 0, 0], "rounding": "nearest"},
        {"directions": ["right", "up", "north"], "background": [0, 0, 0], "rounding": "nearest"},
        {"directions": ["right", "up", "towards"], "background": [0, 0, 256], "rounding": "nearest"},
        {"directions": ["right", "up", "towards"], "background": None, "rounding": "nearest"},
        {"directions": ["right", "up", "towards"], "background": [0, 0, 0], "rounding": "sideways"},
        {"directions": ["right", "up", "towards"], "background": [0, 0, 0], "rounding": "down", "gamma": 2},
        [],
    ],
)
def test_a_bad_description_is_refused(values):
    with pytest.raises(UserError, match="normal convention"):
        NormalConvention.from_dict(values)


def test_ids_decide_what_is_background_and_without_them_the_values_do():
    normals = unit_normals(4, 6)
    normals[0] = 0
    ids = np.ones((4, 6), np.uint8)
    ids[0] = 0
    convention = NormalConvention(background=(1, 2, 3))
    colors = convention.encode(normals, ids)
    assert (colors[0] == (1, 2, 3)).all()
    np.testing.assert_array_equal(convention.encode(normals), colors)
    np.testing.assert_array_equal(convention.decode(colors), convention.decode(colors, ids))
    np.testing.assert_array_equal(convention.foreground(colors), ids > 0)


def test_bad_arrays_are_refused():
    convention = NormalConvention()
    broken = unit_normals(3, 3)
    broken[1, 1, 0] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        convention.encode(broken, np.ones((3, 3), np.uint8))
    hidden = np.ones((3, 3), np.uint8)
    hidden[1, 1] = 0  # outside an instance nobody looks at the normal
    convention.encode(broken, hidden)
    with pytest.raises(ValueError, match="ids"):
        convention.encode(unit_normals(3, 3), np.ones((3, 4), np.uint8))
    with pytest.raises(ValueError, match="uint8"):
        convention.decode(unit_normals(3, 3))
    with pytest.raises(ValueError, match="expected"):
        convention.encode(np.zeros((3, 2), np.float32))


def test_no_pixels_are_no_problem():
    convention = NormalConvention()
    assert convention.encode(np.zeros((0, 4, 5, 3), np.float32)).shape == (0, 4, 5, 3)
    assert convention.decode(np.zeros((2, 0, 5, 3), np.uint8)).shape == (2, 0, 5, 3)
