"""Flow matching: noise levels, and the denoising loop.

A latent at noise level σ is x_σ = (1 − σ)·x + σ·ε (Lipman et al., 2023; Esser et al., 2024). The sampler follows the
velocity ε − x from σ = 1, or from a partly noised start, to σ = 0.
"""

from __future__ import annotations

import real2sam2real.diffusion.lean_diffusers  # noqa: F401

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, UniPCMultistepScheduler
from torch import Tensor

Solver = Literal["euler", "unipc"]
Spacing = Literal["scheduler", "even"]
# From noisy latents `(B, z, F + 1, h, w)`, a timestep `(B,)` in 0…1000 and the noise level `()` in 0…1 to the velocity.
# UniPC cuts its timesteps off to whole numbers, so the level does not follow from the timestep.
Predictor = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True, kw_only=True, eq=False)
class Step:
    """What a step of the denoising loop has made."""

    number: int  # from 1
    total: int  # number of steps
    timestep: Tensor  # `()` the noise level that the step started from, times 1000
    latents: Tensor  # `(B, z, F + 1, h, w)` at the next noise level
    estimate: Tensor  # `(B, z, F + 1, h, w)`, the clean latents as the step expects them


# Called after each step; latents that it returns take the place of the step's.
OnStep = Callable[[Step], Tensor | None]


def make_scheduler(solver: Solver, shift: float) -> Any:
    """A flow-matching scheduler: Euler of first order, or UniPC (Zhao et al., 2023) of second order.

    Args:
        solver: which.
        shift: of the noise levels towards noise; Wan2.2-Animate uses 5.
    """
    if solver == "euler":
        return FlowMatchEulerDiscreteScheduler(shift=shift)
    return UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=shift)


def scheduler_shift(scheduler: Any) -> float:
    """The shift of either scheduler."""
    config = scheduler.config
    return float(config.flow_shift if "flow_shift" in config else config.shift)


def set_steps(scheduler: Any, steps: int, spacing: Spacing, start: float, device: torch.device) -> None:
    """Choose the noise levels of a run.

    Args:
        scheduler: as `make_scheduler` makes it.
        steps: of a full run.
        spacing: "scheduler" leaves the levels to diffusers, whose last one lies just above zero; "even" takes them
            evenly from 1 to 1 / steps before shifting, as few-step models are trained.
        start: noise level 0…1 to start from; 1 is pure noise.
        device: of the timesteps.

    Raises:
        ValueError: a partial start, or even levels, with a solver other than Euler; or as `schedule`.
    """
    if start >= 1 and spacing == "scheduler":
        scheduler.set_timesteps(steps, device=device)
        return
    if not isinstance(scheduler, FlowMatchEulerDiscreteScheduler):
        raise ValueError("a start from a video, and even noise levels, need the Euler solver")
    scheduler.set_timesteps(sigmas=schedule(steps, scheduler_shift(scheduler), start), device=device)


def schedule(steps: int, shift: float, start: float = 1.0) -> list[float]:
    """Noise levels before shifting, evenly spaced, for a run that starts at shifted noise level `start`.

    A run from a partial start takes the same stride as a full one, so it needs fewer steps.

    Raises:
        ValueError: `steps` < 1 or `start` outside 0…1.
    """
    if steps < 1:
        raise ValueError(f"{steps} denoising steps; at least 1 is needed")
    if not 0 < start <= 1:
        raise ValueError(f"a strength of {start} is outside 0…1 (0 excluded: nothing would be generated)")
    unshifted = start / (shift - (shift - 1) * start)
    count = max(1, math.ceil(steps * unshifted - 1e-9))
    return [unshifted * (1 - k / count) for k in range(count)]


def add_noise(latents: Tensor, noise: Tensor, level: Tensor | float) -> Tensor:
    """x_σ of clean `latents` and `noise` of one shape, at noise level σ (broadcast)."""
    return latents * (1 - level) + noise * level


def velocity_from_sample(noisy: Tensor, sample: Tensor, level: Tensor | float) -> Tensor:
    """The velocity ε − x that a clean-sample prediction implies: (x_σ − x̂) / σ."""
    return (noisy - sample) / level


@torch.no_grad()
def denoise(scheduler: Any, velocity: Predictor, latents: Tensor, on_step: OnStep | None = None) -> Tensor:
    """Follow `velocity` through the scheduler's timesteps.

    Args:
        scheduler: a diffusers scheduler whose timesteps are set.
        velocity: see `Predictor`.
        latents: `(B, z, F + 1, h, w)` at the first timestep's noise level.
        on_step: called after each step.
    """
    timesteps = scheduler.timesteps
    for index, timestep in enumerate(timesteps):
        level = scheduler.sigmas[index].to(latents.device)
        direction = velocity(latents, timestep.expand(latents.shape[0]), level)
        estimate = latents - level * direction
        latents = scheduler.step(direction, timestep, latents, return_dict=False)[0]
        if on_step is not None:
            step = Step(number=index + 1, total=len(timesteps), timestep=timestep, latents=latents, estimate=estimate)
            changed = on_step(step)
            latents = latents if changed is None else changed
    return latents
