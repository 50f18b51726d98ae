"""How a fine-tuning fits into memory: what waits for the backward pass and where, how the frozen base is stored.

`docs/training.md` has the arithmetic, `python benchmarks/train_memory.py` counts it on the code itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from real2sam2real.diffusion.memory.choose import gib
from real2sam2real.diffusion.memory.costs import Architecture, ClipSize, pass_cost
from real2sam2real.diffusion.memory.formats import quantize
from real2sam2real.diffusion.memory.machine import free_ram
from real2sam2real.diffusion.memory.plans import WeightFormat
from real2sam2real.errors import UserError, require
from real2sam2real.lab.train.adapter.config import AdapterConfig
from real2sam2real.lab.train.adapter.int8_base import store_in_int8
from real2sam2real.lab.train.options import BaseDtype

CHUNK_TOKENS = 10_000
"""Tokens that feed-forward and cross-attention see at once where activations are not kept: 1.1 GB of a hidden layer."""
_FORMATS: dict[BaseDtype, tuple[WeightFormat, str]] = {
    "fp8": ("float8", "torchao"),
    "nf4": ("nf4", "bitsandbytes"),
}


def check_choices(config: AdapterConfig, accelerator: Any) -> None:
    """Refuse, before anything is encoded or loaded, what cannot work here.

    Raises:
        MissingPartError: a package is missing.
        UserError: rounded weights are to be shared among processes.
    """
    if config.optimizer == "adamw8bit":
        require("bitsandbytes", "optimizer adamw8bit needs bitsandbytes: pip install bitsandbytes")
    if config.base_dtype == "plain":
        return
    if config.base_dtype in _FORMATS:
        package = _FORMATS[config.base_dtype][1]
        require(package, f"base_dtype {config.base_dtype} needs {package}: pip install {package}")
    if accelerator.num_processes > 1 or accelerator.distributed_type.value == "DEEPSPEED":
        raise UserError(
            f"base_dtype {config.base_dtype} works on one device, and this launch has {accelerator.num_processes} "
            f"({accelerator.distributed_type.value}); rounded weights can be neither sharded nor copied there: "
            "train on one, or with base_dtype plain"
        )


def lighten(transformer: Any, config: AdapterConfig, clips: Sequence[Tensor], device: torch.device | None) -> None:
    """Store the frozen base and treat activations as the settings say; call it after `attach`.

    Args:
        transformer: in CPU memory; blocks of a rounded base go to the device one by one.
        config: the settings.
        clips: latents `(1, z, F, h, w)` of one clip of each size.
        device: where it will be trained; None for where it is.
    """
    for block in transformer.blocks:
        if config.base_dtype == "int8":
            store_in_int8(block, device)
        elif config.base_dtype != "plain":
            quantize(block, _FORMATS[config.base_dtype][0], device)
    if config.activations == "keep":
        return
    tokens = config.batch_size * max(_tokens(clip.shape[2:], transformer.config.patch_size) for clip in clips)
    transformer.enable_gradient_checkpointing()
    transformer.set_token_chunks(math.ceil(tokens / CHUNK_TOKENS))
    transformer.offload_activations = config.activations == "offload"


def check_room_for_activations(
    config: AdapterConfig, architecture: Architecture, clips: Sequence[ClipSize], processes: int = 1
) -> None:
    """Refuse activations that would have no room in CPU memory; before hours are spent on encoding.

    Args:
        config: the settings.
        architecture: of the base.
        clips: the sizes of the data sets' clips.
        processes: of the launch that are on this machine; each has activations of its own.

    Raises:
        UserError: there is too little CPU memory free for what is to wait there.
    """
    if config.activations != "offload":
        return
    needed = processes * max(waiting_activations(config, architecture, clip) for clip in clips)
    if needed > free_ram():
        largest = max(clips, key=lambda clip: clip.frames * clip.width * clip.height)
        raise UserError(
            f"activations offload needs {gib(needed)} of CPU memory for {config.batch_size} × {largest}, and "
            f"{gib(free_ram())} are free; take fewer frames, smaller sides, or activations recompute"
        )


def waiting_activations(config: AdapterConfig, architecture: Architecture, clip: ClipSize) -> int:
    """Bytes of pinned CPU memory, of which torch takes powers of two, for the inputs of all blocks."""
    cost = pass_cost(architecture, clip)
    inputs = config.batch_size * cost.tokens * architecture.width * (2 if config.bf16 else 4)
    return cost.layers * (1 << (inputs - 1).bit_length())


def _tokens(grid: Sequence[int], patch: Sequence[int]) -> int:
    """Of a clip's latents `F, h, w` and its reference photo."""
    frames, height, width = grid
    return math.prod(size // step for size, step in zip((frames + 1, height, width), patch, strict=True))
