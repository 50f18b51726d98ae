"""Which jobs are still to be tried, and how often each was."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

Job = TypeVar("Job")


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
