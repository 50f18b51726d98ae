"""The camera's base path, which other moves add to: the photo's own pose, keyframes, or a path from a file."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from real2sam2real.arrays import Float
from real2sam2real.errors import UserError
from real2sam2real.geometry import quaternions, transforms
from real2sam2real.geometry.transforms import about_x, about_y, about_z
from real2sam2real.scene import camera_moves as cm
from real2sam2real.scene.motion import Keyframe, through_keyframes
from real2sam2real.scene.paths import load_camera_path
from real2sam2real.scene.retime import sampled_camera
from real2sam2real.scene.targets import MoveTargets, unit
from real2sam2real.scene.timing import Timing
from real2sam2real.scene.units import Time, located


def base_path(moves: Sequence[cm.CameraMove], targets: MoveTargets, steps: int) -> tuple[Float, Float]:
    """Poses `(N, 4, 4)` world_from_camera and zooms `(N,)` at every one of `steps` time steps per frame.

    Raises:
        UserError: there are two paths, or one cannot be used.
    """
    found = [move for move in moves if isinstance(move, (cm.CameraKeyframes, cm.ImportedPath))]
    if len(found) > 1:
        raise UserError(f"{found[1].where}: a shot has one list of camera keyframes or one path; join them")
    count = (targets.scene.frames - 1) * steps + 1
    if not found:
        return np.broadcast_to(targets.photo_camera, (count, 4, 4)), np.ones(count)
    move = found[0]
    if isinstance(move, cm.CameraKeyframes):
        return _through_keyframes(move, targets, steps)
    return _along_file(move, targets, steps, count)


def _through_keyframes(move: cm.CameraKeyframes, targets: MoveTargets, steps: int) -> tuple[Float, Float]:
    """Interpolated, from the photo's camera unless there is a keyframe on frame 0."""
    keys = [_keyframe(key, move.where, targets) for key in move.keys]
    starts_at_the_photo = min(key.frame for key in keys) > 0
    if starts_at_the_photo:
        keys.append(_keyframe(cm.CameraKeyframe(time=Time(0.0)), move.where, targets))
    with located(move.where):
        motion = through_keyframes(keys, targets.scene.frames, steps=steps, what="zoom")
    poses = transforms.compose(motion.translation, motion.rotation_wxyz)
    if starts_at_the_photo:
        poses[0] = targets.photo_camera  # free of the rounding on the way through quaternions
    return poses, motion.scale[:, 0]


def _keyframe(key: cm.CameraKeyframe, where: str, targets: MoveTargets) -> Keyframe:
    photo = targets.photo_camera
    with located(key.where or where):
        frame = key.time.frame(targets.scene.frames, targets.scene.fps)
        position = photo[:3, 3]
        if key.position is not None:
            position = targets.place(key.position)
        elif key.by is not None:
            right, up, ahead = (targets.length(part, photo[:3, 3]) for part in key.by)
            position = position + photo[:3, :3] @ np.array([right, up, -ahead])
        if key.look_at is None:
            rotation = about_y(-math.radians(key.pan)) @ photo[:3, :3] @ about_x(math.radians(key.tilt))
        else:
            toward = targets.followed(key.look_at)[round(frame)]
            unit(toward - position, "a keyframe stands on the point it looks at")
            rotation = transforms.look_at(position, toward)[:3, :3]
        rotation = rotation @ about_z(-math.radians(key.roll))
        x, y, z = position
        return Keyframe(
            frame=frame, translation=(x, y, z), rotation_wxyz=tuple(quaternions.from_matrix(rotation)),
            scale=(key.zoom, key.zoom, key.zoom), easing=key.easing,
        )  # fmt: skip


def _along_file(move: cm.ImportedPath, targets: MoveTargets, steps: int, count: int) -> tuple[Float, Float]:
    """The file's poses, relative to its first one and scaled, from the photo's camera on, in the move's span."""
    with located(move.where):
        timing = Timing(*move.span.in_frames(targets.scene.frames, targets.scene.fps), move.easing)
    intrinsics = targets.scene.camera.intrinsics
    try:
        even = load_camera_path(move.file, intrinsics=intrinsics, format=move.format, frames=count)
    except UserError as error:
        raise UserError(f"{move.where}: {error}") from error
    done = [timing.progress(step / steps) for step in range(count)]
    path = sampled_camera(even, np.clip(done, 0, 1) * (count - 1))  # there is no path beyond its ends
    relative = path.world_from_camera.copy()
    relative[:, :3, 3] *= move.scale
    return targets.photo_camera @ relative, path.zoom / path.zoom[0]
