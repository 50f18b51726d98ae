"""What is measured of an instance that was followed, and why it is dropped."""

import numpy as np
import pytest

from real2sam2real.lab.curate.instances.quality import InstanceQuality, MaskLimits

pytestmark = pytest.mark.fast

FRAMES = 10


def ids_of(squares: list[tuple[int, int, int] | None], number: int = 1) -> np.ndarray:
    """`(T, 40, 60)` ids of squares given by left, top and side."""
    ids = np.zeros((len(squares), 40, 60), np.uint8)
    for at, square in enumerate(squares):
        if square is not None:
            x, y, side = square
            ids[at, y : y + side, x : x + side] = number
    return ids


def reasons(ids: np.ndarray, **shown: object) -> str:
    quality = InstanceQuality.measure(ids, 1, **{"frame": 0, **shown})
    return "; ".join(quality.reasons("dog", MaskLimits()))


def test_one_that_is_seen_throughout_is_kept():
    ids = ids_of([(10 + t, 10, 12) for t in range(FRAMES)])
    quality = InstanceQuality.measure(ids, 1, frame=0, box=(9, 9, 22, 23))
    assert quality.seen == 1
    assert quality.lost == 0
    assert quality.growth == pytest.approx(1)
    assert quality.area == pytest.approx(144 / 2400)
    assert quality.box == pytest.approx(144 / (13 * 14))
    assert quality.reasons("dog", MaskLimits()) == []


def test_one_that_vanishes_in_the_open_is_dropped():
    assert "'dog' is lost from sight in the open, for 50% of the frames" in reasons(
        ids_of([(20, 10, 12)] * 5 + [None] * 5)
    )


def test_one_that_leaves_the_picture_or_goes_behind_another_is_kept():
    leaves = ids_of([(60 - 12 - 0, 10, 12)] * 5 + [None] * 5)
    assert reasons(leaves) == ""
    hidden = ids_of([(20, 10, 12)] * 5 + [None] * 5)
    hidden[:, 5:30, 33:50] = 2
    assert reasons(hidden) == ""


def test_one_that_grows_over_the_scene_is_dropped():
    assert "grows to 10" in reasons(ids_of([(5, 5, 8)] * 4 + [(2, 2, 26)] * 6))


def test_one_that_contradicts_its_box_is_dropped():
    assert "overlap of 0.25 with its box" in reasons(ids_of([(10, 10, 10)] * FRAMES), box=(10, 10, 30, 30))


def test_one_that_was_never_found_is_dropped():
    assert "is seen in 0% of the frames" in reasons(ids_of([None] * FRAMES))
