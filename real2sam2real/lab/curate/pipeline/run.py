"""Curate many sources, in this process or by Ray's workers; killed and started again, nothing is lost or done twice.

    DATASET/curation.json        settings and sources; another run in this folder must have the same
    DATASET/work/KEY.tar         the samples of one source
    DATASET/work/KEY.json        its row of the manifest and the files it was made from, written after the samples:
                                 who has one is finished, as long as those files stay as they were
    DATASET/timings.jsonl        seconds of each stage for each source

When all sources are finished, `packing` makes the data set of them, and `work` is removed.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any, Literal

from real2sam2real.errors import UserError
from real2sam2real.files import sweep
from real2sam2real.lab.curate.dataset import INFO_FILE, SHARDS, DatasetInfo, shard_writer, write_info
from real2sam2real.lab.curate.pipeline.job import CurationJob
from real2sam2real.lab.curate.pipeline.packing import MANIFEST, PICTURES, pack, show, write_card
from real2sam2real.lab.curate.pipeline.settings import CurationSettings, SourceVideo, with_current_names
from real2sam2real.lab.curate.pipeline.stages import STAGES, CurationStage
from real2sam2real.workfolder.fingerprint import Stamp
from real2sam2real.workfolder.jobs import Tried, make_here
from real2sam2real.workfolder.json_values import typed
from real2sam2real.workfolder.lock import locked
from real2sam2real.workfolder.ray_pool import RayPool
from real2sam2real.workfolder.records import keep_settings, read_lines, read_record, write_json, write_lines

PLAN = "curation.json"
WORK = "work"
TIMINGS = "timings.jsonl"
_MADE_FROM = "made_from"

Row = Mapping[str, Any]
"""Of the manifest: what became of one source."""


@dataclass(frozen=True, kw_only=True)
class _KnownOfRow:
    """What is read of a row of the manifest; see `CurationJob.row`."""

    path: str
    status: Literal["kept", "dropped", "failed"]
    reasons: list[str]
    samples: list[str]


_OF_ROW = {f.name for f in fields(_KnownOfRow)}


@dataclass(frozen=True, kw_only=True)
class CurationResult:
    """What came of a curation."""

    rows: tuple[Row, ...]  # of the manifest

    @property
    def samples(self) -> int:
        """How many samples the data set has."""
        return sum(len(row["samples"]) for row in self.rows)

    def count(self, status: str) -> int:
        """Sources that were kept, dropped or failed."""
        return sum(row["status"] == status for row in self.rows)


def curate(
    sources: Sequence[SourceVideo],
    settings: CurationSettings,
    folder: Path,
    *,
    workers: int = 1,
    ray_address: str | None = None,
    on_source: Callable[[Row], None] = lambda row: None,
) -> CurationResult:
    """Make a data set of sources.

    Args:
        sources: from `find_sources`.
        settings: how.
        folder: of the data set.
        workers: sources worked on at a time; more than 1 need Ray.
        ray_address: of a cluster; None is this machine.
        on_source: called with the row of each source as it is finished, those of earlier runs first.

    Raises:
        MissingPartError: a part is not installed.
        UserError: the folder belongs to another curation, another run is working in it, or nothing was kept.
    """
    if workers < 1:
        raise UserError(f"{workers} workers cannot be; at least 1")
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        sweep(folder)
        for name in (WORK, SHARDS, PICTURES):
            sweep(folder / name, recursive=True)  # elsewhere there may be a person's own hidden files
        plan = {"settings": asdict(settings), "sources": [asdict(source) for source in sources]}
        keep_settings(folder / PLAN, plan, what="curation", upgrade=with_current_names)
        work = folder / WORK
        if (folder / INFO_FILE).is_file():
            shutil.rmtree(work, ignore_errors=True)  # where it was killed before this last step
            return CurationResult(rows=_manifest(folder / MANIFEST))
        work.mkdir(exist_ok=True)
        for row in filter(None, (_row(work, source) for source in sources)):
            on_source(row)
        waiting = [source for source in sources if _row(work, source) is None]
        curator = Curator(settings, work)
        if workers == 1 and ray_address is None:
            rows = make_here(curator, waiting)
        else:
            pool = RayPool(
                maker=curator,
                give_up=curator.give_up,
                describe=lambda source: source.path,
                shared=[work],
                workers=workers,
                address=ray_address,
                retries=1,
                option="--workers",
                extra="curate",
            )
            rows = pool.make(waiting)
        for row in rows:
            on_source(row)
        return _finish(sources, settings, folder)


class Curator:
    """Curates one source after the other, into files in the folder `work`; its stages are made once."""

    def __init__(self, settings: CurationSettings, work: Path) -> None:
        self._settings, self._work = settings, work
        self._stages: list[CurationStage] = []

    def load(self) -> None:
        """Make the stages.

        Raises:
            MissingPartError: what one needs is not installed.
            UserError: a setting cannot be used.
        """
        self._stages = [stage(self._settings) for stage in STAGES]

    def make(self, source: SourceVideo, number: int) -> Tried[Row]:
        """Cut, follow, estimate, caption and write one source, whole or not at all.

        Raises:
            MissingPartError: a part is missing, which fails every source alike.
        """
        job = CurationJob(source=source)
        made_from = _stamps(source)  # before they are read: what changes meanwhile is made again next time
        for stage in self._stages:
            stage(job)
        return Tried(result=self._write(job, made_from))

    def give_up(self, source: SourceVideo, reason: str, number: int) -> Row:
        """Write that a source failed, whose worker died."""
        return self._write(CurationJob(source=source, failure=reason), _stamps(source))

    def _write(self, job: CurationJob, made_from: Mapping[str, Stamp]) -> Row:
        row, key = job.row(), job.source.key
        with shard_writer(self._work / f"{key}.tar", _info(self._settings)) as shard:
            for clip in job.kept:
                shard.add(job.sample(clip))
        write_json(self._work / f"{key}.seconds", {name: round(value, 4) for name, value in job.seconds.items()})
        stamps = {path: asdict(stamp) for path, stamp in made_from.items()}
        write_json(self._work / f"{key}.json", {**row, _MADE_FROM: stamps})  # last: it says that the source is finished
        return row


def _info(settings: CurationSettings) -> DatasetInfo:
    clip_format = settings.clip_format
    words = f" ({', '.join(settings.text)})" if settings.text else ""
    return DatasetInfo(
        width=clip_format.width,
        height=clip_format.height,
        frames=clip_format.frames,
        fps=clip_format.fps,
        normals_by=settings.normals,
        masks_by=settings.masks + words,
        captions_by=settings.captions,
        licence=settings.licence,
    )


def _stamps(source: SourceVideo) -> dict[str, Stamp]:
    """The files that a source consists of, as they are now; those that are missing are left out."""
    named = [source.path, *(prompt.mask for prompt in source.prompts if prompt.mask is not None)]
    return {path: Stamp.of(Path(path)) for path in map(str, named) if Path(path).is_file()}


def _row(work: Path, source: SourceVideo) -> Row | None:
    """What became of a source; None while that is not known, and where its files are others since."""
    path = work / f"{source.key}.json"
    if not path.is_file():
        return None
    remedy = "delete it, and the source is curated again"
    row, made_from = read_record(path, _checked, what="record of a source", remedy=remedy)
    return row if all(stamp.fits(Path(file)) for file, stamp in made_from.items()) else None


def _checked(values: Any) -> tuple[Row, Mapping[str, Stamp]]:
    """A row that has what is used of it, and the files that it was made from, where that was noted.

    Raises:
        ValueError: it has not.
    """
    row = typed(dict[str, Any], values)
    made_from = typed(dict[str, Stamp], row.pop(_MADE_FROM, {}))  # an earlier version noted nothing
    typed(_KnownOfRow, {name: value for name, value in row.items() if name in _OF_ROW})
    return row, made_from


def _manifest(path: Path) -> tuple[Row, ...]:
    try:
        return tuple(_checked(row)[0] for row in read_lines(path))
    except ValueError as error:
        raise UserError(f"{path} is damaged ({error}); restore it, or curate into another folder") from error


def _finish(sources: Sequence[SourceVideo], settings: CurationSettings, folder: Path) -> CurationResult:
    work, results = folder / WORK, []
    for source in sources:
        row = _row(work, source)
        if row is None:
            raise UserError(
                f"{source.path} was changed or lost on the way; run the same command again to make up for it"
            )
        results.append((work / f"{source.key}.tar", row))
    result = CurationResult(rows=tuple(row for _, row in results))
    if not result.samples:
        first = next((f"{r['path']}: {'; '.join(r['reasons'])}" for r in result.rows), "there was no source")
        shutil.rmtree(work)
        (folder / PLAN).unlink()
        raise UserError(f"nothing was kept of {len(sources)} sources, so there is no data set; the first: {first}")
    remedy = f"delete {work}, and the sources are curated again"
    seconds = [
        read_record(
            work / f"{source.key}.seconds",
            partial(typed, dict[str, float]),
            what="record of a source's seconds",
            remedy=remedy,
        )
        for source in sources
    ]
    write_lines(folder / TIMINGS, ({"key": s.key, **spent} for s, spent in zip(sources, seconds, strict=True)))
    info = _info(settings)
    for name in (SHARDS, PICTURES):  # of a killed run, whose sources may have been others
        shutil.rmtree(folder / name, ignore_errors=True)
    pack(folder, results, settings.shard_samples)
    show(folder, info)
    write_card(folder, result.rows, info, settings)
    write_info(folder, info)  # last: a folder that has it is finished
    shutil.rmtree(work)
    return result
