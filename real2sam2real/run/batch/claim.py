"""One worker per shot at a time, also across runs: a worker may outlive the killed run that started it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from real2sam2real.errors import UserError
from real2sam2real.lock import locked

_LOOK_EVERY_SECONDS = 0.2


@contextmanager
def claimed(folder: Path, *, patience: float, on_wait: Callable[[], None] | None = None) -> Iterator[bool]:
    """Hold a shot's output folder, made if need be; gives False if another process held it for `patience` seconds.

    The operating system ends a claim with the process that has it, so a claim never needs cleaning up. `on_wait` is
    called once, if somebody else holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + patience
    with ExitStack() as stack:
        held = _try_to_hold(stack, folder)
        if not held and on_wait is not None:
            on_wait()
        while not held and time.monotonic() < deadline:
            time.sleep(_LOOK_EVERY_SECONDS)
            held = _try_to_hold(stack, folder)
        yield held


def _try_to_hold(stack: ExitStack, folder: Path) -> bool:
    try:
        stack.enter_context(locked(folder))
    except UserError:
        return False
    return True
