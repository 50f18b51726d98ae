from __future__ import annotations

from functools import lru_cache

import pytest

from real2sam2real.lab.synth import HELD_OUT_SEEDS, SynthClip, WorldConfig, sample_clip


@lru_cache(maxsize=64)
def cached_clip(seed: int, width: int = 96, height: int = 64, frames: int = 5) -> SynthClip:
    return sample_clip(seed, width=width, height=height, frames=frames)


@pytest.fixture(scope="session")
def small_clips() -> list[SynthClip]:
    """Clips of training and held-out worlds."""
    return [cached_clip(seed) for seed in [*range(16), *HELD_OUT_SEEDS[:4]]]


@pytest.fixture(scope="session")
def far_config() -> WorldConfig:
    """No ground, a camera that always moves, objects that never do."""
    return WorldConfig(ground=0.0, static_camera=0.0, still_objects=1.0)
