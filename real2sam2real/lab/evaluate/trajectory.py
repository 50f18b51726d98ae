"""How far a recovered camera path is from the commanded one: ATE and RPE, and the measures of other papers.

A recovered path lies in a frame and a scale of its own. `aligned` brings it to the commanded one by the similarity with
the least squared distances of the camera centres (Umeyama, 1991), as `evo_ape --align --correct_scale` does; what RPE
compares is then in the commanded path's unit too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from real2sam2real.arrays import Bool, Float
from real2sam2real.geometry import transforms

STILL = 1e-6
"""A path is taken to stay in one place where it is shorter than this share of the distance from the origin, or of 1."""


@dataclass(frozen=True, kw_only=True)
class TrajectoryError:
    """One recovered path against the commanded one; NaN where there is nothing to compare.

    Attributes:
        registered: share of the frames whose pose was recovered.
        ate: absolute trajectory error: root mean square of the distances between aligned camera centres, in the unit of
            the commanded path (Sturm et al., 2012).
        ate_share: `ate` over the length of the commanded path.
        rpe_translation: relative pose error: root mean square over neighbouring frames of the length of what is left of
            the step, in the same unit (Sturm et al., 2012, with a distance of one frame).
        rpe_rotation: the same of its angle, in degrees.
        rot_err: sum over frames of the angle between rotations relative to the first frame, in radians (CameraCtrl, He
            et al., 2024).
        trans_err: sum over frames of the distance of translations relative to the first frame, each path divided by its
            own largest one (the same, as CamI2V's evaluation scales it).
        cam_mc: sum over frames of the Frobenius norm of the difference of the 3×4 poses, scaled so (MotionCtrl, Wang et
            al., 2024).
    """

    registered: float
    ate: float
    ate_share: float
    rpe_translation: float
    rpe_rotation: float
    rot_err: float
    trans_err: float
    cam_mc: float


def trajectory_error(recovered: Float, commanded: Float, found: Bool | None = None) -> TrajectoryError:
    """Compare a path with the commanded one.

    Args:
        recovered: `(T, 4, 4)` float64 world-from-camera poses, in any frame and scale.
        commanded: `(T, 4, 4)` the same of the commanded path.
        found: `(T,)` bool, frames whose pose was recovered; the others' are not looked at. None: all.

    Raises:
        ValueError: the paths have different lengths.
    """
    if recovered.shape != commanded.shape:
        raise ValueError(f"the recovered path has {len(recovered)} poses, the commanded one {len(commanded)}")
    found = np.ones(len(commanded), bool) if found is None else found
    share, nothing = float(found.mean()), float("nan")
    if found.sum() < 3:  # two centres are aligned by any scale
        return TrajectoryError(
            registered=share,
            ate=nothing,
            ate_share=nothing,
            rpe_translation=nothing,
            rpe_rotation=nothing,
            rot_err=nothing,
            trans_err=nothing,
            cam_mc=nothing,
        )
    length = path_length(commanded)
    moves = length > STILL * max(1.0, float(np.abs(commanded[:, :3, 3]).max()))
    own = aligned(recovered[found], commanded[found]) if moves else recovered[found]
    distances = np.linalg.norm(own[:, :3, 3] - commanded[found, :3, 3], axis=1)
    ate = float(np.sqrt((distances**2).mean())) if moves else nothing
    steps = _steps(own, found)
    left = transforms.invert_rigid(_steps(commanded[found], found)) @ steps
    angles = rotation_angles(left[:, :3, :3])
    rotation, translation, both = _from_first(recovered[found], commanded[found])
    return TrajectoryError(
        registered=share,
        ate=ate,
        ate_share=ate / length if moves else nothing,
        rpe_translation=_rms(np.linalg.norm(left[:, :3, 3], axis=1)) if moves else nothing,
        rpe_rotation=_rms(np.degrees(angles)),
        rot_err=rotation,
        trans_err=translation if moves else nothing,
        cam_mc=both if moves else nothing,
    )


def path_length(poses: Float) -> float:
    """Length of the way of the centres of `(T, 4, 4)` world-from-camera poses."""
    return float(np.linalg.norm(np.diff(poses[:, :3, 3], axis=0), axis=1).sum())


def aligned(source: Float, target: Float) -> Float:
    """World-from-camera poses `(N, 4, 4)` moved, turned and scaled as a whole: centres as near as can be to the others.

    Only centres count, as in evo: where they lie on one line, it may come to lie the other way round, and the turn
    about it is left open. Neither changes ATE or RPE; the measures that are relative to the first frame see the former.
    """
    a, b = source[:, :3, 3], target[:, :3, 3]
    a0, b0 = a - a.mean(axis=0), b - b.mean(axis=0)
    u, values, vt = np.linalg.svd(b0.T @ a0)
    signs = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    rotation = u @ np.diag(signs) @ vt
    scale = float((values * signs).sum()) / max(float((a0**2).sum()), np.finfo(float).tiny)
    moved = np.tile(np.eye(4), (len(source), 1, 1))
    moved[:, :3, :3] = rotation @ source[:, :3, :3]
    moved[:, :3, 3] = scale * a0 @ rotation.T + b.mean(axis=0)
    return moved


def _steps(poses: Float, found: Bool) -> Float:
    """Motions from frame to frame of the `poses` of the found frames, where both neighbours are found."""
    frames = np.flatnonzero(found)
    pairs = np.flatnonzero(np.diff(frames) == 1)
    steps: Float = transforms.invert_rigid(poses[pairs]) @ poses[pairs + 1]
    return steps


def _from_first(recovered: Float, commanded: Float) -> tuple[float, float, float]:
    """RotErr, TransErr and CamMC: see `TrajectoryError`."""
    ours, theirs = _scaled(recovered), _scaled(commanded)
    angles = rotation_angles(np.swapaxes(theirs[:, :3, :3], 1, 2) @ ours[:, :3, :3])
    apart = ours[:, :3, :4] - theirs[:, :3, :4]
    distances = np.linalg.norm(apart[:, :, 3], axis=1)
    return float(angles.sum()), float(distances.sum()), float(np.linalg.norm(apart, axis=(1, 2)).sum())


def _scaled(poses: Float) -> Float:
    """The poses seen from the first camera, scaled so that the farthest is 1 away, or in one place."""
    relative: Float = transforms.invert_rigid(poses[:1]) @ poses
    largest = float(np.linalg.norm(relative[:, :3, 3], axis=1).max())
    moves = largest > STILL * max(1.0, float(np.abs(poses[:, :3, 3]).max()))
    relative[:, :3, 3] = relative[:, :3, 3] / largest if moves else 0.0  # not the last digits of places that are one
    return relative


def rotation_angles(rotations: Float) -> Float:
    """Angles `(N,)` in radians of rotations `(N, 3, 3)`; exact for small ones too, unlike a trace's arc cosine."""
    skew = np.stack(
        [
            rotations[:, 2, 1] - rotations[:, 1, 2],
            rotations[:, 0, 2] - rotations[:, 2, 0],
            rotations[:, 1, 0] - rotations[:, 0, 1],
        ],
        axis=1,
    )
    sine, cosine = np.linalg.norm(skew, axis=1) / 2, (np.trace(rotations, axis1=1, axis2=2) - 1) / 2
    angles: Float = np.arctan2(sine, cosine)
    return angles


def _rms(values: Float) -> float:
    return float(np.sqrt((values**2).mean())) if len(values) else float("nan")
