"""Lifted cases show the photo's silhouettes at first and the truth's motion after."""

from __future__ import annotations

import numpy as np
import pytest

from real2sam2real.lab.synth import HELD_OUT_SEEDS, sample_clip
from real2sam2real.lab.synth.lifted import lifted_case


@pytest.fixture(scope="module")
def case():
    made = lifted_case(sample_clip(HELD_OUT_SEEDS[1], width=256, height=144, frames=9))
    assert made is not None
    return made


def overlap(first, second):
    return np.count_nonzero(first & second) / max(1, np.count_nonzero(first | second))


def test_first_frame_is_the_photos(case):
    for number in case.numbers:
        assert overlap(case.ids[0] == number, case.clip.ids[0] == number) > 0.9


def test_motion_is_the_truths(case):
    """Each object ends nearer to where it truly ends than to where it began, where it moved at all."""
    assert case.moved()
    for number in case.moved():
        end = case.ids[-1] == number
        assert overlap(end, case.clip.ids[-1] == number) > overlap(end, case.clip.ids[0] == number)


def test_shapes_differ_from_the_truth(case):
    both = (case.ids[0] > 0) & (case.ids[0] == case.clip.ids[0])
    cosine = (case.normals[0][both] * case.clip.normals[0][both]).sum(axis=1)
    assert 0.5 < np.median(cosine) < 1
    assert np.degrees(np.arccos(np.clip(cosine, -1, 1))).mean() > 2


def test_a_clip_without_anything_to_lift():
    clip = sample_clip(HELD_OUT_SEEDS[1], width=16, height=16, frames=5)  # no mask has enough pixels
    assert lifted_case(clip) is None
