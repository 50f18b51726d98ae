import json
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from real2sam2real.diffusion.autoencoder import BlockTransformAutoencoder
from real2sam2real.diffusion.loading import load_model, locate
from real2sam2real.diffusion.options import ModelOptions
from real2sam2real.errors import UserError
from real2sam2real.lab.train.base import BaseTrainer, build_transformer
from real2sam2real.lab.train.clips import read_shard, write_shard
from real2sam2real.lab.train.shards import ShardSource
from real2sam2real.lab.train.training import draw_loss_curve


@pytest.fixture(scope="module")
def finished(tiny_config, tmp_path_factory):
    """A run straight through, and its folder."""
    folder = tmp_path_factory.mktemp("straight")
    return BaseTrainer(tiny_config, folder).fit(), folder


@pytest.fixture
def rendered(finished, tmp_path):
    """A folder in which the clips are already rendered, so that a run starts at once."""
    for name in ("shards", "autoencoder"):
        shutil.copytree(finished[1] / name, tmp_path / name)
    return tmp_path


def losses(folder):
    return [json.loads(line) for line in (folder / "losses.jsonl").read_text().splitlines()]


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


@pytest.mark.parametrize("stop", [2, 4, 5])
def test_stopped_and_resumed_equals_straight_through(finished, tiny_config, rendered, stop):
    BaseTrainer(tiny_config, rendered).fit(stop_after=stop)
    resumed = BaseTrainer(tiny_config, rendered)
    resumed.prepare()
    assert resumed.step == stop
    resumed.fit()
    assert losses(rendered) == losses(finished[1])


def test_losses_of_steps_that_were_not_saved_are_not_kept_twice(tiny_config, rendered):
    BaseTrainer(tiny_config, rendered).fit(stop_after=2)
    with (rendered / "losses.jsonl").open("a") as file:
        file.write('{"step": 3, "stage": "lost", "loss": 1.0}\n')
    BaseTrainer(tiny_config, rendered).fit(stop_after=3)
    assert [record["step"] for record in losses(rendered)] == [1, 2, 3]
    assert all(record["stage"] != "lost" for record in losses(rendered))


def test_clips_rendered_twice_are_the_same(finished, tiny_config, tmp_path):
    folder = finished[1]
    shard = next((folder / "shards").glob("0-*/shard-0000.safetensors"))
    autoencoder = BlockTransformAutoencoder.from_pretrained(folder / "autoencoder")
    write_shard(tmp_path / "again.safetensors", autoencoder, tiny_config.stages[0], 0, tiny_config.clips_per_shard)
    first, again = read_shard(shard), read_shard(tmp_path / "again.safetensors")
    for name in ("video", "normals", "photo"):
        torch.testing.assert_close(getattr(first, name), getattr(again, name), atol=2e-3, rtol=0)


def test_a_damaged_shard_is_named(tmp_path):
    (tmp_path / "shard-0000.safetensors").write_bytes(b"half of it")
    with pytest.raises(UserError, match="shard-0000"):
        read_shard(tmp_path / "shard-0000.safetensors")


def test_a_renderer_that_fails_does_not_leave_the_trainer_waiting(tmp_path):
    no_writer = partial(Path.read_bytes, tmp_path / "no-autoencoder")
    source = ShardSource([tmp_path / "shard-0000.safetensors"], no_writer, read_shard)
    with pytest.raises(UserError, match="stopped before"):
        source.window(0, 1)


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
    record = json.loads((trainer.export() / "training.json").read_text())
    assert record["start"]["steps"] == tiny_config.total_steps


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


def test_a_trainer_is_made_at_once_and_a_run_of_an_earlier_version_goes_on(finished, tiny_config, rendered):
    BaseTrainer(tiny_config, rendered)
    assert not (rendered / "config.json").exists()
    noted = json.loads((finished[1] / "config.json").read_text())
    for stage in noted["stages"]:
        stage["batch"] = stage.pop("batch_size")
    (rendered / "config.json").write_text(json.dumps(noted))
    BaseTrainer(tiny_config, rendered).prepare()
    assert json.loads((rendered / "config.json").read_text()) == json.loads((finished[1] / "config.json").read_text())
