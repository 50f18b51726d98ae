"""Training of the normal network: resumed as straight through, and its data is what it says."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from real2sam2real.errors import UserError
from real2sam2real.lab.curate.normals.mini import MiniEstimator
from real2sam2real.lab.train.normals import NormalClips, NormalsTrainer, draw_batch, smoke


def test_resumed_equals_straight_through(tmp_path):
    straight = NormalsTrainer(smoke(), tmp_path / "a").fit()
    NormalsTrainer(smoke(), tmp_path / "b").fit(stop_after=2)
    resumed = NormalsTrainer(smoke(), tmp_path / "b").fit()
    first, second = (load_file(folder / "network.safetensors") for folder in (straight, resumed))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    lines = [(tmp_path / name / "losses.jsonl").read_text() for name in "ab"]
    assert lines[0] == lines[1]
    assert [json.loads(line)["step"] for line in lines[0].splitlines()] == [1, 2, 3, 4]
    assert MiniEstimator(resumed).name == "mini"


def test_another_configuration_is_refused(tmp_path):
    NormalsTrainer(smoke(), tmp_path).prepare()
    with pytest.raises(UserError, match="another seed"):
        NormalsTrainer(replace(smoke(), seed=1), tmp_path).prepare()


def test_drawn_normals_turn_with_the_picture():
    """A picture whose red says the normal's x keeps saying so, whichever way it is mirrored and cut."""
    config = replace(smoke(), batch_size=16)
    x = np.linspace(-0.9, 0.9, config.width, dtype=np.float32)
    normals = np.zeros((1, config.rendered, config.height, config.width, 3), np.float32)
    normals[..., 0], normals[..., 2] = x, np.sqrt(1 - x**2)
    video = np.zeros(normals.shape, np.uint8)
    shard = NormalClips(
        video=video, normals=np.rint(normals * 127).astype(np.int8), ids=np.ones(normals.shape[:-1], np.uint8)
    )
    _, step_noise, ids, seen = draw_batch([shard], config, np.random.default_rng(0))
    assert step_noise.shape == (16, config.frames, 3, config.crop_height, config.crop_width)
    slope = (step_noise[:, :, 0, :, -1] - step_noise[:, :, 0, :, 0]).mean(dim=(1, 2))
    assert (slope > 0).all()  # normals lean right on the right side, mirrored or not
    torch.testing.assert_close(step_noise.norm(dim=2), torch.ones(ids.shape), atol=1e-4, rtol=0)
    assert seen.shape == ids.shape
