from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from real2sam2real.lab.synth import HELD_OUT_SEEDS, TRAIN_SEEDS, SynthClip, clip_stream, sample_clip
from real2sam2real.lab.synth.seeds import is_held_out
from real2sam2real.lab.synth.shapes import HELD_OUT_SHAPES, TRAIN_SHAPES


def test_training_and_held_out_worlds_share_no_seed_and_no_shape() -> None:
    assert TRAIN_SEEDS.stop <= HELD_OUT_SEEDS.start
    assert TRAIN_SHAPES.stop <= HELD_OUT_SHAPES.start


def test_clips_take_their_shapes_from_their_own_pool(small_clips: list[SynthClip]) -> None:
    for clip in small_clips:
        pool = HELD_OUT_SHAPES if clip.seed in HELD_OUT_SEEDS else TRAIN_SHAPES
        assert all(entity.provenance["shape"] in pool for entity in clip.scene.entities)


@pytest.mark.parametrize("seed", [-1, HELD_OUT_SEEDS.stop])
def test_a_seed_outside_both_ranges_is_refused(seed: int) -> None:
    with pytest.raises(ValueError, match="neither range"):
        is_held_out(seed)
    with pytest.raises(ValueError, match="neither range"):
        sample_clip(seed, width=32, height=32, frames=1)


def test_a_stream_gives_every_nth_clip() -> None:
    stream = clip_stream(5, step=3, width=32, height=24, frames=2)
    for clip, seed in zip(islice(stream, 3), (5, 8, 11), strict=True):
        assert clip.seed == seed
        assert np.array_equal(clip.video, sample_clip(seed, width=32, height=24, frames=2).video)


def test_a_stream_starts_over_at_the_end_of_the_training_seeds() -> None:
    stream = clip_stream(TRAIN_SEEDS.stop - 1, width=32, height=24, frames=1)
    assert [clip.seed for clip in islice(stream, 2)] == [TRAIN_SEEDS.stop - 1, 0]


@pytest.mark.parametrize(("first", "step"), [(HELD_OUT_SEEDS.start, 1), (-1, 1), (0, 0)])
def test_a_stream_gives_training_clips_only(first: int, step: int) -> None:
    with pytest.raises(ValueError, match="first_seed"):
        next(clip_stream(first, step=step, width=32, height=24, frames=1))
