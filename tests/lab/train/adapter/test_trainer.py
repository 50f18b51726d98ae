"""Runs of a tiny base: resumed, exported, interrupted, on two processes."""

import json
import sys
from dataclasses import asdict
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml

from real2sam2real import media
from real2sam2real.diffusion.checkpoints import SETTINGS_FILE, CheckpointSettings
from real2sam2real.diffusion.loading import load_model, locate
from real2sam2real.diffusion.memory.formats import plain_parts
from real2sam2real.diffusion.options import ModelOptions
from real2sam2real.diffusion.weights.adapter_file import POSE_FILE, read_adapter
from real2sam2real.diffusion.weights.adapters import apply_adapters
from real2sam2real.diffusion.weights.load import load_transformer
from real2sam2real.errors import MissingPartError, UserError
from real2sam2real.lab.train.adapter import checkpoints, footprint, trainer
from real2sam2real.lab.train.adapter.trainer import AdapterTrainer


def losses(folder):
    return [json.loads(line)["loss"] for line in (folder / "losses.jsonl").read_text().splitlines()]


def train(config, folder, **options):
    trainer = AdapterTrainer(config, folder)
    trainer.fit(**options)
    return trainer


def test_whatever_step_is_killed_it_goes_on_to_the_same_end(make_config, kills, tmp_path):
    """Three steps, gone on with for two more and killed, and then one of the two commands again, and the other."""
    folder = tmp_path / "run"

    def tried(steps):
        train(make_config(steps=steps, checkpoint_every=1, sample_every=2, variants=1, bf16=True), folder)
        files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
        settings = files.pop("config.json")
        assert json.loads(settings.read_text())["steps"] == steps
        about = json.loads((folder / "adapter" / "training.json").read_text())
        assert about["reached_step"] == len(losses(folder))
        made = {n: path.read_bytes() for n, path in files.items() if path.name not in ("state.pt", "training.json")}
        # The header of safetensors, its length before it, has no order.
        return {n: b[8 + int.from_bytes(b[:8], "little") :] if "safetensors" in n else b for n, b in made.items()}

    with kills.every_kill(folder, tmp_path / "copies") as struck:
        first = tried(3)
        undisturbed = tried(5)
    for name in ("config.json", "index.json", "losses.jsonl", "step-000003", "samples/step-000002.mp4", "adapter"):
        assert any(kill.step.endswith(name) for kill in struck), name
    assert first != undisturbed
    assert len(set(losses(folder))) == 5
    for kill in struck[1 :: 1 if kills.SPARSE == 1 else len(struck) // 3]:
        kill.strike()
        assert tried(5) == undisturbed, kill.step
        assert tried(3) == undisturbed, kill.step


def test_the_learning_rate_rises_and_falls(make_config, tmp_path, monkeypatch):
    rates = []
    step = torch.optim.AdamW.step

    def listening(optimizer, *args, **options):
        rates.extend(float(group["lr"]) for group in optimizer.param_groups if group["lr"] > 0)  # loading steps at 0
        return step(optimizer, *args, **options)

    monkeypatch.setattr(torch.optim.AdamW, "step", listening)
    config = make_config(learning_rate=0.01, warmup_steps=2, decay_fraction=0.5, steps=6)
    train(config, tmp_path, stop_after=4)
    train(config, tmp_path)
    assert rates == pytest.approx([0.005, 0.01, 0.01, 0.01, 0.02 / 3, 0.01 / 3])
    with pytest.raises(UserError, match="another steps"):
        train(make_config(learning_rate=0.01, warmup_steps=2, decay_fraction=0.5, steps=9), tmp_path)


def inputs():
    generator = torch.Generator().manual_seed(1)

    def rand(*shape):
        return torch.randn(*shape, generator=generator)

    return {
        "hidden_states": rand(1, 12, 3, 4, 6),
        "timestep": torch.tensor([700.0]),
        "encoder_hidden_states": torch.zeros(1, 1, 16),
        "pose_hidden_states": rand(1, 4, 2, 4, 6),
    }


@torch.no_grad()
@pytest.mark.parametrize("injection", ["soft", "hard"])
def test_every_export_loads_to_the_same_output(make_config, tmp_path, injection):
    with torch.enable_grad():
        run = AdapterTrainer(make_config(injection=injection, variants=0, steps=2), tmp_path)
        run.fit()
    expected = run.model(**inputs())
    folders = sorted(path.name for path in tmp_path.glob("adapter*"))
    assert folders == ["adapter", "adapter-comfyui", *(["adapter-diffusers"] if injection == "soft" else [])]
    for name in folders:
        base = load_transformer(run.base.source, torch.float32)
        before = base(**inputs())
        apply_adapters(base, [(read_adapter(tmp_path / name), 1.0)], merge=True)
        assert (base(**inputs()) - expected).abs().max() <= 1e-5
        assert (before - expected).abs().max() > 1e-3
    assert json.loads((tmp_path / "adapter" / "training.json").read_text())["injection"] == injection
    changed = read_adapter(tmp_path / "adapter").differences
    assert set(changed) == ({"patch_embedding.weight", "patch_embedding.bias"} if injection == "hard" else set())


def test_an_adapter_of_a_pipeline_s_folder_knows_its_base_and_is_a_lora_too(make_config, tiny_base, tmp_path):
    adapter = str(AdapterTrainer(make_config(steps=2), tmp_path).fit())
    photo = np.full((32, 48, 3), 90, np.uint8)
    videos = []
    for checkpoint, loras in ((adapter, []), (str(tiny_base), [adapter]), (str(tiny_base), [])):
        located = locate(ModelOptions(checkpoint=checkpoint, lora=loras))
        assert tiny_base.resolve() in located.files
        pipeline = load_model(located, memory="auto", sampling=None, log=lambda text: None).pipeline
        generator = torch.Generator().manual_seed(0)
        videos.append(pipeline(photo, np.zeros((5, 32, 48, 3), np.uint8), num_inference_steps=1, generator=generator))
    assert np.array_equal(videos[0], videos[1])
    assert not np.array_equal(videos[0], videos[2])


def test_an_adapter_is_no_base(make_config, tmp_path):
    settings = CheckpointSettings(area=48 * 32, max_frames=5, base="mini-base")
    (tmp_path / SETTINGS_FILE).write_text(settings.to_json())
    (tmp_path / POSE_FILE).touch()
    with pytest.raises(UserError, match="its base is mini-base"):
        train(make_config(base=str(tmp_path)), tmp_path / "run")


def test_checkpoints_are_whole_and_the_last_are_kept(make_config, tmp_path, monkeypatch):
    config = make_config(steps=5, checkpoint_every=1)
    train(config, tmp_path, stop_after=3)
    assert [step for step, _ in checkpoints.list_checkpoints(tmp_path)] == [2, 3]

    def cut_short(state, path):
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(checkpoints.torch, "save", cut_short)
        with pytest.raises(KeyboardInterrupt):
            train(config, tmp_path)
    assert [step for step, _ in checkpoints.list_checkpoints(tmp_path)] == [2, 3]
    assert train(config, tmp_path).step == 5
    assert len(losses(tmp_path)) == 5


def test_samples_and_tensorboard_are_written(make_config, tmp_path):
    train(make_config(steps=1, sample_every=1, tensorboard=True), tmp_path)
    assert media.read_video(tmp_path / "samples" / "step-000001.mp4").shape == (5, 32, 3 * 48, 3)
    assert list((tmp_path / "tensorboard").glob("events*"))


def test_the_cache_is_encoded_once_and_goes_on_clip_by_clip(make_config, tmp_path, monkeypatch):
    train(make_config(steps=1), tmp_path)
    files = sorted((tmp_path / "cache").rglob("*.safetensors"))
    assert len(files) == 4
    contents = [file.read_bytes() for file in files]
    files[1].unlink()
    next((tmp_path / "cache").rglob("index.json")).unlink()
    kept = files[0].stat().st_mtime_ns
    train(make_config(steps=2), tmp_path)
    assert files[0].stat().st_mtime_ns == kept
    assert [file.read_bytes() for file in files] == contents
    monkeypatch.setattr(trainer.AdapterTrainer, "_load_encoders", None)  # would fail if anything were to be encoded
    train(make_config(steps=3), tmp_path)


def test_a_folder_belongs_to_one_run(make_config, tmp_path):
    train(make_config(steps=1), tmp_path)
    with pytest.raises(UserError, match="another rank"):
        train(make_config(rank=2), tmp_path)


def test_tensorboard_missing_is_said(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(MissingPartError, match="pip install"):
        trainer._board(tmp_path, 0)


# accelerate shards on accelerators alone; told that this is what it does, it shards on CPUs too.
SHARDED = """
from accelerate import DistributedType, FullyShardedDataParallelPlugin
from real2sam2real.lab.train.adapter import trainer
make = trainer.make_accelerator
def sharding(config):
    accelerator = make(config)
    accelerator.state.distributed_type = DistributedType.FSDP
    accelerator.state.fsdp_plugin = FullyShardedDataParallelPlugin(
        fsdp_version=2, auto_wrap_policy="transformer_based_wrap", cpu_ram_efficient_loading=False
    )
    return accelerator
trainer.make_accelerator = sharding
"""
PROGRAMS = {"MULTI_CPU": "", "FSDP": SHARDED}


def test_two_processes_copied_and_then_sharded_equal_one(make_config, tmp_path, free_port, processes, monkeypatch):
    train(make_config(steps=3), tmp_path / "one")
    monkeypatch.chdir(tmp_path)
    for steps, kind in ((2, "MULTI_CPU"), (3, "FSDP")):  # the second goes on from the first one's checkpoint
        values = {name: value for name, value in asdict(make_config(steps=steps)).items() if name != "ranges"}
        (tmp_path / "run.yaml").write_text(yaml.safe_dump(values))
        said = processes.run_ranks(
            PROGRAMS[kind] + "\nfrom real2sam2real.cli.main import main; main()",
            ["train", "adapter", "run.yaml", "-o", "two"],
            said=tmp_path / kind,
            variables={"ACCELERATE_USE_CPU": "true", "R2S2R_TRACEBACK": "1"},
            port=free_port,
        )
        assert f"{kind}, 2 processes" in said
    assert np.abs(np.array(losses(tmp_path / "two")) - losses(tmp_path / "one")).max() <= 1e-5
    ours, theirs = (read_adapter(tmp_path / run / "adapter") for run in ("one", "two"))
    for module, pair in ours.low_rank.items():
        assert (pair.up - theirs.low_rank[module].up).abs().max() <= 1e-5


def test_eight_bit_adam_resumes(make_config, tmp_path):
    config = make_config(optimizer="adamw8bit", steps=3, checkpoint_every=1)
    train(config, tmp_path / "straight")
    train(config, tmp_path / "stopped", stop_after=1)
    train(config, tmp_path / "stopped")
    assert losses(tmp_path / "stopped") == losses(tmp_path / "straight")


@pytest.mark.parametrize("base_dtype", ["plain", "int8", "fp8", "nf4"])
def test_a_lighter_training_makes_the_same_steps(make_config, tmp_path, monkeypatch, base_dtype):
    """Recomputed in parts of a block's tokens, inputs in CPU memory, stopped and gone on with: as if all were kept."""
    monkeypatch.setattr(footprint, "CHUNK_TOKENS", 7)
    light = {"base_dtype": base_dtype, "checkpoint_every": 1, "variants": 1, "steps": 3}
    train(make_config(activations="keep", **light), tmp_path / "kept")
    train(make_config(activations="recompute", **light), tmp_path / "light", stop_after=1)
    offloaded = train(make_config(activations="offload", **light), tmp_path / "light")
    assert offloaded.model.blocks[0].token_chunks == 3
    assert losses(tmp_path / "light") == pytest.approx(losses(tmp_path / "kept"), abs=1e-5)
    assert len(set(losses(tmp_path / "kept"))) == 3
    weight = offloaded.model.blocks[0].ffn.net[2].base_layer.weight
    assert sum(part.nbytes for part in plain_parts(weight)) < (4.01 if base_dtype == "plain" else 1.6) * 24 * 32


def test_a_rounded_base_is_near_the_plain_one_and_not_it(make_config, tmp_path):
    configs = {kind: make_config(base_dtype=kind, steps=1) for kind in ("plain", "int8", "fp8")}
    made = {kind: losses(train(config, tmp_path / kind).folder) for kind, config in configs.items()}
    for kind, precision in {"int8": 0.01, "fp8": 0.05}.items():
        assert made[kind] != made["plain"]
        assert made[kind] == pytest.approx(made["plain"], rel=precision)


def test_what_cannot_work_is_refused_before_anything_is_encoded(make_config, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    for name, value in {"base_dtype": "nf4", "optimizer": "adamw8bit"}.items():
        with pytest.raises(MissingPartError, match="pip install bitsandbytes"):
            train(make_config(**{name: value}), tmp_path / name)
        assert not (tmp_path / name / "cache").exists()
    several = SimpleNamespace(num_processes=2, distributed_type=SimpleNamespace(value="FSDP"))
    with pytest.raises(UserError, match=r"fp8 works on one device, and this launch has 2 \(FSDP\)"):
        footprint.check_choices(make_config(base_dtype="fp8"), several)
    monkeypatch.setattr(footprint, "free_ram", lambda: 1000)
    with pytest.raises(UserError, match=r"needs 0.0 GiB of CPU memory for 1 × 5 frames of 48×32.*recompute"):
        train(make_config(activations="offload"), tmp_path / "offload")
    assert not (tmp_path / "offload" / "cache").exists()
