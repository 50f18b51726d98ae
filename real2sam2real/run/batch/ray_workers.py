"""Through a batch by Ray: one worker per GPU, each with the model loaded once.

Ray places the workers, on this machine or a cluster, tells of their deaths and carries calls and results. What is left
here is to give a free worker the next shot. Tries are counted here and not by Ray, because Ray repeats a call whose
worker was killed for lack of memory without limit, and would not say which shot killed it.
"""

from __future__ import annotations

import importlib
import logging
import math
import os
import re
import secrets
import socket
import sys
import time
from collections import abc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import real2sam2real
from real2sam2real.errors import MissingPartError, UserError
from real2sam2real.run.batch.finding import Shot
from real2sam2real.run.batch.making import BATCH, Job, give_up, latest_run, make_shot
from real2sam2real.run.batch.records import Outcome, ShotRecord
from real2sam2real.run.config import BatchOptions
from real2sam2real.run.progress import Progress
from real2sam2real.workfolder.attempts import Attempt, Attempts

if TYPE_CHECKING:
    from real2sam2real.run.generating import Generator

Ray = Any  # the module, which is optional and has no stubs

# Results are a few hundred bytes, so the least that Ray accepts will do, also where /dev/shm is small.
_OBJECT_STORE_BYTES = 80 * 2**20
_CONNECT_SECONDS = 10.0
# Network file systems show a new file to another machine up to a minute late.
_SHARED_FOLDER_SECONDS = 60.0
_CRASHES_IN_A_ROW = 10


class Worker:
    """One Ray actor: a process with the model in it."""

    def __init__(self, job: Job, folder: Path) -> None:
        self._job, self._folder = job, folder
        self._generator: Generator | None = None

    def load(self, version: str) -> None:
        """Check that this machine can take part, and load the model.

        Raises:
            UserError: it lacks the shared folders or has another version of the package; the checkpoint cannot be used.
        """
        from real2sam2real.run.generating import Generator

        here = socket.gethostname()
        if version != real2sam2real.__version__:
            raise UserError(
                f"{here} has real2sam2real {real2sam2real.__version__}, but the batch was started with {version}; "
                "install the same on every machine"
            )
        for folder in (self._folder, self._job.out):
            _wait_for(folder / BATCH if folder == self._job.out else folder, here)
        if latest_run(self._job.out) != self._job.run:
            raise UserError(f"{here} sees another {self._job.out / BATCH}; all machines need the same file system")
        os.chdir(self._folder)  # so that a relative checkpoint path means the same as where the batch was started
        self._generator = Generator.load(self._job.options, Progress())

    def make(self, shot: Shot, number: int) -> Outcome:
        """Make one shot; see `making.make_shot`."""
        if self._generator is None:
            raise RuntimeError("load comes before make")
        return make_shot(self._generator, shot, self._job, number=number, progress=Progress())


def _wait_for(path: Path, here: str) -> None:
    deadline = time.monotonic() + _SHARED_FOLDER_SECONDS
    while not path.exists():
        if time.monotonic() > deadline:
            raise UserError(
                f"{here} does not see {path}; a cluster needs a file system that all its machines share, for the "
                "shots, the -o folder and the folder where the command is started"
            )
        time.sleep(0.5)


def make_on_ray(
    shots: Sequence[Shot], job: Job, options: BatchOptions, progress: Progress
) -> abc.Generator[ShotRecord]:
    """Make the shots by Ray and yield the record of each.

    Raises:
        MissingPartError: Ray is not installed.
        UserError: the cluster cannot be reached, or cannot run a worker; the checkpoint cannot be used.
    """
    address = options.ray_address or os.environ.get("RAY_ADDRESS") or "local"
    with _connected(address) as ray:
        crew = _crew(ray, job, options, is_local=address == "local")
        count = min(crew.count, len(shots))
        progress.say(f"{count} worker{'s' if count > 1 else ''} of {crew.means}")
        yield from _hand_out(crew, count, job, Attempts(shots, retries=options.retries), progress)


@contextmanager
def _connected(address: str) -> Iterator[Ray]:
    """Ray, connected to a cluster or started on this machine for as long as the block lasts."""
    if address == "local":
        _keep_to_itself()
    try:
        ray = importlib.import_module("ray")
    except ImportError as error:
        raise MissingPartError("--ray needs Ray, which is not installed: pip install 'real2sam2real[batch]'") from error
    if ray.is_initialized():  # by the program that calls us
        yield ray
        return
    try:
        _init(ray, address)
        yield ray
    finally:
        ray.shutdown()


def _keep_to_itself() -> None:
    """Have a Ray of our own tell nobody about itself, and let in only who knows the token of this process.

    Ray would otherwise write a token into the home folder, which need not be writable, and say so on the screen. It
    reads these variables once, when it is imported.
    """
    if "ray" in sys.modules:
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if "RAY_AUTH_MODE" not in os.environ:
        os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32))


