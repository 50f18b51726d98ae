"""Through many jobs, some of which fail and are tried again; by one process here, by Ray's workers in `ray_pool`."""

from __future__ import annotations

from collections import abc, deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")
JobIn = TypeVar("JobIn", contravariant=True)
ResultOut = TypeVar("ResultOut", covariant=True)


@dataclass(frozen=True, kw_only=True)
class Tried(Generic[ResultOut]):
    """How a try ended, and whether another one may end otherwise."""

    result: ResultOut
    may_try_again: bool = False


class Maker(Protocol[JobIn, ResultOut]):
    """Does jobs, with a model that is loaded once. To travel to Ray's workers it must be picklable until `load`."""

    def load(self) -> None:
        """Make ready.

        Raises:
            UserError: something cannot be used; no job can then be done, here or elsewhere.
        """

    def make(self, job: JobIn, number: int, /) -> Tried[ResultOut]:
        """Try a job for the `number`-th time, counted from 1; a job that fails gives a result that says so."""


@dataclass(frozen=True, kw_only=True)
class Attempt(Generic[Job]):
    """One try of a job; `number` counts from 1."""

    job: Job
    number: int


class Attempts(Generic[Job]):
    """The jobs of a run in order; those that may be tried again come after all others."""

    def __init__(self, jobs: Iterable[Job], *, retries: int) -> None:
        self._waiting = deque(Attempt(job=job, number=1) for job in jobs)
        self._retries = retries

    def __len__(self) -> int:
        return len(self._waiting)

    def take(self) -> Attempt[Job]:
        """The next one."""
        return self._waiting.popleft()

    def put_back(self, attempt: Attempt[Job]) -> bool:
        """Line a failed one up again; False when it was tried often enough."""
        if attempt.number > self._retries:
            return False
        self._waiting.append(replace(attempt, number=attempt.number + 1))
        return True


def make_here(maker: Maker[Job, Result], jobs: Iterable[Job], *, retries: int = 0) -> abc.Generator[Result]:
    """Do the jobs in this process, one after another, and yield the result of each.

    Raises:
        UserError: the maker cannot be loaded.
    """
    attempts = Attempts(jobs, retries=retries)
    if attempts:
        maker.load()
    while attempts:
        attempt = attempts.take()
        tried = maker.make(attempt.job, attempt.number)
        if not (tried.may_try_again and attempts.put_back(attempt)):
            yield tried.result
