"""Pinhole intrinsics: projecting, resizing, cropping."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from real2sam2real.geometry import Intrinsics

lenses = st.builds(
    Intrinsics,
    width=st.integers(1, 4000), height=st.integers(1, 4000), fx=st.floats(1, 1e4), fy=st.floats(1, 1e4),
    cx=st.floats(-100, 4000), cy=st.floats(-100, 4000),
)  # fmt: skip


def points(seed: int, shape=(7,)) -> np.ndarray:
    random = np.random.default_rng(seed)
    return np.concatenate([random.normal(size=(*shape, 2)), -random.uniform(0.1, 50, size=(*shape, 1))], axis=-1)


def test_right_is_right_and_up_is_up():
    lens = Intrinsics(width=100, height=80, fx=50, fy=40, cx=50, cy=40)
    pixel, depth = lens.project([[0, 0, -2], [1, 0, -2], [0, 1, -2]])
    np.testing.assert_allclose(pixel, [[50, 40], [75, 40], [50, 20]])
    np.testing.assert_allclose(depth, 2)


@given(lenses, st.integers(0, 1000), st.sampled_from([(), (3,), (2, 5)]))
@settings(max_examples=50)
def test_unproject_undoes_project(lens, seed, shape):
    camera = points(seed, shape)
    pixel, depth = lens.project(camera)
    assert pixel.shape == (*shape, 2)
    assert depth.shape == shape
    np.testing.assert_allclose(lens.unproject(pixel, depth), camera, atol=1e-7)


@given(lenses, st.integers(1, 2000), st.integers(1, 2000))
@settings(max_examples=50)
def test_resizing_scales_pixels(lens, width, height):
    camera = points(1)
    old, new = lens.project(camera)[0], lens.resized(width, height).project(camera)[0]
    np.testing.assert_allclose(new, old * [width / lens.width, height / lens.height], rtol=1e-9, atol=1e-6)


@given(lenses, st.integers(-50, 50), st.integers(-50, 50))
@settings(max_examples=30)
def test_cropping_shifts_pixels(lens, left, top):
    camera = points(2)
    cropped = lens.cropped(left, top, 10, 20)
    assert (cropped.width, cropped.height) == (10, 20)
    np.testing.assert_allclose(cropped.project(camera)[0], lens.project(camera)[0] - [left, top], atol=1e-6)


@given(st.integers(1, 5000), st.integers(1, 5000), st.floats(1, 175))
@settings(max_examples=50)
def test_field_of_view(width, height, degrees):
    lens = Intrinsics.from_fov(width, height, horizontal_degrees=degrees)
    assert lens.horizontal_fov_degrees == pytest.approx(degrees)
    assert type(lens.fx) is float  # a NumPy number would write itself differently into files
    edge = lens.unproject([width, height / 2], 1.0)
    assert np.degrees(2 * np.arctan(edge[0])) == pytest.approx(degrees)


def test_zooming_doubles_the_distance_from_the_principal_point():
    lens = Intrinsics(width=100, height=80, fx=50, fy=40, cx=48, cy=41)
    camera = points(3)
    centre = np.array([48, 41])
    np.testing.assert_allclose(lens.zoomed(2).project(camera)[0] - centre, 2 * (lens.project(camera)[0] - centre))


def test_behind_the_camera_there_is_no_pixel():
    lens = Intrinsics.from_fov(100, 80, horizontal_degrees=60)
    pixel, depth = lens.project([[0, 0, 1], [0, 0, 0], [0, 0, -1]])
    assert np.isnan(pixel[:2]).all()
    assert np.isfinite(pixel[2]).all()
    np.testing.assert_array_equal(depth, [-1, 0, 1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 0}, "0×80 pixels"), ({"height": -1}, "100×-1"), ({"fx": 0.0}, "fx is 0.0"),
        ({"fy": float("nan")}, "fy is nan"), ({"cx": float("inf")}, "principal point"),
    ],
)  # fmt: skip
def test_what_is_no_camera(change, message):
    with pytest.raises(ValueError, match=message):
        Intrinsics(**{"width": 100, "height": 80, "fx": 50.0, "fy": 50.0, "cx": 50.0, "cy": 40.0, **change})


@pytest.mark.parametrize("degrees", [0, 180, -5, 400])
def test_no_such_field_of_view(degrees):
    with pytest.raises(ValueError, match="outside 0…180"):
        Intrinsics.from_fov(100, 80, horizontal_degrees=degrees)
