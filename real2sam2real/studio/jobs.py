"""The studio's jobs: a process each, one heavy job at a time, the others in a queue.

A job that a person starts goes before the automatic ones: a preview that runs of itself is stopped, and queued again.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal

from real2sam2real.studio.job import in_words
from real2sam2real.workfolder.json_values import parse_json

State = Literal["queued", "running", "done", "failed", "cancelled"]
ENDED = ("done", "failed", "cancelled")

_GRACE_SECONDS = 3.0  # between asking a process to end and ending it
_REMEMBERED = 20  # ended jobs of a workspace that the page still shows
_LAST_WORDS = 4000  # bytes of what a process wrote to standard error, of which the last line is told


@dataclass(kw_only=True)
class Job:
    """One job; what the page is told of it is `message()`."""

    workspace: str  # id
    folder: Path  # of the workspace
    kind: str  # see `job.KINDS`
    title: str  # for people
    options: dict[str, Any]  # JSON values, for the kind's function
    revision: int = 0  # of the document that it was started from
    automatic: bool = False  # nobody asked for it: it gives way to jobs that somebody did ask for
    heavy: bool = True  # waits for its turn; others run at once
    picture_file: Path | None = None  # that the job writes anew from time to time
    finish: Callable[[Any], None] | None = None  # called with the result, in the server
    id: str = field(default_factory=lambda: secrets.token_hex(6))
    state: State = "queued"
    step: str = ""
    done: int = 0
    total: int = 0
    seconds_left: float | None = None
    notes: list[str] = field(default_factory=list)
    error: str | None = None
    picture: int = 0
    _picture_time: int = 0
    _stop: Literal["no", "cancelled", "preempted"] = "no"

    def message(self) -> dict[str, Any]:
        """As `JobData` of the page's `types.ts`."""
        return {
            "id": self.id,
            "kind": self.kind,
            "title": self.title,
            "state": self.state,
            "step": self.step,
            "done": self.done,
            "total": self.total,
            "secondsLeft": self.seconds_left,
            "notes": list(self.notes),
            "error": self.error,
            "revision": self.revision,
            "automatic": self.automatic,
            "picture": self.picture,
        }

    def take_in(self, told: dict[str, Any]) -> None:
        """What one line of the process says."""
        if "step" in told:
            self.step = told["step"]
            self.done, self.total = told.get("done", 0), told.get("total", 0)
            self.seconds_left = told.get("secondsLeft")
        self.notes += told.get("notes", [])
        if self.picture_file is not None:
            with suppress(OSError):
                written = self.picture_file.stat().st_mtime_ns
                if written != self._picture_time:
                    self._picture_time, self.picture = written, self.picture + 1

    def begin_again(self) -> None:
        """Forget what an earlier try said."""
        self.state, self._stop = "queued", "no"
        self.step, self.done, self.total, self.seconds_left = "", 0, 0, None
        self.notes, self.error = [], None


