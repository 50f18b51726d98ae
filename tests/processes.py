"""Processes that are ready at once: forked from a server that has imported torch, diffusers and peft.

A new interpreter takes ten seconds of processor time for these imports, which no test is about.
"""

import logging
import multiprocessing
import os
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from multiprocessing import resource_tracker, util
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

PRELOADED = [
    "real2sam2real.diffusion.lean_diffusers",
    "real2sam2real.cli.main",
    "real2sam2real.lab.curate.pipeline.run",
    "real2sam2real.lab.train.adapter.trainer",
    "real2sam2real.run.batch.running",
    "real2sam2real.run.generating",
]


def preload() -> None:
    """What the server imports, if it has not been started yet."""
    multiprocessing.get_context("forkserver").set_forkserver_preload(PRELOADED)


def fork_server() -> None:
    """Make the server a copy of this process, which has imported all that the tests use, instead of a new interpreter.

    To be called before the first test: later there are more threads than pytest-xdist's own, and what tests have
    changed.
    """
    if sys.platform != "linux" or PRELOADED[0] not in sys.modules:
        return
    from multiprocessing.forkserver import ensure_running

    preload()
    resource_tracker.ensure_running()
    start_interpreter = util.spawnv_passfds

    def fork(path: str, arguments: Sequence[str], passed: Sequence[int]) -> int:
        """As `spawnv_passfds` starts the program `arguments[-1]` and hands it these files."""
        return os.fork() or _serve(arguments[-1], {0, 1, 2, resource_tracker.getfd(), *passed})

    util.spawnv_passfds = fork
    try:
        ensure_running()
    finally:
        util.spawnv_passfds = start_interpreter


def _serve(code: str, kept: Collection[int]) -> int:
    """Be the server for the rest of this process, without what pytest has open or has redirected."""
    status = 1
    try:
        for number in [int(path.name) for path in Path("/proc/self/fd").iterdir()]:
            if number not in kept:
                with suppress(OSError):  # of the listing itself
                    os.close(number)
        sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
        logging.root.handlers.clear()
        exec(code, {})
    except SystemExit:
        status = 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(status)


def start(
    function: Callable[..., object],
    *args: Any,
    said: Path,
    variables: Mapping[str, str] | None = None,
    own_group: bool = False,
) -> BaseProcess:
    """Call `function(*args)`, which must be importable, in a process of its own.

    Args:
        function: what the process does.
        args: of the function.
        said: file that takes what the process prints.
        variables: of the environment, beside those of this process when the server was started.
        own_group: the process leads a process group, and can be killed with all that it starts.
    """
    preload()
    context = multiprocessing.get_context("forkserver")
    process = context.Process(target=_work, args=(said, dict(variables or {}), own_group, function, args))
    process.start()
    return process


def run_code(code: str, arguments: Sequence[str]) -> None:
    """Run a program given as text, as `python -c` does."""
    import sys

    sys.argv[1:] = arguments
    exec(compile(code, "<code>", "exec"), {"__name__": "__main__"})


def run_ranks(code: str, arguments: Sequence[str], *, said: Path, variables: Mapping[str, str], port: int) -> str:
    """Run a program on two connected processes, as torchrun does, in this folder; what rank 0 said."""
    shared = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    files = [said.with_suffix(f".{rank}") for rank in range(2)]
    ranks = [
        start(run_code, code, arguments, said=file, variables={**shared, "RANK": rank, "LOCAL_RANK": rank, **variables})
        for rank, file in zip("01", files, strict=True)
    ]
    for process, file in zip(ranks, files, strict=True):
        process.join()
        assert process.exitcode == 0, file.read_text()[-6000:]
    return files[0].read_text()


def _work(
    said: Path, variables: dict[str, str], own_group: bool, function: Callable[..., object], args: Sequence[Any]
) -> None:
    if own_group:
        os.setsid()
    os.environ.update(variables)
    target = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(target, 1)
    os.dup2(target, 2)
    function(*args)
