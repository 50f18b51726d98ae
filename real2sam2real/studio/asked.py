"""The other end of `warm`: questions come line by line on standard input, answers go to standard output."""

from __future__ import annotations

import gc
import json
import os
import queue
import sys
import threading
from typing import IO, Any

from real2sam2real.workfolder.json_values import parse_json


class Questions:
    """What standard input asks, read beside the work; from now on what libraries print goes where errors go."""

    def __init__(self) -> None:
        gc.set_threshold(50_000)  # as the command line does
        self._output: IO[str] = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in sys.stdin:
            self._lines.put(line)
        self._lines.put(None)

    def next(self, *, block: bool = True, timeout: float | None = None) -> dict[str, Any] | None:
        """The next question, None once standard input has ended.

        Raises:
            queue.Empty: there is none yet, `block` being false or `timeout` seconds over.
        """
        line = self._lines.get(block=block, timeout=timeout)
        return None if line is None else parse_json(line)

    def answer(self, told: dict[str, Any]) -> None:
        """Tell whoever asked."""
        print(json.dumps(told), file=self._output, flush=True)
