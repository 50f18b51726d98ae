"""One shot over several GPUs: every rank holds the whole model and a share of the tokens (context parallelism).

Only self-attention mixes tokens, so only there the ranks talk. *Ulysses* (Jacobs et al., 2023) exchanges tokens for
heads around it: each rank then sees all tokens of some heads. *Ring* (Liu et al., 2023) leaves the heads whole, lets
each rank attend with its own queries to everybody's keys and values, and merges the parts by their log-sum-exp. Both
are diffusers'; what to split is declared by the transformer's `_cp_plan`. The ranks themselves come from
`diffusion.ranks`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import distributed

from real2sam2real.diffusion.ranks import ranks_joined
from real2sam2real.errors import UserError

Kind = Literal["auto", "ulysses", "ring"]

# diffusers' kernels that split attention but keep their log-sum-exp to themselves.
WITHOUT_LOG_SUM_EXP = {"native"}


@dataclass(frozen=True, kw_only=True)
class Split:
    """How the ranks share the work."""

    kind: Literal["ulysses", "ring"]
    even: bool  # all ranks have the same number of tokens, and heads divide; saves some small messages


def choose_split(*, heads: int, ranks: int, kind: Kind, kernel: str, tokens: int | None = None) -> Split:
    """Ulysses where the heads allow it, since it sends less; else ring.

    Args:
        heads: of an attention layer.
        ranks: number of ranks.
        kind: "auto", or what the user wants.
        kernel: diffusers' name of the attention backend.
        tokens: of the whole video with its reference, where known and the same for all shots.

    Raises:
        UserError: the kernel or the number of heads does not allow it.
    """
    padding = -heads % ranks
    divides = padding < -(-heads // ranks)  # else the last rank would be left without a head
    if kind == "ulysses" and not divides:
        raise UserError(f"{heads} attention heads cannot be shared by {ranks} GPUs; use fewer GPUs, or ring attention")
    if kind == "ulysses" or (kind == "auto" and divides):
        return Split(kind="ulysses", even=padding == 0 and tokens is not None and tokens % ranks == 0)
    if kernel in WITHOUT_LOG_SUM_EXP:
        raise UserError(
            f"ring attention over {ranks} GPUs needs a kernel that gives its log-sum-exp, and '{kernel}' does not; "
            'call set_attention_backend("_native_flash") on the transformer first, or use a number of GPUs that '
            f"divides its {heads} heads"
        )
    return Split(kind="ring", even=tokens is not None and tokens % ranks == 0)


def enable_context_parallel(transformer: Any, kind: Kind = "auto", *, tokens: int | None = None) -> Split:
    """Share the tokens of each pass among all ranks; inputs and output stay whole and the same on every rank.

    Choose the attention backend before. Step caches may be put on and taken off before or after.

    Args:
        transformer: a `Real2Sam2RealTransformer3DModel`, working on this rank's device.
        kind: "ulysses", "ring", or "auto" to choose by the number of heads.
        tokens: (F + 1)·(h/2)·(w/2), where it is the same for all shots; without it, any number works.

    Raises:
        UserError: this process is not one of several ranks, or the kernel or the number of heads does not allow it.
        ValueError: it is on already.
    """
    from diffusers.hooks.context_parallel import apply_context_parallel

    ranks = ranks_joined()
    if ranks == 1:
        raise UserError(
            "context parallelism needs several connected processes and this is the only one; use --gpus N, or start "
            "the program with torchrun --nproc-per-node N"
        )
    if transformer._parallel_config is not None:
        raise ValueError("context parallelism is already on; call disable_context_parallel first")
    processors = _self_attention(transformer)
    heads = transformer.config.num_attention_heads
    split = choose_split(heads=heads, ranks=ranks, kind=kind, kernel=_kernel(processors[0]), tokens=tokens)
    config = _configuration(split, ranks)
    transformer._parallel_config = config
    for processor in processors:
        processor._parallel_config = config
    apply_context_parallel(transformer, config.context_parallel_config, transformer._cp_plan)
    return split


def disable_context_parallel(transformer: Any) -> None:
    """Let this rank work alone again; nothing happens where context parallelism is off."""
    from diffusers.hooks.context_parallel import remove_context_parallel

    if transformer._parallel_config is None:
        return
    remove_context_parallel(transformer, transformer._cp_plan)
    transformer._parallel_config = None
    for processor in _self_attention(transformer):
        processor._parallel_config = None


def sharing_group(transformer: Any) -> Any:
    """The process group that shares the tokens of this transformer, or None."""
    config = transformer._parallel_config
    return None if config is None else config.context_parallel_config._flattened_mesh.get_group()


@contextmanager
def split_lifted(transformer: Any) -> Iterator[None]:
    """Take the hooks that split tokens off while other hooks of the blocks are put on or taken off.

    They must be the outermost: a hook around them would compare whole inputs with split outputs.
    """
    from diffusers.hooks.context_parallel import apply_context_parallel, remove_context_parallel

    config = transformer._parallel_config
    if config is not None:
        remove_context_parallel(transformer, transformer._cp_plan)
    try:
        yield
    finally:
        if config is not None:
            apply_context_parallel(transformer, config.context_parallel_config, transformer._cp_plan)


def _configuration(split: Split, ranks: int) -> Any:
    """The configuration of `split` in diffusers' words, with its device mesh.

    It is set up here and not by `enable_parallelism`, which finds the device by itself and fails without a GPU.
    """
    from diffusers import ContextParallelConfig
    from diffusers.models._modeling_parallel import ParallelConfig

    if split.kind == "ulysses":
        wanted = ContextParallelConfig(ulysses_degree=ranks, ulysses_anything=not split.even)
    else:
        wanted = ContextParallelConfig(ring_degree=ranks, ring_anything=not split.even)
    # Not the transformer's device: its weights may wait on the CPU until they are needed.
    device = torch.device("cuda" if "nccl" in distributed.get_backend_config() else "cpu")
    mesh = distributed.device_mesh.init_device_mesh(
        device.type, mesh_shape=wanted.mesh_shape, mesh_dim_names=wanted.mesh_dim_names
    )
    config = ParallelConfig(context_parallel_config=wanted)
    config.setup(distributed.get_rank(), ranks, device, mesh=mesh)
    return config


def _self_attention(transformer: Any) -> list[Any]:
    """The attention processors that see video tokens on both sides; cross-attention needs no other rank."""
    return [block.attn1.processor for block in transformer.blocks]


def _kernel(processor: Any) -> str:
    from diffusers.models.attention_dispatch import AttentionBackendName, _AttentionBackendRegistry

    chosen = processor._attention_backend
    name = _AttentionBackendRegistry.get_active_backend()[0] if chosen is None else AttentionBackendName(chosen)
    if not _AttentionBackendRegistry._is_context_parallel_available(name):
        able = ", ".join(sorted(_AttentionBackendRegistry._supports_context_parallel))
        raise UserError(f"the attention backend '{name.value}' cannot work over several GPUs; choose one of: {able}")
    return str(name.value)
