"""The animation of a lifted mesh, brought to the frames of a shot."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from real2sam2real.geometry import quaternions
from real2sam2real.geometry.quaternions import Float
from real2sam2real.lift.lifted import LiftedMesh
from real2sam2real.scene.motion import Motion

SAME = 1e-3
"""Of the object's size: an animation that ends so near to where it began is a cycle, and goes on."""


def entity_motion(lifted: LiftedMesh, rest_world_from_object: ArrayLike, frames: int, fps: float) -> Motion:
    """The motion in the world of an entity made from `lifted`.

    A file's animation starts with the shot. When it is over, a cycle begins again; anything else holds its last pose.

    Args:
        lifted: its motion, if any, has `lifted.motion_fps` frames per second; None means the shot's.
        rest_world_from_object: `(4, 4)` similarity, where the mesh stands in the photo; so it stands at frame 0.
        frames: of the shot, at least 1.
        fps: of the shot.
    """
    rest = np.asarray(rest_world_from_object, np.float64)
    if lifted.motion is None:
        return Motion.still(frames, rest)
    at = lifted.motion_fps or fps
    cycle = is_cycle(lifted.motion, lifted.mesh.vertices)
    motion = resampled(lifted.motion, np.arange(frames) * (at / fps), cycle=cycle)
    matrices = motion.matrices()
    world = Motion.from_matrices(rest @ np.linalg.inv(lifted.motion.matrices()[0]) @ matrices)
    return replace(world, visible=motion.visible, vertices_object=motion.vertices_object)


def is_cycle(motion: Motion, vertices: Float) -> bool:
    """Whether the last frame shows what the first one shows; `vertices` `(V, 3)` are those of the undeformed mesh."""
    if motion.frames < 3:
        return False
    matrices = motion.matrices()
    first, last = (_points(motion, matrices, vertices, frame) for frame in (0, -1))
    return bool(np.abs(last - first).max() <= SAME * np.ptp(first, axis=0).max())


def _points(motion: Motion, matrices: Float, vertices: Float, frame: int) -> Float:
    shown = vertices if motion.vertices_object is None else motion.vertices_object[frame].astype(np.float64)
    return shown @ matrices[frame, :3, :3].T + matrices[frame, :3, 3]


def resampled(motion: Motion, at: ArrayLike, *, cycle: bool) -> Motion:
    """`motion` at the fractional frame numbers `at` `(T',)`, each at least 0.

    Between frames positions, scales and vertices go straight and rotations along the shorter arc; visibility is that of
    the frame before. After the last frame the motion holds, or begins again where it is a `cycle`, whose last frame is
    its first one.
    """
    last = motion.frames - 1
    at = np.asarray(at, np.float64)
    at = np.mod(at, last) if cycle and last else np.minimum(at, last)
    nearest = np.round(at)
    at = np.where(np.abs(at - nearest) < 1e-6, nearest, at)
    left = np.minimum(at.astype(np.int64), last)
    right = np.minimum(left + 1, last)
    mix = (at - left)[:, None]
    return Motion(
        translation=motion.translation[left] * (1 - mix) + motion.translation[right] * mix,
        rotation_wxyz=quaternions.slerp(motion.rotation_wxyz[left], motion.rotation_wxyz[right], mix[:, 0]),
        scale=motion.scale[left] * (1 - mix) + motion.scale[right] * mix,
        visible=motion.visible[left],
        vertices_object=_between(motion.vertices_object, left, right, mix[:, 0].astype(np.float32)),
    )


def _between(
    vertices: NDArray[np.float32] | None, left: NDArray[np.int64], right: NDArray[np.int64], mix: NDArray[np.float32]
) -> NDArray[np.float32] | None:
    if vertices is None:
        return None
    made = vertices[left]
    for frame in np.flatnonzero(mix > 0):
        made[frame] += (vertices[right[frame]] - made[frame]) * np.float32(mix[frame])
    return made
