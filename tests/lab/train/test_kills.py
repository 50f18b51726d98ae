"""Trainings that are killed before each of their steps, and what goes on from that."""

import json
from dataclasses import replace

import pytest
import torch

from real2sam2real.errors import UserError
from real2sam2real.lab.train.base import BaseTrainer


def contents(folder):
    """Every file's bytes but the state's and the record's time; of the log, step, stage and loss."""
    found = {}
    for path in (path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        if name == "losses.jsonl":
            found[name] = [(r["step"], r["stage"], r["loss"]) for r in map(json.loads, path.read_text().splitlines())]
        elif name == "state.pt":
            found[name] = str(torch.load(path, weights_only=True)["model"])
        elif name.endswith("training.json"):
            found[name] = {**json.loads(path.read_text()), "seconds": 0}
        else:
            found[name] = path.read_bytes()
    return found


def test_whatever_step_of_a_base_training_is_killed_it_goes_on_to_the_same_end(tiny_config, kills, tmp_path):
    """Killed, refused to another recipe, and gone on with."""
    folder = tmp_path / "run"

    def train(**changes):
        BaseTrainer(replace(tiny_config, **changes), folder, device="cpu", checkpoint_seconds=0).fit()
        return contents(folder)

    with kills.every_kill(folder, tmp_path / "copies", ignored=("clips",)) as struck:
        undisturbed = train()
    for name in ("config.json", "autoencoder", "losses.jsonl", "state.pt", "checkpoint"):
        assert any(kill.step.endswith(f" {name}") for kill in struck), name
    for kill in struck[:: 1 if kills.SPARSE == 1 else 8]:
        kill.strike()
        if (folder / "config.json").exists():
            with pytest.raises(UserError, match="another seed"):
                train(seed=1)
        assert train() == undisturbed, kill.step
