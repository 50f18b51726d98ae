"""One job of the studio in a process of its own: `python -m real2sam2real.studio.job`.

It reads one line of JSON from standard input, `{"kind", "folder", "options"}`, and writes lines of JSON to standard
output until it ends:

    {"step": text}                                                   what it does now
    {"step": text, "done": n, "total": n, "secondsLeft": s}          how far it is
    {"notes": [text, …]}                                             what a person should know
    {"result": values} or {"error": text}                            the last line

A job that needs seconds for its imports is slow to answer; so the interpreter starts, and imports what every job
needs, before it is told which job it is. When standard input ends, the server has: the job ends with all that it
started.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from real2sam2real.errors import UserError
from real2sam2real.files import why_no_room
from real2sam2real.run.progress import Progress
from real2sam2real.workfolder.json_values import parse_json

Work = Callable[[Path, dict[str, Any], Progress], Any]
"""What a kind of job does: from the workspace's folder, options as JSON values and where to say what it does, to a
result of JSON values. It raises UserError for what a person can mend."""

KINDS = {
    "preview": "real2sam2real.studio.making:preview",
    "generate": "real2sam2real.studio.making:generate",
    "lift": "real2sam2real.studio.lifting:lift",
    "mesh": "real2sam2real.studio.mesh_files:bring_mesh",
}
"""Kinds of jobs, each with the module and the name of its function, imported by the process that does it."""

# What most jobs need; torch, which takes seconds more, is left to those that use it.
_PRELOADED = ("real2sam2real.run.pipeline", "real2sam2real.rendering.preview", "real2sam2real.media")
_UNHURRIED = ("preview", "generate")  # nobody waits for them with folded hands
_NICE = 10  # of these: the page and the server answer first
_TELL_EVERY_SECONDS = 0.1


class Teller:
    """A `Listener` that writes JSON lines; of the steps of a bar no more than ten a second."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._last = 0.0

    def tell(self, **values: Any) -> None:
        """Write one line."""
        print(json.dumps(values), file=self._stream, flush=True)

    def said(self, text: str) -> None:
        """See `Listener`."""
        self.tell(step=text.strip().removesuffix(" …"))

    def noted(self, notes: Sequence[str]) -> None:
        """See `Listener`."""
        self.tell(notes=list(notes))

    def advanced(self, label: str, done: int, total: int, seconds_left: float) -> None:
        """See `Listener`."""
        now = time.monotonic()
        if done < total and now - self._last < _TELL_EVERY_SECONDS:
            return
        self._last = now
        self.tell(step=label, done=done, total=total, secondsLeft=round(seconds_left, 1) if done > 1 else None)


def in_words(error: Exception) -> str:
    """What a person is told of an error: a message of ours as it is, else what is known of its cause."""
    if isinstance(error, UserError):
        return str(error)
    if reason := why_no_room(error):
        named = getattr(error, "filename", None) or "a file"
        return f"{named} could not be written: {reason}. Free some space and try again"
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.strerror}: {error.filename}"
    if isinstance(error, MemoryError):
        return "out of memory; a smaller size or fewer frames need less"
    return f"unexpected {type(error).__name__}: {error}"


def find_work(kind: str) -> Work:
    """The function of a kind of job.

    Raises:
        UserError: there is no such kind.
    """
    if kind not in KINDS:
        raise UserError(f"there is no job '{kind}'; known are: {', '.join(KINDS)}")
    module, _, name = KINDS[kind].partition(":")
    work: Work = getattr(importlib.import_module(module), name)
    return work


def main() -> None:
    """Do the job that standard input names, and tell standard output of it."""
    gc.set_threshold(50_000)  # as the command line does
    teller = Teller(_own_output())
    for name in _PRELOADED:
        importlib.import_module(name)
    line = sys.stdin.readline()
    if not line:
        return
    threading.Thread(target=_end_with_server, daemon=True).start()
    try:
        request = parse_json(line)
        if request["kind"] in _UNHURRIED:
            _give_way()
        work = find_work(request["kind"])
        result = work(Path(request["folder"]), request["options"], Progress(listener=teller))
    except Exception as error:
        if not isinstance(error, UserError):
            traceback.print_exc()
        teller.tell(error=in_words(error))
    else:
        teller.tell(result=result)


def _give_way() -> None:
    """Let others have the processor first."""
    if hasattr(os, "nice"):
        os.nice(_NICE)
    # Where Linux shares the processor between sessions, the number counts inside of one alone, and this process leads
    # a session of its own: then it is the session that has to give way.
    with suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(_NICE), encoding="ascii")


def _own_output() -> TextIO:
    """Standard output for us alone: what libraries print goes where errors go."""
    kept = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return kept


def _end_with_server() -> None:
    """End this process and all that it has started when the server is gone, however it went."""
    sys.stdin.read()
    if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
        with suppress(OSError):
            os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(1)


if __name__ == "__main__":
    main()
