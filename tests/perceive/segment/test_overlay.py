from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from real2sam2real.errors import UserError
from real2sam2real.perceive.masks import load_masks
from real2sam2real.perceive.segment.overlay import draw_overlay, draw_rulers, mask_color, write_masks

Block = Callable[[int, int, int, int], np.ndarray]


def test_written_masks_are_read_back(tmp_path: Path, block_mask: Block, wide_photo: np.ndarray) -> None:
    masks = {"car": block_mask(10, 10, 50, 60), "potted plant": block_mask(55, 70, 80, 120)}
    folder = tmp_path / "cut"
    write_masks(folder, masks, wide_photo)
    assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png")) == [
        "masks.png",
        "masks/car.png",
        "masks/potted plant.png",
    ]
    back = load_masks(folder / "masks", 140, 90)
    assert all(np.array_equal(back[name], mask) for name, mask in masks.items())
    write_masks(folder, {"dog": masks["car"]}, wide_photo)
    assert [path.name for path in (folder / "masks").iterdir()] == ["dog.png"]


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path, block_mask: Block, wide_photo: np.ndarray) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"mine")
    with pytest.raises(UserError, match=r"holiday\.jpg"):
        write_masks(tmp_path, {"car": block_mask(10, 10, 50, 60)}, wide_photo)
    with pytest.raises(UserError, match="is a file"):
        write_masks(tmp_path / "holiday.jpg", {}, wide_photo)
    assert [path.name for path in tmp_path.iterdir()] == ["holiday.jpg"]


def test_a_failure_leaves_nothing(
    tmp_path: Path, block_mask: Block, wide_photo: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_masks(tmp_path / "cut", {"car": block_mask(10, 10, 50, 60)}, wide_photo)

    def fail(*_: object) -> np.ndarray:
        raise RuntimeError("no room")

    monkeypatch.setattr("real2sam2real.perceive.segment.overlay.draw_overlay", fail)
    for folder in (tmp_path / "cut", tmp_path / "new"):
        with pytest.raises(RuntimeError):
            write_masks(folder, {"dog": block_mask(10, 10, 50, 60)}, wide_photo)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["car.png", "cut", "masks", "masks.png"]


def test_masks_are_tinted_outlined_and_labelled() -> None:
    photo = np.full((300, 400, 3), 120, np.uint8)
    mask = np.zeros((300, 400), bool)
    mask[60:280, 100:300] = True
    before = photo.copy()
    picture = draw_overlay(photo, {"car": mask})
    color = np.array(mask_color(0))
    assert np.array_equal(photo, before)
    assert picture.shape == photo.shape
    assert np.array_equal(picture[279, 200], color)  # the outline, just inside
    assert not np.array_equal(picture[282, 200], color)
    np.testing.assert_allclose(picture[250, 200], 0.55 * 120 + 0.45 * color, atol=1)
    letters = (picture[60:110, 100:300] > 170).all(axis=2)
    assert 10 < letters.sum() < 400


def test_labels_stand_clear_of_each_other_and_inside_the_picture() -> None:
    photo = np.full((300, 400, 3), 120, np.uint8)
    masks = {}
    for k in range(4):
        mask = np.zeros((300, 400), bool)
        mask[100 : 200 + k, 380 + k : 400] = True  # at the edge, all in one place
        masks[f"a_long_name_{k}"] = mask
    boxes = (draw_overlay(photo, masks) == 16).all(axis=2)  # the labels' ground
    rows = boxes.any(axis=1).astype(int)
    assert (np.diff(np.concatenate([[0], rows, [0]])) == 1).sum() == 4
    assert boxes.any(axis=0).sum() > 60


def test_an_empty_mask_and_no_mask_are_drawn_as_nothing(wide_photo: np.ndarray) -> None:
    nothing = draw_overlay(wide_photo, {})
    assert np.array_equal(draw_overlay(wide_photo, {"gone": np.zeros((90, 140), bool)}), nothing)


def test_colors_are_told_apart() -> None:
    colors = np.array([mask_color(k) for k in range(10)], float)
    distances = np.linalg.norm(colors[:, None] - colors[None], axis=2) + 1e9 * np.eye(10)
    assert distances.min() > 60


def test_rulers_count_in_pixels_of_the_photos_file() -> None:
    picture = np.full((300, 400, 3), 100, np.uint8)
    for shrink, step in ((1.0, 50), (0.4, 200)):
        ruled = draw_rulers(picture, shrink)
        assert ruled.shape == picture.shape
        lines = np.flatnonzero((ruled[230, 30:] != 100).any(axis=1)) + 30  # below the upper ruler, the grid alone
        assert lines.tolist() == [x for x in range(0, 400, round(step * shrink)) if x >= 30]
    assert (draw_rulers(picture)[2, 2] < 100).all()
