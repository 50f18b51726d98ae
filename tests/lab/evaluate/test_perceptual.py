"""LPIPS: equal to the formula written out, zero for the same picture, larger for a worse one; and what is missing."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import torch

from real2sam2real.errors import MissingPartError, UserError
from real2sam2real.lab.evaluate import perceptual
from real2sam2real.lab.evaluate.perceptual import Lpips, load_lpips

LAYERS = (0, 3, 6, 8, 10)


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """Files as the real ones are, with random numbers."""
    torch.manual_seed(0)
    state = {name: value for name, value in Lpips().state_dict().items() if name.startswith("features.")}
    torch.save(state | {"classifier.6.bias": torch.zeros(1000)}, tmp_path / "alexnet.pth")
    heads = {f"lin{k}.model.1.weight": torch.rand(1, c, 1, 1) for k, c in enumerate((64, 192, 384, 256, 256))}
    torch.save(heads, tmp_path / "alex.pth")
    monkeypatch.setenv(perceptual.BACKBONE, str(tmp_path / "alexnet.pth"))
    monkeypatch.setattr(perceptual, "_heads_file", lambda: tmp_path / "alex.pth")
    return state, heads


def written_out(first, second, state, heads):
    """The distance of one pair `(3, H, W)` in −1…1, layer by layer."""
    total, pair = 0.0, []
    for picture in (first, second):
        x = (picture - torch.tensor([-0.030, -0.088, -0.188])[:, None, None]) / torch.tensor([0.458, 0.448, 0.450])[
            :, None, None
        ]
        levels = []
        for k, layer in enumerate(LAYERS):
            weight, bias = state[f"features.{layer}.weight"], state[f"features.{layer}.bias"]
            stride, padding = ((4, 2), (1, 2), (1, 1), (1, 1), (1, 1))[k]
            x = torch.conv2d(x[None], weight, bias, stride=stride, padding=padding)[0].clamp(min=0)
            levels.append(x / x.norm(dim=0))
            if k < 2:
                x = torch.max_pool2d(x, 3, 2)
        pair.append(levels)
    for k, (a, b) in enumerate(zip(*pair, strict=True)):
        total += float(((a - b) ** 2 * heads[f"lin{k}.model.1.weight"][0]).sum(dim=0).mean())
    return total


def test_it_is_the_formula(weights):
    metric = load_lpips()
    generator = torch.Generator().manual_seed(1)
    first, second = (torch.rand(2, 3, 70, 90, generator=generator) * 2 - 1 for _ in range(2))
    found = metric(first, second)
    assert found.shape == (2,)
    for k in range(2):
        assert float(found[k]) == pytest.approx(written_out(first[k], second[k], *weights), rel=1e-4)


def test_videos_are_measured_frame_by_frame(weights):
    metric = load_lpips()
    rng = np.random.default_rng(0)
    video = rng.integers(0, 255, (18, 64, 80, 3)).astype(np.uint8)
    near = np.clip(video.astype(int) + rng.integers(-9, 10, video.shape), 0, 255).astype(np.uint8)
    assert metric.of_videos(video, video) == 0
    assert 0 < metric.of_videos(near, video) < metric.of_videos(255 - video, video)
    each = [metric.of_videos(near[k : k + 1], video[k : k + 1]) for k in range(len(video))]
    assert metric.of_videos(near, video) == pytest.approx(np.mean(each), rel=1e-4)


def test_what_is_missing_is_said(weights, monkeypatch, tmp_path):
    monkeypatch.setenv(perceptual.BACKBONE, str(tmp_path / "nowhere.pth"))
    with pytest.raises(MissingPartError, match="no file"):
        load_lpips()
    (tmp_path / "damaged.pth").write_bytes(b"nothing")
    monkeypatch.setenv(perceptual.BACKBONE, str(tmp_path / "damaged.pth"))
    with pytest.raises(UserError, match="cannot be read as weights"):
        load_lpips()
    torch.save({"other": torch.zeros(1)}, tmp_path / "other.pth")
    monkeypatch.setenv(perceptual.BACKBONE, str(tmp_path / "other.pth"))
    with pytest.raises(UserError, match="lack features"):
        load_lpips()


def test_without_the_package_of_the_heads(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingPartError, match="pip install --no-deps lpips"):
        perceptual._heads_file()
