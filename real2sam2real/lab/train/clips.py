"""Training clips on the device: varied as pixels, then encoded.

Shape letters: B clips of T = 4k + 1 frames of H × W pixels; z latent channels, F latent frames of h × w.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import torch
from einops import rearrange
from torch import Tensor

from real2sam2real.diffusion.autoencoder import BlockTransformAutoencoder
from real2sam2real.diffusion.conditioning import encode_latents

GAIN = (0.75, 1.15)
"""By how much a clip's brightness is changed."""
_VIDEO, _NORMALS, _PREVIEW = range(3)
_TIME, _HORIZONTAL = 2, 4  # axes of a video tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class PixelClips:
    """B rendered clips."""

    videos: Tensor  # `(B, 2 or 3, T, H, W, 3)` uint8: video, encoded normals, and the preview of the lifted ones
    lifted: Tensor  # `(B,)` bool: normals and preview are of lifted meshes; otherwise there is no preview


@dataclass(frozen=True, kw_only=True, eq=False)
class VariedClips:
    """B clips as the autoencoder wants them, `(B, 3, T, H, W)` float32 in −1…1 each."""

    video: Tensor
    normals: Tensor
    preview: Tensor | None  # of the lifted ones; of the others it carries no meaning


@dataclass(frozen=True, kw_only=True, eq=False)
class LatentClips:
    """B encoded clips, standardised."""

    video: Tensor  # `(B, z, F, h, w)` float
    normals: Tensor  # the same shape, of the encoded normals
    photo: Tensor  # `(B, z, 1, h, w)`, of frame 0 alone
    preview: Tensor | None = None  # the shape of `video`; of clips that are not lifted it carries no meaning
    lifted: Tensor | None = None  # `(B,)` bool; None for none at all


def vary(clips: PixelClips, generator: torch.Generator) -> VariedClips:
    """Each clip as it is, mirrored, backwards in time, or both; with permuted colour channels and another gain.

    A preview begins with the photo, so lifted clips are never turned backwards. Normals are encoded right/up/towards
    on black.
    """
    count, device = len(clips.lifted), clips.lifted.device
    mirrored, backwards = torch.rand(2, count, generator=generator, device=device) < 0.5
    orders = torch.tensor(list(permutations(range(3))), device=device)
    order = orders[torch.randint(len(orders), (count,), generator=generator, device=device)]
    gain = GAIN[0] + (GAIN[1] - GAIN[0]) * torch.rand(count, generator=generator, device=device)
    backwards &= ~clips.lifted

    def turned(video: Tensor) -> Tensor:
        video = torch.where(_wide(mirrored), video.flip(_HORIZONTAL), video)
        return torch.where(_wide(backwards), video.flip(_TIME), video)

    def colored(index: int) -> Tensor:
        video = turned(rearrange(clips.videos[:, index], "b t h w c -> b c t h w"))
        video = torch.gather(video, 1, _wide(order).expand_as(video))
        return ((video.float() / 127.5) * _wide(gain) - 1).clamp(max=1)

    normals = turned(rearrange(clips.videos[:, _NORMALS], "b t h w c -> b c t h w"))
    across = torch.where((normals != 0).any(dim=1), 255 - normals[:, 0], 0)
    normals = torch.where(
        _wide(mirrored), torch.cat([across[:, None].to(normals.dtype), normals[:, 1:]], dim=1), normals
    )
    has_preview = clips.videos.shape[1] > _PREVIEW
    return VariedClips(
        video=colored(_VIDEO),
        normals=normals.float() / 127.5 - 1,
        preview=colored(_PREVIEW) if has_preview else None,
    )


@torch.no_grad()
def encode(autoencoder: BlockTransformAutoencoder, clips: VariedClips, lifted: Tensor) -> LatentClips:
    """The latents of varied clips; `lifted` `(B,)` bool goes along."""
    video = encode_latents(autoencoder, clips.video)
    return LatentClips(
        video=video,
        normals=encode_latents(autoencoder, clips.normals),
        photo=video[:, :, :1],  # this autoencoder's first latent frame is that of the first frame alone
        preview=None if clips.preview is None else encode_latents(autoencoder, clips.preview),
        lifted=lifted,
    )


def _wide(values: Tensor) -> Tensor:
    """`(B, …)` values for tensors `(B, 3, T, H, W)`."""
    return values.reshape(*values.shape, *[1] * (5 - values.ndim))
