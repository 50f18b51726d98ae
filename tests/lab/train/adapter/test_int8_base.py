"""A base in 8-bit integers: what it computes, what its gradient is, and what is kept for the backward pass."""

import torch
from peft import LoraConfig, inject_adapter_in_model
from torch import nn

from real2sam2real.diffusion.memory.formats import quantize
from real2sam2real.lab.train.adapter.int8_base import Int8Linear, store_in_int8, unpacked


def layer() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(64, 48, dtype=torch.bfloat16).requires_grad_(False)


def test_forward_and_gradient_are_those_of_the_unpacked_matrix() -> None:
    rounded, values = Int8Linear(layer()), torch.randn(3, 5, 64, dtype=torch.bfloat16, requires_grad=True)
    plain = unpacked(rounded.weight, rounded.scale, torch.bfloat16)
    made = rounded(values)
    assert torch.equal(made, nn.functional.linear(values, plain, rounded.bias))
    gradient = torch.randn_like(made)
    (ours,) = torch.autograd.grad(made, values, gradient)
    assert torch.equal(ours, gradient @ plain)
    assert (plain - layer().weight).norm() / plain.norm() < 0.01


def test_it_rounds_as_torchao_does() -> None:
    theirs = nn.Sequential(layer())
    quantize(theirs, "int8")
    apart = unpacked(*(getattr(Int8Linear(layer()), name) for name in ("weight", "scale")), torch.float32)
    assert (apart - theirs[0].weight.dequantize().float()).abs().max() <= 1.01 * apart.abs().max() / 127


def test_nothing_but_what_is_stored_is_kept_for_the_backward_pass() -> None:
    rounded, kept = Int8Linear(layer()), []
    with torch.autograd.graph.saved_tensors_hooks(
        lambda tensor: (kept.append(tensor), tensor)[1], lambda tensor: tensor
    ):
        rounded(torch.randn(3, 64, dtype=torch.bfloat16, requires_grad=True))
    assert {tensor.data_ptr() for tensor in kept} <= {rounded.weight.data_ptr(), rounded.scale.data_ptr()}


def test_the_lora_stays_as_it_is() -> None:
    model = inject_adapter_in_model(LoraConfig(r=4, target_modules=["0"]), nn.Sequential(layer()))
    store_in_int8(model)
    assert isinstance(model[0].base_layer, Int8Linear)
    assert type(model[0].lora_A["default"]) is nn.Linear
