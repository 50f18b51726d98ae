"""The run folder: what every stage made, from which inputs, and how long it took.

    RUN/NAME          an output of a stage
    RUN/run.json      the record of all finished stages, with what each was made from
    RUN/.STAGE.made   what a stage has made and its record, whole, on their way to the names above

A stage works in a folder of its own, writes the record beside its outputs, and renames that folder to `.STAGE.made`:
from then on it is finished. The outputs, then the record, are moved to their places, and whoever opens a run that was
killed meanwhile moves what is left. So a run that dies, even by `kill -9`, goes on at the first stage that is not
finished, and no record ever stands for another's outputs.
"""

from __future__ import annotations

import platform
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import cache, partial
from importlib import metadata
from pathlib import Path
from typing import Any

import real2sam2real
from real2sam2real.files import put_in_place, replacing_folder, sweep
from real2sam2real.run.progress import Progress
from real2sam2real.workfolder.fingerprint import digest, fingerprint
from real2sam2real.workfolder.json_values import typed
from real2sam2real.workfolder.lock import LOCK, locked, require_own_place
from real2sam2real.workfolder.records import read_record, write_json

FORMAT = 1
RECORD = "run.json"
_MADE, _TOLD = ".made", "stage.json"
_LIBRARIES = ("av", "diffusers", "numba", "numpy", "opencv-python-headless", "torch")


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One step of a run."""

    name: str  # key in run.json
    title: str  # what it does, for people
    code: tuple[str, ...]  # the package's folders and files that decide the result
    settings: Any  # JSON values that decide the result
    inputs: tuple[Path, ...]  # files or folders that decide the result
    outputs: tuple[str, ...]  # names in the run folder
    work: Callable[[Path], list[str]]  # makes the outputs in a folder that it is given; returns notes for people
    scratch: tuple[str, ...] = ()  # folders in the run folder that help to go on with the work, and go when it is done


@dataclass(frozen=True, kw_only=True)
class StageRecord:
    """What run.json keeps of a finished stage; `outputs` maps names to content hashes."""

    fingerprint: str
    seconds: float
    notes: list[str]
    outputs: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class _Told:
    """What a finished stage says beside its outputs, until they are in their places."""

    stage: str
    record: StageRecord
    aside: dict[str, str]  # outputs that a person changed by hand, with the names under which they are kept
    scratch: tuple[str, ...]


@dataclass(kw_only=True)
class RunFolder:
    """An open run folder; use `open_run` to get one."""

    path: Path  # where it is
    progress: Progress  # where it says what it does
    command: list[str]  # the arguments that started the run, for people
    config: Any  # JSON values, for people
    records: dict[str, StageRecord] = field(default_factory=dict)  # all finished stages, also of earlier runs
    done: list[str] = field(default_factory=list)  # stages that this run needed, in order
    redone: list[str] = field(default_factory=list)  # those of them whose work was really done

    def do(self, stage: Stage) -> None:
        """Do the stage, unless it was done before from the same inputs, settings and code."""
        key = fingerprint(code=stage.code, settings=stage.settings, inputs=stage.inputs)
        known = self.records.get(stage.name)
        self.done.append(stage.name)
        if known and known.fingerprint == key and all((self.path / name).exists() for name in stage.outputs):
            self.progress.info(f"{stage.title}: unchanged, kept")
            return
        self.progress.info(f"{stage.title} …")
        start = time.perf_counter()
        made = self.path / f".{stage.name}{_MADE}"
        with replacing_folder(made) as fresh:
            notes = stage.work(fresh)
            seconds = round(time.perf_counter() - start, 3)
            aside = self._edited(stage.name, stage.outputs)
            notes += _aside_notes(aside)
            record = StageRecord(
                fingerprint=key,
                seconds=seconds,
                notes=notes,
                outputs={name: digest(fresh / name) for name in stage.outputs},
            )
            told = _Told(stage=stage.name, record=record, aside=aside, scratch=stage.scratch)
            write_json(fresh / _TOLD, asdict(told))
        self._take_in(made)
        self.progress.notes(notes)
        self.redone.append(stage.name)

    def _edited(self, stage: str, outputs: Iterable[str]) -> dict[str, str]:
        """Those of a stage's `outputs` that a person changed by hand, with the names under which they are kept."""
        known, aside = self.records.get(stage), {}
        for name in outputs:
            path, made = self.path / name, known.outputs.get(name) if known else None
            if made is not None and path.exists() and digest(path) != made:
                aside[name] = self._free_name(name)
        return aside

    def _free_name(self, name: str) -> str:
        """Under which an output that was changed by hand can be kept."""
        path, number = self.path / name, 1
        while (other := path.with_name(f"{path.stem}-edited-{number}{path.suffix}")).exists():
            number += 1
        return other.name

    def take_in_finished(self) -> None:
        """Bring to their places what stages had made when the run was killed."""
        for made in sorted(self.path.glob(f".*{_MADE}")):
            self._take_in(made, killed=True)

    def _take_in(self, made: Path, *, killed: bool = False) -> None:
        """Bring a stage's outputs and then its record to their places; what was done of it before is not done again.

        After a run was `killed`, a person may have changed an output since the stage looked.
        """
        if (made / _TOLD).is_file():
            remedy = f"delete the folder {made.name}, and the stage is done again"
            told = read_record(made / _TOLD, partial(typed, _Told), what="record of a stage", remedy=remedy)
            left = [name for name in told.record.outputs if (made / name).exists()]
            if killed:  # what it took away may be there
                left = [name for name in left if digest(made / name) == told.record.outputs[name]]
            later = self._edited(told.stage, [name for name in left if name not in told.aside]) if killed else {}
            told.record.notes.extend(_aside_notes(later))
            aside = told.aside | later
            for name in left:
                place = self.path / name
                if name in aside and place.exists() and not (self.path / aside[name]).exists():
                    place.rename(self.path / aside[name])
                put_in_place(made / name, place)
            self.records[told.stage] = told.record
            self.save()
            for name in told.scratch:
                shutil.rmtree(self.path / name, ignore_errors=True)
        shutil.rmtree(made)

    def as_json(self) -> dict[str, Any]:
        """The content of run.json."""
        return {
            "format": FORMAT,
            "command": self.command,
            "config": self.config,
            "versions": _versions(),
            "peak_memory_mib": peak_memory_mib(),
            "stages": {name: asdict(record) for name, record in self.records.items()},
        }

    def save(self) -> None:
        """Write run.json."""
        write_json(self.path / RECORD, self.as_json())


