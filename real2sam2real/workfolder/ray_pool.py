"""Through many jobs by Ray: a pool of workers, each a process of its own with the model loaded once.

Ray places the workers, on this machine or a cluster, tells of their deaths and carries calls and results. What is left
here is to give a free worker the next job. Tries are counted here and not by Ray, because Ray repeats a call whose
worker was killed for lack of memory without limit, and would not say which job killed it.
"""

from __future__ import annotations

import logging
import math
import os
import re
import secrets
import socket
import sys
import threading
import time
from collections import abc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic

import real2sam2real
from real2sam2real.errors import UserError, require
from real2sam2real.workfolder.jobs import Attempt, Attempts, Job, Maker, Result, Tried

Ray = Any  # the module, which is optional and has no stubs

# Results are a few hundred bytes, so the least that Ray accepts will do, also where /dev/shm is small.
_OBJECT_STORE_BYTES = 80 * 2**20
_CONNECT_SECONDS = 10.0
# Network file systems show a new file to another machine up to a minute late.
_SHARED_FOLDER_SECONDS = 60.0
_CRASHES_IN_A_ROW = 10
_PARENT_SECONDS = 0.5


@dataclass(frozen=True, kw_only=True)
class RayPool(Generic[Job, Result]):
    """How jobs are done by Ray."""

    maker: Maker[Job, Result]  # what every worker loads and does jobs with
    # the result of a job whose worker died once too often, from the job, the reason and how often it was tried
    give_up: Callable[[Job, str, int], Result]
    describe: Callable[[Job], str] = str  # a job, for people
    shared: Sequence[Path] = ()  # files and folders that every machine must see
    workers: int | None = None  # how many; None is one per GPU, without any GPU one
    address: str | None = None  # of the cluster to join; None is `$RAY_ADDRESS`, else this machine alone
    retries: int = 0  # how often a job is tried again
    option: str = "--ray"  # of the command line that asks for Ray, for messages
    extra: str = "batch"  # of this package with which Ray is installed
    say: Callable[[str], None] = lambda line: None  # called with lines for people

    def make(self, jobs: Sequence[Job]) -> abc.Generator[Result]:
        """Do the jobs and yield the result of each, in the order in which they are finished.

        Raises:
            MissingPartError: Ray is not installed.
            UserError: the cluster cannot be reached or cannot run a worker, or the maker cannot be loaded.
        """
        if not jobs:
            return
        address = self.address or os.environ.get("RAY_ADDRESS") or "local"
        with _connected(address, option=self.option, extra=self.extra) as ray:
            places, resources, means = _share(ray, self.workers, is_local=address == "local")
            count = min(places, len(jobs))
            self.say(f"{count} worker{'s' if count > 1 else ''} of {means}")
            actor = ray.remote(Worker).options(**resources)
            yield from self._hand_out(ray, actor, count, Attempts(jobs, retries=self.retries))

    def _hand_out(self, ray: Ray, actor: Any, count: int, attempts: Attempts[Job]) -> abc.Generator[Result]:
        """Give every free worker the next job, and replace workers that die. At most one job is with each worker."""
        calls: dict[Any, tuple[Any, Attempt[Job] | None]] = {}  # a call that loads the model has no attempt
        crashes = 0

        def start_worker() -> None:
            worker = actor.remote(self.maker, Path.cwd(), tuple(self.shared))
            calls[worker.load.remote(real2sam2real.__version__)] = (worker, None)  # waits while there is no place

        for _ in range(count):
            start_worker()
        while attempts or any(attempt for _, attempt in calls.values()):
            (call,), _ = ray.wait(list(calls), num_returns=1)
            worker, attempt = calls.pop(call)
            try:
                tried: Tried[Result] | None = ray.get(call)
            except ray.exceptions.RayError as error:
                if isinstance(error, ray.exceptions.RayTaskError) and isinstance(error.cause, UserError):
                    raise error.cause from error  # what one worker says of the model or its machine is true for all
                crashes += 1
                reason = why_it_died(error)
                if crashes > _CRASHES_IN_A_ROW + count:
                    raise UserError(f"{crashes} workers died one after another; the last one: {reason}") from error
                ray.kill(worker)  # it may be cut off rather than dead
                start_worker()
                if attempt is None:
                    self.say(f"  a worker died while it loaded the model ({reason}); another one is started")
                elif attempts.put_back(attempt):
                    self.say(f"  {self.describe(attempt.job)}: its worker died ({reason}); it is tried again")
                else:
                    yield self.give_up(attempt.job, f"its worker died: {reason}", attempt.number)
                continue
            crashes = 0
            if attempt and tried and not (tried.may_try_again and attempts.put_back(attempt)):
                yield tried.result
            if attempts:
                attempt = attempts.take()
                calls[worker.make.remote(attempt.job, attempt.number)] = (worker, attempt)


