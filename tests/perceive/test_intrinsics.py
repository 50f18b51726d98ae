from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from real2sam2real.errors import UserError
from real2sam2real.perceive.intrinsics import DEFAULT_FOV_DEGREES, estimate_intrinsics, horizon_row
from real2sam2real.perceive.masks import load_masks
from real2sam2real.perceive.photo import Photo, load_photo


def blank(width: int, height: int, focal: float | None = None) -> Photo:
    return Photo(pixels=np.zeros((height, width, 3), np.uint8), focal_px=focal)


def test_the_user_is_believed_first_then_exif_then_a_default() -> None:
    given_fov, note = estimate_intrinsics(blank(640, 480, 700.0), 40.0)
    assert given_fov.horizontal_fov_degrees == pytest.approx(40)
    assert "as given" in note
    exif, note = estimate_intrinsics(blank(640, 480, 700.0))
    assert (exif.fx, exif.cx, exif.cy) == (700.0, 320.0, 240.0)
    assert "EXIF" in note
    default, note = estimate_intrinsics(blank(640, 480))
    assert default.horizontal_fov_degrees == pytest.approx(DEFAULT_FOV_DEGREES)
    assert "assumed" in note


def test_an_upright_photo_is_the_same_lens_turned() -> None:
    wide, _ = estimate_intrinsics(blank(640, 480))
    tall, _ = estimate_intrinsics(blank(480, 640))
    assert tall.fx == wide.fx


@pytest.mark.parametrize("degrees", [0.0, -5.0, 180.0, float("nan")])
def test_an_impossible_field_of_view_is_refused(degrees: float) -> None:
    with pytest.raises(UserError, match="outside"):
        estimate_intrinsics(blank(640, 480), degrees)


@given(horizon=st.floats(-600, 200), slope=st.floats(0.1, 0.8), seed=st.integers(0, 10**6))
def test_the_horizon_is_found_through_an_odd_size(horizon: float, slope: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    bottoms = rng.uniform(300, 700, 9)
    bottoms[:2] = 300, 700
    heights = slope * (bottoms - horizon)
    heights[4] *= 2.5
    found = horizon_row(bottoms, heights, 720)
    assert found is not None
    assert abs(found - horizon) < 0.25 * (500 - horizon)


def test_no_horizon_without_evidence() -> None:
    assert horizon_row([500, 600, 700], [50, 60, 70], 720) is None
    assert horizon_row([500] * 6, [50, 60, 70, 50, 60, 70], 720) is None
    assert horizon_row([400, 500, 600, 700], [90, 80, 70, 60], 720) is None  # growing away from the camera


def test_a_telephoto_street_gets_a_longer_lens(shared_data: Path) -> None:
    street = shared_data / "street"
    photo = load_photo(street / "photo.png")
    masks = load_masks(sorted(street.glob("mask_*.png")), photo.width, photo.height)
    intrinsics, note = estimate_intrinsics(photo, masks=masks)
    assert 20 < intrinsics.horizontal_fov_degrees < 45
    assert "suggests" in note
