"""Which seeds are for training and which are never trained on."""

from __future__ import annotations

import numpy as np

Rng = np.random.Generator

TRAIN_SEEDS = range(0, 2**31)
"""Clips that a training run may see."""

HELD_OUT_SEEDS = range(2**31, 2**31 + 2**20)
"""Clips for evaluation only. Their objects come from base shapes that no training clip uses."""


def is_held_out(seed: int) -> bool:
    """True for an evaluation seed, False for a training seed.

    Raises:
        ValueError: the seed belongs to neither range.
    """
    if seed in HELD_OUT_SEEDS:
        return True
    if seed in TRAIN_SEEDS:
        return False
    raise ValueError(
        f"seed {seed} is in neither range; training seeds are 0…{TRAIN_SEEDS.stop - 1}, "
        f"held-out seeds {HELD_OUT_SEEDS.start}…{HELD_OUT_SEEDS.stop - 1}"
    )


def generator(*key: int) -> Rng:
    """A random generator that depends on `key` alone, never on what was drawn elsewhere."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(key)))
