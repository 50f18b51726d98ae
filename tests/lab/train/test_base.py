import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from real2sam2real.diffusion.loading import load_model, locate
from real2sam2real.diffusion.options import ModelOptions
from real2sam2real.errors import UserError
from real2sam2real.lab.train.base import BaseTrainer, build_transformer
from real2sam2real.lab.train.recipes import TrainingStage
from real2sam2real.lab.train.training import draw_loss_curve


def train(config, folder, **options):
    return BaseTrainer(config, folder, device="cpu").fit(**options)


@pytest.fixture(scope="module")
def straight(tiny_config, kills, tmp_path_factory):
    """A run straight through, its folder, and what kills before each of its steps would have left."""
    folder = tmp_path_factory.mktemp("straight") / "run"
    with kills.every_kill(folder, tmp_path_factory.mktemp("copies"), ignored=("clips",)) as struck:
        checkpoint = BaseTrainer(tiny_config, folder, device="cpu", checkpoint_seconds=0).fit()
    return checkpoint, folder, struck


@pytest.fixture(scope="module")
def finished(straight):
    """The run and its folder."""
    return straight[:2]


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


def test_a_run_ends_in_a_checkpoint_that_generates(finished, tiny_config):
    checkpoint, _ = finished
    model = load_model(locate(ModelOptions(checkpoint=str(checkpoint))))
    assert model.settings.fit(32, 32) == (32, 32)
    photo = np.full((32, 32, 3), 128, np.uint8)
    video = model.pipeline(photo, np.zeros((5, 32, 32, 3), np.uint8), num_inference_steps=2)
    assert video.shape == (5, 32, 32, 3)
    record = json.loads((checkpoint / "training.json").read_text())
    assert record["steps"] == tiny_config.total_steps


def test_a_checkpoint_does_not_tell_where_it_was_made(finished):
    checkpoint, folder = finished
    for file in checkpoint.rglob("*.json"):
        assert str(folder) not in file.read_text()


def test_whatever_step_is_killed_it_goes_on_to_the_same_end(straight, tiny_config, kills, tmp_path):
    """Killed, refused to another recipe, and gone on with."""
    _, undisturbed, struck = straight
    for name in ("config.json", "autoencoder", "losses.jsonl", "state.pt", "checkpoint"):
        assert any(kill.step.endswith(f" {name}") for kill in struck), name
    folder = tmp_path / "run"
    every = 1 if kills.SPARSE == 1 else len(struck) // 3
    for kill in struck[every::every]:
        kill.strike(folder)
        if (folder / "config.json").exists():
            with pytest.raises(UserError, match="another seed"):
                train(replace(tiny_config, seed=1), folder)
        state = folder / "state.pt"
        saved = torch.load(state, weights_only=True)["step"] if state.exists() else 0
        resumed = BaseTrainer(tiny_config, folder, device="cpu")
        resumed.prepare()
        assert resumed.step == saved, kill.step  # what is saved is not made again
        resumed.fit()
        assert contents(folder) == contents(undisturbed), kill.step


def test_a_run_of_minutes_ends_by_the_clock_and_trains_on_lifted_clips(tiny_config, tmp_path):
    stage = TrainingStage(width=64, height=48, frames=5, batch_size=2, minutes=0.03, clips=6, lifted=0.5)
    config = replace(tiny_config, stages=(stage, replace(stage, width=48, minutes=0.02)))
    trainer = BaseTrainer(config, tmp_path, device="cpu", renderers=1, checkpoint_seconds=3600)
    checkpoint = trainer.fit()
    assert trainer.seconds >= 60 * config.total_minutes
    records = [json.loads(line) for line in (tmp_path / "losses.jsonl").read_text().splitlines()]
    assert records[-1]["seconds"] < 60 * config.total_minutes  # before the last step there was time left
    assert (checkpoint / "model_index.json").is_file()


def test_a_device_that_is_not_there_is_refused(tiny_config, tmp_path):
    with pytest.raises(UserError, match="--device moon"):
        BaseTrainer(tiny_config, tmp_path, device="moon")


def test_a_folder_of_another_configuration_is_refused(finished, tiny_config):
    with pytest.raises(UserError, match="another seed"):
        BaseTrainer(replace(tiny_config, seed=1), finished[1]).prepare()


def test_training_moves_the_weights_and_their_average(finished, tiny_config):
    state = torch.load(finished[1] / "state.pt", weights_only=True)
    fresh = build_transformer(tiny_config)
    assert state["model"]["proj_out.weight"].abs().max() > 0
    assert not torch.equal(state["average"]["blocks.0.attn1.to_q.weight"], fresh.blocks[0].attn1.to_q.weight)


def test_a_run_may_go_on_from_a_finished_one(finished, tiny_config, tmp_path):
    trainer = BaseTrainer(replace(tiny_config, start=str(finished[0]), seed=1), tmp_path)
    trainer.prepare()
    stored = load_file(finished[0] / "transformer" / "diffusion_pytorch_model.safetensors")
    for name, parameter in trainer.network.named_parameters():
        assert torch.equal(parameter, stored[name].float())
        assert torch.equal(trainer.average[name], parameter)
    first, second = (
        folder / "autoencoder" / "diffusion_pytorch_model.safetensors" for folder in (finished[1], tmp_path)
    )
    assert first.read_bytes() == second.read_bytes()
    text = (trainer.export() / "training.json").read_text()
    assert json.loads(text)["start"]["steps"] == tiny_config.total_steps
    assert str(finished[0].parent) not in text


def test_a_run_cannot_go_on_from_another_size(finished, tiny_config, tmp_path):
    larger = replace(tiny_config, start=str(finished[0]), size=replace(tiny_config.size, layers=3))
    with pytest.raises(UserError, match="does not fit"):
        BaseTrainer(larger, tmp_path).prepare()


def test_the_loss_curve_is_a_picture(finished, tmp_path):
    draw_loss_curve(finished[1] / "losses.jsonl", tmp_path / "loss.png")
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")


def test_a_curve_of_nothing_is_refused(tmp_path):
    (tmp_path / "losses.jsonl").write_text("")
    with pytest.raises(UserError, match="no step"):
        draw_loss_curve(tmp_path / "losses.jsonl", tmp_path / "loss.png")


def test_a_trainer_is_made_at_once_and_a_run_of_an_earlier_version_goes_on(finished, tiny_config, tmp_path):
    BaseTrainer(tiny_config, tmp_path)
    assert not (tmp_path / "config.json").exists()
    noted = json.loads((finished[1] / "config.json").read_text())
    for stage in noted["stages"]:
        stage["batch"] = stage.pop("batch_size")
    (tmp_path / "config.json").write_text(json.dumps(noted))
    shutil.copytree(finished[1] / "autoencoder", tmp_path / "autoencoder")
    BaseTrainer(tiny_config, tmp_path).prepare()
    assert json.loads((tmp_path / "config.json").read_text()) == json.loads((finished[1] / "config.json").read_text())
