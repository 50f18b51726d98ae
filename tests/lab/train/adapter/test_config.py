from dataclasses import asdict, replace
from pathlib import Path

import pytest

from real2sam2real.control.perturbation import PerturbationRanges
from real2sam2real.errors import UserError
from real2sam2real.lab.train.adapter.config import AdapterConfig, config_from_dict, read_config


def test_a_file_says_what_differs_from_the_recipe(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text(
        "base: model\ndataset: data\nsteps: 30\ninjection: hard\nranges: {bend: [0.0, 0.1], flutter: 0.5}\n"
    )
    expected = AdapterConfig(
        base="model",
        dataset="data",
        steps=30,
        injection="hard",
        ranges=PerturbationRanges(bend=(0.0, 0.1), flutter=0.5),
    )
    assert read_config(path) == expected
    assert config_from_dict(asdict(expected)) == expected


def test_on_mini_it_says_what_differs_from_a_laptops_recipe():
    config = config_from_dict({"dataset": "data", "rank": 4})
    assert (config.rank, config.steps, config.accumulation) == (4, 200, 1)
    example = read_config(Path(__file__).parents[4] / "examples" / "mini_adapter.yaml")
    assert replace(config, rank=16, dataset=example.dataset, cache=example.cache) == example


def test_names_of_earlier_versions_are_read(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("dataset: data\nbatch: 2\nwarmup: 3\ndecay: 0.5\nsave_every: 7\ngradient_checkpointing: true\n")
    config = read_config(path)
    assert (config.batch_size, config.warmup_steps, config.decay_fraction, config.checkpoint_every) == (2, 3, 0.5, 7)
    assert config.activations == "recompute"
    changed = read_config(path, activations="offload", optimizer=None)
    assert (changed.activations, changed.optimizer) == ("offload", "adamw")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("dataset: data\nsteeps: 3\n", "unknown settings: steeps"),
        ("steps: 3\n", "no 'dataset'"),
        ("dataset: data\nsteps: 0\n", "steps is 0"),
        ("dataset: data\nlearning_rate: 1e-4\n", "write 1.0e-4"),
        ("dataset: data\ndrop_text: 2.0\n", "drop_text is 2.0"),
        ("dataset: data\nperturb: maybe\n", "true or false"),
        ("dataset: data\ndrop_image: 1.5\n", "drop_image is 1.5"),
        ("dataset: data\noptimizer: sgd\n", "one of adamw, adamw8bit"),
        ("dataset: data\nactivations: lose\n", "one of keep, recompute, offload"),
        ("dataset: data\nranges: {bend: [0.3, 0.1]}\n", "ranges cannot be used"),
        ("- dataset\n", "run.yaml"),
        ("dataset: [\n", "run.yaml"),
    ],
)
def test_a_mistake_is_named(tmp_path, text, words):
    path = tmp_path / "run.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        read_config(path)
    assert words in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match="nowhere"):
        read_config(tmp_path / "nowhere.yaml")
