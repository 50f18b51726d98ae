"""Products in float8: what is rounded, along which axis it is scaled, and that it is what torchao rounds."""

import pytest
import torch
from torch import nn

from real2sam2real.diffusion.memory import float8
from real2sam2real.diffusion.memory.float8 import Float8Linear, rounded_rows


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).bfloat16()


def layer(inputs: int = 64, outputs: int = 48, *, bias: bool = True) -> nn.Linear:
    linear = nn.Linear(inputs, outputs, bias=bias, dtype=torch.bfloat16)
    linear.weight.data = noise(outputs, inputs, seed=1) / 8
    return linear.requires_grad_(False)


def error(made: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((made.float() - wanted.float()).norm() / wanted.float().norm())


def test_rows_are_rounded_as_torchao_rounds_them() -> None:
    """Of float32 to the bit; of bfloat16 torchao's scales are bfloat16, too, and ours are nearer."""
    from torchao.quantization import Float8Tensor, PerRow

    values = noise(40, 64).float() * torch.logspace(-6, 4, 40)[:, None]
    theirs = Float8Tensor.from_hp(values, granularity=PerRow())
    rounded, scale = rounded_rows(values)
    assert torch.equal(scale, theirs.scale)
    assert torch.equal(rounded.float(), theirs.qdata.float())
    assert error(rounded.float() * scale, values) < 0.03
    coarse = Float8Tensor.from_hp(values.bfloat16(), granularity=PerRow())
    rounded, scale = rounded_rows(values.bfloat16())
    assert torch.equal(scale.bfloat16(), coarse.scale.bfloat16())
    assert error(rounded.float() * scale, values) < 1.01 * error(coarse.qdata.float() * coarse.scale, values)


def test_a_product_is_what_torchao_makes_of_its_own_rounded_tensors() -> None:
    from torchao.float8.inference import Float8MMConfig
    from torchao.quantization import Float8Tensor, PerRow
    from torchao.quantization.quantize_.workflows import QuantizeTensorToFloat8Kwargs

    linear, values = layer(bias=False).float(), noise(2, 20, 64).float()
    theirs = Float8Tensor.from_hp(
        linear.weight,
        granularity=PerRow(),
        mm_config=Float8MMConfig(use_fast_accum=False),
        act_quant_kwargs=QuantizeTensorToFloat8Kwargs(granularity=PerRow()),
    )
    assert torch.equal(Float8Linear(linear)(values), nn.functional.linear(values, theirs))


@pytest.mark.parametrize("bias", [True, False])
def test_the_result_is_the_layers_within_the_precision_of_three_bits(bias: bool) -> None:
    linear, values = layer(bias=bias), noise(2, 20, 64)
    assert 0.01 < error(Float8Linear(linear)(values), linear(values)) < 0.05


def test_each_token_and_each_output_has_a_scale_of_its_own() -> None:
    """A loud token, or a loud output channel, takes nothing from the others; one scale for all would drown them."""
    linear, values = layer(bias=False), noise(20, 64)
    linear.weight.data[5] *= 1e6
    values[3] *= 1e6
    made, wanted = Float8Linear(linear)(values), linear(values)
    for row in range(20):
        loud = float(linear.weight[5].float().norm() * values[row].float().norm())
        assert error(made[row, :5], wanted[row, :5]) < 0.1
        assert float(made[row, 5]) == pytest.approx(float(wanted[row, 5]), rel=0.1, abs=0.1 * loud)
    rounded = Float8Linear(linear)
    assert (rounded.weight.shape, rounded.scale.shape) == ((48, 64), (48, 1))


def test_scales_along_the_other_axis_are_worse_where_channels_differ() -> None:
    """Why a column of the weight, an input channel, has none: small numbers of a row then lie below what float8 has."""
    weight = noise(48, 64, seed=1) * torch.logspace(0, 6, 48)[:, None].bfloat16()
    values = noise(20, 64)
    by_row, by_column = rounded_rows(weight), rounded_rows(weight.t().contiguous())
    kept = by_row[0].float() * by_row[1]
    lost = (by_column[0].float() * by_column[1]).t()
    quiet = slice(0, 8)
    assert error(values.float() @ kept[quiet].t(), values @ weight[quiet].t()) < 0.05
    assert error(values.float() @ lost[quiet].t(), values @ weight[quiet].t()) > 0.2


def test_rows_of_zeros_stay_zeros() -> None:
    linear, values = layer(bias=False), torch.zeros(2, 64, dtype=torch.bfloat16)
    linear.weight.data[7] = 0
    values[1] = 1
    made = Float8Linear(linear)(values)
    assert made.isfinite().all()
    assert (made[0] == 0).all()
    assert made[1, 7] == 0


def test_many_tokens_in_parts_give_what_they_give_at_once(monkeypatch) -> None:
    rounded, values = Float8Linear(layer()), noise(50, 64)
    whole = rounded(values)
    monkeypatch.setattr(float8, "ROWS", 16)
    assert torch.equal(rounded(values), whole)
