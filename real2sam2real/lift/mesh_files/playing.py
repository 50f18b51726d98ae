"""A file's own animation in the shot's world."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from real2sam2real.arrays import Float
from real2sam2real.geometry import transforms
from real2sam2real.lift.lifted import LiftedMesh
from real2sam2real.scene.motion import Motion
from real2sam2real.scene.retime import sampled_motion

_SIMILAR = 1e-6


def entity_motion(lifted: LiftedMesh, rest_world_from_object: ArrayLike, frames: int, fps: float) -> Motion:
    """The animation of a lifted mesh, which starts from where the mesh was aligned.

    The first frame has exactly the aligned pose, `rest_world_from_object`; the animation's way is scaled and turned
    with it. It was sampled when the file was read; at another frame rate it is interpolated, and beyond its end it
    begins again if it was read to loop, else its last pose holds.

    Args:
        lifted: with its motion in the object frame; without one the object rests.
        rest_world_from_object: `(4, 4)` similarity, where the mesh stands in the photo.
        frames: number of frames T of the shot.
        fps: frames per second of the shot.

    Returns:
        The motion in the world; its `vertices_object` fit `lifted.mesh`.

    Raises:
        ValueError: the pose has another scale along each axis, which would shear what turns; or `frames` or `fps` is
            not positive.
    """
    rest = np.asarray(rest_world_from_object, np.float64)
    if frames < 1 or not (np.isfinite(fps) and fps > 0):
        raise ValueError(f"a motion of {frames} frames at {fps} fps; both must be positive")
    if lifted.motion is None:
        return Motion.still(frames, rest)
    size = np.linalg.norm(rest[:3, :3], axis=0)
    if not np.allclose(rest[:3, :3].T @ rest[:3, :3], np.eye(3) * size[0] ** 2, atol=_SIMILAR * size[0] ** 2):
        raise ValueError("the aligned pose has several scales; an animated mesh needs one scale for all axes")
    sampled = sampled_motion(lifted.motion, _places(lifted, frames, fps))
    first = lifted.motion.matrices()[0]
    world = Motion.from_matrices(rest @ np.linalg.inv(first) @ sampled.matrices())
    return replace(world, visible=sampled.visible, vertices_object=sampled.vertices_object)


def _places(lifted: LiftedMesh, frames: int, fps: float) -> Float:
    """`(frames,)` frame numbers of the lifted motion, which need not be whole."""
    seconds: Float = np.arange(frames) / fps
    period = lifted.provenance.get("animation", {}).get("period")
    if period is not None:
        over = seconds > period + 1e-6
        seconds[over] = seconds[over] % period
    assert lifted.motion is not None
    return np.clip(seconds * (lifted.motion_fps or fps), 0, lifted.motion.frames - 1)


def moved_frame(motion: Motion, new_from_old: Float) -> Motion:
    """`motion` with its object and its way given in another frame, `new_from_old` `(4, 4)`, rigid."""
    moved = Motion.from_matrices(new_from_old @ motion.matrices() @ transforms.invert_rigid(new_from_old))
    vertices = motion.vertices_object
    if vertices is not None:
        vertices = np.stack([transforms.apply(new_from_old, frame).astype(np.float32) for frame in vertices])
    return replace(moved, visible=motion.visible, vertices_object=vertices)
