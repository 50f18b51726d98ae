"""Renderers and the pool that they fill."""

import numpy as np
import pytest
import torch

from real2sam2real.control.normal_convention import NormalConvention
from real2sam2real.errors import UserError
from real2sam2real.lab.synth import TRAIN_SEEDS, sample_clip
from real2sam2real.lab.train.pool import ClipPool
from real2sam2real.lab.train.renderers import ClipOrder, Renderers, render_clip

SIZE = {"width": 64, "height": 48, "frames": 5}


@pytest.fixture(scope="module")
def pools(tmp_path_factory):
    """Two stages in turn; the first clips of the second cannot be rendered, as their seeds are held-out ones."""
    folder = tmp_path_factory.mktemp("clips")
    orders = [
        ClipOrder(**SIZE, first_seed=60_000_000, count=4, lifted=0.5),
        ClipOrder(**SIZE, first_seed=-2, count=5),
    ]
    renderers = Renderers(orders, folder, 2)
    yield orders, renderers, folder
    renderers.close()
    assert not list(folder.iterdir())


def test_clips_arrive_in_order_and_failed_ones_are_left_out(pools, caplog):
    orders, renderers, _ = pools
    pool = ClipPool(orders[0], 0, renderers, torch.device("cpu"))
    pool.wait(4)
    batch = pool.draw(16, 4, 0.5, torch.Generator().manual_seed(0))
    assert batch.videos.shape == (16, 3, 5, 48, 64, 3)
    wanted = [torch.from_numpy(render_clip(orders[0], k)) for k in range(4)]
    for clip, lifted in zip(batch.videos, batch.lifted.tolist(), strict=True):
        alike = [k for k in range(4) if torch.equal(clip[: len(wanted[k])], wanted[k])]
        assert len(alike) == 1
        assert lifted == (len(wanted[alike[0]]) == 3)
    pool.close()
    second = ClipPool(orders[1], 1, renderers, torch.device("cpu"))
    second.wait(5)
    assert second.failed == 2
    assert "seed -2" in caplog.text
    rows = {int(video.float().mean()) for video in second.draw(64, 5, 0.0, torch.Generator().manual_seed(0)).videos}
    assert 1 <= len(rows) <= 3
    second.close()


def test_a_stage_whose_clips_all_fail_is_an_error(tmp_path):
    order = ClipOrder(**SIZE, first_seed=-100, count=20)
    renderers = Renderers([order], tmp_path, 1)
    pool = ClipPool(order, 0, renderers, torch.device("cpu"))
    with pytest.raises(UserError, match="could not be rendered"):
        pool.wait(20)
    pool.close()
    renderers.close()


def test_a_lifted_clip_has_a_preview_that_begins_with_the_photo():
    order = ClipOrder(width=128, height=96, frames=5, first_seed=60_000_000, count=9, lifted=1.0)
    clip = render_clip(order, 0)
    assert clip.shape == (3, 5, 96, 128, 3)
    video, normals, preview = clip
    assert np.abs(preview[0].astype(int) - video[0]).mean() < 1
    truth = sample_clip(TRAIN_SEEDS[60_000_000], width=128, height=96, frames=5)
    assert np.array_equal(video, truth.video)
    assert not np.array_equal(normals, NormalConvention().encode(truth.normals, truth.ids))
    both = normals.any(axis=-1) & (truth.ids > 0)
    assert both.sum() > 0.6 * (truth.ids > 0).sum()


@pytest.mark.fast
def test_shares_are_kept_in_every_stretch():
    order = ClipOrder(**SIZE, first_seed=0, count=1000, varied=0.4, lifted=0.3)
    for first in range(0, 1000, 100):
        stretch = range(first, first + 100)
        assert sum(map(order.is_varied, stretch)) == pytest.approx(40, abs=3)
        assert sum(map(order.is_lifted, stretch)) == pytest.approx(30, abs=3)
    both = sum(order.is_varied(k) and order.is_lifted(k) for k in range(1000))
    assert both == pytest.approx(120, abs=25)
