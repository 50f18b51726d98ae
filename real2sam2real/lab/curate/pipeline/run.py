"""Curate many sources, in this process or on Ray Data; killed and started again, nothing is lost or done twice.

    DATASET/curation.json        settings and sources; another run in this folder must have the same
    DATASET/work/KEY.tar         the samples of one source
    DATASET/work/KEY.json        its row of the manifest, written after the samples: who has one is finished
    DATASET/timings.jsonl        seconds of each stage for each source

When all sources are finished, `packing` makes the data set of them, and `work` is removed.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from real2sam2real.errors import MissingPartError, UserError
from real2sam2real.files import replacing_file
from real2sam2real.lab.curate.dataset import INFO_FILE, DatasetInfo, shard_writer, write_info
from real2sam2real.lab.curate.pipeline.job import CurationJob
from real2sam2real.lab.curate.pipeline.packing import MANIFEST, pack, show, write_card
from real2sam2real.lab.curate.pipeline.settings import CurationSettings, SourceVideo
from real2sam2real.lab.curate.pipeline.stages import STAGES, CurationStage
from real2sam2real.workfolder.lock import locked

PLAN = "curation.json"
WORK = "work"
TIMINGS = "timings.jsonl"


@dataclass(frozen=True, kw_only=True)
class CurationResult:
    """What came of a curation.

    Attributes:
        rows: of the manifest.
    """

    rows: tuple[Mapping[str, Any], ...]

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
    on_source: Callable[[Mapping[str, Any]], None] = lambda row: None,
) -> CurationResult:
    """Make a data set of sources.

    Args:
        sources: from `find_sources`.
        settings: how.
        folder: of the data set.
        workers: sources worked on at a time; more than 1 need Ray.
        ray_address: of a cluster; None is this machine.
        on_source: told the manifest's row of each source as it is finished, those of earlier runs first.

    Raises:
        MissingPartError: a part is not installed.
        UserError: the folder belongs to another curation, another run is working in it, or nothing was kept.
    """
    if workers < 1:
        raise UserError(f"{workers} workers cannot be; at least 1")
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        _sweep(folder)
        _claim(folder, sources, settings)
        if (folder / INFO_FILE).is_file():
            shutil.rmtree(folder / WORK, ignore_errors=True)  # where it was killed before this last step
            rows = [json.loads(line) for line in (folder / MANIFEST).read_text(encoding="utf-8").splitlines()]
            return CurationResult(rows=tuple(rows))
        work = folder / WORK
        work.mkdir(exist_ok=True)
        waiting = []
        for source in sources:
            row = _row(work, source)
            if row is None:
                waiting.append(source)
            else:
                on_source(row)
        run = _here if workers == 1 and ray_address is None else _OnRay(workers, ray_address)
        for row in run(waiting, settings, work):
            on_source(row)
        return _finish(sources, settings, folder)


class Writing:
    """The last stage: what a source gave, on disk; whole or not at all."""

    def __init__(self, settings: CurationSettings, work: Path) -> None:
        self._info = _info(settings)
        self._work = work

    def __call__(self, work: CurationJob) -> dict[str, Any]:
        """Write samples, seconds and row; the row is what says that the source is finished."""
        row = work.row()
        key = work.source.key
        with shard_writer(self._work / f"{key}.tar", self._info) as shard:
            for sample in work.samples():
                shard.add(sample)
        _write_json(self._work / f"{key}.seconds", {k: round(v, 4) for k, v in work.seconds.items()})
        _write_json(self._work / f"{key}.json", row)
        return row


def _here(sources: Sequence[SourceVideo], settings: CurationSettings, work: Path) -> Iterator[dict[str, Any]]:
    if not sources:
        return
    stages = [stage(settings) for stage in STAGES]
    write = Writing(settings, work)
    for source in sources:
        item = CurationJob(source=source)
        for stage in stages:
            item = stage(item)
        yield write(item)


class _OnRay:
    """A stage is a pool of actors of Ray Data, which holds a stage back while those after it are behind."""

    def __init__(self, workers: int, address: str | None) -> None:
        self._workers = workers
        self._address = address

    def __call__(
        self, sources: Sequence[SourceVideo], settings: CurationSettings, work: Path
    ) -> Iterator[dict[str, Any]]:
        if not sources:
            return
        for stage in STAGES:  # what is missing is told here, in one line, before anything is started
            stage(settings)
        with _connected(self._address, self._workers) as data:
            rows = data.from_items([{"work": _packed(CurationJob(source=source))} for source in sources])
            # One block a source, or a whole block of them would be lost and done again when a worker dies.
            rows = rows.repartition(len(sources))
            gpus = _gpus()
            for stage in STAGES:
                options = {"num_gpus": 1} if stage.uses_gpu and gpus else {"num_cpus": 1 / len(STAGES)}
                pool = max(1, min(self._workers, gpus)) if stage.uses_gpu and gpus else self._workers
                rows = rows.map(_StageOnRay, fn_constructor_args=(stage, settings), concurrency=pool, **options)
            rows = rows.map(_WritingOnRay, fn_constructor_args=(settings, str(work)), concurrency=1, num_cpus=0.1)
            for row in rows.iter_rows():
                yield json.loads(row["row"])


class _StageOnRay:
    def __init__(self, stage: type[CurationStage], settings: CurationSettings) -> None:
        self._stage = stage(settings)

    def __call__(self, row: dict[str, bytes]) -> dict[str, bytes]:
        return {"work": _packed(self._stage(_unpacked(row["work"])))}


class _WritingOnRay:
    def __init__(self, settings: CurationSettings, work: str) -> None:
        self._write = Writing(settings, Path(work))

    def __call__(self, row: dict[str, bytes]) -> dict[str, str]:
        return {"row": json.dumps(self._write(_unpacked(row["work"])))}


def _packed(work: CurationJob) -> bytes:
    import pickle

    return pickle.dumps(work, protocol=5)


def _unpacked(packed: bytes) -> CurationJob:
    import pickle

    work: CurationJob = pickle.loads(packed)  # written by this program, a stage earlier
    return work


@contextmanager
def _connected(address: str | None, workers: int) -> Iterator[Any]:
    """`ray.data`, connected to a cluster, or to a small one of this machine that ends with the block."""
    try:
        ray, data = importlib.import_module("ray"), importlib.import_module("ray.data")
    except ImportError as error:
        raise MissingPartError(
            "more than one worker needs Ray Data: pip install 'real2sam2real[curate]'; or leave --workers away"
        ) from error
    if ray.is_initialized():  # by the program that calls us
        yield data
        return
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    local = {} if address else {"num_cpus": workers + 2, "include_dashboard": False}
    ray.init(address=address or "local", log_to_driver=False, logging_level="ERROR", **local)
    context = data.DataContext.get_current()
    context.enable_progress_bars = False
    try:
        yield data
    finally:
        ray.shutdown()


def _gpus() -> int:
    ray = importlib.import_module("ray")
    return int(ray.cluster_resources().get("GPU", 0))


def _claim(folder: Path, sources: Sequence[SourceVideo], settings: CurationSettings) -> None:
    """See that the folder is new or holds this very curation.

    Raises:
        UserError: it holds another one; the message says what differs.
    """
    wanted = json.loads(json.dumps({"settings": asdict(settings), "sources": [s.to_dict() for s in sources]}))
    path = folder / PLAN
    if not path.is_file():
        _write_json(path, wanted)
        return
    found = json.loads(path.read_text(encoding="utf-8"))
    if found == wanted:
        return
    differing = [key for key, value in wanted["settings"].items() if found.get("settings", {}).get(key) != value]
    if found.get("sources") != wanted["sources"]:
        differing.append("the sources or their marks")
    raise UserError(
        f"{folder} holds another curation; what differs: {', '.join(differing)}. Choose another folder, or delete it"
    )


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


def _row(work: Path, source: SourceVideo) -> dict[str, Any] | None:
    path = work / f"{source.key}.json"
    if not path.is_file():
        return None
    row: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return row


def _sweep(folder: Path) -> None:
    """Remove what a killed run was writing; nobody else works in a folder that is locked."""
    for path in folder.rglob(".*"):
        if path.is_file() and path.name != ".lock":
            path.unlink()


def _finish(sources: Sequence[SourceVideo], settings: CurationSettings, folder: Path) -> CurationResult:
    work, results = folder / WORK, []
    for source in sources:
        row = _row(work, source)
        if row is None:
            raise UserError(f"{source.path} was lost on the way; run the same command again to make up for it")
        results.append((work / f"{source.key}.tar", row))
    outcome = CurationResult(rows=tuple(row for _, row in results))
    if not outcome.samples:
        first = next((f"{r['path']}: {'; '.join(r['reasons'])}" for r in outcome.rows), "there was no source")
        shutil.rmtree(work)
        (folder / PLAN).unlink()
        raise UserError(f"nothing was kept of {len(sources)} sources, so there is no data set; the first: {first}")
    with replacing_file(folder / TIMINGS) as path:
        lines = ((source.key, json.loads((work / f"{source.key}.seconds").read_text())) for source in sources)
        path.write_text("".join(json.dumps({"key": key, **seconds}) + "\n" for key, seconds in lines))
    info = _info(settings)
    pack(folder, results, settings.shard_samples)
    show(folder, info)
    write_card(folder, outcome.rows, info, settings)
    write_info(folder, info)  # last: a folder that has it is finished
    shutil.rmtree(work)
    return outcome


def _write_json(path: Path, values: Mapping[str, Any]) -> None:
    with replacing_file(path) as temporary:
        temporary.write_text(json.dumps(values, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