class Worker(Generic[Job, Result]):
    """One Ray actor: a process with the model in it."""

    def __init__(self, maker: Maker[Job, Result], folder: Path, shared: Sequence[Path]) -> None:
        self._maker, self._folder, self._shared = maker, folder, shared
        threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()

    def load(self, version: str) -> None:
        """Check that this machine can take part, and load the model.

        Raises:
            UserError: it lacks the shared folders or has another version of the package; the model cannot be used.
        """
        here = socket.gethostname()
        if version != real2sam2real.__version__:
            raise UserError(
                f"{here} has real2sam2real {real2sam2real.__version__}, but the run was started with {version}; "
                "install the same on every machine"
            )
        for path in (self._folder, *self._shared):
            _wait_for(path, here)
        os.chdir(self._folder)  # so that a relative path means the same as where the run was started
        self._maker.load()

    def make(self, job: Job, number: int) -> Tried[Result]:
        """Do one job."""
        return self._maker.make(job, number)


def _end_with(parent: int) -> None:
    """End this process when its parent has: one that Ray lets live after a killed run keeps the lock of its job."""
    while os.getppid() == parent:
        time.sleep(_PARENT_SECONDS)
    os._exit(1)


def _wait_for(path: Path, here: str) -> None:
    deadline = time.monotonic() + _SHARED_FOLDER_SECONDS
    while not path.exists():
        if time.monotonic() > deadline:
            raise UserError(
                f"{here} does not see {path}; a cluster needs a file system that all its machines share, for the "
                "inputs, the -o folder and the folder where the command is started"
            )
        time.sleep(0.5)


@contextmanager
def _connected(address: str, *, option: str, extra: str) -> Iterator[Ray]:
    """Ray, connected to the cluster at `address`, or started here for as long as the block lasts where that is "local".

    Raises:
        MissingPartError: Ray is not installed.
        UserError: the cluster cannot be reached.
    """
    if address == "local":
        _keep_to_itself()
    ray = require("ray", f"{option} needs Ray, which is not installed: pip install 'real2sam2real[{extra}]'")
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
        # Ray would start an idle process per core, and a worker of ours takes one of its own anyway.
        lean = {"include_dashboard": False, "_system_config": {"prestart_worker_first_driver": False}}
        ray.init(address=address, object_store_memory=_OBJECT_STORE_BYTES, **lean, **quiet)
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


def _share(ray: Ray, workers: int | None, *, is_local: bool) -> tuple[int, dict[str, int], str]:
    """How many workers there can be, and what each of them has: for Ray, and for people."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    cpus = [max(1, int(node.get("CPU", 0))) for node in nodes]
    gpus = [int(node.get("GPU", 0)) for node in nodes]
    places = sum(gpus) or sum(cpus)
    count = workers or sum(gpus) or 1
    if is_local and count > places:
        raise UserError(
            f"--workers {count} is more than this machine has {'GPUs' if sum(gpus) else 'CPU cores'}, {places}; "
            "every worker needs one of its own"
        )
    if sum(gpus):
        share = max(1, min(c // g for c, g in zip(cpus, gpus, strict=True) if g))
        return count, {"num_gpus": 1, "num_cpus": share}, f"1 GPU and {share} CPU cores"
    share = max(1, min(cpus) // math.ceil(count / len(nodes)))
    return count, {"num_cpus": share}, f"{share} CPU core{'s' if share > 1 else ''}"


def why_it_died(error: Exception) -> str:
    """The telling part of Ray's message, on one line."""
    text = " ".join(str(error).split())
    match = re.search(r"Worker exit detail: (.*)", text) or re.search(r"The actor is dead because (.*)", text)
    return (match[1] if match else text)[:400]
