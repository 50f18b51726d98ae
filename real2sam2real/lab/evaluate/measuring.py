"""Go through the videos of methods and keep one row each, in this process or by Ray; nothing is measured twice.

What is measured of a video is the business of `camera_scores`, `object_scores` and `quality_scores`.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from real2sam2real import media
from real2sam2real.arrays import UInt8
from real2sam2real.control.folder import PHOTO
from real2sam2real.errors import UserError
from real2sam2real.lab.evaluate.case_set import FILM, CaseSet
from real2sam2real.lab.evaluate.peers.record import PeerClip, answers
from real2sam2real.run.options import BatchOptions
from real2sam2real.run.rendering import CONTROL_PREVIEW
from real2sam2real.scene import Scene
from real2sam2real.workfolder.fingerprint import fingerprint
from real2sam2real.workfolder.jobs import Tried, make_here
from real2sam2real.workfolder.json_values import typed
from real2sam2real.workfolder.lock import locked
from real2sam2real.workfolder.ray_pool import RayPool
from real2sam2real.workfolder.records import WRONG_VALUES, read_lines, reason_of, write_lines

ROWS = "rows.jsonl"
Status = Literal["measured", "not found", "failed"]
"""Of a video: "not found" where it shows nothing to measure, "failed" where there is none or it cannot be read."""


@dataclass(frozen=True, kw_only=True)
class MeasuredRow:
    """What all rows have: one video of one case."""

    method: str
    case: str
    status: Status
    problem: str  # why it was not measured, else empty
    measures: dict[str, float | None]  # by column; None where there is nothing to compare
    # the same of a video that shows the photo and nothing else: what a video counts as in which nothing is found
    standing: dict[str, float | None]
    key: str = ""  # hash of all that decides the row; `measure_all` sets it
    video: str | None = None  # path from the folder of the rows; `measure_all` sets it


RowT = TypeVar("RowT", bound=MeasuredRow)


@dataclass(frozen=True, kw_only=True)
class VideoJob:
    """A method's video of a case."""

    method: str
    case: str  # its name
    video: Path | None  # None: there is none
    length: int | None  # frames that it must have; None: any number
    photo_repeated: bool = False  # the file is the case's photo, to be shown again and again
    clip: PeerClip | None = None  # what the video shows of the case, where it was exported for a peer
    absent: str = "there is no video of this case"  # why there is none

    def frames(self) -> Sequence[UInt8]:
        """The video's frames `(H, W, 3)` uint8: those that are measured, one for each of the scene's in `shown`.

        Raises:
            UserError: there is no video, it cannot be read, or it has another length than the case or its export.
        """
        if self.video is None:
            raise UserError(self.absent)
        if self.photo_repeated:
            return [media.read_image(self.video)] * (self.length or 1)
        found = list(media.iterate_video(self.video))
        if self.length is not None and len(found) != self.length:
            wanted = "the case" if self.clip is None else "it was exported to have"
            raise UserError(f"the video has {len(found)} frames, {wanted} {self.length}")
        return found if self.clip is None else [found[k] for k in self.clip.measured()]

    def shown(self, scene: Scene) -> Scene:
        """What the measured frames should show of the case's directed scene."""
        return scene if self.clip is None else self.clip.shown(scene)


def baselines(cases: CaseSet, name: str) -> list[VideoJob]:
    """A method that needs no videos: "photo" stands still, "preview" is the control's, "film" the truth.

    Raises:
        UserError: there is no such baseline.
    """
    files = {"photo": PHOTO, "preview": CONTROL_PREVIEW, "film": FILM}
    if name not in files:
        raise UserError(f"there is no baseline '{name}'; choose among {', '.join(files)}")
    jobs = []
    for case in cases.cases:
        path = cases.folder / case.name / files[name]
        video, still = path if path.is_file() else None, name == "photo"
        jobs.append(VideoJob(method=name, case=case.name, video=video, length=case.frames, photo_repeated=still))
    return jobs


def jobs_of(cases: CaseSet, method: str, videos: Path) -> list[VideoJob]:
    """A method's videos of all cases; see `case_set.find_video`, and `peers.record.answers` for those of an export.

    Raises:
        UserError: there is no such folder, it has several videos of a case, or its export is of another set.
    """
    if not videos.is_dir():
        raise UserError(f"there is no folder '{videos}' with videos of {method}; check the path")
    jobs = []
    for case, found in zip(cases.cases, answers(cases, videos), strict=True):
        clip, length = found.clip, case.frames if found.clip is None else len(found.clip.times)
        job = VideoJob(method=method, case=case.name, video=found.video, length=length, clip=clip, absent=found.reason)
        jobs.append(job)
    return jobs


def jobs_without_cases(folders: Mapping[str, Path]) -> list[VideoJob]:
    """Every MP4 file in folders of methods, at any depth; those of one name show the same thing.

    A video's name is its path in the folder without the suffix or, where a folder below has but that one, that
    folder's. A method that lacks a video which another has gets a job without any.

    Raises:
        UserError: a folder is missing, holds no video, or two of one name.
    """
    named = {method: _videos_in(folder) for method, folder in folders.items()}
    names = sorted({name for videos in named.values() for name in videos})
    return [
        VideoJob(method=method, case=name, video=videos.get(name), length=None)
        for method, videos in named.items()
        for name in names
    ]


