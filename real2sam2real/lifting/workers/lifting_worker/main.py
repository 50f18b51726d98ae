"""One run of the worker: check, load once, lift every entity, tell what happens."""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from real2sam2real.workers.there.checks import show_one_card
from real2sam2real.workers.there.failures import HOPELESS, WorkerError, failure_of
from real2sam2real.workers.there.serving import free_memory, serve, tell, write_json

from .image_to_shape import Step1x3d, TripoSG
from .inputs import Inputs, Request, RequestedEntity, read_request
from .outputs import Lifted, write_error, write_result
from .protocol import PROTOCOL, STATUS
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
    """The adapter that a request asks for; a WorkerError where there is none of that name."""
    if request.lifter not in ADAPTERS:
        raise WorkerError("request", f"this worker knows no lifter '{request.lifter}'")
    return ADAPTERS[request.lifter](request)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve one request; returns the exit status."""
    return serve(WorkerRun, "Lift the entities of a request folder.", arguments)


class WorkerRun:
    """Loads the model once and lifts every entity with it."""

    def __init__(self, folder: Path) -> None:
        self.request = read_request(folder)
        if self.request.code:
            sys.path.insert(0, str(self.request.code))
        show_one_card(self.request.settings["device"])
        self.adapter = adapter_for(self.request)
        self.versions: dict[str, str] = {}

    def prepare(self) -> dict[str, str]:
        """Import the lifter, and check versions, weights and device."""
        self.versions = self.adapter.prepare()
        return self.versions

    def run(self) -> None:
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
        free_memory()

    def _status(self, state: str, entity: str = "") -> None:
        told = {"protocol": PROTOCOL, "pid": os.getpid(), "state": state, "entity": entity}
        write_json(self.request.folder / STATUS, told)
