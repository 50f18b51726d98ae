"""One shot, made exactly once: under its claim, and only for the run that is the batch's latest."""

from __future__ import annotations

import os
import shutil
import socket
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import real2sam2real
from real2sam2real.diffusion.options import GenerateOptions
from real2sam2real.errors import NoRoomError, UserError
from real2sam2real.files import half_written, sweep
from real2sam2real.run.batch.finding import BatchShot
from real2sam2real.run.batch.records import (
    VIDEO,
    ShotRecord,
    input_names,
    is_finished,
    read_shot_record,
    write_shot_record,
)
from real2sam2real.run.progress import Progress
from real2sam2real.workfolder.fingerprint import Stamp
from real2sam2real.workfolder.jobs import Tried
from real2sam2real.workfolder.lock import claimed
from real2sam2real.workfolder.records import read_record

if TYPE_CHECKING:
    from real2sam2real.run.generating import Generator

BATCH = "batch.json"

# A worker of a killed run dies within seconds of it, or with its shot at the latest.
_CLAIM_PATIENCE_SECONDS = 900.0
_GIVE_UP_PATIENCE_SECONDS = 10.0
_SEGMENTS = f".{VIDEO}.segments"  # where the generator keeps the finished part of a long shot; see run/segments.py


@dataclass(frozen=True, kw_only=True)
class BatchRun:
    """What all workers of a run need to know; it travels to other machines, so its paths are absolute."""

    out: Path  # the batch folder
    id: str  # names this run; the batch folder names the latest one
    videos: Path  # the folder in `out` that this checkpoint's videos go to
    settings: str  # hash of the options and of the weights that they name
    options: GenerateOptions  # how the video model is run

    def place(self, shot: BatchShot) -> Path:
        """The shot's output folder."""
        return self.videos / shot.name


class SupersededError(Exception):
    """A later run has taken over the batch: this worker belongs to a run that was killed, and must not write."""


class ShotMaker:
    """Makes shots with a checkpoint that is loaded once; a `Maker` for one process and for Ray's workers (silent)."""

    def __init__(self, run: BatchRun, progress: Progress | None = None) -> None:
        self._run, self._progress = run, progress or Progress()
        self._generator: Generator | None = None

    def load(self) -> None:
        """Load the checkpoint.

        Raises:
            UserError: it cannot be used, or this machine sees another batch folder.
        """
        from real2sam2real.run.generating import Generator

        if latest_run(self._run.out) != self._run.id:
            raise UserError(
                f"{socket.gethostname()} sees another {self._run.out / BATCH}; all machines need the same file system"
            )
        self._generator = Generator.load(self._run.options, self._progress)

    def make(self, shot: BatchShot, number: int) -> Tried[ShotRecord]:
        """Make one shot; see `make_shot`."""
        if self._generator is None:
            raise RuntimeError("load comes before make")
        return make_shot(self._generator, shot, self._run, number=number, progress=self._progress)


def make_shot(
    generator: Generator, shot: BatchShot, run: BatchRun, *, number: int, progress: Progress
) -> Tried[ShotRecord]:
    """Make one shot, its `number`-th try counted from 1, or find it finished; failures come back as records.

    Raises:
        SupersededError: a later run has taken over.
    """
    folder = run.place(shot)

    def say_waiting() -> None:
        minutes = _CLAIM_PATIENCE_SECONDS / 60
        progress.info(f"  {shot.name}: a worker of another run still holds it; waiting for up to {minutes:.0f} min")

    with claimed(folder, patience=_CLAIM_PATIENCE_SECONDS, on_wait=say_waiting) as held:
        if not held:
            return Tried(result=failure(shot, run, "a worker of another run still holds it", tries=number))
        if latest_run(run.out) != run.id:
            raise SupersededError(f"a later run works in {run.out}; this worker writes nothing more")
        known = read_shot_record(folder)
        if known is not None and is_finished(known, shot, run.settings, folder):
            return Tried(result=known)  # by a worker that outlived its run
        sweep(folder)  # what a killed worker left; nobody else has the claim
        start = time.perf_counter()
        tried = _try(generator, shot, run, number, progress)
        record = replace(tried.result, seconds=round(time.perf_counter() - start, 3))
        _keep(folder, record)
        return replace(tried, result=record)


def _try(generator: Generator, shot: BatchShot, run: BatchRun, number: int, progress: Progress) -> Tried[ShotRecord]:
    video = run.place(shot) / VIDEO
    try:
        # Before they are read: what changes meanwhile is made again next time.
        inputs = {name: Stamp.of(shot.control / name) for name in input_names(shot)}
        notes = generator.to_file(shot.control, video, progress)
    except NoRoomError:  # no shot more can be written
        raise
    except UserError as error:
        return Tried(result=failure(shot, run, str(error), tries=number))
    except Exception as error:  # one broken shot must not end the batch; it is listed with its reason
        reason = f"{type(error).__name__}: {error}"
        return Tried(result=failure(shot, run, reason, tries=number), may_try_again=True)
    done = failure(shot, run, "", tries=number)
    return Tried(result=replace(done, status="done", inputs=inputs, video=Stamp.of(video), notes=tuple(notes)))


def failure(shot: BatchShot, run: BatchRun, reason: str, *, tries: int) -> ShotRecord:
    """The record of a shot that could not be made by this process."""
    return ShotRecord(
        shot=shot.name,
        status="failed",
        control=str(shot.control),
        settings=run.settings,
        reason=reason,
        tries=tries,
        worker=f"{socket.gethostname()}:{os.getpid()}",
        seed=run.options.seed,
        version=real2sam2real.__version__,
    )


def give_up(shot: BatchShot, run: BatchRun, reason: str, *, tries: int) -> ShotRecord:
    """Record on disk that a shot failed, for whoever could not do so itself."""
    record = failure(shot, run, reason, tries=tries)
    folder = run.place(shot)
    with claimed(folder, patience=_GIVE_UP_PATIENCE_SECONDS) as held:
        if held:
            sweep(folder)
            _keep(folder, record)
    return record


def _keep(folder: Path, record: ShotRecord) -> None:
    """Write the record; a video that it does not stand for is an earlier one of other inputs or options, and goes."""
    if record.status != "done":
        (folder / VIDEO).unlink(missing_ok=True)
    elif (folder / _SEGMENTS).exists():  # of other options, under which the shot was longer in the making
        shutil.rmtree(folder / _SEGMENTS)
    write_shot_record(folder, record)


def latest_run(out: Path) -> str | None:
    """The run that the batch folder names, None when there is no readable one."""
    try:
        return read_record(out / BATCH, lambda values: str(values["run"]), what="record of a batch", remedy="delete it")
    except (OSError, UserError):
        return None


def sweep_shots(out: Path, *, patience: float) -> None:
    """Remove every half-written file of shots that no living worker is making, waiting `patience` seconds in all."""
    deadline = time.monotonic() + patience
    folders = {path.parent for path in half_written(out, recursive=True)}
    shots = {folder.parent if folder.name == _SEGMENTS else folder for folder in folders}
    for folder in {folder for folder in shots if not folder.name.startswith(".")} - {out}:
        with claimed(folder, patience=deadline - time.monotonic()) as held:
            if held:
                sweep(folder, recursive=True)
