import numpy as np
import pytest

from real2sam2real.errors import UserError
from real2sam2real.perceive.grabcut import mask_from_box, mask_from_points


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


def test_a_box_finds_the_object(disc_photo: np.ndarray, disc: np.ndarray) -> None:
    assert iou(mask_from_box(disc_photo, (30, 10, 130, 110)), disc) > 0.97


def test_a_box_may_reach_beyond_the_photo(disc_photo: np.ndarray, disc: np.ndarray) -> None:
    assert iou(mask_from_box(disc_photo, (30, -50, 130, 500)), disc) > 0.95


def test_points_find_the_object_and_leave_the_other_out(disc_photo: np.ndarray, disc: np.ndarray) -> None:
    assert iou(mask_from_points(disc_photo, [(80, 60)], [(10, 10), (150, 110)]), disc) > 0.95
    photo = np.concatenate([disc_photo, disc_photo], axis=1)
    mask = mask_from_points(photo, [(80, 60)], [(240, 60)])
    assert iou(mask[:, :160], disc) > 0.95
    assert not mask[:, 165:].any()


def test_the_same_box_gives_the_same_mask(disc_photo: np.ndarray) -> None:
    first, second = (mask_from_box(disc_photo, (30, 10, 130, 110)) for _ in range(2))
    assert np.array_equal(first, second)


def test_a_large_photo_is_cut_at_a_working_size(disc_photo: np.ndarray, disc: np.ndarray) -> None:
    factor = 12
    large = disc_photo.repeat(factor, axis=0).repeat(factor, axis=1)
    mask = mask_from_box(large, (30 * factor, 10 * factor, 130 * factor, 110 * factor))
    assert mask.shape == large.shape[:2]
    assert iou(mask[::factor, ::factor], disc) > 0.95


@pytest.mark.parametrize(
    ("box", "reason"),
    [
        ((500, 10, 600, 50), "outside the photo"),
        ((80, 60, 30, 110), "no area"),
        ((10, 10, 13, 13), "only 3×3"),
        ((0, 0, 160, 120), "whole photo"),
        ((0, 0, float("nan"), 3), "left, top, right, bottom"),
        ((1, 2, 3), "left, top, right, bottom"),
    ],
)
def test_unusable_boxes_say_why(disc_photo: np.ndarray, box: tuple[float, ...], reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        mask_from_box(disc_photo, box)


def test_unusable_points_say_why(disc_photo: np.ndarray) -> None:
    with pytest.raises(UserError, match="at least once"):
        mask_from_points(disc_photo, [], [(3, 3)])
    with pytest.raises(UserError, match="200,20"):
        mask_from_points(disc_photo, [(200, 20)])


def test_a_flat_photo_has_no_object_to_find() -> None:
    flat = np.full((120, 160, 3), 90, np.uint8)
    with pytest.raises(UserError, match=r"no object|cannot be told"):
        mask_from_box(flat, (30, 10, 130, 110))
