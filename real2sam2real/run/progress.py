"""Progress for people: bars with the time left on a terminal, plain lines elsewhere, values for a page."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, TextIO, TypeVar

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


class Listener(Protocol):
    """Who is told what a run does as values, so that nobody parses what is meant for people's eyes."""

    def said(self, text: str) -> None:
        """A line that says what happens."""

    def noted(self, notes: Sequence[str]) -> None:
        """What a person should know about a result."""

    def advanced(self, label: str, done: int, total: int, seconds_left: float) -> None:
        """`done` of `total` equal items of the work `label` are through; the time left is 0 before the first."""


class Relay:
    """A listener in another process: each call is sent as a message, which `pass_on` makes there.

    Args:
        send: a picklable message.
    """

    def __init__(self, send: Callable[[tuple[object, ...]], None]) -> None:
        self._send = send

    def said(self, text: str) -> None:
        """See `Listener`."""
        self._send(("said", text))

    def noted(self, notes: Sequence[str]) -> None:
        """See `Listener`."""
        self._send(("noted", list(notes)))

    def advanced(self, label: str, done: int, total: int, seconds_left: float) -> None:
        """See `Listener`."""
        self._send(("advanced", label, done, total, seconds_left))


def pass_on(listener: Listener, message: tuple[Any, ...]) -> None:
    """Tell a listener what a `Relay` has sent."""
    name, *values = message
    getattr(listener, name)(*values)


class Progress:
    """Where a run says what it does: on a stream, to a listener, or without them nowhere (for use from Python)."""

    def __init__(self, stream: TextIO | None = None, listener: Listener | None = None) -> None:
        self._stream = stream
        self._listener = listener

    @classmethod
    def on_stderr(cls) -> Progress:
        """For the command line."""
        return cls(sys.stderr)

    @property
    def is_silent(self) -> bool:
        """Whether nothing is written on a stream."""
        return self._stream is None

    @property
    def listener(self) -> Listener | None:
        """Who is told as values."""
        return self._listener

    def info(self, text: str) -> None:
        """Say one line."""
        self._write(text)
        if self._listener is not None:
            self._listener.said(text)

    def _write(self, text: str) -> None:
        if self._stream is not None:
            print(text, file=self._stream, flush=True)

    def notes(self, notes: Sequence[str]) -> None:
        """Say what a person should know about a result."""
        for note in notes:
            self._write(f"  note: {note}")
        if self._listener is not None and notes:
            self._listener.noted(notes)

    @contextmanager
    def bar(self, label: str) -> Iterator[Advance]:
        """Yield `advance(done, total)`; the total may become known with the first call."""
        with self._drawn(label) as draw:
            yield draw if self._listener is None else self._told(self._listener, label, draw)

    @staticmethod
    def _told(listener: Listener, label: str, draw: Advance) -> Advance:
        clock = TimeLeft()

        def advance(done: int, total: int) -> None:
            draw(done, total)
            listener.advanced(label, done, total, clock.seconds(done, total))

        return advance

    @contextmanager
    def _drawn(self, label: str) -> Iterator[Advance]:
        """A bar on the stream, if there is one."""
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
                self._write(f"  {label}: {done} of {total}, about {left:.0f} s left")

        return show

    def track(self, items: Iterable[T], label: str, total: int) -> Iterator[T]:
        """Yield the items and show how many of `total` are through."""
        with self.bar(label) as advance:
            for done, item in enumerate(items, start=1):
                yield item
                advance(done, total)
