"""Camera poses that other moves add to: the photo's own, keyframes, a path from a file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from real2sam2real.arrays import Float
from real2sam2real.errors import UserError
from real2sam2real.geometry import quaternions, transforms
from real2sam2real.geometry.rotations import about_x, about_y, about_z
from real2sam2real.scene import camera_moves as m
from real2sam2real.scene.camera_path import CameraPath
from real2sam2real.scene.motion import Keyframe, Motion
from real2sam2real.scene.paths import load_camera_path
from real2sam2real.scene.retime import sampled_camera
from real2sam2real.scene.targets import MoveTargets, unit
from real2sam2real.scene.timing import Timing, check_distinct
from real2sam2real.scene.units import Time, located


class BasePath(Protocol):
    """Poses that other moves add to."""

    def poses(self, steps: int) -> Float:
        """`(N, 4, 4)` world_from_camera at every one of `steps` time steps per frame."""

    def zooms(self, steps: int) -> Float:
        """`(N,)` factors on the focal length, likewise."""


class PhotoCamera:
    """The photo's camera."""

    def __init__(self, targets: MoveTargets) -> None:
        self.targets = targets

    def poses(self, steps: int) -> Float:
        """The photo's pose throughout."""
        return np.broadcast_to(self.targets.photo_camera, (self.targets.last * steps + 1, 4, 4))

    def zooms(self, steps: int) -> Float:
        """1 throughout."""
        return np.ones(self.targets.last * steps + 1)


class KeyframedPath:
    """Through keyframes, from the photo's camera unless there is one on frame 0."""

    def __init__(self, move: m.CameraKeyframes, targets: MoveTargets) -> None:
        self.move, self.targets = move, targets
        self.keys = [self._key(key) for key in move.keys]
        self.starts_at_the_photo = min(key.frame for key in self.keys) > 0
        if self.starts_at_the_photo:
            start = m.CameraKeyframe(time=Time(0.0))
            self.keys.append(self._key(start))
        with located(move.where):
            check_distinct(key.frame for key in self.keys)

    def _key(self, key: m.CameraKeyframe) -> Keyframe:
        targets, photo = self.targets, self.targets.photo_camera
        with located(key.where or self.move.where):
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
                goals = targets.followed(key.look_at)
                toward = goals[round(frame)]
                unit(toward - position, "a keyframe stands on the point it looks at")
                rotation = transforms.look_at(position, toward)[:3, :3]
            rotation = rotation @ about_z(-math.radians(key.roll))
            x, y, z = position
            return Keyframe(
                frame=frame, translation=(x, y, z), rotation_wxyz=tuple(quaternions.from_matrix(rotation)),
                scale=(key.zoom, key.zoom, key.zoom), easing=key.easing,
            )  # fmt: skip

    def _motion(self, steps: int) -> Motion:
        keys = [replace(key, frame=key.frame * steps) for key in self.keys]
        return Motion.from_keyframes(keys, self.targets.last * steps + 1)

    def poses(self, steps: int) -> Float:
        """Interpolated poses."""
        motion = self._motion(steps)
        poses = transforms.compose(motion.translation, motion.rotation_wxyz)
        if self.starts_at_the_photo:
            poses[0] = self.targets.photo_camera  # free of the rounding on the way through quaternions
        return poses

    def zooms(self, steps: int) -> Float:
        """Interpolated zoom."""
        return self._motion(steps).scale[:, 0]


class FilePath:
    """Along a path from a file, in its span."""

    def __init__(self, move: m.ImportedPath, targets: MoveTargets) -> None:
        self.move, self.targets = move, targets
        with located(move.where):
            self.timing = Timing.of(move.span, move.easing, targets.scene)

    def _path(self, steps: int) -> CameraPath:
        count = self.targets.last * steps + 1
        try:
            even = load_camera_path(
                self.move.file, intrinsics=self.targets.scene.camera.intrinsics, format=self.move.format, frames=count
            )
        except UserError as error:
            raise UserError(f"{self.move.where}: {error}") from error
        done = [self.timing.progress(step / steps) for step in range(count)]
        return sampled_camera(even, np.array(done) * (count - 1))

    def poses(self, steps: int) -> Float:
        """The file's poses, relative to its first one and scaled, from the photo's camera on."""
        relative = self._path(steps).world_from_camera.copy()
        relative[:, :3, 3] *= self.move.scale
        return self.targets.photo_camera @ relative

    def zooms(self, steps: int) -> Float:
        """The change of the file's focal length."""
        zoom = self._path(steps).zoom
        return zoom / zoom[0]


def base_of(moves: Sequence[m.CameraMove], targets: MoveTargets) -> BasePath:
    """The poses that the other moves add to.

    Raises:
        UserError: there are two of them, or one cannot be used.
    """
    found = [move for move in moves if isinstance(move, (m.CameraKeyframes, m.ImportedPath))]
    if len(found) > 1:
        raise UserError(f"{found[1].where}: a shot has one list of camera keyframes or one path; join them")
    if not found:
        return PhotoCamera(targets)
    move = found[0]
    return KeyframedPath(move, targets) if isinstance(move, m.CameraKeyframes) else FilePath(move, targets)
