"""Through a batch in this process, one shot after another."""

from __future__ import annotations

from collections import abc
from collections.abc import Sequence

from real2sam2real.run.batch.finding import Shot
from real2sam2real.run.batch.making import Job, make_shot
from real2sam2real.run.batch.records import ShotRecord
from real2sam2real.run.config import BatchOptions
from real2sam2real.run.generating import Generator
from real2sam2real.run.progress import Progress
from real2sam2real.workfolder.attempts import Attempts


def make_here(shots: Sequence[Shot], job: Job, options: BatchOptions, progress: Progress) -> abc.Generator[ShotRecord]:
    """Make the shots and yield the record of each.

    Raises:
        UserError: the checkpoint cannot be used.
    """
    attempts = Attempts(shots, retries=options.retries)
    generator = Generator.load(job.options, progress)
    while attempts:
        attempt = attempts.take()
        outcome = make_shot(generator, attempt.job, job, number=attempt.number, progress=progress)
        if not (outcome.may_try_again and attempts.put_back(attempt)):
            yield outcome.record
