from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from real2sam2real.errors import UserError
from real2sam2real.media.pictures import MAX_PIXELS
from real2sam2real.perceive.photo import load_photo

RNG = np.random.default_rng(0)


def pixels(width: int = 64, height: int = 48) -> np.ndarray:
    return RNG.integers(0, 256, (height, width, 3)).astype(np.uint8)


def test_a_plain_photo_comes_back_as_it_is(tmp_path: Path) -> None:
    original = pixels()
    Image.fromarray(original).save(tmp_path / "p.png")
    photo = load_photo(tmp_path / "p.png")
    assert np.array_equal(photo.pixels, original)
    assert photo.focal_px is None
    assert photo.notes == []


@pytest.mark.parametrize(
    ("orientation", "turns"), [(1, 0), (3, 2), (6, 3), (8, 1)], ids=["upright", "half", "right", "left"]
)
def test_exif_rotation_is_applied(tmp_path: Path, orientation: int, turns: int) -> None:
    original = pixels()
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(original).save(tmp_path / "p.png", exif=exif)
    photo = load_photo(tmp_path / "p.png")
    assert np.array_equal(photo.pixels, np.rot90(original, turns))
    assert any("upright" in note for note in photo.notes) == (turns != 0)


def test_cmyk_and_palette_and_grey_become_rgb(tmp_path: Path) -> None:
    flat = np.full((48, 64, 3), (200, 40, 90), np.uint8)
    image = Image.fromarray(flat)
    image.convert("CMYK").save(tmp_path / "cmyk.tif")
    image.convert("P").save(tmp_path / "palette.png")
    image.convert("L").save(tmp_path / "grey.png")
    cmyk, palette, grey = (load_photo(tmp_path / name) for name in ("cmyk.tif", "palette.png", "grey.png"))
    assert np.abs(cmyk.pixels.astype(int) - flat).max() <= 3
    assert np.abs(palette.pixels.astype(int) - flat).max() <= 60  # a web palette has only 216 colours
    assert np.ptp(grey.pixels[0, 0]) == 0
    assert all("RGB" in photo.notes[0] for photo in (cmyk, palette, grey))
    assert "without a profile" in cmyk.notes[1]


def test_sixteen_bit_grey_keeps_its_brightness(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 64).astype(np.uint16)
    Image.fromarray(np.repeat(ramp[None], 48, axis=0)).save(tmp_path / "deep.png")
    photo = load_photo(tmp_path / "deep.png")
    assert np.abs(photo.pixels[0, :, 0].astype(int) - np.linspace(0, 255, 64)).max() <= 1


def test_transparency_is_laid_over_white(tmp_path: Path) -> None:
    rgba = np.zeros((48, 64, 4), np.uint8)
    rgba[:, :32, 3] = 255
    Image.fromarray(rgba).save(tmp_path / "p.png")
    photo = load_photo(tmp_path / "p.png")
    assert photo.pixels[0, 0].tolist() == [0, 0, 0]
    assert photo.pixels[0, 40].tolist() == [255, 255, 255]
    assert "white" in photo.notes[0]


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    Image.fromarray(pixels(400, 300)).save(tmp_path / "whole.jpg")
    whole = (tmp_path / "whole.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "empty.png").write_bytes(b"")
    Image.fromarray(pixels(20, 20)).save(tmp_path / "tiny.png")
    for name, reason in [
        ("cut.jpg", "cut off"),
        ("text.png", "not an image"),
        ("empty.png", "not an image"),
        ("tiny.png", "20×20"),
        ("missing.png", "does not exist"),
        (".", "is a folder"),
    ]:
        with pytest.raises(UserError, match=reason):
            load_photo(tmp_path / name)


def test_a_decompression_bomb_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    side = int(MAX_PIXELS**0.5) + 50
    Image.new("1", (side, side)).save(tmp_path / "bomb.png")
    assert (tmp_path / "bomb.png").stat().st_size < 100_000
    with pytest.raises(UserError, match="megapixels"):
        load_photo(tmp_path / "bomb.png")


def save_with_focal(path: Path, tags: dict[int, object], size: tuple[int, int] = (600, 400)) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769).update(tags)
    Image.fromarray(pixels(*size)).save(path, exif=exif)


def test_focal_length_from_the_35mm_equivalent(tmp_path: Path) -> None:
    save_with_focal(tmp_path / "p.jpg", {0xA405: 36})
    focal = load_photo(tmp_path / "p.jpg").focal_px
    assert focal == pytest.approx(600, rel=1e-6)  # 3:2 like the film: 36 mm of focal length on 36 mm of width


def test_focal_length_from_the_sensor_resolution(tmp_path: Path) -> None:
    # 5 mm of focal length; 600 pixels on 6 mm of sensor are 1000 pixels per centimetre.
    save_with_focal(tmp_path / "p.jpg", {0x920A: 5.0, 0xA20E: 1000.0, 0xA210: 3})
    assert load_photo(tmp_path / "p.jpg").focal_px == pytest.approx(500, rel=1e-4)


@pytest.mark.parametrize("tags", [{0xA405: 0}, {0xA405: 60000}, {0x920A: 5.0}], ids=["zero", "absurd", "no sensor"])
def test_a_useless_focal_length_is_ignored(tmp_path: Path, tags: dict[int, object]) -> None:
    save_with_focal(tmp_path / "p.jpg", tags)
    assert load_photo(tmp_path / "p.jpg").focal_px is None


def test_resizing_takes_the_focal_length_along(tmp_path: Path) -> None:
    save_with_focal(tmp_path / "p.jpg", {0xA405: 36})
    assert load_photo(tmp_path / "p.jpg").resized(300, 200).focal_px == pytest.approx(300)
