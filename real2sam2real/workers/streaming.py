"""Run a program, hear its lines as they come, and leave nothing of it behind."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

GRACE_SECONDS = 3.0
_DRAIN_SECONDS = 2.0


class HungError(Exception):
    """Nothing was heard that counts as progress for too long; the program was stopped."""


def stream(
    command: Sequence[str],
    *,
    on_line: Callable[[str], bool],
    log: Path,
    timeout: float,
    environment: Mapping[str, str] | None = None,
) -> int:
    """Run `command` until it ends.

    Its standard input stays open while it is wanted and is closed when we go, in whatever way. Whatever ends this
    function early, Ctrl-C too, ends the program with all its children.

    `on_line` receives every line of its output, stripped, and returns whether the line counts as progress; `log` gets
    them too. After `timeout` seconds without progress it counts as hung. Without an `environment` it has ours.

    Returns the exit status; negative for a signal.

    Raises:
        HungError: it was stopped for lack of progress.
        OSError: it cannot be started.
    """
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=None if environment is None else dict(environment),
        start_new_session=True,
    )
    try:
        with log.open("a", encoding="utf-8") as file:
            _listen(process, on_line, file, timeout)
        return process.wait()
    finally:
        stop(process)


def _listen(process: subprocess.Popen[bytes], on_line: Callable[[str], bool], log: IO[str], timeout: float) -> None:
    lines: queue.Queue[str | None] = queue.Queue()
    assert process.stdout is not None
    threading.Thread(target=_read, args=(process.stdout, lines), daemon=True).start()
    deadline = time.monotonic() + timeout
    ended: float | None = None
    while True:
        if ended is None and process.poll() is not None:
            ended = time.monotonic()
        if ended is None and time.monotonic() > deadline:
            raise HungError
        try:
            line = lines.get(timeout=0.2)
        except queue.Empty:
            if ended is not None and time.monotonic() - ended > _DRAIN_SECONDS:
                return  # a child that outlives it still holds the pipe
            continue
        if line is None:
            return
        log.write(f"{line}\n")
        log.flush()
        if on_line(line):
            deadline = time.monotonic() + timeout


def _read(pipe: IO[bytes], lines: queue.Queue[str | None]) -> None:
    """Hand on the lines; of a progress bar that rewrites its line, the last state."""
    with pipe:
        for raw in pipe:
            text = raw.decode("utf-8", errors="replace").rstrip("\r\n").rpartition("\r")[2].strip()
            if text:
                lines.put(text)
    lines.put(None)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a program that leads its own group, and every child of it; first politely."""
    if process.stdin is not None:
        process.stdin.close()
    _signal_group(process, signal.SIGTERM)
    try:
        process.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        pass
    finally:
        _signal_group(process, getattr(signal, "SIGKILL", signal.SIGTERM))
        process.wait()


def _signal_group(process: subprocess.Popen[bytes], number: int) -> None:
    if not hasattr(os, "killpg"):
        process.terminate()
        return
    try:
        os.killpg(process.pid, number)  # it leads its own session, so its group has its id
    except (ProcessLookupError, PermissionError):
        return  # nobody of the group is left
