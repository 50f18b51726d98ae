"""The shape of what the mini estimator sees and says, on a small random network and on the shipped one."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from real2sam2real.errors import MissingPartError, UserError
from real2sam2real.lab.curate.normals.estimator import load_estimator
from real2sam2real.lab.curate.normals.mini import MiniEstimator
from real2sam2real.lab.curate.normals.network import NormalNetwork, inputs, shifted


@pytest.fixture
def folder(tmp_path):
    torch.manual_seed(0)
    network = NormalNetwork(channels=(8, 16))
    save_file(
        {name: values.half().contiguous() for name, values in network.state_dict().items()},
        tmp_path / "network.safetensors",
    )
    (tmp_path / "config.json").write_text(json.dumps(dict(network.config)))
    return tmp_path


def clip(frames=5, height=50, width=70):
    rng = np.random.default_rng(0)
    ids = np.zeros((frames, height, width), np.uint8)
    ids[:, 10:40, 20:50] = 2
    return rng.integers(0, 256, (frames, height, width, 3), np.uint8), ids


def test_unit_length_on_instances_and_zero_elsewhere(folder):
    video, ids = clip()
    normals = MiniEstimator(folder).estimate(video, ids)
    assert normals.shape == (*ids.shape, 3)
    assert normals.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(normals, axis=-1), ids > 0, atol=1e-5)


def test_what_is_not_an_instance_is_not_seen(folder):
    video, ids = clip(height=144, width=192)
    other = video.copy()
    other[ids == 0] = 0
    estimator = MiniEstimator(folder)
    inner = np.zeros_like(ids)
    inner[:, 12:38, 22:48] = 1  # averaging at the outline mixes neighbours in where the frame is made smaller
    first, second = (estimator.estimate(v, ids) for v in (video, other))
    np.testing.assert_allclose(first[inner > 0], second[inner > 0], atol=0.05)


def test_every_frame_of_a_long_clip_is_estimated_once_windowed(folder):
    video, ids = clip(frames=101, height=16, width=16)
    ids[:, :, :] = 1
    normals = MiniEstimator(folder).estimate(video, ids)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=-1), 1, atol=1e-5)


def test_the_number_of_threads_changes_nothing(folder):
    video, ids = clip(frames=33, height=144, width=256)
    ids[:] = np.random.default_rng(1).integers(0, 2, ids.shape)
    before, estimator, found = torch.get_num_threads(), MiniEstimator(folder), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append(estimator.estimate(video, ids).tobytes())
    finally:
        torch.set_num_threads(before)
    assert found[0] == found[1] == found[2]


def test_features_are_shifted_by_one_frame_each_way():
    x = torch.arange(3.0).view(3, 1, 1, 1).expand(3, 8, 1, 1)
    out = shifted(x, 3)[:, :, 0, 0]
    assert out[:, 0].tolist() == [0, 0, 1]
    assert out[:, 1].tolist() == [1, 2, 2]
    assert out[:, 2:].eq(x[:, 2:, 0, 0]).all()


def test_inputs_do_not_depend_on_exposure():
    video = torch.rand(1, 2, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 0.5
    ids = torch.zeros(1, 2, 8, 8, dtype=torch.uint8)
    ids[..., 2:6, 2:6] = 1
    torch.testing.assert_close(inputs(video, ids), inputs(video * 1.8, ids), atol=1e-4, rtol=1e-4)


def test_missing_network_and_unknown_name(tmp_path):
    with pytest.raises(MissingPartError, match="r2s2r train normals"):
        MiniEstimator(tmp_path)
    with pytest.raises(UserError, match="nobody"):
        load_estimator("nobody")