def _videos_in(folder: Path) -> dict[str, Path]:
    paths = sorted(path for path in folder.rglob("*.mp4") if path.is_file() and not path.name.startswith("."))
    if not paths:
        raise UserError(f"there is no MP4 file in '{folder}'; name the folder that holds a method's videos")
    beside = Counter(path.parent for path in paths)
    found: dict[str, Path] = {}
    for path in paths:
        alone = beside[path.parent] == 1 and path.parent != folder
        name = (path.parent if alone else path.with_suffix("")).relative_to(folder).as_posix()
        if name in found:
            raise UserError(f"{folder} has two videos that are called '{name}': {found[name]} and {path}; rename one")
        found[name] = path
    return found


class Measurer(ABC, Generic[RowT]):
    """Measures videos, here or in Ray's workers."""

    row_type: type[RowT]
    code: tuple[str, ...]  # the package's files that decide a row

    @abstractmethod
    def measure(self, job: VideoJob) -> RowT:
        """The row of a video.

        Raises:
            UserError: the video cannot be read.
        """

    @abstractmethod
    def unmeasured(self, job: VideoJob, problem: str) -> RowT:
        """The row of a video that could not be measured at all."""

    def load(self) -> None:
        """Nothing has to be loaded."""

    @property
    def shared(self) -> tuple[Path, ...]:
        """Folders that every machine must see."""
        return ()

    def about(self, job: VideoJob) -> list[Any]:
        """JSON values that decide a job's row beside the video."""
        return [job.length, job.photo_repeated, *([asdict(job.clip)] if job.clip else [])]

    def key(self, job: VideoJob) -> str:
        """Hash of all that decides a job's row."""
        return fingerprint(code=self.code, settings=self.about(job), inputs=[job.video] if job.video else [])

    def make(self, job: VideoJob, number: int, /) -> Tried[RowT]:
        """Measure one video; one that cannot be read gives a row that says so."""
        del number
        try:
            return Tried(result=self.measure(job))
        except UserError as error:
            return Tried(result=self.unmeasured(job, str(error)))

    def give_up(self, job: VideoJob, reason: str, tries: int) -> RowT:
        """The row of a video whose worker died."""
        return self.unmeasured(job, f"{reason} ({tries} tries)")


class CaseMeasurer(Measurer[RowT]):
    """Measures videos against the scenes of their cases."""

    def __init__(self, cases: CaseSet, settings: Any) -> None:
        self.cases, self.settings = cases, settings

    @property
    def shared(self) -> tuple[Path, ...]:
        """See `Measurer`."""
        return (self.cases.folder,)

    def about(self, job: VideoJob) -> list[Any]:
        """See `Measurer`."""
        case, scene = asdict(self.cases.record(job.case)), self.cases.digest(job.case)
        return [*super().about(job), asdict(self.settings), case, scene]


def measure_all(
    measurer: Measurer[RowT],
    jobs: Sequence[VideoJob],
    out: Path,
    *,
    batch: BatchOptions | None = None,
    on_row: Callable[[RowT], None] = lambda row: None,
) -> list[RowT]:
    """Measure the videos that are not measured yet, and give the rows of all, in the jobs' order.

    Args:
        measurer: how.
        jobs: each method and case once.
        out: folder of the rows.
        batch: here, or by Ray.
        on_row: called with each row, those that are known first.

    Raises:
        MissingPartError: something is not installed.
        UserError: another evaluation works in `out`, or its rows are damaged.
    """
    out.mkdir(parents=True, exist_ok=True)
    with locked(out):
        known = read_rows(out, measurer.row_type)
        told = {(job.method, job.case): (measurer.key(job), _from(out, job.video)) for job in jobs}
        waiting = []
        for job in _case_by_case(jobs):
            place = (job.method, job.case)
            key, video = told[place]
            if place in known and known[place].key == key:
                known[place] = replace(known[place], video=video)  # which may lie elsewhere than before
                on_row(known[place])
            else:
                waiting.append(job)
        with closing(_made(measurer, waiting, batch or BatchOptions())) as rows:
            for row in rows:
                key, video = told[row.method, row.case]
                known[row.method, row.case] = replace(row, key=key, video=video)
                write_lines(out / ROWS, map(asdict, known.values()))
                on_row(row)
        write_lines(out / ROWS, map(asdict, known.values()))
        return [known[place] for place in told]


def read_rows(folder: Path, row_type: type[RowT]) -> dict[tuple[str, str], RowT]:
    """The rows that are in a folder, by method and case; those of another version's form are left out.

    Raises:
        UserError: the file is damaged.
    """
    names = {f.name for f in fields(row_type)}
    found = {}
    for number, values in enumerate(read_lines(folder / ROWS), start=1):
        if isinstance(values, dict) and set(values) == names:
            try:
                row = typed(row_type, values)
            except WRONG_VALUES as error:
                raise UserError(
                    f"{folder / ROWS}, line {number}: {reason_of(error)}; delete the file, and measure again"
                ) from error
            found[row.method, row.case] = row
    return found


def _case_by_case(jobs: Sequence[VideoJob]) -> list[VideoJob]:
    """All methods of a case one after another, so that its scene is opened once."""
    order = {case: number for number, case in enumerate(dict.fromkeys(job.case for job in jobs))}
    return sorted(jobs, key=lambda job: order[job.case])


def _from(folder: Path, video: Path | None) -> str | None:
    """A video's path from a folder, with slashes."""
    return None if video is None else Path(os.path.relpath(video, folder)).as_posix()


def _made(measurer: Measurer[RowT], jobs: Sequence[VideoJob], batch: BatchOptions) -> Generator[RowT]:
    if not batch.uses_ray:
        return make_here(measurer, jobs, retries=0)
    pool = RayPool(
        maker=measurer,
        give_up=measurer.give_up,
        describe=lambda job: f"{job.method} {job.case}",
        shared=measurer.shared,
        workers=batch.workers,
        address=batch.ray_address,
        retries=batch.retries,
    )
    return pool.make(jobs)
