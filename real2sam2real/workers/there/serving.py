"""One run of a worker: how it is called, what it tells, and how it dies with whoever started it.

A worker prints one line per event, EVENT followed by JSON; every other line is its packages' own log.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from .failures import failure_of

EVENT = "@worker "
FAILED = 3  # exit status after a failure that was told as an event


class ServedRequest(Protocol):
    """What is asked for, and who does it."""

    def prepare(self) -> dict[str, str]:
        """Import, check versions, weights and device, and load nothing; returns the versions."""

    def run(self) -> None:
        """Load what is needed, and do what is asked."""


def serve(opened: Callable[[Path], ServedRequest], what: str, arguments: Sequence[str] | None = None) -> int:
    """Serve one request; returns the exit status.

    Args:
        opened: reads the request in a folder.
        what: the worker does, for its help.
        arguments: of the command line; those of this process where None.
    """
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("folder", type=Path, help="holds request/, gets results/")
    parser.add_argument("--probe", action="store_true", help="check the environment and stop")
    parser.add_argument("--until-stdin-closes", action="store_true", help="die with whoever started this")
    chosen = parser.parse_args(arguments)
    if chosen.until_stdin_closes:
        threading.Thread(target=_die_with_stdin, daemon=True).start()
    try:
        request = opened(chosen.folder)
        versions = request.prepare()
        tell({"event": "ready", "versions": versions, "device": _card()})
        if not chosen.probe:
            request.run()
    except Exception as error:
        traceback.print_exc()
        tell({"event": "failed", **failure_of(error, while_loading=True).as_json()})
        return FAILED
    return 0


def tell(event: dict[str, Any]) -> None:
    """Print an event on a line of its own, whatever a progress bar has left on the current one."""
    sys.stderr.flush()
    sys.stdout.write(f"\n{EVENT}{json.dumps(event)}\n")
    sys.stdout.flush()


def write_json(path: Path, data: dict[str, Any]) -> None:
    """Write a file in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}-{os.getpid()}")
    temporary.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    temporary.replace(path)


def free_memory() -> None:
    """Give back what the last piece of work held."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()


def _card() -> str:
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return "cpu"
    card = torch.cuda.get_device_properties(0)
    return f"{card.name}, {card.total_memory / 2**30:.0f} GiB"


def _die_with_stdin() -> None:
    """Whoever started this holds the other end open; when it is gone, so is the reason to occupy the card."""
    while os.read(0, 4096):  # not through sys.stdin, whose lock a waiting thread would hold when the program ends
        pass
    if hasattr(os, "killpg"):
        os.killpg(os.getpgrp(), signal.SIGKILL)
    os._exit(1)
