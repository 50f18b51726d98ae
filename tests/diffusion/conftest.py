import real2sam2real.diffusion.lean_diffusers  # noqa: F401

import importlib.util
from pathlib import Path

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler

from real2sam2real.diffusion.autoencoder import fit_autoencoder
from real2sam2real.diffusion.loading import Real2Sam2RealPipeline
from real2sam2real.diffusion.transformer import Real2Sam2RealTransformer3DModel

TINY = {
    "num_attention_heads": 2,
    "attention_head_dim": 12,
    "latent_channels": 4,
    "text_dim": 16,
    "freq_dim": 16,
    "ffn_dim": 32,
    "num_layers": 2,
    "rope_max_seq_len": 32,
}


def tiny_transformer(**changes: object) -> Real2Sam2RealTransformer3DModel:
    torch.manual_seed(0)
    config = {**TINY, "image_dim": None, "added_kv_proj_dim": None, **changes}
    return Real2Sam2RealTransformer3DModel(**config).eval()


@pytest.fixture
def make_transformer():
    return tiny_transformer


@pytest.fixture(scope="session")
def tiny_autoencoder():
    """Four channels, fitted to noise of three spatial frequencies: enough for a pipeline to run through."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(6, 3, 9, 4, 4, generator=generator) * 2 - 1
    clips = torch.nn.functional.interpolate(coarse, size=(9, 32, 32), mode="trilinear")
    return fit_autoencoder(clips, channels=4)


@pytest.fixture
def make_pipeline(tiny_autoencoder):
    """A pipeline of the real classes with tiny random weights."""

    def make(**changes: object) -> Real2Sam2RealPipeline:
        pipeline = Real2Sam2RealPipeline(
            vae=tiny_autoencoder,
            transformer=tiny_transformer(**changes),
            scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        )
        pipeline.set_progress_bar_config(disable=True)
        return pipeline

    return make


@pytest.fixture(scope="session")
def wan_animate():
    """The module `wan_animate.py` beside this file: tiny random parts of Wan2.2-Animate."""
    spec = importlib.util.spec_from_file_location("wan_animate", Path(__file__).parent / "wan_animate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
