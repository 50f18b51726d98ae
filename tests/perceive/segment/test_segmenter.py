from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike

from real2sam2real.errors import MissingPartError, UserError
from real2sam2real.perceive.grabcut import mask_from_box, mask_from_points
from real2sam2real.perceive.segment.detections import Detection
from real2sam2real.perceive.segment.options import SegmentOptions
from real2sam2real.perceive.segment.overlaps import MaskRequest, collect_masks
from real2sam2real.perceive.segment.segmenter import OpenedPhoto, Segmenter

Block = Callable[[int, int, int, int], np.ndarray]


class Drawn:
    """A photo whose objects are known: an `OpenedPhoto` without a model."""

    def __init__(self, things: Sequence[Detection], prompted: np.ndarray) -> None:
        self.things, self.prompted = things, prompted
        self.boxes: list[object] = []

    def from_points(
        self, inside: ArrayLike, outside: ArrayLike = (), box_xyxy: Sequence[float] | None = None
    ) -> np.ndarray:
        self.boxes.append(box_xyxy)
        return self.prompted

    def from_box(self, box_xyxy: Sequence[float]) -> np.ndarray:
        self.boxes.append(box_xyxy)
        return self.prompted

    def from_text(self, words: Sequence[str]) -> list[Detection]:
        return [each for each in self.things if each.word in {word.lower() for word in words}]

    def propose(self) -> list[Detection]:
        return [replace(each, asked=False) for each in self.things]


@pytest.fixture
def drawn(block_mask: Block) -> Drawn:
    things = [
        Detection(word="car", mask=block_mask(40, 80, 80, 130), score=0.9),
        Detection(word="car", mask=block_mask(40, 5, 80, 55), score=0.6),
        Detection(word="dog", mask=block_mask(60, 60, 80, 78), score=0.7),
    ]
    return Drawn(things, block_mask(5, 100, 35, 130))


# --- GrabCut behind the same interface


def test_grabcut_cuts_out_as_before(disc_photo: np.ndarray) -> None:
    opened: OpenedPhoto = Segmenter(SegmentOptions(segmenter="grabcut")).open(disc_photo)
    box = (30, 10, 130, 110)
    assert np.array_equal(opened.from_box(box), mask_from_box(disc_photo, box))
    points = [(80, 60)], [(10, 10)]
    assert np.array_equal(opened.from_points(*points), mask_from_points(disc_photo, *points))


def test_grabcut_refuses_words_with_a_remedy(disc_photo: np.ndarray) -> None:
    opened = Segmenter(SegmentOptions(segmenter="grabcut")).open(disc_photo)
    with pytest.raises(UserError, match="cannot find 'disc' by name; choose another segmenter"):
        opened.from_text(["disc"])
    with pytest.raises(UserError, match="cannot propose objects; choose another segmenter"):
        opened.propose()


# --- models, tiny and random


@pytest.fixture(scope="module")
def tiny(tiny_options: SegmentOptions, wide_photo: np.ndarray) -> OpenedPhoto:
    pytest.importorskip("transformers")
    return Segmenter(tiny_options).open(wide_photo)


def test_points_and_boxes_give_masks_of_the_photo(tiny: OpenedPhoto) -> None:
    for mask in (
        tiny.from_points([(20, 30)]),
        tiny.from_points([(20, 30), (25, 30)], [(100, 80)], box_xyxy=(5, 5, 60, 60)),
        tiny.from_box((10, 10, 100, 80)),
    ):
        assert mask.shape == (90, 140)
        assert mask.dtype == bool


def test_words_give_named_finds_in_the_photo(tiny: OpenedPhoto) -> None:
    found = tiny.from_text(["Car", "car ", "potted  plant"])
    assert {each.word for each in found} == {"car", "potted plant"}
    assert all(each.mask.shape == (90, 140) and each.mask.any() and each.asked for each in found)


def test_proposals_are_capped_and_ranked(tiny_options: SegmentOptions, wide_photo: np.ndarray) -> None:
    few = replace(tiny_options, max_objects=2)
    found = Segmenter(few).open(wide_photo).propose()
    assert 1 <= len(found) <= 2
    assert not any(each.asked for each in found)
    prominence = [np.sqrt(each.mask.mean()) * each.score for each in found]
    assert prominence == sorted(prominence, reverse=True)


def test_an_unsure_grid_proposes_nothing_and_says_so(tiny_options: SegmentOptions, wide_photo: np.ndarray) -> None:
    grid = Segmenter(replace(tiny_options, proposals="grid")).open(wide_photo)
    with pytest.raises(UserError, match="nothing stands out"):
        grid.propose()


def test_sam3_finds_words_without_the_other_models(tiny_options: SegmentOptions, wide_photo: np.ndarray) -> None:
    alone = replace(tiny_options, segmenter="sam3", sam2="./not-here", detector="./not-here")
    opened = Segmenter(alone).open(wide_photo)
    assert {each.word for each in opened.from_text(["car", "dog"])} == {"car", "dog"}
    assert opened.propose()
    with pytest.raises(UserError, match=r"there is no folder '\./not-here'"):
        opened.from_box((10, 10, 100, 80))


