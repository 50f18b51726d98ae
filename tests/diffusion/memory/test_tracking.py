"""The meter against what can be counted by hand, and against torch's own record of a real run."""

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

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
def test_the_peak_is_what_the_allocator_gave_out(measured, make_transformer, dtype) -> None:
    transformer = make_transformer(ffn_dim=960).to(dtype)
    inputs = {name: torch.randn(shape).to(dtype) for name, shape in SHAPES.items()}
    transformer(**inputs)
    expected = allocated_peak(lambda: transformer(**inputs))
    cost = measured.metered(transformer, lambda: transformer(**inputs), inputs.values())
    assert cost.working - measured.bytes_of(inputs.values()) == expected


@torch.no_grad()
def test_without_data_the_same_is_counted(measured, make_transformer, dtype) -> None:
    real = make_transformer(ffn_dim=960)
    for parameter in real.parameters():
        parameter.data = parameter.data.to(dtype)
    inputs = {name: torch.randn(shape).to(dtype) for name, shape in SHAPES.items()}
    expected = measured.metered(real, lambda: real(**inputs), inputs.values())
    empty = measured.without_data(lambda: make_transformer(ffn_dim=960))
    with FakeTensorMode():
        measured.as_fake(empty, dtype)
        inputs = {name: torch.empty(shape, dtype=dtype) for name, shape in SHAPES.items()}
        assert measured.metered(empty, lambda: empty(**inputs), inputs.values()) == expected


@torch.no_grad()
def test_operations_are_those_of_torchs_counter(measured, make_transformer) -> None:
    transformer = make_transformer()
    inputs = {name: torch.randn(shape) for name, shape in SHAPES.items()}
    cost = measured.metered(transformer, lambda: transformer(**inputs))
    with FlopCounterMode(display=False) as counter:
        transformer(**inputs)
    # Before 2.15, torch's counts no fused attention of the CPU's.
    assert counter.get_total_flops() in (cost.other_flops, cost.other_flops + cost.attention_flops)
    tokens, width, layers = 5 * 16 * 16, 24, 2
    assert cost.attention_flops == layers * 4 * width * (tokens * tokens + tokens * 5)


def test_bytes_by_hand(measured) -> None:
    with measured.fake_device(), measured.Meter() as meter:
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


def test_a_gpus_kernels_are_assumed(measured) -> None:
    def peak(**options: bool) -> int:
        with measured.fake_device(**options):
            given = [torch.empty(1, 64, 2, 8, dtype=torch.bfloat16).transpose(1, 2) for _ in range(3)]
            with measured.Meter() as meter:
                torch.nn.functional.scaled_dot_product_attention(*given)
        return meter.peak

    one = 64 * 2 * 8 * 2
    assert peak(copy_attention_inputs=True) - peak() == 3 * one
    with measured.fake_device():
        norm, given = nn.RMSNorm(8, dtype=torch.bfloat16), torch.empty(4, 8, dtype=torch.bfloat16)
        with measured.Meter() as meter:
            norm(given)
    assert meter.peak == 4 * 8 * 2  # the result; the CPU's steps would take float32 copies beside it


def test_shared_weights_count_once_and_buffers_stay(measured) -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one = nn.Embedding(10, 4)
            self.two = nn.Embedding(10, 4)
            self.two.weight = self.one.weight
            self.register_buffer("table", torch.empty(3, dtype=torch.int64))

    module = measured.without_data(Tied)
    with measured.fake_device():
        measured.as_fake(module, torch.bfloat16)
        assert module.two.weight is module.one.weight
        assert measured.bytes_of([*module.parameters(), *module.buffers()]) == 80 + 24


def test_costs_extrapolate_along_a_line(measured) -> None:
    first, second = (
        measured.Measured(weights=10, working=7, other_flops=1),
        measured.Measured(weights=12, working=7, other_flops=4),
    )
    assert first.extrapolated(second, 3) == measured.Measured(weights=16, working=7, other_flops=10)
