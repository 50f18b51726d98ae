"""What a model under training makes of a clip it trains on: truth, sample and control side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from real2sam2real import media
from real2sam2real.diffusion import conditioning, sampling
from real2sam2real.diffusion.checkpoints import CheckpointSettings
from real2sam2real.lab.train.adapter.objective import Batch, NullConditions


@torch.no_grad()
def sample_latents(
    model: Any,
    batch: Batch,
    null_conditions: NullConditions,
    settings: CheckpointSettings,
    *,
    prediction: str,
    shift: float,
    generator: torch.Generator,
) -> Tensor:
    """`(B, z, F, h, w)` from noise, by a generator on the CPU, without guidance.

    The model is called whole, wrapped or not, as sharding asks for; it predicts the "velocity" or the "sample". `shift`
    is of the noise levels, where the settings leave it open.
    """
    clean = torch.cat([batch.photo, batch.video], dim=2)
    noise = torch.randn(clean.shape, generator=generator).to(clean.device)
    channels = conditioning.condition_channels(batch.photo, null_conditions.video)
    scheduler = sampling.make_scheduler("euler", settings.shift or shift)
    sampling.set_steps(scheduler, settings.steps, settings.spacing, 1.0, clean.device)

    def velocity(noisy: Tensor, timestep: Tensor, level: Tensor) -> Tensor:
        predicted = model(
            torch.cat([noisy, channels], dim=1),
            timestep.expand(len(noisy)),
            encoder_hidden_states=batch.text,
            pose_hidden_states=batch.normals,
            encoder_hidden_states_image=batch.image,
        ).float()
        return sampling.velocity_from_sample(noisy, predicted, level) if prediction == "sample" else predicted

    return sampling.denoise(scheduler, velocity, noise)[:, :, 1:]


@torch.no_grad()
def write_sample(path: Path, vae: Any, batch: Batch, made: Tensor, fps: float) -> None:
    """Write the first clip as an mp4: what it is, what was made, and the normals, left to right."""
    videos = [batch.video[:1], made[:1], batch.normals[:1]]
    frames = [conditioning.to_frames(conditioning.decode_latents(vae, video.float())) for video in videos]
    media.write_video(path, np.concatenate(frames, axis=2), fps)
