"""Measure how videos follow commanded cameras: `r2s2r evaluate camera`."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from real2sam2real.arrays import Float
from real2sam2real.lab.evaluate.camera_recovery import RecoveredPath, RecoveryOptions, recover_path
from real2sam2real.lab.evaluate.case_set import CaseSet
from real2sam2real.lab.evaluate.measuring import CaseMeasurer, MeasuredRow, Status, VideoJob
from real2sam2real.lab.evaluate.score_table import Measure
from real2sam2real.lab.evaluate.trajectory import TrajectoryError, aligned, trajectory_error
from real2sam2real.scene import CameraPath

Centre = tuple[float, float, float]
"""Where a camera is in the world."""

ENOUGH = 0.8
"""A path counts as recovered where so large a share of its frames is."""

CAMERA_MEASURES = (
    Measure(name="ate_share", title="ATE, of the path"),
    Measure(name="ate", title="ATE", headline=False),
    Measure(name="rpe_translation", title="RPE-T"),
    Measure(name="rpe_rotation", title="RPE-R, degrees"),
    Measure(name="rot_err", title="RotErr, rad", headline=False),
    Measure(name="trans_err", title="TransErr", headline=False),
    Measure(name="cam_mc", title="CamMC", headline=False),
)


@dataclass(frozen=True, kw_only=True)
class CameraRow(MeasuredRow):
    """One video of one case, against the commanded camera; measures are over the frames that were registered."""

    seconds: float  # structure from motion took
    points: int  # in space
    registered: float  # share of the frames
    turns_only: bool  # no parallax in the video: the camera stays in one place, as far as can be seen
    path: tuple[Centre | None, ...]  # recovered camera centres, aligned with the commanded ones, by frame
    commanded: tuple[Centre, ...]  # camera centres by frame, in the case's world


class CameraMeasurer(CaseMeasurer[CameraRow]):
    """Recovers the camera path of each video."""

    row_type = CameraRow
    code = tuple(f"lab/evaluate/{name}.py" for name in ("camera_recovery", "turning", "trajectory", "camera_scores"))

    def __init__(self, cases: CaseSet, settings: RecoveryOptions | None = None) -> None:
        super().__init__(cases, settings or RecoveryOptions())

    def measure(self, job: VideoJob) -> CameraRow:
        """See `Measurer`.

        Raises:
            MissingPartError: pycolmap is not installed.
            UserError: the video cannot be read.
        """
        frames, camera = job.frames(), job.shown(self.cases.scene(job.case)).camera
        lenses = [camera.intrinsics_at(t) for t in range(camera.frames)]
        found = recover_path(frames, lenses, self.settings)
        error = trajectory_error(found.world_from_camera, camera.world_from_camera, found.found)
        few = f"{found.found.sum()} of {camera.frames} frames were registered"
        problem = "" if error.registered >= ENOUGH else found.problem or few
        return self._row(job, camera, "not found" if problem else "measured", problem, found, error)

    def unmeasured(self, job: VideoJob, problem: str) -> CameraRow:
        """See `Measurer`."""
        return self._row(job, job.shown(self.cases.scene(job.case)).camera, "failed", problem)

    def _row(
        self,
        job: VideoJob,
        camera: CameraPath,
        status: Status,
        problem: str,
        found: RecoveredPath | None = None,
        error: TrajectoryError | None = None,
    ) -> CameraRow:
        still = np.tile(camera.world_from_camera[:1], (camera.frames, 1, 1))
        return CameraRow(
            method=job.method,
            case=job.case,
            status=status,
            problem=problem,
            measures=_measures(error),
            standing=_measures(trajectory_error(still, camera.world_from_camera)),
            seconds=found.seconds if found else 0.0,
            points=found.points if found else 0,
            registered=error.registered if error else 0.0,
            turns_only=found.turns_only if found else False,
            path=_aligned_centres(found, camera) if found else (),
            commanded=tuple(map(_centre, camera.world_from_camera)),
        )


def _measures(error: TrajectoryError | None) -> dict[str, float | None]:
    if error is None:
        return {}
    values = asdict(error)
    del values["registered"]
    return {name: None if np.isnan(value) else value for name, value in values.items()}


def _centre(world_from_camera: Float) -> Centre:
    x, y, z = world_from_camera[:3, 3].tolist()
    return x, y, z


def _aligned_centres(found: RecoveredPath, camera: CameraPath) -> tuple[Centre | None, ...]:
    """Recovered camera centres in the commanded path's frame and scale, None where there is none; for plots."""
    known = np.flatnonzero(found.found)
    if len(known) < 3:
        return ()
    poses = aligned(found.world_from_camera[known], camera.world_from_camera[known])
    by_frame = dict(zip(known.tolist(), map(_centre, poses), strict=True))
    return tuple(by_frame.get(t) for t in range(camera.frames))
