"""How weights are stored, and what turns a module's linear layers into that."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from real2sam2real.diffusion.memory.float8 import Float8Linear
from real2sam2real.diffusion.memory.plans import WeightFormat
from real2sam2real.errors import require


def quantize(module: nn.Module, weights: WeightFormat, device: torch.device | str | None = None) -> None:
    """Store the weights of all linear layers in `module` in another format, in place, one layer at a time.

    Layers of a LoRA that is kept apart stay as they are, and so do layers that are stored in such a format already.

    Args:
        module: a block of the transformer.
        weights: "float8" and "int8" by torchao, one scale for each output channel; "float8-dynamic" by `Float8Linear`;
            "nf4" by bitsandbytes, one scale for 64 weights. The other formats are not made here and leave the module
            alone.
        device: where each layer is quantised and stays; None leaves it where it is.

    Raises:
        MissingPartError: the package that the format needs is not installed.
    """
    if weights in ("float8", "int8"):
        _quantize_by_torchao(module, weights, device)
    elif weights == "float8-dynamic":
        for name, linear in _base_layers(module):
            module.set_submodule(name, Float8Linear(linear, device))
    elif weights == "nf4":
        _quantize_to_nf4(module, device)


def _quantize_by_torchao(module: nn.Module, weights: WeightFormat, device: torch.device | str | None) -> None:
    torchao = _optional("torchao.quantization", f"{weights} weights need torchao")
    config = torchao.Float8WeightOnlyConfig() if weights == "float8" else torchao.Int8WeightOnlyConfig()
    torchao.quantize_(module, config, filter_fn=_is_base_layer, device=None if device is None else torch.device(device))


def _optional(module: str, need: str) -> Any:
    return require(module, f"{need}, which is not installed: pip install {module.partition('.')[0]}")


def _is_base_layer(module: nn.Module, name: str) -> bool:
    if not isinstance(module, nn.Linear) or "lora_" in name:
        return False
    weight: Any = module.weight
    return not (is_traceable_wrapper_subclass(weight) or hasattr(weight, "quant_type"))


def _base_layers(module: nn.Module) -> list[tuple[str, nn.Linear]]:
    named = list(module.named_modules())
    return [(name, one) for name, one in named if isinstance(one, nn.Linear) and _is_base_layer(one, name)]


def _quantize_to_nf4(module: nn.Module, device: torch.device | str | None) -> None:
    layers = _optional("bitsandbytes.nn", "4-bit weights need bitsandbytes")
    for name, linear in _base_layers(module):
        packed = layers.Linear4bit(
            linear.in_features,
            linear.out_features,
            bias=linear.bias is not None,
            compute_dtype=linear.weight.dtype,
            quant_type="nf4",
            device="meta",
        )
        if linear.in_features % 64 or linear.out_features % 32:
            packed.support_avx512bf16_for_cpu = False  # which repacks whole blocks of weights, and fails with others
        packed.weight = layers.Params4bit(
            linear.weight.data, requires_grad=False, quant_type="nf4", compress_statistics=True, module=packed
        )
        packed.bias = linear.bias
        module.set_submodule(name, packed.to(device or linear.weight.device))


def plain_parts(tensor: Any) -> list[Tensor]:
    """The tensor itself, or the tensors that a quantised one consists of."""
    if not is_traceable_wrapper_subclass(tensor):
        return [tensor]
    names, _ = tensor.__tensor_flatten__()
    return [part for name in names for part in plain_parts(getattr(tensor, name))]
