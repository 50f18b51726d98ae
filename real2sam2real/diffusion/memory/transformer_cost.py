"""What a pass of the transformer needs, measured by running its own code on fake tensors.

The blocks are alike, so two and three of them are run and the rest is extrapolated.

Shape letters: z latent channels, F video latent frames, h × w latent size, L tokens.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from functools import cache
from typing import Any

import torch
from torch import Tensor

from real2sam2real.diffusion.memory.architecture import Architecture, as_fake, autoencoder_of, transformer_of
from real2sam2real.diffusion.memory.cost import Clip, Cost, metered
from real2sam2real.diffusion.memory.formats import NF4_BYTES, PLAIN, pack, quantize
from real2sam2real.diffusion.memory.plans import WeightFormat
from real2sam2real.diffusion.memory.tracking import bytes_of, fake_device

# What the transformer reads of a prompt and of a photo.
TEXT_TOKENS = 512
IMAGE_TOKENS = 257


@dataclass(frozen=True, kw_only=True)
class PassCost(Cost):
    """What one transformer pass needs.

    Attributes:
        block: bytes of one block's weights.
        layers: number of blocks.
        tokens: L, of the video and the reference.
    """

    block: int
    layers: int
    tokens: int

    @property
    def all_blocks(self) -> int:
        """Bytes of all blocks' weights."""
        return self.block * self.layers


@cache
def measure_pass(
    architecture: Architecture,
    clip: Clip,
    *,
    weights: WeightFormat = "bfloat16",
    token_chunks: int = 1,
    keys_values: bool = True,
    prompts: int = 1,
    attention_copies: bool = False,
) -> PassCost:
    """One pass of the transformer over a clip.

    Args:
        architecture: its networks.
        clip: the segment's size.
        weights: how the blocks' linear layers are stored; all else is bfloat16, or float32 if they are.
        token_chunks: in how many parts the blocks work through the tokens where they can.
        keys_values: the cross-attention's keys and values of all blocks are kept between passes.
        prompts: for how many prompts constants are kept between passes: 2 with guidance.
        attention_copies: the attention kernel takes copies of its inputs.

    Raises:
        MissingPartError: the package that makes `weights` is not installed.
    """
    layers = _layers(architecture)
    few = min(layers, 2)
    first, second = (
        _run(architecture, clip, count, weights, token_chunks, keys_values, prompts, attention_copies)
        for count in (few, few + 1)
    )
    return replace(first.extrapolated(second, layers - few), block=second.weights - first.weights)


@cache
def plain_weights(architecture: Architecture, weights: WeightFormat = "bfloat16") -> int:
    """Bytes of the transformer in "bfloat16" or "float32"; some parts are float32 in both."""
    transformer = transformer_of(architecture)
    with fake_device():
        as_fake(transformer, PLAIN[weights], transformer._keep_in_fp32_modules)
        return bytes_of([*transformer.parameters(), *transformer.buffers()])


@cache
def _layers(architecture: Architecture) -> int:
    return len(transformer_of(architecture).blocks)


def _run(
    architecture: Architecture,
    clip: Clip,
    layers: int,
    weights: WeightFormat,
    token_chunks: int,
    keys_values: bool,
    prompts: int,
    attention_copies: bool,
) -> PassCost:
    """The cost with this many blocks; `block` is left 0."""
    transformer = transformer_of(architecture, layers=layers)
    dtype = PLAIN.get(weights, torch.bfloat16)
    with fake_device(copy_attention_inputs=attention_copies):
        as_fake(transformer, dtype, transformer._keep_in_fp32_modules)
        for block in transformer.blocks:
            _store(block, weights, architecture)
        transformer.set_token_chunks(token_chunks)
        _, z, frames, height, width = shape = _latent_shape(architecture, clip)
        noisy = torch.empty(1, 2 * z + 4, frames + 1, height, width, dtype=dtype)
        context = _context(transformer.config, shape, dtype)
        constants = [transformer.precompute(*context, keys_values=keys_values) for _ in range(prompts)]
        timestep = torch.empty(1)
        cost = metered(
            transformer,
            lambda: transformer(noisy, timestep, constants=constants[0]),
            [noisy, timestep, *context, *_tensors_in(tuple(constants))],
        )
    grid = zip((frames + 1, height, width), transformer.config.patch_size, strict=True)
    return PassCost(**asdict(cost), block=0, layers=layers, tokens=math.prod(size // patch for size, patch in grid))


def _store(block: Any, weights: WeightFormat, architecture: Architecture) -> None:
    if weights in ("nf4", "gguf"):
        pack(block, NF4_BYTES if weights == "nf4" else architecture.gguf_bytes)
    else:
        quantize(block, weights)


def _latent_shape(architecture: Architecture, clip: Clip) -> tuple[int, int, int, int, int]:
    """`(1, z, F, h, w)` of a clip's latents."""
    config = autoencoder_of(architecture).config
    space, time = config.scale_factor_spatial, config.scale_factor_temporal
    return 1, config.z_dim, (clip.frames - 1) // time + 1, clip.height // space, clip.width // space


def _context(config: Any, shape: tuple[int, ...], dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor | None]:
    """Text, latents of the normals of `shape`, and image features."""
    image = None
    if config.image_dim is not None:
        image = torch.empty(1, IMAGE_TOKENS, config.image_dim, dtype=dtype)
    return torch.empty(1, TEXT_TOKENS, config.text_dim, dtype=dtype), torch.empty(shape, dtype=dtype), image


def _tensors_in(value: Any) -> list[Tensor]:
    """All tensors in nested dataclasses and tuples."""
    if isinstance(value, Tensor):
        return [value]
    if is_dataclass(value):
        return [tensor for field in fields(value) for tensor in _tensors_in(getattr(value, field.name))]
    return [tensor for item in value for tensor in _tensors_in(item)] if isinstance(value, tuple) else []
