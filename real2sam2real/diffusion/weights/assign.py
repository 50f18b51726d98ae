"""A model built without memory, then filled with the tensors of files: strictly, one tensor at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from real2sam2real.diffusion.weights.files import LazyTensor, list_some
from real2sam2real.errors import UserError

Model = TypeVar("Model", bound=nn.Module)


def without_memory() -> AbstractContextManager[None]:
    """Within it, parameters are made on the meta device; buffers, which no file holds, are made for real."""
    from accelerate import init_empty_weights

    context: AbstractContextManager[None] = init_empty_weights(include_buffers=False)
    return context


def fill(
    model: Model,
    tensors: Mapping[str, LazyTensor],
    files: Sequence[Path],
    *,
    dtype: torch.dtype,
    device: torch.device | str = "cpu",
    keep_float32: Sequence[str] = (),
    what: str,
) -> Model:
    """`model` with every parameter taken from `tensors`, in evaluation mode and frozen.

    Memory: a tensor that keeps its dtype and stays on the CPU remains mapped from its file; otherwise one tensor at a
    time is held beside what is already converted or moved. Packed weights of linear layers stay packed.

    Args:
        model: built `without_memory`.
        tensors: by the model's own parameter names.
        files: where they are from, for messages.
        dtype: of the floating-point parameters; what packed weights compute in.
        device: where the parameters go.
        keep_float32: parts of names (`time_embedder`, as in `a.time_embedder.weight`) that stay float32.
        what: the model in words, for messages.

    Raises:
        UserError: keys are missing, left over, or of another shape; the first of each are named.
    """
    _check(model, tensors, files, what)

    def target(name: str) -> torch.dtype:
        return torch.float32 if set(name.split(".")) & {*keep_float32} else dtype

    for name, tensor in tensors.items():
        owner, _, leaf = name.rpartition(".")
        module = model.get_submodule(owner)
        keep_packed = tensor.quantised and target(name) == dtype and type(module) is nn.Linear and leaf == "weight"
        if keep_packed:
            module = _packed_linear(model, owner, dtype)
        value = tensor.read().to(device) if keep_packed else _plain(tensor.read()).to(device, target(name))
        if leaf not in module._parameters:
            module._buffers[leaf] = value
        elif isinstance(value, nn.Parameter):
            module._parameters[leaf] = value
        else:
            module._parameters[leaf] = nn.Parameter(value, requires_grad=False)
    return model.eval().requires_grad_(False)


def _check(model: nn.Module, tensors: Mapping[str, LazyTensor], files: Sequence[Path], what: str) -> None:
    expected = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    missing = [name for name in expected if name not in tensors]
    # What the file calls it is what its owner can look up.
    unexpected = [tensor.key for name, tensor in tensors.items() if name not in expected]
    wrong = [
        f"{tensor.key} is {tensor.shape} instead of {expected[name]}"
        for name, tensor in tensors.items()
        if name in expected and tensor.shape != expected[name]
    ]
    lists = {"missing": missing, "unexpected": unexpected, "wrong shape": wrong}
    problems = "; ".join(f"{kind}: {list_some(items)}" for kind, items in lists.items() if items)
    if problems:
        names = [str(file) for file in files]
        raise UserError(f"{list_some(names, 3)} does not hold {what}. {problems}")


def _plain(tensor: Tensor) -> Tensor:
    if not hasattr(tensor, "quant_type"):
        return tensor
    from diffusers.quantizers.gguf.utils import dequantize_gguf_tensor

    dequantise: Callable[[Tensor], Tensor] = dequantize_gguf_tensor
    return dequantise(tensor)


def _packed_linear(model: nn.Module, name: str, dtype: torch.dtype) -> nn.Module:
    """Put diffusers' linear layer for packed weights in the place of the plain one called `name`."""
    from diffusers.quantizers.gguf.utils import GGUFLinear

    parent, _, leaf = name.rpartition(".")
    old: Any = model.get_submodule(name)
    with without_memory():
        new = GGUFLinear(old.in_features, old.out_features, old.bias is not None, compute_dtype=dtype)
    new.source_cls = type(old)  # what diffusers' own replacement leaves for its dequantisation
    for key, value in old._parameters.items():
        if key != "weight":
            new._parameters[key] = value
    setattr(model.get_submodule(parent), leaf, new)
    packed: nn.Module = new
    return packed
