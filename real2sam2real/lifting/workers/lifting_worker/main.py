"""One run of the worker: check, load once, lift every entity, tell what happens."""

from __future__ import annotations

import argparse
import gc
import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from .checks import show_one_card
from .failures import HOPELESS, LiftingError, failure_of
from .image_to_shape import Step1x3d, TripoSG
from .inputs import Inputs, Request, RequestedEntity, read_request
from .outputs import Lifted, write_error, write_result, write_status
from .protocol import EVENT, FAILED, STATUS
from .sam3d import Sam3d
from .sam3d_body import Sam3dBody


class LifterAdapter(Protocol):
    """One lifter. `prepare` comes first and loads no weights; `load` once; `lift` for every entity."""

    def prepare(self) -> dict[str, str]:
        """Import, check versions, weights and device; returns the versions."""

    def load(self) -> None:
        """Bring the model to the device."""

    def lift(self, inputs: Inputs) -> Lifted:
        """Lift one entity."""


ADAPTERS: dict[str, Callable[[Request], LifterAdapter]] = {
    "sam3d": Sam3d,
    "sam3d-body": Sam3dBody,
    "triposg": TripoSG,
    "step1x3d": Step1x3d,
}


def adapter_for(request: Request) -> LifterAdapter:
    """The adapter that a request asks for; a LiftingError where there is none of that name."""
    if request.lifter not in ADAPTERS:
        raise LiftingError("request", f"this worker knows no lifter '{request.lifter}'")
    return ADAPTERS[request.lifter](request)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve one request; returns the exit status."""
    parser = argparse.ArgumentParser(description="Lift the entities of a request folder.")
    parser.add_argument("folder", type=Path, help="holds request/, gets results/")
    parser.add_argument("--probe", action="store_true", help="check the environment and stop")
    parser.add_argument("--until-stdin-closes", action="store_true", help="die with whoever started this")
    chosen = parser.parse_args(arguments)
    if chosen.until_stdin_closes:
        threading.Thread(target=_die_with_stdin, daemon=True).start()
    try:
        request = read_request(chosen.folder)
        if request.code:
            sys.path.insert(0, str(request.code))
        show_one_card(request.settings["device"])
        adapter = adapter_for(request)
        versions = adapter.prepare()
        tell({"event": "ready", "versions": versions, "device": _card()})
        if not chosen.probe:
            WorkerRun(request, adapter, versions).lift_all()
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


class WorkerRun:
    """Loads the model once and lifts every entity with it."""

    def __init__(self, request: Request, adapter: LifterAdapter, versions: dict[str, str]) -> None:
        self.request = request
        self.adapter = adapter
        self.versions = versions

    def lift_all(self) -> None:
        """Load the model and lift what is not finished, in the order given."""
        waiting = [entity for entity in self.request.entities if not entity.is_finished]
        if not waiting:
            return
        self._status("loading")
        tell({"event": "loading"})
        started = time.perf_counter()
        self.adapter.load()
        tell({"event": "loaded", "seconds": time.perf_counter() - started})
        for number, entity in enumerate(waiting, start=1):
            self._status("lifting", entity.name)
            tell({"event": "lifting", "entity": entity.name, "number": number, "of": len(waiting)})
            self._lift(entity)
        self._status("done")

    def _lift(self, entity: RequestedEntity) -> None:
        """One entity; what it cannot be lifted for is written down, and the others go on."""
        started = time.perf_counter()
        try:
            lifted = self.adapter.lift(self.request.inputs(entity))
            lifted.check()
        except Exception as error:
            traceback.print_exc()
            failure = failure_of(error)
            write_error(entity, failure)
            tell({"event": "skipped", "entity": entity.name, **failure.as_json()})
            if failure.kind in HOPELESS:
                raise failure from error
        else:
            seconds = time.perf_counter() - started
            about = {"lifter": self.request.lifter, "seed": self.request.seed, "seconds": seconds}
            write_result(entity, lifted, {**about, "versions": self.versions})
            tell({"event": "lifted", "entity": entity.name, "seconds": seconds, "triangles": len(lifted.faces)})
        _free_memory()

    def _status(self, state: str, entity: str = "") -> None:
        write_status(self.request.folder / STATUS, {"state": state, "entity": entity})


def _free_memory() -> None:
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