def _init(ray: Ray, address: str) -> None:
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address == "local":
        ray.init(address=address, include_dashboard=False, object_store_memory=_OBJECT_STORE_BYTES, **quiet)
        return
    _require_answer(address)
    try:
        ray.init(address=address, **quiet)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise UserError(f"the Ray cluster at {address} cannot be joined: {error}") from error


def _require_answer(address: str) -> None:
    """Ask at the door: Ray itself would try for many minutes."""
    match = re.fullmatch(r"(?:ray://)?(.+):(\d+)", address)
    if not match:
        return  # "auto" and the like
    try:
        socket.create_connection((match[1].strip("[]"), int(match[2])), timeout=_CONNECT_SECONDS).close()
    except OSError as error:
        raise UserError(
            f"no Ray cluster answers at {address} ({error}); start one with `ray start --head`, "
            "or leave --ray-address and RAY_ADDRESS away to use this machine"
        ) from error


@dataclass(frozen=True, kw_only=True)
class _Crew:
    """How workers are started.

    Attributes:
        ray: the module.
        actor: the class to start, with its resources.
        job: what it is told.
        count: how many there can be.
        means: what each of them has, for people.
    """

    ray: Ray
    actor: Any
    job: Job
    count: int
    means: str

    def start(self) -> tuple[Any, Any]:
        """A new worker, and the call that loads its model; it waits for as long as Ray has no place for it."""
        worker = self.actor.remote(self.job, Path.cwd())
        return worker, worker.load.remote(real2sam2real.__version__)


def _crew(ray: Ray, job: Job, options: BatchOptions, *, is_local: bool) -> _Crew:
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    cpus = [max(1, int(node.get("CPU", 0))) for node in nodes]
    gpus = [int(node.get("GPU", 0)) for node in nodes]
    places = sum(gpus) or sum(cpus)
    count = options.workers or sum(gpus) or 1
    if is_local and count > places:
        raise UserError(
            f"--workers {count} is more than this machine has {'GPUs' if sum(gpus) else 'CPU cores'}, {places}; "
            "every worker needs one of its own"
        )
    if sum(gpus):
        share = max(1, min(c // g for c, g in zip(cpus, gpus, strict=True) if g))
        resources, means = {"num_gpus": 1, "num_cpus": share}, f"1 GPU and {share} CPU cores"
    else:
        share = max(1, min(cpus) // math.ceil(count / len(nodes)))
        resources, means = {"num_cpus": share}, f"{share} CPU core{'s' if share > 1 else ''}"
    return _Crew(ray=ray, actor=ray.remote(Worker).options(**resources), job=job, count=count, means=means)


def _hand_out(
    crew: _Crew, count: int, job: Job, attempts: Attempts[Shot], progress: Progress
) -> abc.Generator[ShotRecord]:
    """Give every free worker the next shot, and replace workers that die. At most one shot is with each worker."""
    ray = crew.ray
    calls: dict[Any, tuple[Any, Attempt[Shot] | None]] = {}  # a call that loads the model has no attempt
    crashes = 0

    def start_worker() -> None:
        worker, loading = crew.start()
        calls[loading] = (worker, None)

    for _ in range(count):
        start_worker()
    while attempts or any(attempt for _, attempt in calls.values()):
        (call,), _ = ray.wait(list(calls), num_returns=1)
        worker, attempt = calls.pop(call)
        try:
            outcome: Outcome | None = ray.get(call)
        except ray.exceptions.RayError as error:
            _raise_if_hopeless(ray, error, attempt)
            crashes += 1
            reason = why_it_died(error)
            if crashes > _CRASHES_IN_A_ROW + count:
                raise UserError(f"{crashes} workers died one after another; the last one: {reason}") from error
            ray.kill(worker)  # it may be cut off rather than dead
            start_worker()
            if attempt is None:
                progress.say(f"  a worker died while it loaded the model ({reason}); another one is started")
            elif attempts.put_back(attempt):
                progress.say(f"  {attempt.job.name}: its worker died ({reason}); it is tried again")
            else:
                yield give_up(attempt.job, job, f"its worker died: {reason}", tries=attempt.number)
            continue
        crashes = 0
        if attempt and outcome and not (outcome.may_try_again and attempts.put_back(attempt)):
            yield outcome.record
        if attempts:
            attempt = attempts.take()
            calls[worker.make.remote(attempt.job, attempt.number)] = (worker, attempt)


def _raise_if_hopeless(ray: Ray, error: Exception, attempt: Attempt[Shot] | None) -> None:
    """What a worker says about the checkpoint or its machine is true for all of them, so it ends the batch.

    Raises:
        UserError: it is such a message.
    """
    if attempt is None and isinstance(error, ray.exceptions.RayTaskError) and isinstance(error.cause, UserError):
        raise error.cause


def why_it_died(error: Exception) -> str:
    """The telling part of Ray's message, on one line."""
    text = " ".join(str(error).split())
    match = re.search(r"Worker exit detail: (.*)", text) or re.search(r"The actor is dead because (.*)", text)
    return (match[1] if match else text)[:400]
