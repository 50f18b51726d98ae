from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from real2sam2real.perceive.segment.grid import GridLimits, border_shares, grid_prompts, propose_by_grid, select
from real2sam2real.perceive.segment.options import SegmentOptions
from real2sam2real.perceive.segment.sam2 import Sam2

torch = pytest.importorskip("torch")

Block = Callable[[int, int, int, int], np.ndarray]
LIMITS = GridLimits()


def logits(*masks: np.ndarray, level: float = 8.0):
    return torch.from_numpy(np.where(np.stack(masks), level, -level).astype(np.float32))


def test_only_sure_and_stable_masks_of_fair_size_are_objects(block_mask: Block) -> None:
    thing, other = block_mask(20, 20, 60, 60), block_mask(20, 80, 60, 120)
    quality = np.array([0.95, 0.95])
    assert select(logits(thing, other), quality, 9, LIMITS) == [0, 1]
    assert select(logits(thing, other), np.array([0.95, 0.5]), 9, LIMITS) == [0]
    assert select(logits(thing, other, level=0.5), quality, 9, LIMITS) == []  # a threshold moved by one changes all
    assert select(logits(block_mask(20, 20, 24, 24), other), quality, 9, LIMITS) == [1]  # 16 of 12,600 pixels
    assert select(logits(block_mask(2, 2, 85, 135), other), quality, 9, LIMITS) == [1]  # seven eighths of the photo


def test_what_runs_along_the_border_is_background(block_mask: Block) -> None:
    sky, cut_off = block_mask(0, 0, 40, 140), block_mask(50, 60, 90, 100)
    assert select(logits(sky, cut_off), np.array([0.99, 0.9]), 9, LIMITS) == [1]
    shares = border_shares(np.stack([sky, cut_off, block_mask(10, 10, 20, 20), block_mask(0, 0, 90, 140)]))
    np.testing.assert_allclose(shares, [(140 + 40 + 40) / 460, 40 / 460, 0, 1])


def test_parts_and_doubles_of_what_is_kept_go(block_mask: Block) -> None:
    car, again, wheel = block_mask(20, 20, 70, 100), block_mask(20, 20, 70, 98), block_mask(55, 30, 70, 45)
    apart = block_mask(40, 110, 60, 130)
    assert select(logits(wheel, again, apart, car), np.full(4, 0.9), 9, LIMITS) == [3, 2]
    everything = replace(LIMITS, same=1.0, within=1.1)
    assert sorted(select(logits(wheel, again, apart, car), np.full(4, 0.9), 9, everything)) == [0, 1, 2, 3]


def test_the_most_prominent_come_first_up_to_the_cap(block_mask: Block) -> None:
    small, large = block_mask(10, 10, 30, 30), block_mask(40, 40, 80, 100)
    unsure = block_mask(2, 60, 38, 120)
    ranked = select(logits(small, large, unsure), np.array([0.99, 0.95, 0.82]), 9, LIMITS)
    assert ranked == [1, 2, 0]
    assert select(logits(small, large, unsure), np.array([0.99, 0.95, 0.82]), 2, LIMITS) == [1, 2]
    assert select(logits(small)[:0], np.zeros(0), 9, LIMITS) == []


def test_the_grid_covers_the_photo_evenly() -> None:
    points = np.concatenate([prompt.inside for prompt in grid_prompts(90, 140, 14)])
    assert len(points) == 14 * 9
    np.testing.assert_allclose(np.unique(points[:, 0]), np.arange(14) * 10 + 5)
    np.testing.assert_allclose(np.unique(points[:, 1]), np.arange(9) * 10 + 5)


def test_a_real_model_proposes_masks_of_the_photos_shape(tiny_options: SegmentOptions, wide_photo: np.ndarray) -> None:
    model = Sam2.load(tiny_options)
    anything = GridLimits(side=6, quality=-9, stability=0, smallest=0, largest=1, border=1, same=1, within=1.1)
    proposed = propose_by_grid(model, model.embed(wide_photo), 5, anything)
    assert len(proposed) == 5
    assert all(mask.shape == (90, 140) and mask.dtype == bool for mask, _ in proposed)
    assert propose_by_grid(model, model.embed(wide_photo), 5, replace(anything, quality=1e9)) == []
