"""Flow matching: noise levels, and the denoising loop.

A latent at noise level σ is x_σ = (1 − σ)·x + σ·ε (Lipman et al., 2023; Esser et al., 2024). The sampler follows the
velocity ε − x from σ = 1, or from a partly noised start, to σ = 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Predictor = Callable[[Tensor, Tensor], Tensor]
StepCallback = Callable[[int, int, Tensor], None]


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
def denoise(scheduler: Any, velocity: Predictor, latents: Tensor, on_step: StepCallback | None = None) -> Tensor:
    """Follow `velocity` through the scheduler's timesteps.

    Args:
        scheduler: a diffusers scheduler whose timesteps are set.
        velocity: maps noisy latents `(B, z, F + 1, h, w)` and a timestep `(B,)` in 0…1000 to the velocity.
        latents: `(B, z, F + 1, h, w)` at the first timestep's noise level.
        on_step: called with the step done, the number of steps, and the latents.
    """
    timesteps = scheduler.timesteps
    for step, timestep in enumerate(timesteps):
        direction = velocity(latents, timestep.expand(latents.shape[0]))
        latents = scheduler.step(direction, timestep, latents, return_dict=False)[0]
        if on_step is not None:
            on_step(step + 1, len(timesteps), latents)
    return latents