def _aside_notes(aside: Mapping[str, str]) -> list[str]:
    kept = "had been changed by hand since it was made; it is kept as"
    return [f"{name} {kept} {other}" for name, other in aside.items()]


@contextmanager
def open_run(path: Path, *, command: Sequence[str], config: Any, progress: Progress) -> Iterator[RunFolder]:
    """Create or go on with the run folder at `path`, locked against other runs.

    Raises:
        UserError: `path` is a file, holds something that is no run, or is in use.
    """
    require_own_place(path, "run", known=(path / RECORD).exists())
    path.mkdir(parents=True, exist_ok=True)
    with locked(path):
        sweep(path)
        for own in (*path.glob(".lifting"), *path.glob(".*.segments"), *path.glob(f".*{_MADE}")):
            sweep(own, recursive=True)  # elsewhere there may be a person's own hidden files
        records = _read_records(path / RECORD)
        folder = RunFolder(path=path, progress=progress, command=list(command), config=config, records=records)
        folder.take_in_finished()
        try:
            yield folder
        finally:
            sweep(path)
            if {left.name for left in path.iterdir()} == {LOCK}:
                shutil.rmtree(path)


def _read_records(path: Path) -> dict[str, StageRecord]:
    def stages(values: Any) -> dict[str, StageRecord]:
        return typed(dict[str, StageRecord], values["stages"], "stages")

    remedy = "delete it to start over, or choose another folder with -o"
    return read_record(path, stages, what="record of a run", remedy=remedy) if path.exists() else {}


def peak_memory_mib() -> int | None:
    """The most memory that this process has held, where the system tells."""
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // (2**20 if sys.platform == "darwin" else 2**10)


@cache
def _versions() -> dict[str, str]:
    found = {"real2sam2real": real2sam2real.__version__, "python": platform.python_version()}
    for library in _LIBRARIES:
        try:
            found[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            found[library] = "missing"
    return {**found, "platform": f"{platform.system()} {platform.machine()}", "byteorder": sys.byteorder}
