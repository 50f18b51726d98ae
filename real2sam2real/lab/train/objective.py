"""The flow-matching loss of the base model, for networks that predict the clean sample or the velocity.

A clip with a preview is trained on as the sampler meets it that starts from the preview at noise level s. At s the
clean part of its latents is the preview; at a later level t < s it is a mix, as Euler's steps keep the noise and what
of the preview they have not yet replaced: t·(1 − s) / (s·(1 − t)) of the preview, the rest of what the network
predicts, for which the truth stands here. The target is always the true video, so the network learns to repair what
a preview has wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from real2sam2real.diffusion import conditioning, sampling
from real2sam2real.lab.train.clips import LatentClips
from real2sam2real.lab.train.training import bfloat16_where_fast

CHANGE_SCALE = 0.05


@dataclass(frozen=True, kw_only=True)
class PreviewStarts:
    """How clips with a preview are trained on."""

    # of these clips, those that start from it; the others start from noise, with normals of lifted meshes
    share: float = 0.85
    strongest: float = 0.7  # noise level up to which a start is drawn
    first_step: float = 0.6  # share of the starts seen at their first step, where nothing of the preview is replaced
    # Noise levels under it weigh like it; high, since what is wrong with a preview does not vanish with the noise.
    level_floor: float = 0.5


def sample_levels(batch: int, shift: float, generator: torch.Generator) -> Tensor:
    """Noise levels `(B, 1, 1, 1, 1)`, uniform before the timestep shift."""
    uniform = torch.rand(batch, 1, 1, 1, 1, generator=generator, device=generator.device)
    return shift * uniform / (1 + (shift - 1) * uniform)


def sample_preview_levels(batch: int, starts: PreviewStarts, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Noise levels, and how much of the clean part is the preview there, `(B, 1, 1, 1, 1)` each."""
    start, later, kind = torch.rand(3, batch, 1, 1, 1, 1, generator=generator, device=generator.device)
    start = starts.strongest * start.clamp(min=1e-3)
    level = torch.where(kind < starts.first_step, start, start * later)
    return level, preview_share(level, start)


def preview_share(level: Tensor, start: Tensor) -> Tensor:
    """How much of the clean part of latents at noise `level` is the preview, in a run that starts at `start`."""
    return level * (1 - start) / (start * (1 - level))


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
    starts: PreviewStarts | None = None,
) -> Tensor:
    """Mean squared error of the velocity over the video's latent frames; the reference frame is left out.

    The velocity's error is the sample's error divided by the noise level; levels under `level_floor` count like it, or
    the last traces of noise would outweigh everything.

    Args:
        transformer: called as in `Real2Sam2RealTransformer3DModel.forward`.
        clips: B clips, any float dtype.
        empty: `(1, z, F, h, w)` latents of the mid-grey clip.
        shift: timestep shift of the levels drawn.
        level_floor: see above.
        changed_weight: see `changed_weights`.
        blank: `(B,)` bool, the clips whose normals are withheld.
        blank_normals: `(1, z, F, h, w)` latents of an empty (black) normal video.
        generator: source of noise and levels, on the clips' device.
        starts: how clips with a preview start; None lets all start from noise.
    """
    video, photo, normals = clips.video.float(), clips.photo.float(), clips.normals.float()
    normals = torch.where(blank.view(-1, 1, 1, 1, 1), blank_normals, normals)
    noise = torch.randn(len(video), video.shape[1], video.shape[2] + 1, *video.shape[3:], **_drawn_by(generator))
    level = sample_levels(len(video), shift, generator)
    floor, shown = torch.full_like(level, level_floor), video
    if starts is not None and clips.preview is not None and clips.lifted is not None:
        low, share = sample_preview_levels(len(video), starts, generator)
        started = torch.rand(len(video), **_drawn_by(generator)) < starts.share
        started = (started & clips.lifted).view(-1, 1, 1, 1, 1)
        level = torch.where(started, low, level)
        floor = torch.where(started, starts.level_floor, floor)
        shown = torch.where(started, torch.lerp(video, clips.preview.float(), share), video)
    noisy = sampling.add_noise(torch.cat([photo, shown], dim=2), noise, level)
    inputs = torch.cat([noisy, conditioning.condition_channels(photo, empty)], dim=1)
    with bfloat16_where_fast(video.device):
        predicted = transformer(
            inputs, level.flatten() * 1000, conditioning.null_prompt(transformer, len(video)), normals
        )
    predicted = predicted.float()[:, :, 1:]
    if transformer.config.prediction == "velocity":
        predicted = noisy[:, :, 1:] - level * predicted
    error = (predicted - video).square() / level.maximum(floor).square()
    return (error * changed_weights(video, photo, changed_weight)).mean()


def _drawn_by(generator: torch.Generator) -> dict[str, Any]:
    """Options of what is drawn from a generator, on its device."""
    return {"generator": generator, "device": generator.device}
