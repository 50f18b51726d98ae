"""Progress for people, on stderr: bars with the time left on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TextIO, TypeVar

from tqdm import tqdm

T = TypeVar("T")
Advance = Callable[[int, int], None]

_LINE_EVERY_SECONDS = 10.0


class Progress:
    """Where a run says what it does.

    Args:
        stream: where to write; None stays silent (for use from Python).
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream

    @classmethod
    def on_stderr(cls) -> Progress:
        """For the command line."""
        return cls(sys.stderr)

    @property
    def is_silent(self) -> bool:
        """Whether nothing is written."""
        return self._stream is None

    def info(self, text: str) -> None:
        """Write one line."""
        if self._stream is not None:
            print(text, file=self._stream, flush=True)

    def notes(self, notes: Iterable[str]) -> None:
        """Write what a person should know about a result."""
        for note in notes:
            self.info(f"  note: {note}")

    @contextmanager
    def bar(self, label: str) -> Iterator[Advance]:
        """Yield `advance(done, total)`; the total may become known with the first call."""
        if self._stream is None:
            yield lambda done, total: None
        elif self._stream.isatty():
            with tqdm(desc=f"  {label}", file=self._stream, leave=False, dynamic_ncols=True) as shown:

                def show(done: int, total: int) -> None:
                    shown.total = total
                    shown.update(done - shown.n)

                yield show
        else:
            yield _Lines(label, self.info)

    def track(self, items: Iterable[T], label: str, total: int) -> Iterator[T]:
        """Yield the items and show how many of `total` are through."""
        with self.bar(label) as advance:
            for done, item in enumerate(items, start=1):
                yield item
                advance(done, total)


class _Lines:
    """A line now and then, with the time left, for logs and pipes."""

    def __init__(self, label: str, say: Callable[[str], None]) -> None:
        self._label, self._say = label, say
        self._start = self._last = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._last < _LINE_EVERY_SECONDS or not done:
            return
        self._last = now
        left = (now - self._start) / done * (total - done)
        self._say(f"  {self._label}: {done} of {total}, about {left:.0f} s left")
