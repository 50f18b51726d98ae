"""Measure how videos follow commanded poses of objects: `r2s2r evaluate objects`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from real2sam2real.arrays import Float
from real2sam2real.lab.evaluate.case_set import CaseSet
from real2sam2real.lab.evaluate.measuring import CaseMeasurer, MeasuredRow, Status, VideoJob
from real2sam2real.lab.evaluate.object_poses import PoseOptions, recover_poses
from real2sam2real.lab.evaluate.score_table import Measure
from real2sam2real.lab.evaluate.trajectory import rotation_angles
from real2sam2real.scene import Scene

ENOUGH = 0.5
"""An object counts as found where it is in so large a share of the frames in which the command shows it."""

OBJECT_MEASURES = (
    Measure(name="rot_err", title="RotErr, degrees", digits=2),
    Measure(name="trans_err", title="TransErr, % of the distance", digits=2),
    Measure(name="trans_err_units", title="TransErr", digits=3, headline=False),
)


@dataclass(frozen=True, kw_only=True)
class FoundObject:
    """One moved object of a case in a video; errors are means over the frames in which it was found."""

    name: str
    in_view: int  # frames in which the command shows it
    found: int  # of these
    confidence: float  # mean over these
    rot_err: float | None  # degrees
    trans_err: float | None  # percent of the distance from the camera
    trans_err_units: float | None


@dataclass(frozen=True, kw_only=True)
class ObjectRow(MeasuredRow):
    """One video of one case, against the commanded poses of what moves; measures are means over objects."""

    objects: list[dict[str, str | float | None]]  # of `FoundObject`


class ObjectMeasurer(CaseMeasurer[ObjectRow]):
    """Recovers the poses of each moved object."""

    row_type = ObjectRow
    code = ("lab/evaluate/object_poses.py", "lab/evaluate/object_scores.py", "lab/evaluate/trajectory.py", "rendering")

    def __init__(self, cases: CaseSet, settings: PoseOptions | None = None) -> None:
        super().__init__(cases, settings or PoseOptions())

    def measure(self, job: VideoJob) -> ObjectRow:
        """See `Measurer`."""
        frames, scene = job.frames(), job.shown(self.cases.scene(job.case))
        found = []
        for name in self.cases.record(job.case).moved:
            poses = recover_poses(frames, scene, name, self.settings)
            found.append(
                pose_errors(scene, name, poses.world_from_object, poses.found, poses.in_view, poses.confidence)
            )
        lost = [each.name for each in found if each.in_view and each.found < ENOUGH * each.in_view]
        problem = f"not found in most frames: {', '.join(lost)}" if lost else ""
        return self._row(job, scene, "not found" if lost else "measured", problem, found)

    def unmeasured(self, job: VideoJob, problem: str) -> ObjectRow:
        """See `Measurer`."""
        return self._row(job, job.shown(self.cases.scene(job.case)), "failed", problem, [])

    def _row(self, job: VideoJob, scene: Scene, status: Status, problem: str, found: list[FoundObject]) -> ObjectRow:
        return ObjectRow(
            method=job.method,
            case=job.case,
            status=status,
            problem=problem,
            measures=_means(found),
            standing=_means([_standing(scene, name) for name in self.cases.record(job.case).moved]),
            objects=[vars(each) for each in found],
        )


def _standing(scene: Scene, name: str) -> FoundObject:
    """An object that stays where the photo has it."""
    rest = np.tile(scene.entity(name).rest_world_from_object, (scene.frames, 1, 1))
    everywhere = np.ones(scene.frames, bool)
    return pose_errors(scene, name, rest, everywhere, everywhere, np.ones(scene.frames))


def pose_errors(
    scene: Scene, name: str, poses: Float, found: np.ndarray, in_view: np.ndarray, confidence: Float
) -> FoundObject:
    """Poses `(T, 4, 4)` of an entity against the commanded ones, over frames `(T,)` where it is found and in view."""
    commanded = scene.entity(name).motion.matrices()
    apart = np.linalg.norm(poses[:, :3, 3] - commanded[:, :3, 3], axis=1)
    distance = np.linalg.norm(commanded[:, :3, 3] - scene.camera.world_from_camera[:, :3, 3], axis=1)
    angles = _angles_apart(poses, commanded)
    known = found & in_view
    some = bool(known.any())
    return FoundObject(
        name=name,
        in_view=int(in_view.sum()),
        found=int(known.sum()),
        confidence=float(confidence[known].mean()) if some else 0.0,
        rot_err=float(angles[known].mean()) if some else None,
        trans_err=float(100 * (apart / distance)[known].mean()) if some else None,
        trans_err_units=float(apart[known].mean()) if some else None,
    )


def _angles_apart(a: Float, b: Float) -> Float:
    """Degrees `(T,)` between the rotations of poses `(T, 4, 4)`, whatever their scale."""
    units = [m[:, :3, :3] / np.linalg.norm(m[:, :3, :3], axis=1, keepdims=True) for m in (a, b)]
    return np.degrees(rotation_angles(np.swapaxes(units[0], 1, 2) @ units[1]))


def _means(found: list[FoundObject]) -> dict[str, float | None]:
    means: dict[str, float | None] = {}
    for measure in OBJECT_MEASURES:
        known = [v for each in found if (v := getattr(each, measure.name)) is not None]
        means[measure.name] = float(np.mean(known)) if known else None
    return means
