"""The one interface to all lifters, and the lifters of other environments behind it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from real2sam2real.errors import UserError
from real2sam2real.lift.workers.catalogue import LIFTERS, LifterFacts, facts_of
from real2sam2real.lift.workers.environment import LifterEnvironment
from real2sam2real.lift.workers.explaining import explain_exit, explain_failure, explain_hanging
from real2sam2real.lift.workers.lifting_worker.protocol import EVENT, FAILED
from real2sam2real.lift.workers.places import SSH_FAILED, Place, place_for, unreachable
from real2sam2real.lift.workers.requests import LiftRequest, Task, tasks_of, write_probe, write_request
from real2sam2real.lift.workers.results import LiftOutcome, read_outcome, write_failure
from real2sam2real.lift.workers.streaming import HungError, stream

Say = Callable[[str], None]

PROBE_SECONDS = 300.0
_LIFELINE = "--until-stdin-closes"


class Lifter(Protocol):
    """Makes meshes of the objects of a photo.

    Attributes:
        name: as it is chosen.
    """

    name: str

    def lift(self, request: LiftRequest, say: Say) -> LiftOutcome:
        """Lift every entity of a request; those that cannot be lifted are named with the reason."""


def lifter_names() -> tuple[str, ...]:
    """What `open_lifter` knows."""
    return tuple(LIFTERS)


def open_lifter(name: str, options: LifterEnvironment) -> Lifter:
    """The lifter of that name.

    Raises:
        UserError: there is none.
    """
    return WorkerLifter(facts_of(name), options)


class WorkerLifter:
    """A lifter in an environment of its own."""

    def __init__(self, facts: LifterFacts, options: LifterEnvironment) -> None:
        self.name = facts.name
        self.facts = facts
        self.options = options

    def lift(self, request: LiftRequest, say: Say) -> LiftOutcome:
        """Lift what is not finished yet, with one load of the model, and read all results.

        Args:
            request: photo, masks, camera, folder.
            say: receives what happens, line by line: "NAME: …" while the lifter is at an entity.

        Raises:
            UserError: the run ended early; what was finished is kept, and the same request goes on.
            MissingPartError: the environment, a package or weights are missing.
        """
        tasks = tasks_of(request, self.facts, self.options)
        waiting = [task for task in tasks if not task.is_finished]
        if len(waiting) < len(tasks):
            say(f"{len(tasks) - len(waiting)} of {len(tasks)} objects are lifted already")
        if waiting:
            waiting.sort(key=lambda task: task.has_failed)  # so that one that kills the worker cannot stop the others
            write_request(request, self.facts, self.options, waiting)
            place = place_for(request.folder, self.options, self.facts.title)
            place.send()
            _Run(self.facts, self.options, request.folder / "worker.log", tasks, say).lift(place)
        return read_outcome(request, self.facts, tasks)


@dataclass
class _Ears:
    """Understands the worker's lines."""

    title: str
    say: Say
    entity: str = ""
    failure: dict[str, str] | None = None
    ready: dict[str, Any] = field(default_factory=dict)
    last_line: str = ""

    def hear(self, line: str) -> bool:
        """Take in a line; whether it is an event, which is progress."""
        if not line.startswith(EVENT):
            self.last_line = line
            self.say(f"{self.entity or self.title}: {line}")
            return False
        event = json.loads(line[len(EVENT) :])
        self._take(event)
        return True

    def _take(self, event: dict[str, Any]) -> None:
        kind = event["event"]
        if kind == "ready":
            self.ready = event
        elif kind == "failed":
            self.failure = event
        elif kind == "loading":
            self.say(f"{self.title}: loading the model")
        elif kind == "loaded":
            self.say(f"{self.title}: loaded in {event['seconds']:.0f} s")
        elif kind == "lifting":
            self.entity = event["entity"]
            self.say(f"{self.entity}: lifting, {event['number']} of {event['of']}")
        elif kind == "lifted":
            self.say(f"{self.entity}: lifted in {event['seconds']:.0f} s, {event['triangles']:,} triangles")
            self.entity = ""
        elif kind == "skipped":
            self.say(f"{self.entity}: cannot be lifted: {event['message']}")
            self.entity = ""


class _Run:
    """One run of the worker."""

    def __init__(self, facts: LifterFacts, options: LifterEnvironment, log: Path, tasks: list[Task], say: Say) -> None:
        self.facts = facts
        self.options = options
        self.log = log
        self.tasks = tasks
        self.ears = _Ears(facts.title, say)

    def lift(self, place: Place) -> None:
        """Run to the end; results are fetched whatever the end is."""
        try:
            status = self._stream(place, [_LIFELINE], self.options.timeout)
        except HungError:
            place.fetch()
            self._blame("timeout", f"took more than {self.options.timeout:g} seconds")
            raise explain_hanging(self.facts, self.options, self.ears.entity, self._kept_log(), self._kept()) from None
        if self._is_connection(status):
            raise unreachable(str(self.options.host), "running the lifter on", self.ears.last_line or "no answer")
        place.fetch()
        if status:
            raise self._explained(status)

    def probe(self, place: Place) -> dict[str, Any]:
        """Ask whether the environment works; its versions and card.

        Raises:
            UserError: it does not.
        """
        try:
            status = self._stream(place, ["--probe", _LIFELINE], PROBE_SECONDS)
        except HungError:
            raise UserError(f"{self.facts.title} did not answer within {PROBE_SECONDS:g} seconds") from None
        if self._is_connection(status):
            raise unreachable(str(self.options.host), "asking", self.ears.last_line or "no answer")
        place.fetch()
        if status:
            raise self._explained(status)
        return self.ears.ready

    def _stream(self, place: Place, arguments: list[str], timeout: float) -> int:
        try:
            return stream(
                place.command(arguments),
                on_line=self.ears.hear,
                log=self.log,
                timeout=timeout,
                environment=place.environment(),
            )
        except OSError as error:
            raise UserError(f"{self.options.python} cannot be started: {error}") from None

    def _is_connection(self, status: int) -> bool:
        return self.options.host is not None and status == SSH_FAILED

    def _explained(self, status: int) -> UserError:
        ears = self.ears
        if status == FAILED and ears.failure is not None:
            return explain_failure(self.facts, self.options, ears.failure, self._kept_log(), self._kept())
        self._blame("crash", f"{self.facts.title} ended with status {status} at it")
        return explain_exit(
            self.facts, self.options, status, ears.last_line, ears.entity, self._kept_log(), self._kept()
        )

    def _blame(self, kind: str, message: str) -> None:
        for task in self.tasks:
            if task.name == self.ears.entity and not task.is_finished:
                write_failure(task, kind, message)

    def _kept_log(self) -> Path | None:
        return self.log if self.tasks else None  # a probe's goes with its folder

    def _kept(self) -> str:
        done = [task.name for task in self.tasks if task.is_finished]
        return f"{len(done)} of {len(self.tasks)} objects are lifted and kept ({', '.join(done)})" if done else ""


def probe(name: str, options: LifterEnvironment) -> str:
    """Whether a lifter's environment works, in one line: versions and card. Nothing is loaded or downloaded.

    Raises:
        UserError: it does not, and why.
        MissingPartError: a package, the clone or the weights are missing.
    """
    facts = facts_of(name)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_probe(folder, facts, options)
        place = place_for(folder, options, facts.title)
        place.send()
        ready = _Run(facts, options, folder / "worker.log", [], lambda line: None).probe(place)
    versions = ", ".join(f"{key} {value[:12]}" for key, value in ready["versions"].items())
    return f"{facts.title} is ready: {versions}; {ready['device']}"
