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


class TimeLeft:
    """How long work on equal items goes on: the pace since the first one, which pays for what all need, is kept.

    Args:
        now: a clock in seconds.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._since = (0, now())

    def seconds(self, done: int, total: int) -> float:
        """Seconds for the items that are left; to be asked after each one. Before the first it is 0."""
        now = self._now()
        before, since = self._since
        if not before:
            self._since = (done, now)
        counted = done - before
        return (now - since) / counted * (total - done) if counted else 0.0


class Progress:
    """Where a run says what it does: on a stream, or without one nowhere (for use from Python)."""

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
            shape, clock = "{l_bar}{bar}| {n_fmt}/{total_fmt}{postfix}", TimeLeft()
            with tqdm(desc=f"  {label}", file=self._stream, leave=False, dynamic_ncols=True, bar_format=shape) as shown:

                def show(done: int, total: int) -> None:
                    shown.total = total
                    shown.set_postfix_str(f"about {clock.seconds(done, total):.0f} s left", refresh=False)
                    shown.update(done - shown.n)

                yield show
        else:
            yield self._lines(label)

    def _lines(self, label: str) -> Advance:
        """A line now and then, with the time left, for logs and pipes."""
        last, clock = time.monotonic(), TimeLeft()

        def show(done: int, total: int) -> None:
            nonlocal last
            now = time.monotonic()
            left = clock.seconds(done, total)
            if done and now - last >= _LINE_EVERY_SECONDS:
                last = now
                self.info(f"  {label}: {done} of {total}, about {left:.0f} s left")

        return show

    def track(self, items: Iterable[T], label: str, total: int) -> Iterator[T]:
        """Yield the items and show how many of `total` are through."""
        with self.bar(label) as advance:
            for done, item in enumerate(items, start=1):
                yield item
                advance(done, total)
