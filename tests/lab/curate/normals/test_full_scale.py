"""Estimators of full scale: the real pipeline class with tiny random weights, and the worker with a stand-in's code."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from real2sam2real.control.normal_convention import NormalConvention
from real2sam2real.errors import MissingPartError, UserError
from real2sam2real.lab.curate.normals.axes import unit_normals
from real2sam2real.lab.curate.normals.estimator import load_estimator
from real2sam2real.lab.curate.normals.normalcrafter.estimator import FOLDER_VARIABLE, PYTHON_VARIABLE
from real2sam2real.lab.curate.normals.per_frame import Marigold


@pytest.fixture
def clip():
    rng = np.random.default_rng(0)
    ids = np.zeros((2, 64, 64), np.uint8)
    ids[:, 16:48, 16:48] = 1
    return rng.integers(0, 256, (2, 64, 64, 3), np.uint8), ids


def test_axes_are_turned_and_lengths_made_one():
    ids = np.array([[[1, 1, 0]]], np.uint8)
    raw = np.array([[[[0.0, -2.0, 0.0], [np.nan, 0, 0], [1, 0, 0]]]], np.float32)
    ours = unit_normals(raw, ids, NormalConvention.preset("opencv"))
    np.testing.assert_allclose(ours[0, 0], [[0, 1, 0], [0, 0, 1], [0, 0, 0]], atol=1e-6)


def tiny_marigold(folder):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from diffusers import AutoencoderKL, DDIMScheduler, MarigoldNormalsPipeline, UNet2DConditionModel

    torch.manual_seed(0)
    blocks = {"block_out_channels": (32, 64), "layers_per_block": 1, "norm_num_groups": 32}
    unet = UNet2DConditionModel(
        sample_size=8,
        in_channels=8,
        out_channels=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=32,
        **blocks,
    )
    vae = AutoencoderKL(
        down_block_types=["DownEncoderBlock2D"] * 2,
        up_block_types=["UpDecoderBlock2D"] * 2,
        latent_channels=4,
        **blocks,
    )
    words = {"<|startoftext|>": 0, "<|endoftext|>": 1, "a</w>": 2}
    (folder / "vocab.json").write_text(json.dumps(words))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = transformers.CLIPTokenizer.from_pretrained(folder, model_max_length=8)
    config = transformers.CLIPTextConfig(
        vocab_size=3,
        hidden_size=32,
        intermediate_size=37,
        num_attention_heads=4,
        num_hidden_layers=1,
        bos_token_id=0,
        eos_token_id=1,
    )
    scheduler = DDIMScheduler(prediction_type="v_prediction", set_alpha_to_one=False, steps_offset=1)
    pipeline = MarigoldNormalsPipeline(
        unet=unet,
        vae=vae,
        scheduler=scheduler,
        text_encoder=transformers.CLIPTextModel(config),
        tokenizer=tokenizer,
        prediction_type="normals",
        use_full_z_range=True,
        default_denoising_steps=1,
        default_processing_resolution=64,
    )
    pipeline.save_pretrained(folder / "marigold")
    return str(folder / "marigold")


def test_marigold_through_diffusers(tmp_path, clip):
    import torch

    video, ids = clip
    estimator = load_estimator("marigold", model=tiny_marigold(tmp_path), offline=True)
    assert isinstance(estimator, Marigold)
    normals = estimator.estimate(video, ids)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=-1), ids > 0, atol=1e-5)
    # The same frame alone, through the library: what it calls x, y, z is our right, up, towards.
    direct = estimator._pipeline(
        video[1].astype(np.float32) / 255, generator=torch.Generator().manual_seed(0), output_type="np"
    ).prediction[0]
    np.testing.assert_allclose(normals[1][ids[1] > 0], direct[ids[1] > 0], atol=1e-4)


def test_marigold_without_weights_says_how_to_get_them(tmp_path):
    with pytest.raises(MissingPartError, match="hf download"):
        load_estimator("marigold", model=str(tmp_path / "nowhere"), offline=True)


STAND_IN = """
import numpy as np
class NormalCrafterPipeline:
    @classmethod
    def from_pretrained(cls, *args, **options):
        return cls()
    def enable_model_cpu_offload(self):
        pass
    def __call__(self, frames, decode_chunk_size, time_step_size, window_size):
        assert window_size == 14 and time_step_size == 10
        if np.asarray(frames[0]).max() == 0:
            raise RuntimeError("all is dark")
        values = np.stack([np.asarray(frame) for frame in frames]) / 127.5 - 1
        class Result:
            pass
        result = Result()
        result.frames = [values]
        return result
"""
UNET = """
class DiffusersUNetSpatioTemporalConditionModelNormalCrafter:
    @classmethod
    def from_pretrained(cls, *args, **options):
        return cls()
    def half(self):
        return self
"""


@pytest.fixture
def normalcrafter(tmp_path, monkeypatch):
    """A folder with the file and class names of NormalCrafter's code, which gives the picture back as normals."""
    package = tmp_path / "code" / "normalcrafter"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "normal_crafter_ppl.py").write_text(STAND_IN)
    (package / "unet.py").write_text(UNET)
    stub = "class AutoencoderKLTemporalDecoder:\n    from_pretrained = classmethod(lambda cls, *a, **k: cls())\n"
    stub += "    half = lambda self: self\n"
    (tmp_path / "code" / "diffusers.py").write_text(stub)
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "code"))
    monkeypatch.setenv(PYTHON_VARIABLE, sys.executable)
    return load_estimator("normalcrafter")


def test_normalcrafter_runs_in_its_own_process(normalcrafter, clip):
    video, ids = clip
    wanted = video.astype(np.float32) / 127.5 - 1
    wanted /= np.linalg.norm(wanted, axis=-1, keepdims=True)
    normals = normalcrafter.estimate(video, ids)
    np.testing.assert_allclose(normals[ids > 0], wanted[ids > 0], atol=1e-4)
    assert not normals[ids == 0].any()


def test_normalcrafters_last_words_are_told(normalcrafter, clip):
    video, ids = clip
    with pytest.raises(UserError, match="all is dark"):
        normalcrafter.estimate(np.zeros_like(video), ids)


def test_normalcrafter_that_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    with pytest.raises(MissingPartError, match="git clone"):
        load_estimator("normalcrafter")
