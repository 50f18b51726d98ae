"""Count what a computation costs: bytes alive and floating point operations, with real tensors or with fake ones.

A fake tensor has a shape, a dtype and no data. Inside `fake_device`, a model of any size goes through its real code in
a moment, and a `Meter` sees each tensor come and go as it would on a GPU.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, is_traceable_wrapper_subclass
from torch.utils._pytree import tree_iter
from torch.utils.flop_counter import flop_registry, sdpa_flop_count

_FUSED_ATTENTION = ("_scaled_dot_product", "_flash_attention", "_efficient_attention")


class Meter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """While active, counts what every operation makes and what it costs.

    Neither what an operation uses inside itself (workspaces of convolutions) nor what an allocator rounds up is seen.

    Attributes:
        live: bytes alive now.
        peak: the most bytes that were alive at once.
        attention_flops: floating point operations of fused attention; a multiplication and its addition count as two.
        other_flops: those of all other matrix products and convolutions.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.live = 0
        self.peak = 0
        self.attention_flops = 0
        self.other_flops = 0
        self._known: weakref.WeakSet[Any] = weakref.WeakSet()

    def follow(self, tensors: Iterable[Tensor]) -> None:
        """Count these too, though they were made before: weights and inputs."""
        for tensor in tensors:
            for part in plain_parts(tensor):
                self._follow_storage(part.untyped_storage())

    def restart(self) -> None:
        """Count the peak and the operations from here on; what lives stays counted."""
        self.peak = self.live
        self.attention_flops = self.other_flops = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if any(is_traceable_wrapper_subclass(value) for value in tree_iter((args, kwargs))):
            return NotImplemented  # a quantised weight acts first; the operations on its parts come by here
        result = func(*args, **(kwargs or {}))
        self.follow(leaf for leaf in tree_iter(result) if isinstance(leaf, Tensor))
        self._count_flops(func.overloadpacket, args, kwargs or {}, result)
        return result

    def _follow_storage(self, storage: Any) -> None:
        if storage in self._known:
            return
        self._known.add(storage)
        size = storage.nbytes()
        self.live += size
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._forget, size)

    def _forget(self, size: int) -> None:
        self.live -= size

    def _count_flops(self, packet: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        name = packet.__name__
        if name == "_scaled_dot_product_flash_attention_for_cpu":  # the one that the registry lacks
            self.attention_flops += sdpa_flop_count(*(tensor.shape for tensor in args[:3]))  # type: ignore[no-untyped-call]
        elif packet in flop_registry:
            flops = flop_registry[packet](*args, **kwargs, out_val=result)
            if name.startswith(_FUSED_ATTENTION):
                self.attention_flops += flops
            else:
                self.other_flops += flops


class DeviceKernels(TorchFunctionMode):
    """Where a GPU's kernels need another amount of memory than the CPU's, make what the GPU's would make.

    RMS normalisation makes its result and nothing else there; the CPU's takes several steps.

    Args:
        copy_attention_inputs: queries, keys and values are copied into another order before attention.
    """

    def __init__(self, copy_attention_inputs: bool = False) -> None:
        super().__init__()
        self._copy = copy_attention_inputs

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in (functional.rms_norm, torch.rms_norm):
            return torch.empty_like(args[0])
        if func is functional.scaled_dot_product_attention and self._copy:
            kwargs = {name: value.contiguous() if name in _QKV else value for name, value in kwargs.items()}
            args = tuple(value.contiguous() for value in args)
        return func(*args, **kwargs)


_QKV = ("query", "key", "value")


@contextmanager
def fake_device(*, copy_attention_inputs: bool = False) -> Iterator[None]:
    """Tensors made inside are fake and take no memory; kernels that a GPU has are assumed. No gradients."""
    with FakeTensorMode(), DeviceKernels(copy_attention_inputs), torch.no_grad():
        yield


def plain_parts(tensor: Any) -> list[Tensor]:
    """The tensor itself, or the tensors that a quantised one consists of."""
    if not is_traceable_wrapper_subclass(tensor):
        return [tensor]
    names, _ = tensor.__tensor_flatten__()
    return [part for name in names for part in plain_parts(getattr(tensor, name))]


def bytes_of(tensors: Iterable[Tensor]) -> int:
    """Bytes of tensors, quantised ones included, each storage once."""
    storages = {id(part.untyped_storage()): part.untyped_storage() for one in tensors for part in plain_parts(one)}
    return sum(storage.nbytes() for storage in storages.values())
