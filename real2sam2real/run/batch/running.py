"""A whole batch: find the shots, make those that are not finished, say what became of them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from real2sam2real.diffusion.options import GenerateOptions
from real2sam2real.errors import UserError
from real2sam2real.run.batch.finding import BatchShot, find_shots, shorten
from real2sam2real.run.options import BatchOptions
from real2sam2real.run.progress import Progress
from real2sam2real.workfolder.jobs import make_here
from real2sam2real.workfolder.ray_pool import RayPool

if TYPE_CHECKING:
    from real2sam2real.run.batch.folder import BatchFolder
    from real2sam2real.run.batch.records import ShotRecord

_LISTED_AT_MOST = 20
_REASON_CHARACTERS = 240


@dataclass(frozen=True, kw_only=True)
class BatchReport:
    """What became of a batch."""

    records: tuple[ShotRecord, ...]  # of all its shots, in the order of their names
    kept: int  # how many were finished before
    manifest: Path  # the list on disk

    @property
    def failed(self) -> tuple[ShotRecord, ...]:
        """Those that could not be made."""
        return tuple(record for record in self.records if record.status != "done")

    def require_all_done(self) -> None:
        """Name the shots that failed.

        Raises:
            UserError: there are some.
        """
        if not self.failed:
            return
        lines = [f"  {record.shot}: {one_line(record.reason)}" for record in self.failed[:_LISTED_AT_MOST]]
        if len(self.failed) > _LISTED_AT_MOST:
            lines.append(f"  … {len(self.failed) - _LISTED_AT_MOST} more in {self.manifest}")
        raise UserError(
            f"{len(self.failed)} of {len(self.records)} shots failed; the others are done. "
            "The same command tries the failed ones again:\n" + "\n".join(lines)
        )


def one_line(text: str) -> str:
    """A reason as one line of a list."""
    joined = " ".join(text.split())
    return joined if len(joined) <= _REASON_CHARACTERS else joined[:_REASON_CHARACTERS] + "…"


def run_batch(
    given: Sequence[Path],
    out: Path,
    *,
    options: GenerateOptions,
    batch: BatchOptions | None = None,
    command: Sequence[str] = (),
    progress: Progress | None = None,
) -> BatchReport:
    """Make the videos of all shots in `given` (see `find_shots`) that are not finished in the batch folder `out`.

    Every shot has the options' seed. By default all are made in this process, silently.

    Raises:
        UserError: an input or `out` cannot be used, or the checkpoint cannot; single shots that fail are reported.
    """
    batch, progress = batch or BatchOptions(), progress or Progress()
    found = find_shots(given, out, as_official=options.preset == "official")
    if found.left_out:
        progress.info(f"without a shot, left out: {shorten(found.left_out)}")
    from real2sam2real.run.batch.folder import open_batch

    with open_batch(out, options=options, command=command) as folder:
        waiting = folder.take_stock(found.shots)
        kept = sum(record.status == "done" for record in folder.records(found.shots))
        progress.info(f"{len(found.shots)} shots: {kept} finished before, {len(waiting)} to make")
        try:
            if waiting:
                _make(waiting, folder, batch, progress)
        except KeyboardInterrupt:
            done = sum(record.status == "done" for record in folder.records(found.shots))
            progress.info(f"stopped: {done} of {len(found.shots)} shots are done and will not be made again")
            raise
        return BatchReport(records=tuple(folder.records(found.shots)), kept=kept, manifest=folder.manifest)


def _make(shots: Sequence[BatchShot], folder: BatchFolder, batch: BatchOptions, progress: Progress) -> None:
    from real2sam2real.run.batch.making import BATCH, ShotMaker, give_up

    run = folder.run
    if batch.uses_ray:
        pool = RayPool(
            maker=ShotMaker(run),
            give_up=lambda shot, reason, tries: give_up(shot, run, reason, tries=tries),
            describe=lambda shot: shot.name,
            shared=(run.out / BATCH,),
            workers=batch.workers,
            address=batch.ray_address,
            retries=batch.retries,
            say=progress.info,
        )
        made = pool.make(shots)
    else:
        made = make_here(ShotMaker(run, progress), shots, retries=batch.retries)
    first = 0.0
    with closing(made) as records:
        for number, record in enumerate(records, start=1):
            folder.keep(record)
            first = first or time.monotonic()
            what = f"{record.seconds:.1f} s" if record.status == "done" else f"failed: {one_line(record.reason)}"
            left = ""
            if 1 < number < len(shots):  # the first shot waited for the model to load, so it is not judged by
                seconds = (time.monotonic() - first) / (number - 1) * (len(shots) - number)
                left = f", about {seconds:.0f} s left"
            progress.info(f"{number} of {len(shots)}  {record.shot}  {what}{left}")
