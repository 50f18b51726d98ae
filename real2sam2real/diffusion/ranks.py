"""One job on several GPUs: a process for each, started, watched and stopped together.

A *rank* is one of these processes. All ranks call the same function with the same arguments; rank 0 alone talks, writes
and returns something. `run_on_ranks` starts them from an ordinary program; under torchrun, `start_parallel` joins them.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeVar

import torch
from torch import Tensor, distributed

from real2sam2real.errors import MissingPartError, UserError

Result = TypeVar("Result")
Device = Literal["cuda", "cpu"]

# How ranks are started: CUDA does not survive a fork of a process that has used it.
START_METHOD = "spawn"
BACKENDS = {"cuda": "cpu:gloo,cuda:nccl", "cpu": "gloo"}
LAUNCHER_VARIABLES = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
# A rank that waits for another is not stuck: the other may be loading weights from a slow disk. A rank that died is
# noticed at once by `run_on_ranks`, without any time limit.
PATIENCE = timedelta(hours=1)
GRACE_SECONDS = 10.0
_starter: Connection | None = None  # in rank 0 of `run_on_ranks`, the way to the process that started it


def ranks_joined() -> int:
    """How many processes work together on what this one does; 1 where it is alone."""
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


def is_main_rank() -> bool:
    """Whether this process may talk and write: rank 0, or the only one."""
    return ranks_joined() == 1 or distributed.get_rank() == 0


def from_main_rank(tensor: Tensor) -> Tensor:
    """Rank 0's `tensor` on every rank, so that noise is the same everywhere even without a seed.

    Args:
        tensor: any shape, the same on all ranks; on the CPU or on the rank's own GPU. It is left as it is.
    """
    if ranks_joined() == 1:
        return tensor
    shared = tensor.detach().clone(memory_format=torch.contiguous_format)
    distributed.broadcast(shared, src=0)
    return shared


def launched_world() -> int:
    """Number of ranks that torchrun, or another launcher with its variables, has started; 1 without a launcher."""
    if all(name in os.environ for name in LAUNCHER_VARIABLES):
        return int(os.environ["WORLD_SIZE"])
    return 1


def start_parallel(world: int | None = None, device: Device = "cuda") -> None:
    """Join the other ranks that torchrun has started; call `stop_parallel` at the end.

    Args:
        world: number of ranks that the user asked for, or None for as many as there are.
        device: "cpu" is for tests.

    Raises:
        UserError: there is no launcher, it started another number of ranks, or there are too few GPUs.
        MissingPartError: this torch cannot connect processes.
    """
    launched = launched_world()
    if launched == 1 or world not in (None, launched):
        asked = "several GPUs are" if world is None else f"{world} GPUs are"
        raise UserError(
            f"{asked} asked for, but this program runs as {launched} rank(s); use --gpus, or start it with "
            f"torchrun --nproc-per-node {world or 'N'}"
        )
    local = int(os.environ["LOCAL_RANK"])
    check_devices(int(os.environ.get("LOCAL_WORLD_SIZE", launched)), device)
    _join(int(os.environ["RANK"]), local, launched, device, None)


def stop_parallel() -> None:
    """Leave the other ranks, at the end of what `start_parallel` began."""
    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()


def check_devices(world: int, device: Device = "cuda") -> None:
    """Refuse what cannot run.

    Raises:
        UserError: `world` is below 1, or there are fewer GPUs than ranks on this machine.
        MissingPartError: this torch cannot connect processes.
    """
    if world < 1:
        raise UserError(f"{world} GPUs were asked for; at least 1 is needed")
    if not distributed.is_available():
        raise MissingPartError(
            "this build of torch has no torch.distributed, which several GPUs need; use --gpus 1, or install an "
            "official build: pip install torch"
        )
    if device == "cpu":
        return
    count = torch.cuda.device_count()
    if count < world:
        found = {0: "no GPU", 1: "1 GPU"}.get(count, f"{count} GPUs")
        raise UserError(
            f"{world} GPUs were asked for, but torch finds {found} on this machine; use --gpus {max(1, count)}"
        )
    if world > 1 and not distributed.is_nccl_available():
        raise MissingPartError(
            "this build of torch has no NCCL, by which GPUs talk to each other; use --gpus 1, or install torch for "
            "Linux with CUDA: pip install torch"
        )


def tell_starter(message: Any) -> None:
    """Let `run_on_ranks` hear a picklable message while rank 0 works; elsewhere nobody hears it."""
    if _starter is not None:
        _starter.send(_Message(message))


def run_on_ranks(
    world: int,
    function: Callable[..., Result],
    args: Sequence[Any] = (),
    *,
    device: Device = "cuda",
    hear: Callable[[Any], object] | None = None,
) -> Result:
    """Call `function(*args)` in `world` connected processes and return what rank 0 returns.

    The processes are new ones, so `function` must be importable by its name, and its arguments and result must be
    picklable. When one rank fails or dies, the others are stopped, and so they are on Ctrl-C and when this process
    is killed. With `world` 1 the function is simply called.

    Args:
        world: number of ranks, one for each GPU.
        function: what each rank does; `is_main_rank` tells it whether to write. Only rank 0's output is seen.
        args: of the function.
        device: "cpu" is for tests.
        hear: is called in this process with what rank 0 says by `tell_starter`; not with `world` 1.

    Raises:
        UserError: there are fewer GPUs than ranks, or a rank was killed.
        MissingPartError: this torch cannot connect processes.
        Exception: what a rank has raised comes back as it is, with that rank's traceback as a note.
    """
    check_devices(world, device)
    if world == 1:
        return function(*args)
    work = pickle.dumps((function, tuple(args)))
    with tempfile.TemporaryDirectory(prefix="r2s2r-ranks-") as folder, _ranks(world, device, folder, work) as ranks:
        return _collect(ranks, hear)


@dataclass(frozen=True)
class _Message:
    """What rank 0 says before its result, as it is sent."""

    content: Any


@dataclass(frozen=True, kw_only=True, eq=False)
class _Running:
    """A rank, seen from the process that started it."""

    index: int
    process: BaseProcess
    reports: Connection


@contextmanager
def _ranks(world: int, device: Device, folder: str, work: bytes) -> Iterator[list[_Running]]:
    """Start the ranks; at the end give them a moment to end by themselves if all went well, else stop them."""
    context: Any = multiprocessing.get_context(START_METHOD)
    ranks: list[_Running] = []
    try:
        with _ctrl_c_ignored():
            for index in range(world):
                reports, sender = context.Pipe(duplex=False)
                process = context.Process(
                    target=_rank_main, args=(index, world, device, folder, work, sender), name=f"rank {index}"
                )
                process.start()
                sender.close()  # so that the end of the process is the end of the pipe
                ranks.append(_Running(index=index, process=process, reports=reports))
        yield ranks
        for rank in ranks:
            rank.process.join(GRACE_SECONDS)
    finally:
        _stop(ranks)


def _stop(ranks: list[_Running]) -> None:
    """End whatever still runs: first so that it can clean up, then at once."""
    for rank in ranks:
        if rank.process.is_alive():
            rank.process.terminate()
    for rank in ranks:
        rank.process.join(GRACE_SECONDS)
        if rank.process.is_alive():  # inside a GPU call, where no signal is heard
            rank.process.kill()
            rank.process.join()
        rank.reports.close()


def _collect(ranks: list[_Running], hear: Callable[[Any], object] | None) -> Any:
    """Wait for all ranks, and pass on what is said meanwhile; rank 0's result, or the first failure."""
    results: dict[int, Any] = {}
    waiting = {rank.reports: rank for rank in ranks}
    while waiting:
        ready = wait(list(waiting))
        for reports in [reports for reports in waiting if reports in ready]:
            rank = waiting[reports]
            try:
                report = reports.recv()
            except EOFError:
                raise _died(rank) from None
            if isinstance(report, _Message):
                if hear is not None:
                    hear(report.content)
                continue
            del waiting[reports]
            error, results[rank.index] = report
            if error is not None:
                raise error
    return results[0]


