"""Which shots are still to be tried, and how often each was."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace

from real2sam2real.run.batch.finding import Shot


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One try of a shot; `number` counts from 1."""

    shot: Shot
    number: int


class Attempts:
    """The shots of a run in order; those that may be tried again come after all others."""

    def __init__(self, shots: Iterable[Shot], *, retries: int) -> None:
        self._waiting = deque(Attempt(shot=shot, number=1) for shot in shots)
        self._retries = retries

    def __len__(self) -> int:
        return len(self._waiting)

    def take(self) -> Attempt:
        """The next one."""
        return self._waiting.popleft()

    def put_back(self, attempt: Attempt) -> bool:
        """Line a failed one up again; False when it was tried often enough."""
        if attempt.number > self._retries:
            return False
        self._waiting.append(replace(attempt, number=attempt.number + 1))
        return True
