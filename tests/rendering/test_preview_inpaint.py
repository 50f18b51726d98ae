import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from real2sam2real.rendering.inpaint import inpaint, prevailing


def stripes(height, width, period=8):
    y, x = np.mgrid[:height, :width]
    value = np.where((x + y) % period < period // 2, 60, 190)
    return np.repeat(value[..., None], 3, axis=-1).astype(np.uint8)


def hole_in_the_middle(height, width, rows, columns):
    hole = np.zeros((height, width), bool)
    top, left = (height - rows) // 2, (width - columns) // 2
    hole[top : top + rows, left : left + columns] = True
    return hole


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 50), st.integers(1, 50), st.floats(0, 1), st.integers(0, 99), st.booleans())
def test_known_pixels_stay_and_the_rest_is_filled_whatever_the_hole(height, width, share, seed, draft):
    generator = np.random.default_rng(seed)
    image = generator.integers(60, 200, (height, width, 3), np.uint8)
    hole = generator.random((height, width)) < share
    image[hole] = 0
    filled = inpaint(image, hole, draft=draft)
    np.testing.assert_array_equal(filled[~hole], image[~hole])
    assert filled.shape == image.shape
    if hole.any():
        assert filled[hole].min() >= 55  # made of the known pixels, or mid-grey; never of what was in the hole


def test_a_regular_texture_goes_on_inside():
    image = stripes(64, 96)
    hole = hole_in_the_middle(64, 96, 20, 30)
    filled = inpaint(np.where(hole[..., None], 0, image).astype(np.uint8), hole)
    assert np.abs(filled.astype(int) - image)[hole].mean() < 8


def test_texture_is_kept_where_a_smooth_fill_would_lose_it():
    generator = np.random.default_rng(0)
    image = np.clip(generator.normal(120, 25, (80, 120, 1)) * np.ones(3), 0, 255).astype(np.uint8)
    hole = hole_in_the_middle(80, 120, 30, 40)
    filled = inpaint(image, hole)
    assert filled[hole].std() > 0.5 * image[~hole].std()
    assert filled[hole].mean() == pytest.approx(image[~hole].mean(), abs=6)


def test_a_bystander_is_not_copied_into_the_hole():
    generator = np.random.default_rng(0)
    image = np.clip(generator.normal(120, 8, (80, 140, 3)), 0, 255).astype(np.uint8)
    image[28:52, 24:36] = (250, 10, 10)
    hole = np.zeros((80, 140), bool)
    hole[20:60, 45:100] = True
    filled = inpaint(image, hole)
    assert not (filled[hole][:, 0].astype(int) - filled[hole][:, 1] > 60).any()


def test_pixels_to_avoid_are_not_copied():
    image = np.full((60, 90, 3), 100, np.uint8)
    image[:, 60:] = (20, 220, 20)
    avoid = np.zeros((60, 90), bool)
    avoid[:, 55:] = True
    hole = np.zeros((60, 90), bool)
    hole[15:45, 35:58] = True
    filled = inpaint(image, hole, avoid=avoid)
    assert (np.abs(filled[hole].astype(int) - 100) <= 3).all()


def test_where_nothing_may_be_copied_the_hole_is_filled_smoothly():
    image = np.full((40, 40, 3), 90, np.uint8)
    hole = hole_in_the_middle(40, 40, 20, 20)
    filled = inpaint(image, hole, avoid=~hole)
    assert (np.abs(filled[hole].astype(int) - 90) <= 2).all()


def test_the_same_hole_is_always_filled_alike():
    image = np.random.default_rng(3).integers(0, 256, (50, 70, 3), np.uint8)
    hole = hole_in_the_middle(50, 70, 22, 30)
    np.testing.assert_array_equal(inpaint(image, hole), inpaint(image, hole))


def test_extremes():
    image = np.zeros((20, 30, 3), np.uint8)
    assert (inpaint(image, np.ones((20, 30), bool)) == 128).all()
    np.testing.assert_array_equal(inpaint(image, np.zeros((20, 30), bool)), image)
    with pytest.raises(ValueError, match="hole"):
        inpaint(image, np.zeros((20, 31), bool))
    with pytest.raises(ValueError, match="avoid"):
        inpaint(image, np.zeros((20, 30), bool), avoid=np.zeros((2, 3), bool))


def test_what_prevails_ignores_small_outliers():
    values = np.full((80, 80, 3), 100, np.float32)
    values[30:44, 30:44] = 250
    common = prevailing(values, np.zeros((80, 80), bool), reach=0.2)
    assert np.abs(common - 100).max() < 12
