"""That training at the paper's size fits the cards that the pages name, counted on the trainer's own code."""

import sys
from pathlib import Path

import pytest

from real2sam2real.diffusion.memory.costs import Architecture, ClipSize, pass_cost
from real2sam2real.lab.train.adapter.config import AdapterConfig
from real2sam2real.lab.train.adapter.footprint import waiting_activations

GIB = 2**30
PAPER = ClipSize(frames=81, width=1280, height=720)
ALLOCATOR = 2 * GIB
"""What it rounds up, and what libraries take for themselves: docs/training.md."""


@pytest.fixture(scope="module")
def train_memory(load_benchmark):
    sys.path.insert(0, str(Path(__file__).parents[4] / "benchmarks"))  # it uses another of them
    try:
        yield load_benchmark("train_memory")
    finally:
        sys.path.pop(0)


@pytest.mark.slow
@pytest.mark.parametrize(("base_dtype", "bound"), [("plain", 78), ("int8", 48)])
def test_81_frames_of_1280x720_fit_the_cards_that_the_page_names(train_memory, base_dtype, bound):
    """All 40 blocks of the 14 B model, by two and three of them on tensors without data; AdamW, rank 64."""
    step = train_memory.whole_step(Architecture(), PAPER, "offload", base_dtype)
    assert step.trained == 254_612_480
    whole = step.device + step.trained * train_memory.STATE_BYTES["adamw"]
    assert 0.6 * bound * GIB < whole + ALLOCATOR < bound * GIB
    weights = pass_cost(Architecture(), PAPER, weights="int8" if base_dtype == "int8" else "bfloat16").weights
    assert whole > weights + 16 * step.trained  # with the trained numbers, their gradients and two states in float32
    # The inputs of 40 blocks, and a little of what is shared, wait in CPU memory.
    config = AdapterConfig(dataset="-", activations="offload", base_dtype=base_dtype)
    inputs = 40 * 79_200 * 5120 * 2
    assert inputs <= step.cpu < 1.05 * inputs
    assert step.cpu < waiting_activations(config, Architecture(), PAPER) == 40 * GIB


def test_what_waits_in_cpu_memory_follows_the_tokens():
    config = AdapterConfig(dataset="-", activations="offload")
    half = ClipSize(frames=41, width=1280, height=720)
    sizes = [waiting_activations(config, Architecture(), clip) for clip in (half, PAPER)]
    assert sizes == [20 * GIB, 40 * GIB]
