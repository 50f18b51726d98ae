"""Lifters in environments of their own: one run of the worker lifts all objects of a request."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from real2sam2real.errors import UserError
from real2sam2real.lifting.workers.catalogue import LifterFacts, facts_of
from real2sam2real.lifting.workers.environment import LifterEnvironment
from real2sam2real.lifting.workers.failures import explain_exit, explain_failure, explain_hanging
from real2sam2real.lifting.workers.hosts import SSH_FAILED, WorkerHost, host_for, unreachable
from real2sam2real.lifting.workers.lifting_worker.inputs import RequestedEntity
from real2sam2real.lifting.workers.lifting_worker.outputs import write_error
from real2sam2real.lifting.workers.requests import LiftRequest, tasks_of, write_probe, write_request
from real2sam2real.lifting.workers.results import LiftOutcome, read_outcome
from real2sam2real.workers.sending import LIFELINE, PROBE, event_of
from real2sam2real.workers.streaming import HungError, stream
from real2sam2real.workers.there.failures import WorkerError
from real2sam2real.workers.there.serving import FAILED

Listener = Callable[[str], None]

PROBE_SECONDS = 300.0
_SAID = {
    "loading": "{title}: loading the model",
    "loaded": "{title}: loaded in {seconds:.0f} s",
    "lifting": "{entity}: lifting, {number} of {of}",
    "lifted": "{entity}: lifted in {seconds:.0f} s, {triangles:,} triangles",
    "skipped": "{entity}: cannot be lifted: {message}",
}


def lift_objects(name: str, options: LifterEnvironment, request: LiftRequest, listener: Listener) -> LiftOutcome:
    """Lift what is not finished yet, with one load of the model, and read all results.

    Entities that cannot be lifted are named with the reason. The listener receives what happens, line by line:
    "NAME: …" while the lifter is at an entity.

    Raises:
        UserError: there is no such lifter, or the run ended early; what was finished is kept, and the same request
            goes on.
        MissingPartError: the environment, a package or weights are missing.
    """
    facts = facts_of(name)
    tasks = tasks_of(request, facts, options)
    waiting = [task for task in tasks if not task.is_finished]
    if len(waiting) < len(tasks):
        listener(f"{len(tasks) - len(waiting)} of {len(tasks)} objects are lifted already")
    if waiting:
        waiting.sort(key=lambda task: task.has_failed)  # so that one that kills the worker cannot stop the others
        write_request(request, facts, options, waiting)
        host = host_for(request.folder, options, facts.title)
        host.send()
        _WorkerProcess(facts, options, request.folder / "worker.log", tasks, listener).run(host)
    return read_outcome(request, facts, tasks)


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
        host = host_for(folder, options, facts.title)
        host.send()
        ready = _WorkerProcess(facts, options, folder / "worker.log", [], lambda line: None).run(host)
    versions = ", ".join(f"{key} {value[:12]}" for key, value in ready["versions"].items())
    return f"{facts.title} is ready: {versions}; {ready['device']}"


@dataclass
class _WorkerEvents:
    title: str
    listener: Listener
    entity: str = ""
    failure: dict[str, str] | None = None
    ready: dict[str, Any] = field(default_factory=dict)
    last_line: str = ""

    def take_line(self, line: str) -> bool:
        """Take in a line; whether it is an event, which is progress."""
        event = event_of(line, self.title)
        if event is not None:
            self._take(event)
            return True
        self.last_line = line
        self.listener(f"{self.entity or self.title}: {line}")
        return False

    def _take(self, event: dict[str, Any]) -> None:
        kind = event["event"]
        if kind == "ready":
            self.ready = event
        elif kind == "failed":
            self.failure = event
        elif kind in _SAID:
            self.listener(_SAID[kind].format(title=self.title, **event))
            self.entity = event["entity"] if kind == "lifting" else ""


class _WorkerProcess:
    """One run of the worker: it lifts the tasks or, without any, only says whether its environment works."""

    def __init__(
        self,
        facts: LifterFacts,
        options: LifterEnvironment,
        log: Path,
        tasks: list[RequestedEntity],
        listener: Listener,
    ) -> None:
        self.facts, self.options, self.log, self.tasks = facts, options, log, tasks
        self.events = _WorkerEvents(facts.title, listener)

    def run(self, host: WorkerHost) -> dict[str, Any]:
        """Run to the end; results are fetched whatever the end is. Returns versions and card.

        Raises:
            UserError: it failed.
        """
        try:
            status = stream(
                host.command([*([] if self.tasks else [PROBE]), LIFELINE]),
                on_line=self.events.take_line,
                log=self.log,
                timeout=self.options.timeout if self.tasks else PROBE_SECONDS,
                environment=host.environment(),
            )
        except OSError as error:
            raise UserError(f"{self.options.python} cannot be started: {error}") from None
        except HungError:
            if not self.tasks:
                raise UserError(f"{self.facts.title} did not answer within {PROBE_SECONDS:g} seconds") from None
            host.fetch()
            self._blame("timeout", f"took more than {self.options.timeout:g} seconds")
            raise self._with_log(explain_hanging(self.facts, self.options, self.events.entity)) from None
        if self.options.host is not None and status == SSH_FAILED:
            doing = "running the lifter on" if self.tasks else "asking"
            raise unreachable(self.options.host, doing, self.events.last_line or "no answer")
        host.fetch()
        if status:
            raise self._with_log(self._explained(status))
        return self.events.ready

    def _explained(self, status: int) -> UserError:
        events = self.events
        if status == FAILED and events.failure is not None:
            return explain_failure(self.facts, self.options, events.failure)
        self._blame("crash", f"{self.facts.title} ended with status {status} at it")
        return explain_exit(self.facts, self.options, status, events.last_line, events.entity)

    def _blame(self, kind: str, message: str) -> None:
        """Write down what the worker could not write itself, because it is gone; this entity comes last next time."""
        for task in self.tasks:
            if task.name == self.events.entity and not task.is_finished:
                write_error(task, WorkerError(kind, message))

    def _with_log(self, error: UserError) -> UserError:
        """The message with what is kept, and where everything is written down; a probe keeps nothing."""
        done = [task.name for task in self.tasks if task.is_finished]
        kept = f"{len(done)} of {len(self.tasks)} objects are lifted and kept ({', '.join(done)})" if done else ""
        log = f"Log: {self.log}" if self.tasks else ""
        return type(error)(". ".join(part.rstrip(".") for part in (str(error), kept, log) if part))
