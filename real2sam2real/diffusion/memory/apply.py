"""Make a loaded pipeline follow a plan: store weights, place them, stream them, work in parts."""

from __future__ import annotations

import real2sam2real.diffusion.lean_diffusers  # noqa: F401

from typing import Any

import torch
from diffusers.hooks import HookRegistry, apply_group_offloading
from torch import nn

from real2sam2real.diffusion.memory.formats import plain_parts, quantize
from real2sam2real.diffusion.memory.machine import free_ram
from real2sam2real.diffusion.memory.needs import PROCESS, autoencoder_dtype
from real2sam2real.diffusion.memory.plans import Plan


def apply_plan(pipeline: Any, plan: Plan, device: torch.device | str | None = None) -> None:
    """Put a pipeline on the device as the plan says. Do not call its `to` afterwards.

    The transformer's blocks are quantised and moved one by one, so no more than one layer of the device's memory is
    taken beside what stays there. Adapters must be merged before, or kept apart, in which case they stay as they are.

    Args:
        pipeline: a `Real2Sam2RealPipeline` in CPU memory, or with a transformer that is on the device already.
        plan: from `choose_plan`.
        device: where to compute; None for the plan's own.

    Raises:
        MissingPartError: the package that makes the plan's weights is not installed.
    """
    device = torch.device(device or plan.device)
    place_transformer(pipeline.transformer, plan, device)
    pipeline.vae.to(device)
    if pipeline.vae.dtype != autoencoder_dtype(plan):
        pipeline.vae.to(autoencoder_dtype(plan))
    if plan.vae_tiled and hasattr(pipeline.vae, "enable_tiling"):  # mini's needs no tiles and has none
        pipeline.vae.enable_tiling()
    for encoder in (pipeline.text_encoder, pipeline.image_encoder):
        if encoder is not None:
            place_encoder(encoder, plan, device)
    pipeline.keep_keys_values = plan.precompute_context


def place_transformer(transformer: Any, plan: Plan, device: torch.device | str | None = None) -> None:
    """Quantise the transformer, and place or stream it; see `apply_plan`.

    Raises:
        MissingPartError: the package that makes the plan's weights is not installed.
    """
    device = torch.device(device or plan.device)
    transformer.set_token_chunks(plan.token_chunks)
    for block in transformer.blocks:
        quantize(block, plan.weights, None if plan.blocks_streamed else device)
        if not plan.blocks_streamed:
            block.to(device)
    if plan.blocks_streamed:
        _stream_blocks(transformer, device)
    else:
        _move_rest(transformer, device)


def place_encoder(encoder: nn.Module, plan: Plan, device: torch.device | str | None = None) -> None:
    """Put a text or image encoder on the device, or let its layers come there one by one when it is called."""
    device = torch.device(device or plan.device)
    if plan.encoders == "resident":
        encoder.to(device)
    else:
        apply_group_offloading(
            encoder,
            onload_device=device,
            offload_type="leaf_level",
            use_stream=device.type == "cuda",
            low_cpu_mem_usage=True,
        )


def _stream_blocks(transformer: Any, device: torch.device) -> None:
    """Blocks wait in CPU memory, and each is copied while the one before computes; all else stays on the device.

    diffusers would stream the rest too, for the time of a pass; but what is constant is computed between passes.
    """
    on_gpu = device.type == "cuda"
    apply_group_offloading(
        transformer,
        onload_device=device,
        offload_type="block_level",
        num_blocks_per_group=1,
        use_stream=on_gpu,
        low_cpu_mem_usage=on_gpu and not _room_to_pin(transformer.blocks),
    )
    rest = HookRegistry.check_if_exists_or_initialize(transformer).get_hook("group_offloading").group
    rest.modules, rest.parameters, rest.buffers = [], [], []
    _move_rest(transformer, device)


def _move_rest(transformer: nn.Module, device: torch.device) -> None:
    """Everything but the blocks to the device."""
    for name, child in transformer.named_children():
        if name != "blocks":
            child.to(device)
    for parameter in transformer.parameters(recurse=False):
        parameter.data = parameter.data.to(device)


def _room_to_pin(blocks: nn.Module) -> bool:
    """Whether CPU memory suffices to hold blocks pinned for good, which copies faster than pinning them each time.

    torch takes pinned memory in powers of two.
    """
    sizes = [part.nbytes for parameter in blocks.parameters() for part in plain_parts(parameter)]
    pinned = sum(1 << (size - 1).bit_length() for size in sizes)
    return free_ram() > pinned - sum(sizes) + PROCESS
