from collections.abc import Callable

import numpy as np
import pytest

from real2sam2real.perceive.segment.detections import (
    Detection,
    box_of,
    box_overlaps,
    mask_iou,
    name_detections,
    suppress_overlapping,
)

Block = Callable[[int, int, int, int], np.ndarray]


def test_the_weaker_of_two_overlapping_boxes_goes() -> None:
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [20, 0, 30, 10], [0, 0, 10, 9]], np.float64)
    scores = np.array([0.5, 0.9, 0.2, 0.4])
    assert suppress_overlapping(boxes, scores, 0.7) == [1, 2]  # the first overlaps the best by 9/11, the last by 0.74
    assert suppress_overlapping(boxes, scores, 0.8) == [1, 3, 2]
    assert suppress_overlapping(boxes, scores, 1.0) == [1, 0, 3, 2]
    assert suppress_overlapping(boxes[:0], scores[:0], 0.7) == []


def test_suppression_is_what_a_slow_search_gives() -> None:
    rng = np.random.default_rng(2)
    for _ in range(20):
        corners = rng.uniform(0, 50, (30, 2))
        boxes = np.concatenate([corners, corners + rng.uniform(5, 40, (30, 2))], axis=1)
        scores = rng.permutation(30) / 30
        slow: list[int] = []
        for k in sorted(range(30), key=lambda k: -scores[k]):
            if all(box_overlaps(boxes[k], boxes[[j]])[0] <= 0.4 for j in slow):
                slow.append(k)
        assert suppress_overlapping(boxes, scores, 0.4) == slow


def test_overlaps_of_boxes_are_those_of_their_pixels(block_mask: Block) -> None:
    one, other = block_mask(10, 20, 50, 60), block_mask(30, 40, 80, 100)
    boxes = [np.array(box_of(mask), np.float64) for mask in (one, other)]
    assert box_of(one) == (20, 10, 60, 50)
    assert box_overlaps(boxes[0], boxes[1][None])[0] == pytest.approx(mask_iou(one, other))
    assert mask_iou(one & False, other & False) == 0


def test_names_run_from_left_to_right(block_mask: Block) -> None:
    right, left, middle = (block_mask(10, x, 40, x + 20) for x in (100, 5, 50))
    found = [Detection(word="car", mask=mask, score=0.5) for mask in (right, left, middle)]
    found.append(Detection(word="potted plant", mask=left, score=0.9))
    named = name_detections(found)
    assert list(named) == ["car_1", "car_2", "car_3", "potted_plant"]
    assert [named[f"car_{k}"].mask is mask for k, mask in ((1, left), (2, middle), (3, right))] == [True] * 3


def test_names_in_use_are_left_alone(block_mask: Block) -> None:
    mask = block_mask(0, 0, 20, 20)
    one = [Detection(word="car", mask=mask, score=0.5)]
    assert list(name_detections(one, taken={"car"})) == ["car_1"]
    assert list(name_detections(one * 2, taken={"car_1", "car_2"})) == ["car_3", "car_4"]
    assert list(name_detections(one, names={"car": "hero"})) == ["hero"]
    assert list(name_detections(one * 2, names={"car": "hero"})) == ["hero_1", "hero_2"]


@pytest.mark.parametrize(
    ("word", "name"), [("red  car", "red__car"), ("man's hat", "man_s_hat"), ("_?", "object"), ("año", "año")]
)
def test_names_suit_a_scene_and_a_shot(word: str, name: str, block_mask: Block) -> None:
    assert list(name_detections([Detection(word=word, mask=block_mask(0, 0, 9, 9), score=1.0)])) == [name]
