"""Each kernel is compiled by one process of the tests; the others wait, and read from disk what it has made.

Where nothing is kept yet, as in a fresh checkout, processes that begin together would all compile the same.
"""

import sys
import threading
from collections.abc import Callable
from functools import wraps
from pathlib import Path

import pytest


def share_kernels(patch: pytest.MonkeyPatch) -> None:
    """Let this process, and those that are forked from it, compile a module's kernels only while no other does.

    The lock is one of the module's own file. A kernel calls those of its own module alone, so nobody waits in a circle.
    What a run would start beside itself to compile them is another process that compiles the same: it is not started.
    """
    if sys.platform == "win32" or "numba" not in sys.modules:
        return
    import fcntl

    from numba.core.dispatcher import Dispatcher

    compile_now: Callable[[Dispatcher, object], object] = Dispatcher.compile
    held = threading.local()

    @wraps(compile_now)
    def compiled(kernel: Dispatcher, signature: object) -> object:
        if getattr(held, "module", None) or not kernel.stats.cache_path:
            return compile_now(kernel, signature)
        with Path(kernel.py_func.__code__.co_filename).open("rb") as held.module:
            fcntl.flock(held.module, fcntl.LOCK_EX)
            try:
                return compile_now(kernel, signature)
            finally:
                held.module = None

    patch.setattr(Dispatcher, "compile", compiled)
    patch.setattr("real2sam2real.run.compiling.compile_beside", lambda: None)
