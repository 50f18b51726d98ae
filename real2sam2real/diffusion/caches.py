"""Step caches: steps of a run that the transformer does not compute but takes over from earlier ones.

Both are diffusers' hooks. `TaylorSeer` (Liu et al., 2025) extrapolates the output of the last layer over the steps, by
a plan that is known before the run. `FirstBlock` (after TeaCache, Liu et al., 2024) computes the first block and reuses
what the others added last time if the first has changed little. `docs/solvers.md` measures them.

The transformer must be called within `transformer.cache_context("cond")` or `("uncond")`, which keeps guidance's two
passes apart.

Shape letters: B batch, L tokens (of one rank), D model width.
"""

from __future__ import annotations

import real2sam2real.diffusion.lean_diffusers  # noqa: F401

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import FirstBlockCacheConfig, TaylorSeerCacheConfig
from diffusers.hooks import HookRegistry
from diffusers.hooks.first_block_cache import _FBC_LEADER_BLOCK_HOOK, FBCHeadBlockHook
from torch import Tensor, distributed

from real2sam2real.diffusion import parallel


@dataclass(frozen=True, kw_only=True)
class TaylorSeer:
    """Extrapolate the output of the last layer (TaylorSeer's "lite" mode).

    Two outputs are kept for each pass of guidance: 40 MB in float32 at 81 frames of 1280×720. (The full mode keeps the
    outputs of every attention and feed-forward layer: 40 blocks × 3 layers × 2 factors × 0.81 GB = 195 GB.)
    """

    warmup: int = 4  # steps at the start that are all computed; what is in the picture is decided there
    interval: int = 2  # after them, one step in so many is computed
    order: int = 1  # of the Taylor series: 0 repeats the last output, 1 goes on along the last two
    final: int = 1  # steps at the end that are all computed; the last one makes the finished video

    def __post_init__(self) -> None:
        if self.warmup < 1 or self.interval < 1 or self.order < 0 or self.final < 0:
            raise ValueError(f"{self} cannot be run: warmup and interval start at 1, order and final at 0")


@dataclass(frozen=True, kw_only=True)
class FirstBlock:
    """Reuse what the blocks after the first have added, while the first adds nearly the same.

    Which steps are computed depends on the video. Three times `(B, L, D)` is kept for each pass of guidance: 2.4 GB in
    bfloat16 at 14 B and 81 frames of 1280×720.
    """

    # mean absolute change of what the first block adds, relative to its mean absolute value, up to which the others are
    # skipped. 0 skips only when nothing changes.
    threshold: float = 0.12


StepCache = TaylorSeer | FirstBlock


def computed_steps(steps: int, cache: StepCache | None) -> list[bool]:
    """Which steps of a run the transformer really computes.

    Args:
        steps: of the run.
        cache: None computes all.

    Raises:
        ValueError: the cache decides by the video, so that nobody knows before.
    """
    if cache is None:
        return [True] * steps
    if isinstance(cache, TaylorSeer):
        return [
            step < cache.warmup or (step - cache.warmup - 1) % cache.interval == 0 or step >= steps - cache.final
            for step in range(steps)
        ]
    raise ValueError(f"{type(cache).__name__} decides by the video which steps are computed")


def reset_step_cache(transformer: Any) -> None:
    """Begin a new run: forget what earlier steps gave. Nothing happens where there is no cache."""
    if transformer.is_cache_enabled:
        transformer._reset_stateful_cache()


@contextmanager
def step_cache(transformer: Any, cache: StepCache | None, steps: int) -> Iterator[None]:
    """Have a cache on within the block; afterwards it is off, however the block ends, and lets go of what it keeps.

    Context parallelism may be on: all ranks then take the same decisions.

    Args:
        transformer: a `Real2Sam2RealTransformer3DModel`.
        cache: which, or None.
        steps: of a run; the cache works for runs of so many steps, each begun with `reset_step_cache`.

    Raises:
        ValueError: a cache is on already.
    """
    if cache is None:
        yield
        return
    with parallel.split_lifted(transformer):
        transformer.enable_cache(_configuration(cache, steps))
        if isinstance(cache, FirstBlock):
            _decide_together(transformer)
    try:
        yield
    finally:
        with parallel.split_lifted(transformer):
            transformer.disable_cache()


def _configuration(cache: StepCache, steps: int) -> Any:
    """The cache in diffusers' words."""
    if isinstance(cache, TaylorSeer):
        # float32 holds outputs of any precision unchanged, while bfloat16 would round those of a float32 model; and
        # one layer's outputs are small. The arithmetic is in the outputs' precision either way.
        return TaylorSeerCacheConfig(
            cache_interval=cache.interval,
            disable_cache_before_step=cache.warmup,
            disable_cache_after_step=steps - cache.final if cache.final else None,
            max_order=cache.order,
            taylor_factors_dtype=torch.float32,
            use_lite_mode=True,
        )
    return FirstBlockCacheConfig(threshold=cache.threshold)


class SharedFirstBlockHook(FBCHeadBlockHook):
    """Diffusers' hook of the first block, with a decision that all ranks of a context-parallel run take together.

    Each rank sees its own tokens only. If some ranks skipped the blocks and others did not, the latter would wait in
    self-attention for ever.
    """

    def __init__(self, state_manager: Any, threshold: float, transformer: Any) -> None:
        super().__init__(state_manager, threshold)
        self.transformer = transformer

    @torch.compiler.disable
    def _should_compute_remaining_blocks(self, hidden_states_residual: Tensor) -> bool:
        """Whether what the first block adds `(B, L, D)` has changed by more than the threshold since it was kept."""
        before = self.state_manager.get_state().head_block_residual
        if before is None:
            return True
        change = (hidden_states_residual - before).abs().sum(dtype=torch.float32)
        sums = torch.stack([change, before.abs().sum(dtype=torch.float32)])
        group = parallel.sharing_group(self.transformer)
        if group is not None:
            distributed.all_reduce(sums, group=group)
        changed, size = sums.tolist()
        return bool(changed > self.threshold * size)


def _decide_together(transformer: Any) -> None:
    """Replace the hook that has just been put on the first block."""
    registry = HookRegistry.check_if_exists_or_initialize(transformer.blocks[0])
    theirs = registry.get_hook(_FBC_LEADER_BLOCK_HOOK)
    registry.remove_hook(_FBC_LEADER_BLOCK_HOOK, recurse=False)
    ours = SharedFirstBlockHook(theirs.state_manager, theirs.threshold, transformer)
    registry.register_hook(ours, _FBC_LEADER_BLOCK_HOOK)
