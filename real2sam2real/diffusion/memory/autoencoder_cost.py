"""What encoding and decoding a clip needs, measured by running the autoencoder's own code on fake tensors.

It takes the frames four at a time, so what a clip needs grows evenly with its length: short clips are run and the rest
is extrapolated. Where it works tile by tile, one tile is run, and then the gathering of all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import torch
from torch import Tensor

from real2sam2real.diffusion import conditioning
from real2sam2real.diffusion.memory.architecture import Architecture, as_fake, autoencoder_of
from real2sam2real.diffusion.memory.cost import Clip, Cost, metered
from real2sam2real.diffusion.memory.tracking import fake_device

Work = Callable[[Any, Clip], None]


def measure_encoding(
    architecture: Architecture, clip: Clip, dtype: torch.dtype = torch.float32, *, tiled: bool = False
) -> Cost:
    """Encoding one clip, normals or photo, with the autoencoder."""
    return _measure_autoencoder(architecture, clip, dtype, tiled, _encode)


def measure_decoding(
    architecture: Architecture, clip: Clip, dtype: torch.dtype = torch.float32, *, tiled: bool = False
) -> Cost:
    """Decoding one clip with the autoencoder."""
    return _measure_autoencoder(architecture, clip, dtype, tiled, _decode)


def _encode(autoencoder: Any, clip: Clip) -> None:
    conditioning.encode_latents(autoencoder, torch.empty(1, 3, clip.frames, clip.height, clip.width))


def _decode(autoencoder: Any, clip: Clip) -> None:
    config = autoencoder.config
    time, space = config.scale_factor_temporal, config.scale_factor_spatial
    frames = (clip.frames - 1) // time + 1
    conditioning.decode_latents(
        autoencoder, torch.empty(1, config.z_dim, frames, clip.height // space, clip.width // space)
    )


@cache
def _measure_autoencoder(architecture: Architecture, clip: Clip, dtype: torch.dtype, tiled: bool, work: Work) -> Cost:
    autoencoder = autoencoder_of(architecture)
    whole = _over_frames(architecture, clip, dtype, work)
    if not tiled or not can_tile(autoencoder):
        return whole
    one = _tile_at_work(architecture, clip, dtype, work)
    share = tiled_area(autoencoder, clip) / (clip.width * clip.height)
    return Cost(
        weights=whole.weights,
        working=_gathering_of_tiles(architecture, clip, dtype, work, one),
        attention_flops=round(whole.attention_flops * share),
        other_flops=round(whole.other_flops * share),
    )


def can_tile(autoencoder: Any) -> bool:
    """Whether it can work tile by tile; mini's does not need to."""
    return hasattr(autoencoder, "enable_tiling")


def tiled_area(autoencoder: Any, clip: Clip) -> int:
    """Pixels of all tiles of a frame; they overlap, so they are more than the frame has."""

    def extent(size: int, tile: int, stride: int) -> int:
        return sum(min(tile, size - start) for start in range(0, size, stride))

    across = extent(clip.width, autoencoder.tile_sample_min_width, autoencoder.tile_sample_stride_width)
    down = extent(clip.height, autoencoder.tile_sample_min_height, autoencoder.tile_sample_stride_height)
    return across * down


def _over_frames(architecture: Architecture, clip: Clip, dtype: torch.dtype, work: Work) -> Cost:
    """The cost of a clip worked on as a whole, from two shorter ones: all grows evenly with the frames."""
    step = autoencoder_of(architecture).config.scale_factor_temporal
    latent_frames = (clip.frames - 1) // step + 1
    few = min(latent_frames, 4)
    first, second = (
        _run_autoencoder(architecture, replace(clip, frames=1 + step * (count - 1)), dtype, work)
        for count in (few, few + 1)
    )
    return first.extrapolated(second, latent_frames - few)


def _run_autoencoder(architecture: Architecture, clip: Clip, dtype: torch.dtype, work: Work) -> Cost:
    autoencoder = autoencoder_of(architecture)
    with fake_device():
        as_fake(autoencoder, dtype)
        return metered(autoencoder, lambda: work(autoencoder, clip))


def _tile_at_work(architecture: Architecture, clip: Clip, dtype: torch.dtype, work: Work) -> int:
    """Most bytes beside the weights while a few frames of one tile are worked on."""
    autoencoder = autoencoder_of(architecture)
    tile = Clip(
        frames=min(clip.frames, 1 + 2 * autoencoder.config.scale_factor_temporal),
        width=min(clip.width, autoencoder.tile_sample_min_width),
        height=min(clip.height, autoencoder.tile_sample_min_height),
    )
    return _run_autoencoder(architecture, tile, dtype, work).working


def _gathering_of_tiles(architecture: Architecture, clip: Clip, dtype: torch.dtype, work: Work, one: int) -> int:
    """Most bytes beside the weights while tiles are worked on and put together.

    The autoencoder's own tiling runs, but in the place of its encoder and decoder stands something that takes `one`
    bytes for a moment, and blending, which takes nothing, is left out: it is hundreds of steps per tile.
    """
    autoencoder = autoencoder_of(architecture)
    with fake_device():
        as_fake(autoencoder, dtype)
        autoencoder.enable_tiling()
        step, space = autoencoder.config.scale_factor_temporal, autoencoder.config.scale_factor_spatial
        channels = autoencoder.config.z_dim * 2

        def encoder(tile: Tensor, **_: object) -> Tensor:
            torch.empty(one, dtype=torch.uint8)
            return tile.new_empty(1, channels, 1, tile.shape[-2] // space, tile.shape[-1] // space)

        def decoder(tile: Tensor, first_chunk: bool = False, **_: object) -> Tensor:
            torch.empty(one, dtype=torch.uint8)
            return tile.new_empty(1, 3, 1 if first_chunk else step, tile.shape[-2] * space, tile.shape[-1] * space)

        del autoencoder.encoder, autoencoder.decoder
        autoencoder.encoder, autoencoder.decoder = encoder, decoder
        autoencoder.blend_v = autoencoder.blend_h = lambda _, tile, extent: tile
        return metered(autoencoder, lambda: work(autoencoder, clip)).working
