"""Wan's causal autoencoder, chunk by chunk along time: frames leave as they are decoded, and none is held twice.

`AutoencoderKLWan` works on one frame and then four at a time itself, each chunk after what its convolutions remember of
the ones before, and joins what comes out. Here the same calls are made and what they give is handed on at once. Where
it cannot be done so (in tiles, which are blended at the end; under a hook that moves the whole autoencoder; another
autoencoder), the whole is one chunk. Either way the numbers are those of the autoencoder's own `encode` and `decode`.

Shape letters: B batch, T = 4k + 1 frames, t frames of a chunk, F = k + 1 latent frames, H × W pixels, h × w latent
size, z channels.
"""

from __future__ import annotations

import real2sam2real.diffusion.lean_diffusers  # noqa: F401

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from diffusers import AutoencoderKLWan
from torch import Tensor, nn

from real2sam2real.diffusion.conditioning import decode_latents, encode_latents, from_standard, to_standard


def goes_by_chunks(autoencoder: Any, height: int, width: int) -> bool:
    """Whether frames of `height` × `width` pixels go through it chunk by chunk."""
    if not isinstance(autoencoder, AutoencoderKLWan) or autoencoder.config.get("patch_size") is not None:
        return False
    large = height > autoencoder.tile_sample_min_height or width > autoencoder.tile_sample_min_width
    return not (autoencoder.use_tiling and large) and not hasattr(autoencoder, "_hf_hook")


def chunk_bounds(frames: int) -> list[tuple[int, int]]:
    """First frame and the one after the last of each chunk of T frames: one frame, then four at a time."""
    return [(0, 1), *((first, first + 4) for first in range(1, frames, 4))]


def decode_chunks(autoencoder: Any, latents: Tensor) -> Iterator[Tensor]:
    """Video `(B, 3, t, H, W)` float32 in −1…1, in order, of standardised latents `(B, z, F, h, w)`.

    The autoencoder may be used for something else between two chunks.
    """
    scale = autoencoder.config.scale_factor_spatial
    if not goes_by_chunks(autoencoder, latents.shape[3] * scale, latents.shape[4] * scale):
        yield decode_latents(autoencoder, latents)
        return
    remembered = [None] * autoencoder._cached_conv_counts["decoder"]
    given = autoencoder.post_quant_conv(from_standard(autoencoder, latents).to(autoencoder.dtype))
    for index in range(given.shape[2]):
        part = given[:, :, index : index + 1]
        made = autoencoder.decoder(part, feat_cache=remembered, feat_idx=[0], first_chunk=index == 0)
        yield made.clamp(-1.0, 1.0).float()


def encode_chunks(autoencoder: Any, chunks: Iterable[Tensor], height: int, width: int) -> Tensor:
    """Standardised latents `(B, z, F, h, w)` float32 of video `(B, 3, t, H, W)` in −1…1 in chunks of `chunk_bounds`."""
    if not goes_by_chunks(autoencoder, height, width):
        return encode_latents(autoencoder, torch.cat(list(chunks), dim=2))
    remembered = [None] * autoencoder._cached_conv_counts["encoder"]
    made = [autoencoder.encoder(chunk.to(autoencoder.dtype), feat_cache=remembered, feat_idx=[0]) for chunk in chunks]
    mean, _ = autoencoder.quant_conv(torch.cat(made, dim=2)).chunk(2, dim=1)  # of the posterior: its mode
    return to_standard(autoencoder, mean.float())


def lay_out_channels_last(autoencoder: nn.Module) -> None:
    """Let convolutions compute on memory whose fastest axis is that of the channels, as tensor cores want it.

    What goes through follows its weights. The sums are the same, in another order: results differ by rounding.
    """
    layouts = {4: torch.channels_last, 5: torch.channels_last_3d}
    for parameter in autoencoder.parameters():
        if parameter.ndim in layouts:
            parameter.data = parameter.data.contiguous(memory_format=layouts[parameter.ndim])
