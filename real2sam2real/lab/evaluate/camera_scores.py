"""Measure how videos follow commanded cameras: `r2s2r evaluate camera`.

Every method's video of every case gets one row, also where it cannot be measured: a video from which no path can be
recovered is a result. Rows lie in `rows.jsonl`; the same call goes on behind them.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Literal

import numpy as np

from real2sam2real import media
from real2sam2real.arrays import UInt8
from real2sam2real.control.folder import PHOTO
from real2sam2real.errors import UserError
from real2sam2real.lab.evaluate.camera_recovery import RecoveryOptions, recover_path
from real2sam2real.lab.evaluate.case_set import FILM, CaseRecord, CaseSet, find_video
from real2sam2real.lab.evaluate.score_table import Measure, markdown, paired
from real2sam2real.lab.evaluate.trajectory import TrajectoryError, aligned, trajectory_error
from real2sam2real.run.options import BatchOptions
from real2sam2real.run.rendering import CONTROL_PREVIEW
from real2sam2real.workfolder.fingerprint import fingerprint
from real2sam2real.workfolder.jobs import Tried, make_here
from real2sam2real.workfolder.lock import locked
from real2sam2real.workfolder.ray_pool import RayPool
from real2sam2real.workfolder.records import read_lines, write_lines

ROWS = "rows.jsonl"
ENOUGH = 0.8
"""A path counts as recovered where so large a share of its frames is."""
Status = Literal["recovered", "not recovered", "failed"]
_CODE = ("lab/evaluate/camera_recovery.py", "lab/evaluate/trajectory.py", "lab/evaluate/camera_scores.py")


@dataclass(frozen=True, kw_only=True)
class CameraRow:
    """One video of one case; measures that do not exist are None."""

    method: str
    case: str
    status: Status  # "failed": there is no video, or it cannot be read
    problem: str  # why it was not recovered, else empty
    key: str  # hash of all that decides the row
    seconds: float  # structure from motion took
    points: int  # in space
    registered: float  # share of the frames
    measures: dict[str, float | None]  # of `TrajectoryError`, over the frames that were registered
    # the same of a camera that stands still: what a video counts as whose path cannot be recovered
    standing: dict[str, float | None]
    path: list[list[float] | None]  # recovered camera centres, aligned with the commanded ones, by frame


@dataclass(frozen=True, kw_only=True)
class CameraJob:
    """A method's video of a case."""

    method: str
    case: CaseRecord
    video: Path | None  # None: there is none
    photo_repeated: bool = False  # the video is the case's photo, again and again


def baselines(cases: CaseSet, name: str) -> list[CameraJob]:
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
        jobs.append(CameraJob(method=name, case=case, video=video, photo_repeated=name == "photo"))
    return jobs


def jobs_of(cases: CaseSet, method: str, videos: Path) -> list[CameraJob]:
    """A method's videos of all cases; see `case_set.find_video`."""
    if not videos.is_dir():
        raise UserError(f"there is no folder '{videos}' with videos of {method}; check the path")
    return [CameraJob(method=method, case=case, video=find_video(videos, case.name)) for case in cases.cases]


def evaluate_camera(
    cases: CaseSet,
    jobs: Sequence[CameraJob],
    out: Path,
    *,
    options: RecoveryOptions | None = None,
    batch: BatchOptions | None = None,
    on_row: Callable[[CameraRow], None] = lambda row: None,
) -> list[CameraRow]:
    """Measure the jobs that are not measured yet, and give the rows of all, in the jobs' order.

    Raises:
        MissingPartError: pycolmap, or Ray where it is asked for, is not installed.
        UserError: another evaluation works in `out`, or its rows are damaged.
    """
    options, batch = options or RecoveryOptions(), batch or BatchOptions()
    out.mkdir(parents=True, exist_ok=True)
    with locked(out):
        known = _known(out / ROWS)
        measurer = CameraMeasurer(cases, options)
        wanted = [(job, measurer.key(job)) for job in jobs]
        waiting = [job for job, key in wanted if _row_of(known, job, key) is None]
        for job, key in wanted:
            if (row := _row_of(known, job, key)) is not None:
                on_row(row)
        with closing(_made(measurer, waiting, batch)) as rows:
            for row in rows:
                known[row.method, row.case] = row
                write_lines(out / ROWS, map(asdict, known.values()))
                on_row(row)
        return [known[job.method, job.case.name] for job in jobs]


