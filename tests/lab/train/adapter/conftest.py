"""A tiny base of the real classes, and a data set of three clips in which a disc moves."""

import socket

import numpy as np
import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler

from real2sam2real.diffusion.autoencoder import fit_autoencoder
from real2sam2real.diffusion.checkpoints import SETTINGS_FILE, CheckpointSettings
from real2sam2real.diffusion.loading import Real2Sam2RealPipeline
from real2sam2real.diffusion.transformer import Real2Sam2RealTransformer3DModel
from real2sam2real.lab.curate.dataset import DatasetInfo, Sample, shard_writer, write_info
from real2sam2real.lab.train.adapter.config import AdapterConfig

FRAMES, HEIGHT, WIDTH = 5, 32, 48


def clip(number):
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    ids = np.stack([(np.hypot(rows - 16, columns - 14 - 4 * k - number) < 8) for k in range(FRAMES)]).astype(np.uint8)
    video = np.where(ids[..., None] > 0, 220 - 30 * number, 40).astype(np.uint8) * np.ones(3, np.uint8)
    normals = np.where(ids[..., None] > 0, [0.0, 0.6, 0.8], 0).astype(np.float32)
    return Sample(key=f"clip-{number}", video=video, normals=normals, ids=ids, caption="a disc", labels={1: "disc"})


@pytest.fixture(scope="session")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dataset")
    info = DatasetInfo(
        width=WIDTH, height=HEIGHT, frames=FRAMES, fps=8.0, normals_by="n", masks_by="m", captions_by="c", licence="l"
    )
    write_info(folder, info)
    with shard_writer(folder / "shards" / "shard-000000.tar", info) as writer:
        for number in range(3):
            writer.add(clip(number))
    return folder


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory):
    """A pipeline's folder; its weights are random."""
    generator = torch.Generator().manual_seed(0)
    clips = torch.rand(4, 3, 5, 16, 16, generator=generator) * 2 - 1
    torch.manual_seed(0)
    transformer = Real2Sam2RealTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=12,
        latent_channels=4,
        text_dim=16,
        freq_dim=16,
        ffn_dim=32,
        num_layers=2,
        image_dim=None,
        added_kv_proj_dim=None,
        rope_max_seq_len=32,
        prediction="sample",
    )
    scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0)
    pipeline = Real2Sam2RealPipeline(
        vae=fit_autoencoder(clips, channels=4), transformer=transformer, scheduler=scheduler
    )
    folder = tmp_path_factory.mktemp("base")
    pipeline.save_pretrained(folder)
    settings = CheckpointSettings(area=WIDTH * HEIGHT, max_frames=FRAMES, steps=2)
    (folder / SETTINGS_FILE).write_text(settings.to_json())
    return folder


@pytest.fixture
def make_config(dataset, tiny_base):
    def make(**changes):
        values = {
            "base": str(tiny_base),
            "dataset": str(dataset),
            "rank": 4,
            "alpha": 2.0,
            "learning_rate": 0.01,
            "steps": 4,
            "accumulation": 2,
            "variants": 2,
            "bf16": False,
            "checkpoint_every": 2,
            "keep_last": 2,
            "tensorboard": False,
        }
        return AdapterConfig(**{**values, **changes})

    return make


@pytest.fixture
def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]
