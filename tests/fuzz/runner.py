"""Runs workers and judges them: what raises, hangs, dies or grows is a finding, with the command that repeats it."""

import contextlib
import multiprocessing
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from tests.fuzz.worker import SEED_ITSELF, STACK_SIGNAL, serve
from tests.processes import preload

_POLL = 0.02  # seconds; no machine fills 2 GiB within
_STACK_SECONDS = 0.2  # for the stack of a process that is to be ended


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a mutant may take."""

    seconds: float = 10.0
    memory: int = 2 << 30  # bytes above what the process held before it
    start_seconds: float = 180.0  # of making a seed, imports included; on a busy machine


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A mutant that was not read as it should be."""

    kind: str
    number: int  # of the mutant
    seed: int
    told: str  # what happened

    def __str__(self) -> str:
        which = f"--kind '{self.kind}' --seed {self.seed} --first {self.number} --mutants 1"
        return f"{self.kind} {self.number}: {self.told.strip()}\n  again: python -m tests.fuzz {which}"


@dataclass(kw_only=True)
class Report:
    """What came of a run."""

    findings: list[Finding] = field(default_factory=list)
    verdicts: dict[str, Counter[str]] = field(default_factory=dict)  # by kind
    slowest: tuple[float, str] = (0.0, "none")  # seconds, and of which mutant
    seconds: float = 0.0

    def __str__(self) -> str:
        rows = [f"{name:28}" + ", ".join(f"{n} {v}" for v, n in sorted(c.items())) for name, c in self.verdicts.items()]
        total = sum(sum(counter.values()) for counter in self.verdicts.values())
        end = (
            f"{total} mutants of {len(self.verdicts)} kinds in {self.seconds:.0f} s: {len(self.findings)} findings; "
            f"the slowest took {self.slowest[0]:.1f} s ({self.slowest[1]})"
        )
        return "\n".join([*map(str, self.findings), *rows, end])


class WorkerEndedError(Exception):
    """The worker is gone: it died, or was ended because it hung or grew."""


class _Worker:
    """A process forked from a server that has imported what is heavy, so that the next one is there at once."""

    def __init__(self, seed: int, limits: Limits, kinds: str) -> None:
        preload()
        self.limits = limits
        self.folder = tempfile.TemporaryDirectory(prefix="fuzz-")
        self.log = Path(self.folder.name) / "log.txt"
        context = multiprocessing.get_context("forkserver")
        self.connection, theirs = context.Pipe()
        arguments = (theirs, seed, self.log, kinds)
        self.process = context.Process(target=serve, args=arguments, daemon=True)
        self.process.start()
        theirs.close()
        self.watched = psutil.Process(self.process.pid)

    def ask(self, kind: str, number: int) -> dict[str, Any]:
        """What came of a mutant; that of the seed may take long, as it imports things."""
        try:
            self.connection.send((kind, number))
            self._answer(self.limits.start_seconds, memory=None)
            if number == SEED_ITSELF:
                return self._answer(self.limits.start_seconds, memory=None)
            return self._answer(self.limits.seconds, memory=self.watched.memory_info().rss + self.limits.memory)
        except (EOFError, OSError, psutil.Error):
            self.process.join()
            raise self._ended(f"killed the process, with status {self.process.exitcode}") from None

    def _answer(self, seconds: float, *, memory: int | None) -> Any:
        end = time.monotonic() + seconds
        while not self.connection.poll(_POLL):
            if time.monotonic() > end:
                raise self._ended(f"took more than {seconds:g} s")
            if memory is not None and self.watched.memory_info().rss > memory:
                raise self._ended(f"took more than {self.limits.memory / 2**30:g} GiB of memory")
        return self.connection.recv()

    def _ended(self, why: str) -> WorkerEndedError:
        with contextlib.suppress(psutil.Error):  # a process that died has no stack
            self.watched.send_signal(STACK_SIGNAL)
            self.process.join(_STACK_SECONDS)
        self.process.kill()
        self.process.join()
        stack = self.log.read_text(errors="replace")[-1500:] if self.log.exists() else ""
        self.close()
        return WorkerEndedError(f"{why}\n{stack}")

    def close(self) -> None:
        self.connection.close()
        self.process.join()
        self.folder.cleanup()


def _outcome(ask: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        return ask()
    except WorkerEndedError as ended:
        return {"verdict": "finding", "told": str(ended), "seconds": 0.0, "ended": True}


def fuzz(
    names: Iterable[str],
    numbers: Sequence[int],
    *,
    seed: int = 0,
    limits: Limits | None = None,
    kinds: str = "tests.fuzz.kinds",
) -> Report:
    """Read each kind's seed and its mutants of these numbers, in one worker as long as it lives.

    Args:
        names: of the kinds.
        numbers: of the mutants, of each kind.
        seed: of all mutants.
        limits: for each mutant.
        kinds: module or package that registers them.
    """
    limits, report, start = limits or Limits(), Report(), time.monotonic()
    worker = _Worker(seed, limits, kinds)
    for name in names:
        counts = report.verdicts[name] = Counter()
        waiting = [SEED_ITSELF, *numbers]
        while waiting:
            number = waiting.pop(0)
            answer = _outcome(partial(worker.ask, name, number))
            if answer["verdict"] == "finding":
                report.findings.append(Finding(kind=name, number=number, seed=seed, told=answer["told"]))
            if "ended" in answer:
                worker = _Worker(seed, limits, kinds)
                waiting[:0] = [SEED_ITSELF] if number != SEED_ITSELF else []
            if number != SEED_ITSELF:
                counts[answer["verdict"]] += 1
                report.slowest = max(report.slowest, (answer["seconds"], f"{name} {number}"))
            elif answer["verdict"] == "finding":
                break  # what cannot be read undamaged proves nothing damaged
    worker.close()
    report.seconds = time.monotonic() - start
    return report
