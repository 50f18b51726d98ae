"""A frozen base in 8-bit integers, to train a LoRA upon: half the memory of bfloat16, and nothing of it kept twice.

torchao's own int8 layers give autograd their unpacked matrices to keep for the backward pass, 0.75 GiB a block of the
14 B model. Here the packed ones are kept, and unpacked again when the gradient goes through.

Shape letters: n input channels, m output channels.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

_LARGEST = 127


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, weight: Tensor, scale: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(weight, scale)
        return functional.linear(values, unpacked(weight, scale, values.dtype), bias)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        weight, scale = ctx.saved_tensors
        return gradient @ unpacked(weight, scale, gradient.dtype), None, None, None


def unpacked(weight: Tensor, scale: Tensor, dtype: torch.dtype) -> Tensor:
    """`(m, n)` of int8 numbers `(m, n)` and a scale `(m, 1)` for each output channel."""
    return weight.to(dtype) * scale.to(dtype)


class Int8Linear(nn.Module):
    """A frozen linear layer whose weight is stored in int8, each output channel with a scale of its own.

    Args:
        linear: what it stands for.
        device: where it is rounded and stays; None for where `linear` is.
    """

    def __init__(self, linear: nn.Linear, device: torch.device | None = None) -> None:
        super().__init__()
        plain = linear.weight.detach().to(device or linear.weight.device)
        scale = plain.abs().amax(dim=1, keepdim=True).float().clamp_min(1e-12) / _LARGEST
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.weight = nn.Parameter((plain / scale).round().to(torch.int8), requires_grad=False)
        self.scale = nn.Parameter(scale, requires_grad=False)
        self.bias = None if linear.bias is None else nn.Parameter(linear.bias.detach().to(plain.device), False)
        self.computes_in = plain.dtype

    def forward(self, values: Tensor) -> Tensor:
        """`(…, m)` of `(…, n)`, in the precision that the layer had."""
        multiply: Any = _Product
        made: Tensor = multiply.apply(values.to(self.computes_in), self.weight, self.scale, self.bias)
        return made


def store_in_int8(module: nn.Module, device: torch.device | None = None) -> None:
    """Put an `Int8Linear` in the place of every linear layer of a block but those of the LoRA."""
    for name, linear in list(module.named_modules()):
        if isinstance(linear, nn.Linear) and "lora_" not in name:
            module.set_submodule(name, Int8Linear(linear, device))