@pytest.mark.parametrize("model", ["sam2", "sam3"])
def test_a_word_that_is_not_there_says_how_near_it_came(
    tiny_options: SegmentOptions, wide_photo: np.ndarray, model: Any
) -> None:
    opened = Segmenter(replace(tiny_options, segmenter=model, threshold=0.99)).open(wide_photo)
    with pytest.raises(UserError, match=r"no 'dog' was found.*scores 0\.\d\d and the threshold is 0\.99"):
        opened.from_text(["dog"])


def test_each_model_is_loaded_once_and_only_when_needed(tiny_options: SegmentOptions, wide_photo: np.ndarray) -> None:
    segmenter = Segmenter(replace(tiny_options, detector="./not-here"))
    opened = segmenter.open(wide_photo)
    opened.from_box((10, 10, 100, 80))
    assert segmenter.sam2 is segmenter.sam2
    with pytest.raises(UserError, match="not-here"):
        opened.from_text(["car"])


def test_unusable_prompts_say_why(tiny: OpenedPhoto) -> None:
    with pytest.raises(UserError, match="at least once"):
        tiny.from_points([])
    with pytest.raises(UserError, match="outside the photo"):
        tiny.from_points([(200, 20)])
    with pytest.raises(UserError, match="no area"):
        tiny.from_box((50, 50, 20, 80))


def test_weights_that_are_not_there_are_a_missing_part(wide_photo: np.ndarray) -> None:
    pytest.importorskip("transformers")
    opened = Segmenter(SegmentOptions(segmenter="sam2", offline=True, device="cpu")).open(wide_photo)
    with pytest.raises(MissingPartError, match=r"facebook/sam2\.1-hiera-large.*hf download"):
        opened.from_box((10, 10, 100, 80))


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"threshold": 1.5}, "threshold 1.5"),
        ({"overlap": 0}, "overlap 0"),
        ({"max_objects": 0}, "too few"),
        ({"vocabulary": ()}, "empty"),
    ],
)
def test_options_are_checked(wrong: dict[str, Any], reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        SegmentOptions(**wrong)


# --- all ways together


def test_every_way_to_name_an_object_joins_in_one_set(drawn: Drawn, block_mask: Block) -> None:
    request = MaskRequest(masks={"sign": block_mask(5, 5, 30, 20)}, boxes={"lamp": (1, 2, 3, 4)}, words={"car": ""})
    masks = collect_masks(drawn, request)
    assert list(masks) == ["sign", "lamp", "car_1", "car_2"]
    assert np.array_equal(masks["car_1"], drawn.things[1].mask)
    assert "'car_1' was found as 'car', score 0.60" in masks.notes


def test_words_can_be_given_a_name(drawn: Drawn) -> None:
    assert list(collect_masks(drawn, MaskRequest(words={"Dog": "rex"}))) == ["rex"]
    assert list(collect_masks(drawn, MaskRequest(words={"car": "taxi", "dog": ""}))) == ["taxi_1", "taxi_2", "dog"]


def test_proposals_leave_out_what_was_named(drawn: Drawn) -> None:
    request = MaskRequest(masks={"mine": drawn.things[0].mask}, words={"dog": ""}, propose=True)
    masks = collect_masks(drawn, request)
    assert list(masks) == ["mine", "dog", "car"]
    assert np.array_equal(masks["car"], drawn.things[1].mask)


def test_a_box_and_points_of_one_name_help_each_other(drawn: Drawn) -> None:
    request = MaskRequest(boxes={"lamp": (1, 2, 30, 40)}, points={"lamp": ([(9, 9)], [])})
    assert list(collect_masks(drawn, request)) == ["lamp"]
    assert drawn.boxes == [(1, 2, 30, 40)]
    with pytest.raises(UserError, match="'lamp' has points and 2 boxes"):
        collect_masks(drawn, replace(request, boxes={"lamp": [(1, 2, 30, 40), (5, 6, 7, 8)]}))


def test_boxes_of_one_name_are_parts_of_one_object_and_progress_is_told(drawn: Drawn, block_mask: Block) -> None:
    parts = iter([block_mask(1, 2, 30, 40), block_mask(50, 20, 80, 40), block_mask(35, 2, 48, 15)])
    drawn.from_box = lambda box_xyxy: drawn.boxes.append(box_xyxy) or next(parts)  # type: ignore[method-assign]
    boxes = {"pair": [(1, 2, 30, 40), (50, 20, 80, 40)], "lamp": (35, 2, 48, 15)}
    said: list[tuple[int, int]] = []
    masks = collect_masks(drawn, MaskRequest(boxes=boxes), lambda done, total: said.append((done, total)))
    assert list(masks) == ["pair", "lamp"]
    assert drawn.boxes == [(1, 2, 30, 40), (50, 20, 80, 40), (35, 2, 48, 15)]
    assert np.array_equal(masks["pair"], block_mask(1, 2, 30, 40) | block_mask(50, 20, 80, 40))
    assert said == [(1, 2), (2, 2)]


def test_a_name_of_a_file_and_a_box_is_an_error(drawn: Drawn, block_mask: Block) -> None:
    request = MaskRequest(masks={"car": block_mask(5, 5, 30, 20)}, boxes={"car": (1, 2, 30, 40)})
    with pytest.raises(UserError, match="two objects are called 'car'"):
        collect_masks(drawn, request)
    with pytest.raises(UserError, match="there is no mask"):
        collect_masks(drawn, MaskRequest())
