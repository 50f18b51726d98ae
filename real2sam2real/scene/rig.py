"""Perform camera moves: from moves and a scene to the camera's pose and zoom at every frame.

The camera is a head on a carriage. Orbit, spiral, crane, dolly, truck and pedestal drive the carriage; pan, tilt and
roll turn the head; look-at and track correct pan and tilt after both; handheld shakes the result. All moves run side
by side in small time steps, each adding its own share, so that moves which overlap compose and their order in the
shot does not matter. Directions of travel are fixed to the carriage when a move starts: a dolly's track is straight,
and becomes a spiral when the carriage orbits.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from real2sam2real.arrays import Float
from real2sam2real.errors import UserError
from real2sam2real.geometry.rotations import about_x, about_y, about_z
from real2sam2real.scene import moves as m
from real2sam2real.scene.bases import base_of
from real2sam2real.scene.camera_path import CameraPath
from real2sam2real.scene.drivers import DRIVERS, Aim
from real2sam2real.scene.scene import Scene
from real2sam2real.scene.shaking import Shake
from real2sam2real.scene.stage import Stage

STEPS = 8  # time steps per frame; single moves are exact at any number, overlapping ones converge with its square
MAX_ZOOM = 1e4


def camera_path(moves: Sequence[m.CameraMove], scene: Scene, *, seed: int = 0) -> CameraPath:
    """Perform `moves` in `scene`; without moves the camera rests where the photo was taken.

    Args:
        moves: camera moves in any order.
        scene: gives frames, fps, the photo's camera and intrinsics, and the entities as they move.
        seed: of the handheld moves that have none of their own.

    Returns:
        A path of `scene.frames` frames in the scene's world. Frame 0 is the photo's own camera unless keyframes say
        otherwise.

    Raises:
        UserError: an unknown target, a span outside the shot, metres in a scene of unknown scale, or a move that
            cannot be performed (through its target, over the pole).
    """
    return Rig(moves, Stage(scene, seed)).run()


class Rig:
    """The camera at one moment: a carriage (position and rotation), a head, a lens."""

    def __init__(self, moves: Sequence[m.CameraMove], stage: Stage) -> None:
        self.stage = stage
        self.drivers = [DRIVERS[type(move)](move, stage) for move in moves if type(move) in DRIVERS]
        self.aims = [Aim(move, stage) for move in moves if isinstance(move, (m.LookAt, m.Track))]
        self.shakes = [Shake(move, stage) for move in moves if isinstance(move, m.Handheld)]
        base = base_of(moves, stage)
        self.base, self.base_zoom = base.poses(STEPS), base.zooms(STEPS)
        self.position = self.base[0, :3, 3].copy()
        self.carriage = np.eye(3)
        self.pan = self.tilt = self.roll = 0.0
        self.zoom = 1.0
        self.step_index = 0

    @property
    def time(self) -> float:
        """The moment as a frame number."""
        return self.step_index / STEPS

    def level(self) -> Float:
        """World rotation of carriage and panned head, before tilt and roll; `(3, 3)`."""
        return self.carriage @ about_y(-self.pan) @ self.base[self.step_index, :3, :3]

    def upright(self, aims: Sequence[Aim] | None = None) -> Float:
        """World rotation of the camera without its roll, corrected by `aims` (all of them unless given); `(3, 3)`."""
        level, turn, lift = self.level(), 0.0, 0.0
        for aim in self.aims if aims is None else aims:
            if aim.begun:
                turn, lift = aim.correct(self, level, turn, lift)
        return about_y(turn) @ level @ about_x(self.tilt + lift)

    def run(self) -> CameraPath:
        """Advance through the whole shot."""
        scene = self.stage.scene
        poses, zooms = [], []
        for index in range(scene.frames):
            if index:
                self._advance_frame()
            rotation = self.upright() @ about_z(-self.roll)
            pose = np.eye(4)
            pose[:3, :3], pose[:3, 3] = rotation, self.position
            for shake in self.shakes:
                pose = pose @ shake.offset(index)
            poses.append(pose)
            zooms.append(self.zoom * self.base_zoom[self.step_index])
        if max(zooms) > MAX_ZOOM or min(zooms) < 1 / MAX_ZOOM:
            raise UserError(
                f"the camera's moves zoom by {max(max(zooms), 1 / min(zooms)):.3g}x in all; stay within {MAX_ZOOM:g}x"
            )
        return CameraPath(world_from_camera=np.array(poses), intrinsics=scene.camera.intrinsics, zoom=np.array(zooms))

    def _advance_frame(self) -> None:
        for _ in range(STEPS):
            before, after = self.step_index / STEPS, (self.step_index + 1) / STEPS
            for aim in self.aims:
                aim.step(self, before, after)
            # Every other step in opposite order, which cancels the order's effect to second order (Strang splitting).
            for driver in self.drivers if self.step_index % 2 == 0 else reversed(self.drivers):
                driver.step(self, before, after)
            travelled = self.base[self.step_index + 1, :3, 3] - self.base[self.step_index, :3, 3]
            self.position = self.position + self.carriage @ travelled
            self.step_index += 1
