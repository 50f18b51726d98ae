from collections.abc import Callable

import numpy as np
import pytest

from real2sam2real.errors import UserError
from real2sam2real.perceive.masks import clean_masks
from real2sam2real.perceive.segment.detections import Detection
from real2sam2real.perceive.segment.overlaps import resolve_overlaps

Block = Callable[[int, int, int, int], np.ndarray]


def found(word: str, mask: np.ndarray, score: float = 0.5, *, asked: bool = True) -> Detection:
    return Detection(word=word, mask=mask, score=score, asked=asked)


def assert_disjoint(masks: dict[str, np.ndarray]) -> None:
    assert np.sum(list(masks.values()), axis=0).max() <= 1
    clean_masks(masks)


def test_what_is_in_front_keeps_its_pixels(block_mask: Block) -> None:
    car, post = block_mask(30, 20, 70, 100), block_mask(10, 50, 80, 56)
    masks = resolve_overlaps({"car": car, "post": post}, [])
    assert np.array_equal(masks["post"], post)
    assert np.array_equal(masks["car"], car & ~post)
    assert masks.notes == ["240 pixels of 'car' also belong to smaller masks and are left to those"]
    assert_disjoint(masks)


def test_a_named_thing_within_another_stays_and_is_cut_out(block_mask: Block) -> None:
    car, driver = block_mask(10, 20, 70, 100), block_mask(20, 40, 50, 60)
    for masks in (
        resolve_overlaps({"car": car, "driver": driver}, []),
        resolve_overlaps({}, [found("car", car), found("driver", driver)]),
        resolve_overlaps({"driver": driver}, [found("car", car, asked=False)]),
    ):
        assert np.array_equal(masks["driver"], driver)
        assert np.array_equal(masks["car"], car & ~driver)


def test_a_part_that_nobody_named_goes(block_mask: Block) -> None:
    car, wheel = block_mask(10, 20, 70, 100), block_mask(50, 30, 70, 50)
    masks = resolve_overlaps({"car": car}, [found("object", wheel, asked=False)])
    assert list(masks) == ["car"]
    assert np.array_equal(masks["car"], car)
    assert masks.notes == ["the object at 40,60 is a part of 'car' and is left out"]
    assert list(resolve_overlaps({}, [found("car", car), found("car", wheel)])) == ["car"]


def test_a_group_gives_way_to_its_members(block_mask: Block) -> None:
    group = block_mask(10, 10, 80, 110)
    members = [block_mask(10, x, 80, x + 30) for x in (10, 45, 80)]
    persons = [found("person", mask) for mask in (group, *members)]
    masks = resolve_overlaps({}, persons)
    assert list(masks) == ["person_1", "person_2", "person_3"]
    assert masks.notes[0] == "the person at 60,45 is a group of 3 and is left out; its members stay"
    assert masks.notes[1] == "'person_1' was found as 'person', score 0.50"


def test_the_better_of_two_doubles_stays(block_mask: Block) -> None:
    one, other = block_mask(10, 20, 70, 100), block_mask(11, 20, 70, 101)
    masks = resolve_overlaps({}, [found("van", one, 0.4), found("car", other, 0.8)])
    assert list(masks) == ["car"]
    assert masks.notes[0] == "the van at 60,40 is the same object as the car at 60,40 and is left out"
    asked = [found("truck", one, 0.9, asked=False), found("car", other, 0.4)]
    assert list(resolve_overlaps({}, asked)) == ["car"]
    assert list(resolve_overlaps({"mine": one}, [found("car", other, 0.99)])) == ["mine"]


def test_one_object_under_two_given_names_is_an_error(block_mask: Block) -> None:
    mask = block_mask(10, 20, 70, 100)
    with pytest.raises(UserError, match="'a' and 'b' are the same object"):
        resolve_overlaps({"a": mask, "b": mask}, [])


def test_what_is_almost_hidden_goes_unless_it_was_named(block_mask: Block) -> None:
    hidden = block_mask(20, 20, 60, 80)
    # Each covers less than its own kind's limit, together they cover nearly all.
    fronts = [found("dog", block_mask(10, x, 70, x + 19)) for x in (20, 40, 60)]
    masks = resolve_overlaps({}, [found("car", hidden), *fronts])
    assert list(masks) == ["dog_1", "dog_2", "dog_3"]
    assert masks.notes[-1:] == ["'car' is almost wholly hidden, or tiny, and is left out"]
    assert list(resolve_overlaps({"car": hidden}, fronts)) == ["car", "dog_1", "dog_2", "dog_3"]


def test_slivers_beside_a_cut_are_dropped(block_mask: Block) -> None:
    wide = block_mask(20, 10, 60, 130)
    front = block_mask(20, 20, 60, 80) | block_mask(21, 10, 59, 20)  # a line of 10 pixels stays above and below it
    masks = resolve_overlaps({"front": front, "wide": wide}, [])
    assert np.array_equal(masks["wide"], block_mask(20, 80, 60, 130))


def test_nothing_stays_nothing() -> None:
    assert resolve_overlaps({}, []) == {}
