"""Processes that are ready at once: forked from a server that has imported torch, diffusers and peft.

A new interpreter takes ten seconds of processor time for these imports, which no test is about.
"""

import multiprocessing
import os
from collections.abc import Callable, Mapping, Sequence
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
