"""How kernels are compiled.

A kernel runs without the interpreter lock, on one thread, and is kept on disk after its first compilation. Numba tells
a stale copy by the kernel's own file alone, so a kernel calls kernels and parts of its own module only, and `borrowed`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

from numba import njit
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

P = ParamSpec("P")
R = TypeVar("R")


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile `function` with Numba at its first call; its types stay visible to the type checker."""
    return cast(Callable[P, R], njit(cache=True, nogil=True, error_model="numpy")(function))


def part(function: Callable[P, R]) -> Callable[P, R]:
    """Compile `function` as a piece of kernels, always inlined."""
    return cast(Callable[P, R], njit(nogil=True, error_model="numpy", forceinline=True)(function))


def _borrow(typing_context: Any, array: Any) -> Any:
    """Numba's way to say: copy the array's header, with nothing in the place of its reference count."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        header = cgutils.create_struct_proxy(array)(context, builder, value=arguments[0])
        header.meminfo = cgutils.get_null_value(header.meminfo.type)
        header.parent = cgutils.get_null_value(header.parent.type)
        return header._getvalue()

    return array(array), generate


A = TypeVar("A", bound=NDArray[Any])
borrowed: Callable[[A], A] = intrinsic(_borrow)
"""The same memory without a reference count, of an argument of the kernel: whoever calls it keeps that memory alive.

Not of an array that the kernel makes: Numba frees that one after its last use, while its borrowed header is in use.

Numba counts the references to every array that it passes on to a part with branches or loops. Each count is an atomic
operation, which costs more than most parts do, and more again when threads share the array.
"""
