"""The example's settings are understood, and are those of the shipped adapter."""

import json
from dataclasses import asdict
from pathlib import Path

from real2sam2real.diffusion.checkpoints import find_checkpoint
from real2sam2real.lab.train.adapter.config import read_config
from real2sam2real.lab.train.training import with_current_names

EXAMPLE = Path(__file__).parents[4] / "examples" / "mini_adapter.yaml"


def test_the_example_is_how_the_shipped_adapter_was_made():
    config = read_config(EXAMPLE)
    made = with_current_names(json.loads((find_checkpoint("mini") / "training.json").read_text(encoding="utf-8")))
    wanted = json.loads(json.dumps(asdict(config)))
    differing = {name for name in wanted.keys() & made.keys() if wanted[name] != made[name]}
    assert not differing
    assert made["reached_step"] == config.steps
    assert wanted.keys() - made.keys() == {"dataset", "cache", "parts"}
