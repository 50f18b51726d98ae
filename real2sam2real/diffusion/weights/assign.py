"""A model built without memory, then filled with the tensors of files: strictly, one tensor at a time.

Or not filled at all: where memory is short, an encoder's layers take their weights from the files when they are called.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from real2sam2real.diffusion.weights.files import LazyTensor, list_some
from real2sam2real.errors import UserError

Model = TypeVar("Model", bound=nn.Module)

_LIST_ITEM = re.compile(r"\w+\.\d+(?=\.)")  # blocks.3 of blocks.3.ffn.net.2.weight


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
    after: Callable[[str], None] | None = None,
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
        after: called when a part is filled, before the next one is read: with its name (`blocks.3`) for each item of a
            list of modules, and at last with "" for all that is in none.

    Raises:
        UserError: keys are missing, left over, or of another shape; the first of each are named.
    """
    _check(model, tensors, files, what)
    for part, names in _by_part(tensors).items():
        for name in names:
            wanted = _wanted_dtype(name, dtype, keep_float32)
            _assign(model, name, tensors[name], wanted, device, may_stay_packed=wanted == dtype)
        if after is not None:
            after(part)
    return model.eval().requires_grad_(False)


def fill_on_call(
    model: Model,
    tensors: Mapping[str, LazyTensor],
    files: Sequence[Path],
    *,
    dtype: torch.dtype,
    device: torch.device | str = "cpu",
    keep_float32: Sequence[str] = (),
    what: str,
) -> Model:
    """`model` whose layers take their parameters from `tensors` when they are called, and let them go afterwards.

    So no more than one layer is held, wherever the weights lie and however they are stored; each call reads the files
    anew, which costs what copying the model to the device costs.

    Args:
        model: as in `fill`; a parameter must be used in its own module's `forward` alone.
        tensors: as in `fill`.
        files: as in `fill`.
        dtype: as in `fill`.
        device: where the layers compute.
        keep_float32: as in `fill`.
        what: as in `fill`.

    Raises:
        UserError: as `fill`.
    """
    _check(model, tensors, files, what)
    for prefix, module in model.named_modules():
        for leaf, buffer in module._buffers.items():
            module._buffers[leaf] = None if buffer is None else buffer.to(device)
        kept = {}
        for leaf, parameter in module._parameters.items():
            name = f"{prefix}.{leaf}" if prefix else leaf
            if parameter is not None:
                empty = torch.empty_like(parameter, dtype=_wanted_dtype(name, dtype, keep_float32), device="meta")
                kept[leaf] = tensors[name], nn.Parameter(empty, requires_grad=False)
        if kept:
            module._parameters.update({leaf: empty for leaf, (_, empty) in kept.items()})
            module.register_forward_pre_hook(partial(_take, kept, device))
            module.register_forward_hook(partial(_let_go, kept), always_call=True)
    return model.eval()


_Kept = Mapping[str, tuple[LazyTensor, nn.Parameter]]


def _take(kept: _Kept, device: torch.device | str, module: nn.Module, _: object) -> None:
    for leaf, (tensor, empty) in kept.items():
        value = _plain(tensor.read()).to(device, empty.dtype)
        module._parameters[leaf] = nn.Parameter(value, requires_grad=False)


def _let_go(kept: _Kept, module: nn.Module, *_: object) -> None:
    module._parameters.update({leaf: empty for leaf, (_, empty) in kept.items()})


def _by_part(names: Iterable[str]) -> dict[str, list[str]]:
    """Names of parameters by the item of a list that they belong to, and at last, by "", those of none."""
    parts: dict[str, list[str]] = {}
    rest = []
    for name in names:
        match = _LIST_ITEM.match(name)
        if match is None:
            rest.append(name)
        else:
            parts.setdefault(match[0], []).append(name)
    return {**parts, "": rest}


def _wanted_dtype(name: str, dtype: torch.dtype, keep_float32: Sequence[str]) -> torch.dtype:
    return torch.float32 if set(name.split(".")) & {*keep_float32} else dtype


def _assign(
    model: nn.Module,
    name: str,
    tensor: LazyTensor,
    dtype: torch.dtype,
    device: torch.device | str,
    *,
    may_stay_packed: bool,
) -> None:
    owner, _, leaf = name.rpartition(".")
    module = model.get_submodule(owner)
    keep_packed = tensor.quantised and may_stay_packed and type(module) is nn.Linear and leaf == "weight"
    if keep_packed:
        module = _packed_linear(model, owner, dtype)
    value = tensor.read().to(device) if keep_packed else _plain(tensor.read()).to(device, dtype)
    if leaf not in module._parameters:
        module._buffers[leaf] = value
    elif isinstance(value, nn.Parameter):
        module._parameters[leaf] = value
    else:
        module._parameters[leaf] = nn.Parameter(value, requires_grad=False)


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
