"""Make a pipeline follow a plan: store weights, place them, stream them, work in parts."""

from __future__ import annotations

import real2sam2real.diffusion.lean_diffusers  # noqa: F401

from collections.abc import Callable
from typing import Any, TypedDict

import torch
from diffusers.hooks import HookRegistry, apply_group_offloading
from torch import nn
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from real2sam2real.diffusion.memory.formats import plain_parts, quantize
from real2sam2real.diffusion.memory.machine import free_ram
from real2sam2real.diffusion.memory.needs import PROCESS, autoencoder_dtype
from real2sam2real.diffusion.memory.plans import Plan


class Storing(TypedDict):
    """How `load_transformer` is called so that no more memory is taken than a plan says."""

    device: torch.device | str  # where weights are read to, adapters merged and weights rounded
    store: Callable[[nn.Module], None]  # puts a block that is whole into the plan's form and place


def storing(plan: Plan, device: torch.device | str | None = None) -> Storing:
    """What loads a transformer as the plan says, block by block: all work on the device, streamed blocks back from it.

    Packed blocks that will be streamed stay mapped from their file, in CPU memory.

    Args:
        plan: from `choose_plan`.
        device: where to compute; None for the plan's own.
    """
    compute = device or plan.device

    def store(block: nn.Module) -> None:
        quantize(block, plan.weights, compute)
        block.to("cpu" if plan.blocks_streamed else compute)

    mapped = plan.weights == "gguf" and plan.blocks_streamed
    return Storing(device="cpu" if mapped else compute, store=store)


def apply_plan(pipeline: Any, plan: Plan, device: torch.device | str | None = None) -> None:
    """Put a pipeline on the device as the plan says. Do not call its `to` afterwards.

    What loading by `storing` has done to blocks is not done again. Adapters must be merged before, or kept apart, in
    which case they stay as they are. Encoders are where they were loaded to.

    Args:
        pipeline: a `Real2Sam2RealPipeline`.
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
    pipeline.keep_keys_values = plan.precompute_context


def place_transformer(transformer: Any, plan: Plan, device: torch.device | str | None = None) -> None:
    """Quantise the transformer, and place or stream it; see `apply_plan`.

    Raises:
        MissingPartError: the package that makes the plan's weights is not installed.
    """
    device = torch.device(device or plan.device)
    transformer.set_token_chunks(plan.token_chunks)
    for block in transformer.blocks:
        if plan.blocks_streamed:
            quantize(block, plan.weights)
        else:
            storing(plan, device)["store"](block)
    if plan.blocks_streamed:
        _stream_blocks(transformer, device)
    else:
        _move_rest(transformer, device)


def _stream_blocks(transformer: Any, device: torch.device) -> None:
    """Blocks wait in CPU memory, and each is copied while the one before computes; all else stays on the device.

    diffusers would stream the rest too, for the time of a pass; but what is constant is computed between passes. It
    would also pin all blocks beside their originals; so as many as fit are pinned here, one by one, for good, and it
    pins the others each time.
    """
    on_gpu = device.type == "cuda"
    if on_gpu:
        _pin_what_fits(transformer.blocks)
    apply_group_offloading(
        transformer,
        onload_device=device,
        offload_type="block_level",
        num_blocks_per_group=1,
        use_stream=on_gpu,
        low_cpu_mem_usage=on_gpu,
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


def _pin_what_fits(blocks: nn.ModuleList) -> None:
    """Hold blocks in pinned memory, which copies faster, as long as there is room for that and for the process.

    torch takes pinned memory in powers of two.
    """
    quantised: Callable[[Any], bool] = is_traceable_wrapper_subclass
    for block in blocks:
        size = sum(1 << (part.nbytes - 1).bit_length() for value in block.parameters() for part in plain_parts(value))
        if free_ram() < size + 2 * PROCESS:
            return
        for module in block.modules():
            for name, parameter in module.named_parameters(recurse=False):
                if quantised(parameter):  # of which `data` is an empty shell
                    module._parameters[name] = nn.Parameter(parameter.pin_memory(), requires_grad=False)
                else:
                    parameter.data = parameter.data.pin_memory()
