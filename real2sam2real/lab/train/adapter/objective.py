"""The loss of fine-tuning: the base's own flow matching, with conditions withheld at times.

Flow matching as Wan is trained (Lipman et al., 2023; Wan team, 2025): x_σ = (1 − σ)·x + σ·ε, the network predicts the
velocity ε − x, σ is uniform before the timestep shift. The photo's latent stands before the video as latent frame 0;
it is noised like the rest, as when sampling, but does not count.

Shape letters: B batch, z latent channels, F latent frames, h × w latent size, N text tokens, M image tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from real2sam2real.diffusion import conditioning, sampling
from real2sam2real.lab.train.objective import sample_levels

LEVEL_FLOOR = 0.25
"""Smaller noise levels divide a sample's error like this one, or the last traces of noise would outweigh everything."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Batch:
    """B encoded clips, standardised latents."""

    video: Tensor  # `(B, z, F, h, w)`
    photo: Tensor  # `(B, z, 1, h, w)`, of frame 0 alone
    normals: Tensor  # `(B, z, F, h, w)`, of the encoded normals, perturbed already
    text: Tensor  # `(B, N, text_dim)`
    image: Tensor | None = None  # `(B, M, image_dim)`, or None for a transformer without image features


@dataclass(frozen=True, kw_only=True, eq=False)
class NullConditions:
    """What stands for nothing, for clips of one size."""

    video: Tensor  # `(1, z, F, h, w)` latents of a mid-grey clip, which fill the condition's frames
    normals: Tensor  # `(1, z, F, h, w)` latents of a black normal video
    text: Tensor  # `(1, N, text_dim)` of the empty prompt


@dataclass(frozen=True, kw_only=True, eq=False)
class StepNoise:
    """Everything random in a step, so that a step can be made again."""

    noise: Tensor  # `(B, z, F + 1, h, w)` float32
    level: Tensor  # `(B,)` float32, the noise levels σ
    keep_text: Tensor  # `(B,)` bool
    keep_image: Tensor  # `(B,)` bool
    keep_normals: Tensor  # `(B,)` bool


def draw_step_noise(
    batch: Batch,
    *,
    shift: float,
    generator: torch.Generator,
    drop_text: float = 0.1,
    drop_image: float = 0.1,
    drop_normals: float = 0.1,
) -> StepNoise:
    """Draw a step for a batch; conditions are withheld each on its own, so that guidance has something to leave.

    Args:
        batch: whose sizes and device count.
        shift: timestep shift of the noise levels; Wan's is 5.
        generator: on the CPU, so that every device draws the same.
        drop_text: share of clips whose prompt becomes the empty one.
        drop_image: share whose features of the image encoder become zero; the photo's latent stays.
        drop_normals: share without any instance.
    """
    clips, channels, frames, height, width = batch.video.shape
    device = batch.video.device
    noise = torch.randn(clips, channels, frames + 1, height, width, generator=generator)
    level = sample_levels(clips, shift, generator).flatten()
    kept = [torch.rand(clips, generator=generator) >= share for share in (drop_text, drop_image, drop_normals)]
    text, image, normals = (k.to(device) for k in kept)
    return StepNoise(
        noise=noise.to(device), level=level.to(device), keep_text=text, keep_image=image, keep_normals=normals
    )


def fine_tuning_loss(
    transformer: Any,
    batch: Batch,
    step_noise: StepNoise,
    null_conditions: NullConditions,
    *,
    level_floor: float = LEVEL_FLOOR,
    prediction: str | None = None,
) -> Tensor:
    """Mean squared error of the velocity over the video's latent frames.

    A network that predicts the clean sample is judged by the velocity that follows from it.

    Args:
        transformer: called as in `Real2Sam2RealTransformer3DModel.forward`, in the caller's autocast.
        batch: the clips.
        step_noise: by `draw_step_noise`.
        null_conditions: for clips of this size.
        level_floor: the least σ that a sample's error is divided by.
        prediction: "velocity" or "sample", for a transformer whose wrapper hides its config.
    """
    clean = torch.cat([batch.photo, batch.video], dim=2).float()
    level = step_noise.level.view(-1, 1, 1, 1, 1)
    noisy = sampling.add_noise(clean, step_noise.noise, level)
    channels = conditioning.condition_channels(batch.photo.float(), null_conditions.video.float())
    image = None if batch.image is None else batch.image * _of(step_noise.keep_image, batch.image)
    predicted = transformer(
        torch.cat([noisy, channels], dim=1),
        step_noise.level * 1000,
        encoder_hidden_states=torch.where(_of(step_noise.keep_text, batch.text), batch.text, null_conditions.text),
        pose_hidden_states=torch.where(
            _of(step_noise.keep_normals, batch.normals), batch.normals, null_conditions.normals
        ),
        encoder_hidden_states_image=image,
    )
    predicted = predicted.float()[:, :, 1:]
    if (prediction or transformer.config.prediction) == "sample":
        error = (predicted - clean[:, :, 1:]) / level.clamp(min=level_floor)
    else:
        error = predicted - (step_noise.noise - clean)[:, :, 1:]
    return error.square().mean()


def _of(keep: Tensor, values: Tensor) -> Tensor:
    """`(B, 1, …)` bool, as many dimensions as the values have."""
    return keep.view(-1, *[1] * (values.ndim - 1))
