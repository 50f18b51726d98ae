"""How this room compiles its kernels.

A kernel runs without the interpreter lock, on one thread, and is kept on disk after its first compilation. Numba tells
a stale copy by the kernel's own file alone, so a kernel calls other kernels of its own module only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

from numba import njit

P = ParamSpec("P")
R = TypeVar("R")


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile `function` with Numba at its first call; its types stay visible to the type checker."""
    return cast(Callable[P, R], njit(cache=True, nogil=True, error_model="numpy")(function))


def part(function: Callable[P, R]) -> Callable[P, R]:
    """Compile `function` as a piece of kernels, always inlined: a real call counts references to every array."""
    return cast(Callable[P, R], njit(nogil=True, error_model="numpy", forceinline=True)(function))