class JobProcess:
    """The process of one job, started before its job is known.

    Args:
        program: the module that it runs.
    """

    def __init__(self, program: str) -> None:
        self._said = tempfile.TemporaryFile()  # noqa: SIM115  (closed when the process has ended)
        # -P: nothing is imported from the folder that the server was started in.
        command = [sys.executable, "-P", "-m", program]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=self._said, start_new_session=True)
        self._waiting = threading.Thread(target=self._wait, daemon=True)
        self._waiting.start()

    @property
    def pid(self) -> int:
        """Of the process, which leads a process group of its own."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether the process has not ended."""
        return self._waiting.is_alive()

    def ask(self, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Give the process its job, and yield what it says until it ends."""
        stdin, stdout = self._pipes()
        with suppress(OSError):  # it has died; what is read says so
            stdin.write(json.dumps(request).encode() + b"\n")
            stdin.flush()
        for line in stdout:
            with suppress(ValueError):  # a line that a kill cut short
                yield parse_json(line)
        self._waiting.join()

    def _wait(self) -> None:
        """Until the process has ended, then end what it had started; its number is its own until this is done."""
        if sys.platform != "win32":
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
            with suppress(OSError):
                os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()

    def _pipes(self) -> tuple[IO[bytes], IO[bytes]]:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        return stdin, stdout

    def end(self, *, at_once: bool = False) -> None:
        """Ask the process and all that it has started to end, and end them a little later, or at once."""
        if not at_once:
            self._signal(signal.SIGTERM)
            later = threading.Timer(_GRACE_SECONDS, self.end, kwargs={"at_once": True})
            later.daemon = True
            later.start()
        else:
            self._signal(signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL)

    def _signal(self, number: int) -> None:
        if not self.is_alive:
            return
        with suppress(OSError):  # it has ended since
            if sys.platform == "win32":
                self._process.terminate()
            else:
                os.killpg(self.pid, number)

    def close(self) -> None:
        """Close its files; it must have ended."""
        for stream in self._pipes():
            with suppress(OSError):
                stream.close()
        self._said.close()

    def death(self) -> str:
        """Why a process ended that gave neither a result nor an error, for people."""
        status = self._process.returncode
        if status == -signal.SIGTERM or (sys.platform != "win32" and status == -signal.SIGKILL):
            return (
                f"its process was ended from outside (signal {-status}), as the system does when memory runs out; a "
                "smaller size or fewer frames need less, and so does closing other programs"
            )
        what = f"signal {-status}" if status < 0 else f"exit status {status}"
        last = self._last_words()
        return f"its process died ({what}){f': {last}' if last else ''}; start it again"

    def _last_words(self) -> str:
        self._said.seek(0, os.SEEK_END)
        self._said.seek(max(0, self._said.tell() - _LAST_WORDS))
        lines = self._said.read().decode(errors="replace").splitlines()
        return next((line.strip()[:300] for line in reversed(lines) if line.strip()), "")


class JobRunner:
    """All jobs of a server; safe to call from any thread.

    Args:
        changed: called with a workspace's id when there is something new to say of its jobs, from any thread.
        program: the module that the processes run.
    """

    def __init__(
        self, changed: Callable[[str], None] = lambda workspace: None, *, program: str = "real2sam2real.studio.job"
    ) -> None:
        self._changed = changed
        self._program = program
        self._lock = threading.RLock()
        self._jobs: dict[str, Job] = {}  # in the order in which they came
        self._workers: dict[str, JobProcess] = {}  # of running jobs
        self._spare: JobProcess | None = None
        self._closed = False

    def submit(self, job: Job) -> Job:
        """Queue a job, and start it if its turn is now."""
        with self._lock:
            if job.automatic:  # what was said of an earlier one is out of date
                for other in self.of(job.workspace):
                    if other.automatic and other.kind == job.kind and other.state in ENDED:
                        del self._jobs[other.id]
            self._jobs[job.id] = job
            if job.heavy and not job.automatic:
                for other in self._running():
                    if other.automatic and other.heavy:
                        self._stop(other, "preempted")
            self._forget(job.workspace)
            self._start_next()
        self._changed(job.workspace)
        return job

    def again(self, workspace: str, job: str) -> Job | None:
        """Queue a job that failed or was cancelled once more, as it was; None where there is no such job."""
        with self._lock:
            known = self._jobs.get(job)
            if known is None or known.workspace != workspace or known.state not in ("failed", "cancelled"):
                return None
            del self._jobs[job]
            known.begin_again()
        return self.submit(known)

    def of(self, workspace: str) -> list[Job]:
        """The jobs of a workspace, in the order in which they came."""
        with self._lock:
            return [job for job in self._jobs.values() if job.workspace == workspace]

    def find(self, workspace: str, job: str) -> Job | None:
        """A job of a workspace by its id."""
        with self._lock:
            found = self._jobs.get(job)
        return found if found is not None and found.workspace == workspace else None

    def process_of(self, job: str) -> int | None:
        """The process number of a running job."""
        with self._lock:
            worker = self._workers.get(job)
        return None if worker is None else worker.pid

    def cancel(self, job: Job) -> None:
        """Stop a job, or take it out of the queue; forget one that has ended."""
        with self._lock:
            if job.state == "running":
                self._stop(job, "cancelled")
            elif job.state == "queued":
                job.state = "cancelled"
            else:
                self._jobs.pop(job.id, None)
            self._forget(job.workspace)
        self._changed(job.workspace)

    def cancel_automatic(self, workspace: str, kind: str) -> None:
        """Stop the automatic jobs of a kind: what they make is out of date."""
        for job in self.of(workspace):
            if job.automatic and job.kind == kind and job.state not in ENDED:
                self.cancel(job)

    def warm_up(self) -> None:
        """Have a process ready for the next job."""
        with self._lock:
            if not self._closed and (self._spare is None or not self._spare.is_alive):
                self._spare = JobProcess(self._program)

    def close(self) -> None:
        """End all jobs, at once."""
        with self._lock:
            self._closed = True
            for job in self._jobs.values():
                if job.state == "queued":
                    job.state = "cancelled"
            for job in self._running():
                job._stop = "cancelled"
            for worker in (*self._workers.values(), *([self._spare] if self._spare else [])):
                worker.end(at_once=True)

    def _running(self) -> list[Job]:
        return [job for job in self._jobs.values() if job.state == "running"]

    def _stop(self, job: Job, why: Literal["cancelled", "preempted"]) -> None:
        job._stop = why
        if worker := self._workers.get(job.id):
            worker.end()

    def _forget(self, workspace: str) -> None:
        """Drop automatic jobs that came to an end without an error, and the oldest others."""
        ended = [job for job in self.of(workspace) if job.state in ENDED]
        dropped = [job for job in ended if job.automatic and job.state != "failed"]
        kept = [job for job in ended if job not in dropped]
        for job in (*dropped, *kept[: max(0, len(kept) - _REMEMBERED)]):
            del self._jobs[job.id]

    def _start_next(self) -> None:
        """Start what may run now: light jobs, and one heavy job, automatic ones last."""
        if self._closed:
            return
        queued = [job for job in self._jobs.values() if job.state == "queued"]
        heavy = sorted((job for job in queued if job.heavy), key=lambda job: job.automatic)
        if any(job.heavy for job in self._running()):
            heavy = []
        for job in (*(job for job in queued if not job.heavy), *heavy[:1]):
            self.warm_up()
            worker, self._spare = self._spare, None
            assert worker is not None
            job.state, self._workers[job.id] = "running", worker
            threading.Thread(target=self._do, args=(job, worker), name=f"job {job.id}", daemon=True).start()
            self.warm_up()

    def _do(self, job: Job, worker: JobProcess) -> None:
        """Follow a job to its end, in a thread of its own."""
        self._changed(job.workspace)
        outcome: dict[str, Any] = {}
        for told in worker.ask({"kind": job.kind, "folder": str(job.folder), "options": job.options}):
            outcome.update({key: told[key] for key in ("result", "error") if key in told})
            job.take_in(told)
            self._changed(job.workspace)
        error = outcome.get("error")
        if error is None and "result" not in outcome:
            error = worker.death()
        worker.close()
        if error is None and job._stop != "cancelled" and job.finish is not None:
            try:
                job.finish(outcome["result"])
            except Exception as failure:
                error = in_words(failure)
        with self._lock:
            del self._workers[job.id]
            self._end(job, error)
            self._forget(job.workspace)
            self._start_next()
        self._changed(job.workspace)

    def _end(self, job: Job, error: str | None) -> None:
        """The state of a job whose process has ended."""
        if job._stop == "cancelled":
            job.state = "cancelled"
        elif job._stop == "preempted" and error is not None:
            job.begin_again()
        elif error is not None:
            job.state, job.error = "failed", error
        else:
            job.state, job.seconds_left = "done", 0.0
