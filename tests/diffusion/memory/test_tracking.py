"""The meter against what can be counted by hand, and against torch's own record of a real run."""

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from real2sam2real.diffusion.memory.architecture import as_fake, without_data
from real2sam2real.diffusion.memory.cost import Cost, metered
from real2sam2real.diffusion.memory.tracking import Meter, bytes_of, fake_device

# 16 latent frames of 16 × 16 tokens; the feed-forward layers are where memory peaks.
SHAPES = {
    "hidden_states": (1, 12, 5, 32, 32),
    "timestep": (1,),
    "encoder_hidden_states": (1, 5, 16),
    "pose_hidden_states": (1, 4, 4, 32, 32),
}


@pytest.fixture(params=[torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def dtype(request) -> torch.dtype:
    return request.param


def allocated_peak(work) -> int:
    """Most bytes that torch's CPU allocator had given out at once during `work`, above what it had before."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        work()
    found = []
    waiting = list(record.profiler.kineto_results.experimental_event_tree())
    while waiting:
        event = waiting.pop()
        waiting += event.children
        if event.name == "[memory]":
            found.append((event.start_time_ns, event.extra_fields.alloc_size))
    live = peak = 0
    for _, size in sorted(found):
        live += size
        peak = max(peak, live)
    return peak


@torch.no_grad()
def test_the_peak_is_what_the_allocator_gave_out(make_transformer, dtype) -> None:
    transformer = make_transformer(ffn_dim=960).to(dtype)
    inputs = {name: torch.randn(shape).to(dtype) for name, shape in SHAPES.items()}
    transformer(**inputs)
    expected = allocated_peak(lambda: transformer(**inputs))
    cost = metered(transformer, lambda: transformer(**inputs), inputs.values())
    assert cost.working - bytes_of(inputs.values()) == expected


@torch.no_grad()
def test_without_data_the_same_is_counted(make_transformer, dtype) -> None:
    real = make_transformer(ffn_dim=960)
    for parameter in real.parameters():
        parameter.data = parameter.data.to(dtype)
    inputs = {name: torch.randn(shape).to(dtype) for name, shape in SHAPES.items()}
    expected = metered(real, lambda: real(**inputs), inputs.values())
    empty = without_data(lambda: make_transformer(ffn_dim=960))
    with FakeTensorMode():
        as_fake(empty, dtype)
        inputs = {name: torch.empty(shape, dtype=dtype) for name, shape in SHAPES.items()}
        assert metered(empty, lambda: empty(**inputs), inputs.values()) == expected


@torch.no_grad()
def test_operations_are_those_of_torchs_counter(make_transformer) -> None:
    transformer = make_transformer()
    inputs = {name: torch.randn(shape) for name, shape in SHAPES.items()}
    cost = metered(transformer, lambda: transformer(**inputs))
    with FlopCounterMode(display=False) as counter:
        transformer(**inputs)
    assert cost.other_flops == counter.get_total_flops()  # torch's counts no fused attention of the CPU's
    tokens, width, layers = 5 * 16 * 16, 24, 2
    assert cost.attention_flops == layers * 4 * width * (tokens * tokens + tokens * 5)


def test_bytes_by_hand() -> None:
    with fake_device(), Meter() as meter:
        meter.follow([weights := torch.empty(100, 10)])
        assert meter.live == 4000
        values = torch.empty(5, 100)
        made = values @ weights
        view = made.t()
        assert meter.live == 4000 + 2000 + 200
        del made
        assert meter.live == 4000 + 2000 + 200
        del view, values
        assert (meter.live, meter.peak) == (4000, 6200)
        assert (meter.other_flops, meter.attention_flops) == (2 * 5 * 100 * 10, 0)
        meter.restart()
        assert (meter.peak, meter.other_flops) == (4000, 0)


def test_a_gpus_kernels_are_assumed() -> None:
    def peak(**options: bool) -> int:
        with fake_device(**options):
            given = [torch.empty(1, 64, 2, 8, dtype=torch.bfloat16).transpose(1, 2) for _ in range(3)]
            with Meter() as meter:
                torch.nn.functional.scaled_dot_product_attention(*given)
        return meter.peak

    one = 64 * 2 * 8 * 2
    assert peak(copy_attention_inputs=True) - peak() == 3 * one
    with fake_device():
        norm, given = nn.RMSNorm(8, dtype=torch.bfloat16), torch.empty(4, 8, dtype=torch.bfloat16)
        with Meter() as meter:
            norm(given)
    assert meter.peak == 4 * 8 * 2  # the result; the CPU's steps would take float32 copies beside it


def test_shared_weights_count_once_and_buffers_stay() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one = nn.Embedding(10, 4)
            self.two = nn.Embedding(10, 4)
            self.two.weight = self.one.weight
            self.register_buffer("table", torch.empty(3, dtype=torch.int64))

    module = without_data(Tied)
    with fake_device():
        as_fake(module, torch.bfloat16)
        assert module.two.weight is module.one.weight
        assert bytes_of([*module.parameters(), *module.buffers()]) == 80 + 24


def test_costs_extrapolate_along_a_line() -> None:
    first, second = Cost(weights=10, working=7, other_flops=1), Cost(weights=12, working=7, other_flops=4)
    assert first.extrapolated(second, 3) == Cost(weights=16, working=7, other_flops=10)