class CameraMeasurer:
    """Measures videos, here or in Ray's workers."""

    def __init__(self, cases: CaseSet, options: RecoveryOptions) -> None:
        self._cases, self._options = cases, options

    def load(self) -> None:
        """Nothing has to be loaded."""

    def key(self, job: CameraJob) -> str:
        """Hash of all that decides a job's row."""
        inputs = (self._cases.folder / job.case.name / "scene", *([job.video] if job.video else ()))
        return fingerprint(code=_CODE, settings=[asdict(self._options), asdict(job.case)], inputs=inputs)

    def make(self, job: CameraJob, number: int, /) -> Tried[CameraRow]:
        """Measure one video."""
        del number
        return Tried(result=self._measured(job))

    def give_up(self, job: CameraJob, reason: str, tries: int) -> CameraRow:
        """The row of a video whose worker died."""
        return self._row(job, status="failed", problem=f"{reason} ({tries} tries)")

    def _measured(self, job: CameraJob) -> CameraRow:
        if job.video is None:
            return self._row(job, status="failed", problem="there is no video of this case")
        camera = self._cases.scene(job.case).camera
        try:
            frames = _frames(job)
        except UserError as refusal:
            return self._row(job, status="failed", problem=str(refusal))
        if len(frames) != camera.frames:
            problem = f"the video has {len(frames)} frames, the case {camera.frames}"
            return self._row(job, status="failed", problem=problem)
        found = recover_path(frames, camera.intrinsics, self._options)
        error = trajectory_error(found.world_from_camera, camera.world_from_camera, found.found)
        recovered = error.registered >= ENOUGH
        few = f"{found.found.sum()} of {camera.frames} frames were registered"
        return self._row(
            job,
            status="recovered" if recovered else "not recovered",
            problem="" if recovered else found.problem or few,
            error=error,
            seconds=found.seconds,
            points=found.points,
            path=_aligned_centres(found.world_from_camera, camera.world_from_camera, found.found),
        )

    def _row(
        self,
        job: CameraJob,
        *,
        status: Status,
        problem: str,
        error: TrajectoryError | None = None,
        seconds: float = 0.0,
        points: int = 0,
        path: list[list[float] | None] | None = None,
    ) -> CameraRow:
        camera = self._cases.scene(job.case).camera
        still = np.tile(camera.world_from_camera[:1], (camera.frames, 1, 1))
        return CameraRow(
            method=job.method,
            case=job.case.name,
            status=status,
            problem=problem,
            key=self.key(job),
            seconds=seconds,
            points=points,
            registered=0.0 if error is None else error.registered,
            measures=_measures(error),
            standing=_measures(trajectory_error(still, camera.world_from_camera)),
            path=path or [],
        )


def _made(measurer: CameraMeasurer, jobs: Sequence[CameraJob], batch: BatchOptions) -> Generator[CameraRow]:
    if not batch.uses_ray:
        return make_here(measurer, jobs, retries=0)
    pool = RayPool(
        maker=measurer,
        give_up=measurer.give_up,
        describe=lambda job: f"{job.method} {job.case.name}",
        workers=batch.workers,
        address=batch.ray_address,
        retries=batch.retries,
    )
    return pool.make(jobs)


def _known(path: Path) -> dict[tuple[str, str], CameraRow]:
    """The rows that are there, of this version's form."""
    names = {f.name for f in fields(CameraRow)}
    rows = [CameraRow(**row) for row in read_lines(path) if isinstance(row, dict) and set(row) == names]
    return {(row.method, row.case): row for row in rows}


def _row_of(known: Mapping[tuple[str, str], CameraRow], job: CameraJob, key: str) -> CameraRow | None:
    row = known.get((job.method, job.case.name))
    return row if row is not None and row.key == key else None


def _frames(job: CameraJob) -> Sequence[UInt8]:
    assert job.video is not None
    if job.photo_repeated:
        return [media.read_image(job.video)] * job.case.frames
    return list(media.iterate_video(job.video))


def _measures(error: TrajectoryError | None) -> dict[str, float | None]:
    if error is None:
        return {}
    values = asdict(error)
    del values["registered"]
    return {name: None if np.isnan(value) else value for name, value in values.items()}


def _aligned_centres(recovered: np.ndarray, commanded: np.ndarray, found: np.ndarray) -> list[list[float] | None]:
    """Recovered camera centres in the commanded path's frame and scale, None where there is none; for plots."""
    if found.sum() < 3:
        return []
    centres = dict(zip(np.flatnonzero(found).tolist(), aligned(recovered[found], commanded[found]), strict=True))
    return [centres[t][:3, 3].tolist() if t in centres else None for t in range(len(found))]


MEASURES = (
    Measure(name="ate_share", title="ATE, of the path", digits=4),
    Measure(name="ate", title="ATE"),
    Measure(name="rpe_translation", title="RPE-T"),
    Measure(name="rpe_rotation", title="RPE-R, degrees"),
    Measure(name="rot_err", title="RotErr, rad"),
    Measure(name="trans_err", title="TransErr"),
    Measure(name="cam_mc", title="CamMC"),
)


def camera_table(rows: Sequence[CameraRow]) -> str:
    """The tables of all methods as Markdown: over recovered videos, over all, and against the first method."""
    methods = list(dict.fromkeys(row.method for row in rows))
    cases = list(dict.fromkeys(row.case for row in rows))
    found = {(row.method, row.case): row for row in rows}

    def values(method: str, *, everything: bool) -> dict[str, list[float | None]]:
        kept = [found.get((method, case)) for case in cases]
        return {m.name: [_value(row, m.name, everything=everything) for row in kept] for m in MEASURES}

    counts = {m: [found[m, c].status for c in cases if (m, c) in found] for m in methods}
    also = {
        "recovered": {m: f"{counts[m].count('recovered')} of {len(counts[m])}" for m in methods},
        "no video": {m: str(counts[m].count("failed")) for m in methods},
    }
    alone = {m: values(m, everything=False) for m in methods}
    together = {m: values(m, everything=True) for m in methods}
    parts = [
        "Videos whose path was recovered:\n\n" + markdown(MEASURES, alone, also=also),
        "All cases; a video whose path was not recovered counts as a camera that stands still:\n\n"
        + markdown(MEASURES, together, also=also),
    ]
    if len(methods) > 1:
        parts.append(
            f"Difference from {methods[0]} over all cases, with the chance of it under no difference (Wilcoxon):\n\n"
            + paired(MEASURES, together, methods[0])
        )
    return "\n".join(parts)


def _value(row: CameraRow | None, measure: str, *, everything: bool) -> float | None:
    if row is None:
        return None
    if row.status == "recovered":
        return row.measures.get(measure)
    return row.standing.get(measure) if everything else None
