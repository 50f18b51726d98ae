"""The batch folder: whose run it is, which shots are finished, and the list of them all."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import real2sam2real
from real2sam2real.diffusion.options import GenerateOptions
from real2sam2real.files import sweep
from real2sam2real.options import as_json
from real2sam2real.run.batch.finding import BatchShot
from real2sam2real.run.batch.making import BATCH, BatchRun, failure, give_up, latest_run, sweep_shots
from real2sam2real.run.batch.records import RECORD, VIDEO, ShotRecord, is_finished, read_shot_record
from real2sam2real.run.generating import model_inputs
from real2sam2real.workfolder.fingerprint import digest
from real2sam2real.workfolder.lock import claimed, locked, require_own_place
from real2sam2real.workfolder.records import write_json, write_lines

FORMAT = 1
MANIFEST = "shots.jsonl"
CHECKPOINT_PREFIX = "checkpoint-"  # of the folder of a checkpoint's videos, as the official script calls it
_SAVE_EVERY_SECONDS = 5.0
_SWEEP_PATIENCE_SECONDS = 10.0


class BatchFolder:
    """An open batch folder; use `open_batch` to get one."""

    def __init__(self, run: BatchRun) -> None:
        self.run = run  # what its workers need to know
        self.rows: dict[str, ShotRecord] = {}  # all shots that the folder knows, by their output folder in it
        self._saved = time.monotonic()

    @property
    def manifest(self) -> Path:
        """The list of all shots."""
        return self.run.out / MANIFEST

    def take_stock(self, shots: Sequence[BatchShot]) -> list[BatchShot]:
        """Read from disk what is there, and return those of `shots` that are still to be made."""
        self.rows = dict(self._on_disk())
        waiting = [shot for shot in shots if not self._has(shot)]
        for shot in waiting:
            if shot.missing:
                reason = f"{shot.control} has no {', '.join(shot.missing)}; render it again, or add what is missing"
                self._set(shot.name, give_up(shot, self.run, reason, tries=0))
            else:
                self._set(shot.name, replace(failure(shot, self.run, "", tries=0), status="waiting", worker=""))
        self.save()
        return [shot for shot in waiting if not shot.missing]

    def _has(self, shot: BatchShot) -> bool:
        """True if the shot is finished, and no worker of a killed run is about to make it otherwise."""
        folder = self.run.place(shot)
        if not is_finished(self.rows.get(self._row(shot.name)), shot, self.run.settings, folder):
            return False
        with claimed(folder, patience=0) as held:
            return held

    def _on_disk(self) -> Iterator[tuple[str, ShotRecord]]:
        for path in sorted(self.run.out.glob(f"{CHECKPOINT_PREFIX}*/**/{RECORD}")):
            record = read_shot_record(path.parent)
            if record is not None:
                there = record.status != "done" or (record.video is not None and (path.parent / VIDEO).is_file())
                row = path.parent.relative_to(self.run.out).as_posix()
                yield row, record if there else replace(record, status="waiting", video=None)

    def _row(self, name: str) -> str:
        return (self.run.videos / name).relative_to(self.run.out).as_posix()

    def _set(self, name: str, record: ShotRecord) -> None:
        self.rows[self._row(name)] = record

    def keep(self, record: ShotRecord) -> None:
        """Take a shot's record into the list, which is written now and then: the truth stands beside each video."""
        self._set(record.shot, record)
        if time.monotonic() - self._saved > _SAVE_EVERY_SECONDS:
            self.save()

    def records(self, shots: Sequence[BatchShot]) -> list[ShotRecord]:
        """What is known of these shots now."""
        return [self.rows[self._row(shot.name)] for shot in shots]

    def save(self) -> None:
        """Write the list of all shots, one row each, in the order of their places."""
        write_lines(self.manifest, (_as_row(row, self.rows[row]) for row in sorted(self.rows)))
        self._saved = time.monotonic()


def _as_row(row: str, record: ShotRecord) -> dict[str, Any]:
    values = asdict(record)
    output = f"{row}/{VIDEO}" if record.status == "done" else None
    return {"shot": record.shot, "output": output, **{k: v for k, v in values.items() if k not in ("inputs", "video")}}


@contextmanager
def open_batch(out: Path, *, options: GenerateOptions, command: Sequence[str]) -> Iterator[BatchFolder]:
    """Create or go on with the batch folder at `out`, locked against other runs.

    Raises:
        UserError: `out` is a file, holds something that is no batch, or is in use; the checkpoint cannot be found.
    """
    out = Path(os.path.abspath(out))  # noqa: PTH100  links stay, so that a path means the same on every machine
    require_own_place(out, "batch", known=latest_run(out) is not None)
    # The code is left out: an update of the package must not throw away the finished part of a long batch.
    decisive = {"options": options.decisive(), "weights": [digest(path) for path in model_inputs(options)]}
    name = options.checkpoint if options.checkpoint == "mini" else Path(options.checkpoint).resolve().name
    out.mkdir(parents=True, exist_ok=True)
    with locked(out):
        run = BatchRun(
            out=out,
            id=secrets.token_hex(8),
            videos=out / (CHECKPOINT_PREFIX + name.removeprefix(CHECKPOINT_PREFIX)),
            settings=hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest(),
            options=options,
        )
        sweep(out)
        # From now on a worker of an earlier run writes nothing more.
        values = {
            "format": FORMAT,
            "run": run.id,
            "command": list(command),
            "options": as_json(options),
            "settings": run.settings,
            "version": real2sam2real.__version__,
        }
        write_json(out / BATCH, values)
        sweep_shots(out, patience=0)  # what a worker that still lives is writing waits for the end
        folder = BatchFolder(run)
        try:
            yield folder
        finally:
            sweep_shots(out, patience=_SWEEP_PATIENCE_SECONDS)
            folder.save()
