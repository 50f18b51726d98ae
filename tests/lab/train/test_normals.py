"""Training of the normal network: resumed as straight through, and its data is what it says."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from real2sam2real.errors import UserError
from real2sam2real.lab.curate.normals.mini import MiniEstimator
from real2sam2real.lab.train.normals import NormalClips, NormalsTrainer, draw_batch, smoke


def contents(folder: Path) -> dict[str, object]:
    """Every file's bytes; of the state the weights, of the record all but how long it took."""
    found: dict[str, object] = {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*.*")}
    found["state.pt"] = str(torch.load(folder / "state.pt", weights_only=True)["network"])
    found["network/training.json"] = {**json.loads((folder / "network" / "training.json").read_text()), "seconds": 0}
    return found


def test_whatever_step_is_killed_it_goes_on_to_the_same_end(kills, tmp_path):
    """Two steps, gone on with to the end and killed; refused to another recipe, and gone on with again."""
    folder = tmp_path / "run"

    def train(seed=0, **options):
        return NormalsTrainer(replace(smoke(), seed=seed), folder, checkpoint_seconds=0).fit(**options)

    with kills.every_kill(folder, tmp_path / "copies", ignored=("clips",)) as struck:
        train(stop_after=2)
        network = train()
    undisturbed = contents(folder)
    assert {"clips/0000.npz", "clips/0001.npz", "network/network.safetensors"} <= undisturbed.keys()
    assert [json.loads(line)["step"] for line in (folder / "losses.jsonl").read_text().splitlines()] == [1, 2, 3, 4]
    assert MiniEstimator(network).name == "mini"
    for name in ("config.json", "losses.jsonl", "state.pt", "network"):
        assert any(kill.step.endswith(f" {name}") for kill in struck), name
    rendered = tmp_path / "clips"
    shutil.copytree(folder / "clips", rendered)
    clips = {name: read for name, read in undisturbed.items() if name.startswith("clips/")}
    for kill in struck[1 :: 1 if kills.SPARSE == 1 else len(struck) // 3]:
        kill.strike()
        if kills.SPARSE > 1:  # rendering, by a process of its own, takes longest
            shutil.copytree(rendered, folder / "clips", dirs_exist_ok=True)
        if (folder / "config.json").exists():
            with pytest.raises(UserError, match="another seed"):
                train(seed=1)
        train()
        # A kill's copy has no clips; where all steps were done, none were rendered again.
        assert {**clips, **contents(folder)} == undisturbed, kill.step


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
