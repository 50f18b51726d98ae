from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from real2sam2real.errors import UserError
from real2sam2real.perceive.masks import clean_masks, load_masks

H, W = 120, 160


def save(path: Path, array: np.ndarray, mode: str | None = None) -> Path:
    image = Image.fromarray(array)
    (image.convert(mode) if mode else image).save(path)
    return path


def load_one(path: Path) -> np.ndarray:
    (mask,) = load_masks(path, W, H).values()
    return mask


def rgba(disc: np.ndarray) -> np.ndarray:
    return np.dstack([np.full((H, W, 3), 77, np.uint8), disc.astype(np.uint8) * 255])


ENCODINGS = {
    "8-bit": lambda disc: disc.astype(np.uint8) * 255,
    "zero and one": lambda disc: disc.astype(np.uint8),
    "1-bit": lambda disc: disc,
    "16-bit": lambda disc: disc.astype(np.uint16) * 65535,
    "alpha": rgba,
    "grey as RGB": lambda disc: np.repeat(disc[..., None].astype(np.uint8) * 255, 3, axis=2),
    "coloured": lambda disc: disc[..., None] * np.array([255, 0, 40], np.uint8),
}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_encoding_of_one_mask_is_read(tmp_path: Path, disc: np.ndarray, encoding: str) -> None:
    path = save(tmp_path / "car.png", ENCODINGS[encoding](disc))
    masks = load_masks(path, W, H)
    assert list(masks) == ["car"]
    assert masks["car"].dtype == bool
    assert np.array_equal(masks["car"], disc)


def test_soft_edges_are_cut_at_the_middle(tmp_path: Path, disc: np.ndarray) -> None:
    soft = cv2.GaussianBlur(disc.astype(np.uint8) * 255, (0, 0), 2)
    mask = load_one(save(tmp_path / "m.png", soft))
    assert (mask ^ disc).sum() < 0.02 * disc.sum()


def test_jpeg_noise_is_no_instance(tmp_path: Path, disc: np.ndarray) -> None:
    Image.fromarray(disc.astype(np.uint8) * 255).save(tmp_path / "m.jpg", quality=60)
    assert (load_one(tmp_path / "m.jpg") ^ disc).sum() < 0.02 * disc.sum()


@pytest.mark.parametrize("mode", ["L", "P", "RGB"])
def test_a_label_image_holds_several_instances(tmp_path: Path, mode: str) -> None:
    labels = np.zeros((H, W), np.uint8)
    labels[20:60, 20:60], labels[30:90, 90:150], labels[80:110, 20:70] = 1, 2, 7
    if mode == "RGB":
        array = np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0], *[[0, 0, 0]] * 4, [0, 0, 255]], np.uint8)[labels]
        image = Image.fromarray(array)
    else:
        image = Image.fromarray(labels)
        if mode == "P":
            image = Image.fromarray(labels, "P")
            image.putpalette([10, 10, 10] * 256)
    image.save(tmp_path / "street.png")
    masks = load_masks(tmp_path / "street.png", W, H)
    assert len(masks) == 3
    for value in (1, 2, 7):
        assert any(np.array_equal(mask, labels == value) for mask in masks.values())
    if mode != "RGB":
        assert list(masks) == ["street_1", "street_2", "street_7"]
    assert "3 instances" in masks.notes[0]


def test_the_photo_beside_its_masks_is_no_mask(tmp_path: Path, disc: np.ndarray) -> None:
    photo = save(tmp_path / "photo.png", np.random.default_rng(0).integers(0, 256, (H, W, 3), dtype=np.uint8))
    save(tmp_path / "cup.png", disc.astype(np.uint8) * 255)
    assert set(load_masks(tmp_path, W, H, photo=photo)) == {"cup"}


