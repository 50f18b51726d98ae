"""DeepSpeed's ZeRO on two processes of a CPU computes what one plain process does.

DeepSpeed is no dependency: what needs it is skipped without.
"""

import json
import os
import subprocess
import sys
from dataclasses import asdict
from importlib.util import find_spec
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml

from real2sam2real.diffusion.weights.adapter_file import read_adapter
from real2sam2real.errors import MissingPartError, UserError
from real2sam2real.lab.train.adapter import checkpoints, launching, trainer
from real2sam2real.lab.train.adapter.trainer import AdapterTrainer

needs_deepspeed = pytest.mark.skipif(
    find_spec("deepspeed") is None, reason="DeepSpeed is not installed, and no dependency: pip install deepspeed"
)


def damped(config, parameters):
    """Adam that feels the gradients' scale, so that a clip or a division too few or too many shows, and no noise."""
    return torch.optim.AdamW(parameters, lr=config.learning_rate, eps=0.03)


# With DeepSpeed, accelerate distributes over accelerators alone; told that gloo is what an accelerator uses, over CPUs.
PROGRAM = """
import torch
from accelerate import DistributedType, PartialState
from real2sam2real.cli.main import main
from real2sam2real.lab.train.adapter import trainer
PartialState._prepare_backend = lambda *args, **options: ("gloo", DistributedType.MULTI_GPU)
trainer._optimizer = lambda config, parameters: torch.optim.AdamW(parameters, lr=config.learning_rate, eps=0.03)
main()
"""


def launched(config, folder, stage, port):
    values = {name: value for name, value in asdict(config).items() if name != "ranges"}
    (folder / "run.yaml").write_text(yaml.safe_dump(values))
    launch = ["torch.distributed.run", "--nproc-per-node", "2", "--master-port", str(port), "--no-python"]
    told = {
        "DS_ACCELERATOR": "cpu",
        "ACCELERATE_TORCH_DEVICE": "cpu",
        "ACCELERATE_USE_DEEPSPEED": "true",
        "ACCELERATE_DEEPSPEED_ZERO_STAGE": str(stage),
        "ACCELERATE_GRADIENT_ACCUMULATION_STEPS": "1",  # `accelerate launch` says so on its own
        "ACCELERATE_GRADIENT_CLIPPING": "7.0",
    }
    done = subprocess.run(
        [sys.executable, "-m", *launch, sys.executable, "-c", PROGRAM, "train", "adapter", "run.yaml", "-o", "two"],
        cwd=folder,
        env={**os.environ, **told, "OMP_NUM_THREADS": "1", "R2S2R_TRACEBACK": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-6000:]
    assert "DEEPSPEED, 2 processes" in done.stderr
    return folder / "two"


def plain(config, folder):
    AdapterTrainer(config, folder).fit()
    return losses(folder)


def losses(folder):
    return np.array([json.loads(line)["loss"] for line in (folder / "losses.jsonl").read_text().splitlines()])


def tensors(folder):
    adapter = read_adapter(folder / "adapter")
    pairs = {name: torch.cat([pair.up.flatten(), pair.down.flatten()]) for name, pair in adapter.low_rank.items()}
    return {**pairs, **adapter.replacements, **adapter.differences}


@needs_deepspeed
@pytest.mark.parametrize("stage", [2, 3])
def test_two_processes_and_a_stop_equal_one_plain_process(make_config, tmp_path, free_port, monkeypatch, stage):
    monkeypatch.setattr(trainer, "_optimizer", damped)
    changes = {"learning_rate": 0.1, "warmup_steps": 3, "accumulation": 4, "injection": "hard", "sample_every": 3}
    expected = plain(make_config(steps=4, **changes), tmp_path / "one")
    for steps in (2, 4):  # the second goes on from the first one's checkpoint
        two = launched(make_config(steps=steps, **changes), tmp_path, stage, free_port)
    assert np.abs(losses(two) - expected).max() <= 1e-5
    ours, theirs = tensors(tmp_path / "one"), tensors(two)
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        assert (value - theirs[name]).abs().max() <= 1e-5
    assert (two / "samples" / "step-000003.mp4").is_file()
    with pytest.raises(UserError, match="written with DeepSpeed"):
        AdapterTrainer(make_config(steps=5, **changes), two).prepare()

    monkeypatch.setattr(trainer, "GRADIENT_CLIP", 7.0)  # nothing above would show that it is 1, were it to do nothing
    assert np.abs(plain(make_config(steps=4, **changes), tmp_path / "unclipped") - expected).max() > 1e-3


def test_deepspeed_is_told_what_the_trainer_decides(make_config, monkeypatch, tmp_path):
    monkeypatch.setattr("accelerate.utils.is_deepspeed_available", lambda: True)
    monkeypatch.setattr("accelerate.utils.is_transformers_available", lambda: True)
    given = {"zero_optimization": {"stage": 3}, "gradient_clipping": 7.0, "bf16": {"enabled": True}}
    (tmp_path / "given.json").write_text(json.dumps(given))
    monkeypatch.setenv("ACCELERATE_DEEPSPEED_CONFIG_FILE", str(tmp_path / "given.json"))
    settings = launching.deepspeed_plugin(make_config(accumulation=8, batch_size=2, bf16=True), 4).deepspeed_config
    assert settings["zero_optimization"]["stage"] == 3
    assert settings["gradient_clipping"] == trainer.GRADIENT_CLIP
    assert settings["gradient_accumulation_steps"] == 4
    assert (settings["train_micro_batch_size_per_gpu"], settings["train_batch_size"]) == (2, 16)
    assert (settings["bf16"]["enabled"], settings["torch_autocast"]["enabled"]) == (False, True)

    (tmp_path / "given.json").write_text(json.dumps({**given, "scheduler": {"type": "WarmupLR"}}))
    with pytest.raises(UserError, match="scheduler"):
        launching.deepspeed_plugin(make_config(), 2)
    (tmp_path / "given.json").write_text(json.dumps({"zero_optimization": {"stage": 0}}))
    with pytest.raises(UserError, match="stage 0"):
        launching.deepspeed_plugin(make_config(), 2)
    monkeypatch.setattr("accelerate.utils.is_deepspeed_available", lambda: False)
    with pytest.raises(MissingPartError, match="pip install deepspeed"):
        launching.deepspeed_plugin(make_config(), 2)


def test_a_checkpoint_is_read_only_as_it_was_written(tmp_path):
    accelerator, engine = SimpleNamespace(num_processes=2), SimpleNamespace(zero_optimization_stage=lambda: 3)
    with pytest.raises(ValueError, match="without DeepSpeed"):
        checkpoints._load_deepspeed(accelerator, engine, tmp_path)
    for processes, stage in ((4, 3), (2, 2)):
        (tmp_path / checkpoints.WRITTEN_BY).write_text(json.dumps({"processes": processes, "stage": stage}))
        with pytest.raises(ValueError, match="only so"):
            checkpoints._load_deepspeed(accelerator, engine, tmp_path)
