"""The flow-matching loss of the base model, for networks that predict the clean sample or the velocity."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from real2sam2real.diffusion import conditioning, sampling
from real2sam2real.lab.train.clips import LatentClips

CHANGE_SCALE = 0.05


def sample_levels(batch: int, shift: float, generator: torch.Generator) -> Tensor:
    """Noise levels `(B, 1, 1, 1, 1)`, uniform before the timestep shift."""
    uniform = torch.rand(batch, 1, 1, 1, 1, generator=generator)
    return shift * uniform / (1 + (shift - 1) * uniform)


def changed_weights(video: Tensor, photo: Tensor, extra: float) -> Tensor:
    """Weights `(B, 1, F, h, w)` from 1 to 1 + `extra`, higher where the video's latents left the photo's."""
    change = (video - photo).square().mean(dim=1, keepdim=True)
    return 1 + extra * torch.tanh(change / CHANGE_SCALE)


def flow_matching_loss(
    transformer: Any,
    clips: LatentClips,
    empty: Tensor,
    *,
    shift: float,
    level_floor: float,
    changed_weight: float,
    blank: Tensor,
    blank_normals: Tensor,
    generator: torch.Generator,
) -> Tensor:
    """Mean squared error of the velocity over the video's latent frames; the reference frame is left out.

    For a network that predicts the sample, the velocity's error is the sample's error divided by the noise level;
    levels under `level_floor` count like it, or the last traces of noise would outweigh everything.

    Args:
        transformer: called as in `Real2Sam2RealTransformer3DModel.forward`.
        clips: B clips, any float dtype.
        empty: `(1, z, F, h, w)` latents of the mid-grey clip.
        shift: timestep shift of the levels drawn.
        level_floor: see above.
        changed_weight: see `changed_weights`.
        blank: `(B,)` bool, the clips whose normals are withheld.
        blank_normals: `(1, z, F, h, w)` latents of an empty (black) normal video.
        generator: source of noise and levels.
    """
    video, photo, normals = clips.video.float(), clips.photo.float(), clips.normals.float()
    normals = torch.where(blank.view(-1, 1, 1, 1, 1), blank_normals, normals)
    clean = torch.cat([photo, video], dim=2)
    noise = torch.randn(clean.shape, generator=generator)
    level = sample_levels(len(clean), shift, generator)
    noisy = sampling.add_noise(clean, noise, level)
    inputs = torch.cat([noisy, conditioning.condition_channels(photo, empty)], dim=1)
    with torch.autocast(clean.device.type, torch.bfloat16):
        predicted = transformer(
            inputs, level.flatten() * 1000, conditioning.null_prompt(transformer, len(clean)), normals
        )
    predicted = predicted.float()[:, :, 1:]
    if transformer.config.prediction == "sample":
        error = (predicted - video).square() / level.clamp(min=level_floor).square()
    else:
        error = (predicted - (noise - clean)[:, :, 1:]).square()
    return (error * changed_weights(video, photo, changed_weight)).mean()