def _died(rank: _Running) -> UserError:
    rank.process.join(GRACE_SECONDS)
    code = rank.process.exitcode
    how = f"exit status {code}"
    if code is not None and code < 0:
        how = f"signal {signal.Signals(-code).name}"
    hint = "; the machine may have run out of memory: try fewer GPUs or a smaller plan" if how.endswith("KILL") else ""
    return UserError(f"rank {rank.index} died ({how}) and the others were stopped{hint}")


@contextmanager
def _ctrl_c_ignored() -> Iterator[None]:
    """New processes inherit that they ignore Ctrl-C, which a terminal sends to all: this process hears it for them."""
    if threading.current_thread() is not threading.main_thread():  # only the main thread may change signals
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _rank_main(index: int, world: int, device: Device, folder: str, work: bytes, sender: Connection) -> None:
    """A rank's whole life: join the others, work, report."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _interrupt)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        # Sockets between processes of one machine need no network, and no name of this machine that resolves.
        loopback = {"linux": "lo", "darwin": "lo0"}.get(sys.platform)
        if loopback:
            os.environ.setdefault("GLOO_SOCKET_IFNAME", loopback)
        with _silent() if index > 0 else nullcontext():
            _join(index, index, world, device, (Path(folder) / "ranks").as_uri())
            _work(index, work, sender)
        stop_parallel()
    except KeyboardInterrupt:
        sys.exit(1)


def _work(index: int, work: bytes, sender: Connection) -> None:
    """Call the function and report its result or its error."""
    global _starter
    _starter = sender if index == 0 else None
    try:
        function, args = pickle.loads(work)
        result = function(*args)
        sender.send((None, result if index == 0 else None))
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        sender.send((_portable(error, index), None))
        # Leaving now would make the others fail too, and their errors would hide this one: wait to be stopped.
        threading.Event().wait()


@contextmanager
def _silent() -> Iterator[None]:
    """Let what is printed, logged or drawn as progress go nowhere."""
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        yield


def _join(index: int, local: int, world: int, device: Device, meeting: str | None) -> None:
    """Connect this process with the other ranks; `meeting` is the URL where they meet, None the launcher's."""
    if device == "cuda":
        torch.cuda.set_device(local)
    else:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // world))
    distributed.init_process_group(
        BACKENDS[device], init_method=meeting, rank=index, world_size=world, timeout=PATIENCE
    )


def _interrupt(number: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt


def _end_with_parent() -> None:
    """Nobody is left to report to when the process that started this rank is gone, however it went."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _portable(error: BaseException, index: int) -> BaseException:
    """The error in a form that survives the way to the other process, with its traceback as a note."""
    try:
        portable = pickle.loads(pickle.dumps(error))
    except Exception:  # an exception class may take other arguments than it stores
        portable = RuntimeError(f"{type(error).__name__}: {error}")
    lines = "".join(traceback.format_exception(error))
    portable.add_note(f"on rank {index}:\n{lines}")
    return portable
