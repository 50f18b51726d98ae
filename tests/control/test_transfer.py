import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from real2sam2real import media
from real2sam2real.control import fit_photo, read_control, transfer_control, write_control
from real2sam2real.control.transfer import place_photo
from real2sam2real.errors import UserError


@pytest.fixture
def folder(tmp_path, scene, frames):
    write_control(tmp_path / "control", frames, photo=scene.photo, prompt="cubes", fps=16, names=scene.names)
    return tmp_path / "control"


def test_the_motion_is_kept_and_the_photo_replaced(folder, tmp_path):
    other = np.full((90, 160, 3), (10, 200, 30), np.uint8)
    media.write_png(tmp_path / "other.png", other)
    transfer_control(folder, tmp_path / "other.png", tmp_path / "out", prompt="a meadow")
    before, after = read_control(folder), read_control(tmp_path / "out")
    np.testing.assert_array_equal(after.normals, before.normals)
    np.testing.assert_array_equal(after.ids, before.ids)
    assert (after.photo == (10, 200, 30)).all()
    assert (after.prompt, after.names, after.fps) == ("a meadow", before.names, before.fps)
    assert "160×90" in after.notes[-1]


def test_the_caption_is_kept_unless_replaced(folder, tmp_path):
    assert transfer_control(folder, np.zeros((36, 64, 3), np.uint8), tmp_path / "out").prompt == "cubes"


def test_the_source_is_not_overwritten(folder):
    with pytest.raises(UserError, match="another folder"):
        transfer_control(folder, np.zeros((36, 64, 3), np.uint8), folder)


@settings(max_examples=60, deadline=None)
@given(*[st.integers(1, 300)] * 4, st.sampled_from(["crop", "letterbox"]))
def test_a_photo_is_never_stretched_and_always_fits(photo_width, photo_height, width, height, fit):
    placement = place_photo((photo_width, photo_height), (width, height), fit)
    across, down = placement.scale * photo_width, placement.scale * photo_height
    if fit == "crop":
        assert across > width - 1e-6
        assert down > height - 1e-6
    else:
        assert across < width + 1e-6
        assert down < height + 1e-6
    assert min(abs(across - width), abs(down - height)) < 1e-6
    assert placement.left == pytest.approx((width - across) / 2)
    pixels, _ = fit_photo(np.full((photo_height, photo_width, 3), 77, np.uint8), (width, height), fit)
    assert pixels.shape == (height, width, 3)
    assert np.abs(pixels.astype(int) - 77).max() <= 1


def test_cropping_cuts_both_sides_alike_and_letterboxing_shows_all():
    photo = np.zeros((40, 120, 3), np.uint8)
    photo[:, 40:80] = 255
    cropped, placement = fit_photo(photo, (40, 40), "crop")
    assert (cropped == 255).all()
    assert "67% of its width" in placement.note
    boxed, placement = fit_photo(photo, (120, 120), "letterbox")
    np.testing.assert_array_equal(boxed[40:80], photo)
    assert "top and bottom" in placement.note
    with pytest.raises(UserError, match="letterbox"):
        fit_photo(photo, (40, 40), "squeeze")