def test_folders_lists_and_names(tmp_path: Path, disc: np.ndarray) -> None:
    left, right = disc & (np.arange(W) < 80), disc & (np.arange(W) >= 80)
    save(tmp_path / "b.png", left)
    save(tmp_path / "a.png", right)
    (tmp_path / "notes.txt").write_text("not a mask")
    assert list(load_masks(tmp_path, W, H)) == ["a", "b"]
    assert list(load_masks([tmp_path / "b.png", tmp_path / "a.png"], W, H)) == ["b", "a"]
    assert list(load_masks([f"red car={tmp_path / 'b.png'}"], W, H)) == ["red car"]
    (whole,) = load_masks([f"x={tmp_path / 'a.png'}", f"x={tmp_path / 'b.png'}"], W, H).values()
    assert np.array_equal(whole, disc)  # parts of one object
    (tmp_path / "more").mkdir()
    save(tmp_path / "more" / "a.png", left)
    with pytest.raises(UserError, match=r"two masks are called 'a'.*a=FILE a=FILE"):
        load_masks([tmp_path / "a.png", tmp_path / "more" / "a.png"], W, H)


def test_odd_names_become_valid_ones(tmp_path: Path, disc: np.ndarray) -> None:
    masks = load_masks(save(tmp_path / "+car(1).png", disc), W, H)
    assert list(masks) == ["_car_1_"]
    assert "called" in masks.notes[0]


def test_a_mask_of_a_scaled_copy_is_resized(tmp_path: Path, disc: np.ndarray) -> None:
    half = cv2.resize(disc.astype(np.uint8) * 255, (W // 2, H // 2), interpolation=cv2.INTER_NEAREST)
    masks = load_masks(save(tmp_path / "m.png", half), W, H)
    (mask,) = masks.values()
    assert mask.shape == (H, W)
    assert (mask ^ disc).sum() < 0.05 * disc.sum()
    assert "resized" in masks.notes[0]


def test_unusable_masks_say_why(tmp_path: Path, disc: np.ndarray) -> None:
    tiny = np.zeros((H, W), bool)
    tiny[5:10, 5:10] = True
    cases = {
        "empty": (np.zeros((H, W), np.uint8), "is empty"),
        "full": (np.full((H, W), 255, np.uint8), "covers the whole photo"),
        "tiny": (tiny.astype(np.uint8) * 255, "only 25 pixels"),
        "tall": (np.ones((W, H), np.uint8), "turn it as the photo"),
        "wide": (np.ones((H, 2 * W), np.uint8), "draw it on the photo"),
    }
    for name, (array, reason) in cases.items():
        with pytest.raises(UserError, match=reason):
            load_masks(save(tmp_path / f"{name}.png", array), W, H)
    (tmp_path / "nothing").mkdir()
    with pytest.raises(UserError, match="holds no mask"):
        load_masks(tmp_path / "nothing", W, H)
    with pytest.raises(UserError, match="does not exist"):
        load_masks(tmp_path / "absent.png", W, H)
    with pytest.raises(UserError, match="there is no mask"):
        clean_masks({})


def test_parts_are_kept_and_specks_dropped(disc: np.ndarray) -> None:
    mask = disc.copy()
    mask[:, 78:84] = False  # a post in front
    mask[2:4, 2:4] = True  # a speck
    masks = clean_masks({"car": mask})
    expected = mask.copy()
    expected[2:4, 2:4] = False
    assert np.array_equal(masks["car"], expected)
    assert "1 specks" in masks.notes[0]
    assert "2 parts" in masks.notes[1]


def test_contested_pixels_go_to_the_smaller_mask(disc: np.ndarray) -> None:
    rider = np.zeros((H, W), bool)
    rider[40:70, 70:90] = True
    masks = clean_masks({"bike": disc, "rider": rider})
    assert np.array_equal(masks["rider"], rider)
    assert np.array_equal(masks["bike"], disc & ~rider)
    assert "smaller" in masks.notes[0]
    with pytest.raises(UserError, match="wholly under"):
        clean_masks({"one": disc, "two": disc})


def test_the_real_masks_are_read(shared_data: Path) -> None:
    masks = load_masks(sorted((shared_data / "street").glob("mask_*.png")), 1280, 720)
    assert len(masks) == 10
    assert np.sum(list(masks.values()), axis=0).max() == 1
