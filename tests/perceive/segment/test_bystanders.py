"""What else stands in a photo, by the networks of the package, on a photo in the public domain."""

import numpy as np
from skimage import data

from real2sam2real.perceive.segment.bystanders import find_bystanders
from real2sam2real.perceive.segment.nanodet import ScoredBox
from real2sam2real.perceive.segment.things import see_things, words_of


def test_a_thing_is_found_unless_it_is_one_of_the_objects():
    astronaut = data.astronaut()
    things = see_things(astronaut)
    (found,) = find_bystanders(astronaut, things, np.zeros(astronaut.shape[:2], bool))
    assert found.word == "person"
    assert 0.3 < found.mask.mean() < 0.6
    assert found.mask[100, 220]  # her forehead
    assert find_bystanders(astronaut, things, found.mask) == []
    assert words_of({"mask_1": found.mask, "corner": np.eye(512, dtype=bool) & (np.arange(512) < 90)}, things) == {
        "mask_1": "person"
    }


def test_small_photos_have_none():
    assert see_things(np.full((60, 800, 3), 128, np.uint8)) == []


def test_a_thing_lends_its_word_to_the_mask_that_fills_its_box():
    mask, part = np.zeros((100, 100), bool), np.zeros((100, 100), bool)
    mask[10:60, 20:80] = part[10:60, 20:40] = True
    things = [
        ScoredBox(word="car", box=(18, 12, 82, 60), score=0.5),
        ScoredBox(word="truck", box=(20, 10, 80, 62), score=0.4),
        ScoredBox(word="person", box=(0, 0, 100, 100), score=0.9),
    ]
    assert words_of({"a": mask, "b": part}, things) == {"a": "car"}
