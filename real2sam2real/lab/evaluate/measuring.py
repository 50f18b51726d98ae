"""Go through the videos of methods and keep one row each, in this process or by Ray; nothing is measured twice.

What is measured of a video is the business of `camera_scores` and `object_scores`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from real2sam2real import media
from real2sam2real.arrays import UInt8
from real2sam2real.control.folder import PHOTO
from real2sam2real.errors import UserError
from real2sam2real.lab.evaluate.case_set import FILM, SCENE, CaseRecord, CaseSet, find_video
from real2sam2real.run.options import BatchOptions
from real2sam2real.run.rendering import CONTROL_PREVIEW
from real2sam2real.workfolder.fingerprint import fingerprint
from real2sam2real.workfolder.jobs import Tried, make_here
from real2sam2real.workfolder.lock import locked
from real2sam2real.workfolder.ray_pool import RayPool
from real2sam2real.workfolder.records import read_lines, write_lines

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
    key: str  # hash of all that decides the row
    measures: dict[str, float | None]  # by column; None where there is nothing to compare
    # the same of a video that shows the photo and nothing else: what a video counts as in which nothing is found
    standing: dict[str, float | None]


RowT = TypeVar("RowT", bound=MeasuredRow)


@dataclass(frozen=True, kw_only=True)
class VideoJob:
    """A method's video of a case."""

    method: str
    case: CaseRecord
    video: Path | None  # None: there is none
    photo_repeated: bool = False  # the file is the case's photo, to be shown again and again

    def frames(self) -> Sequence[UInt8]:
        """The video's frames `(H, W, 3)` uint8.

        Raises:
            UserError: there is no video, it cannot be read, or it has another length than the case.
        """
        if self.video is None:
            raise UserError("there is no video of this case")
        if self.photo_repeated:
            return [media.read_image(self.video)] * self.case.frames
        found = list(media.iterate_video(self.video))
        if len(found) != self.case.frames:
            raise UserError(f"the video has {len(found)} frames, the case {self.case.frames}")
        return found


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
        video = path if path.is_file() else None
        jobs.append(VideoJob(method=name, case=case, video=video, photo_repeated=name == "photo"))
    return jobs


def jobs_of(cases: CaseSet, method: str, videos: Path) -> list[VideoJob]:
    """A method's videos of all cases; see `case_set.find_video`.

    Raises:
        UserError: there is no such folder, or it has several videos of a case.
    """
    if not videos.is_dir():
        raise UserError(f"there is no folder '{videos}' with videos of {method}; check the path")
    return [VideoJob(method=method, case=case, video=find_video(videos, case.name)) for case in cases.cases]


class Measurer(ABC, Generic[RowT]):
    """Measures videos, here or in Ray's workers."""

    row_type: type[RowT]
    code: tuple[str, ...]  # the package's files that decide a row

    def __init__(self, cases: CaseSet, settings: Any) -> None:
        self.cases, self.settings = cases, settings

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

    def key(self, job: VideoJob) -> str:
        """Hash of all that decides a job's row."""
        inputs = (self.cases.folder / job.case.name / SCENE, *([job.video] if job.video else ()))
        return fingerprint(code=self.code, settings=[asdict(self.settings), asdict(job.case)], inputs=inputs)

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
        known = _known(out / ROWS, measurer.row_type)
        keys = {(job.method, job.case.name): measurer.key(job) for job in jobs}
        kept = [known[place] for place, key in keys.items() if place in known and known[place].key == key]
        done = {(row.method, row.case) for row in kept}
        for row in kept:
            on_row(row)
        waiting = [job for job in jobs if (job.method, job.case.name) not in done]
        with closing(_made(measurer, waiting, batch or BatchOptions())) as rows:
            for row in rows:
                known[row.method, row.case] = row
                write_lines(out / ROWS, map(asdict, known.values()))
                on_row(row)
        return [known[place] for place in keys]


def _made(measurer: Measurer[RowT], jobs: Sequence[VideoJob], batch: BatchOptions) -> Generator[RowT]:
    if not batch.uses_ray:
        return make_here(measurer, jobs, retries=0)
    pool = RayPool(
        maker=measurer,
        give_up=measurer.give_up,
        describe=lambda job: f"{job.method} {job.case.name}",
        shared=(measurer.cases.folder,),
        workers=batch.workers,
        address=batch.ray_address,
        retries=batch.retries,
    )
    return pool.make(jobs)


def _known(path: Path, row_type: type[RowT]) -> dict[tuple[str, str], RowT]:
    """The rows that are there, of this version's form."""
    names = {f.name for f in fields(row_type)}
    rows = [row_type(**row) for row in read_lines(path) if isinstance(row, dict) and set(row) == names]
    return {(row.method, row.case): row for row in rows}
