"""What else stands in a photo, by the networks of the package, on a photo in the public domain."""

import numpy as np
from skimage import data

from real2sam2real.perceive.segment.bystanders import find_bystanders


def test_a_thing_is_found_unless_it_is_one_of_the_objects():
    astronaut = data.astronaut()
    (found,) = find_bystanders(astronaut, np.zeros(astronaut.shape[:2], bool))
    assert found.word == "person"
    assert 0.3 < found.mask.mean() < 0.6
    assert found.mask[100, 220]  # her forehead
    assert find_bystanders(astronaut, found.mask) == []


def test_an_empty_picture_has_none():
    assert find_bystanders(np.full((60, 80, 3), 128, np.uint8), np.zeros((60, 80), bool)) == []
