"""Moves of objects and cameras as functions of the fraction of the shot that has gone by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from real2sam2real.arrays import Float
from real2sam2real.geometry import quaternions, transforms
from real2sam2real.scene import Motion
from real2sam2real.scene.timing import Easing, ease

Vector = tuple[float, float, float]
CameraKind = Literal["orbit", "pan", "tilt", "roll", "truck", "pedestal", "dolly", "zoom"]
UP = (0.0, 1.0, 0.0)


@dataclass(frozen=True, kw_only=True)
class ObjectMove:
    """How an object gets from its rest pose to its last pose."""

    shift: Vector = (0.0, 0.0, 0.0)  # world offset at the end
    axis: Vector = UP  # world axis of the turn
    radians: float = 0.0  # angle of the turn at the end
    scale: float = 1.0  # size at the end, relative to rest
    hop: float = 0.0  # height of a jump in the middle of the move, world units
    pivot_height: float = 0.0  # height on the object's +Y axis of the point that turning and scaling leave in place
    start: float = 0.0  # fraction of the shot at which the move starts
    end: float = 1.0  # fraction at which it is over
    easing: Easing = "ease"  # its speed curve

    def pivots(self, position: Float, times: Float) -> tuple[Float, Float]:
        """World positions of the pivot `(T, 3)` and scales `(T,)` at `times` `(T,)` in 0…1."""
        done = self._done(times)
        points = position + done[:, None] * np.asarray(self.shift)
        points[:, 1] += self.pivot_height + self.hop * 4 * done * (1 - done)
        return points, 1 + (self.scale - 1) * done

    def motion(self, position: Float, yaw: float, times: Float) -> Motion:
        """Poses at `times` `(T,)` in 0…1 of an object that rests at `position` `(3,)`, turned by `yaw` about +Y."""
        rest = quaternions.from_axis_angle(UP, np.float64(yaw))
        turn = quaternions.from_axis_angle(self.axis, self.radians * self._done(times))
        rotation = quaternions.multiply(turn, rest)
        points, scale = self.pivots(position, times)
        arm = quaternions.to_matrix(rotation)[:, :, 1] * self.pivot_height
        return Motion(
            translation=points - scale[:, None] * arm,
            rotation_wxyz=rotation,
            scale=np.repeat(scale[:, None], 3, axis=1),
            visible=np.ones(len(times), bool),
        )

    def _done(self, times: Float) -> Float:
        return ease((times - self.start) / (self.end - self.start), self.easing)


@dataclass(frozen=True, kw_only=True)
class MoveComponent:
    """One component of a camera move."""

    # orbit (about the vertical through the focus), pan, tilt, roll: radians; truck (right), pedestal (up), dolly
    # (forward): world units; zoom: natural logarithm of the focal length's factor
    kind: CameraKind
    amount: float  # at the end of the shot
    easing: Easing = "ease"  # its speed curve


@dataclass(frozen=True, kw_only=True, eq=False)
class CameraShake:
    """The shake of a camera that is held by hand: a sum of sines that is zero at time 0."""

    amplitudes: Float  # `(6, K)` of turns about the camera's x, y, z (radians) and shifts along them (world units)
    cycles: Float  # `(6, K)` periods over the shot
    phases: Float  # `(6, K)` radians

    def shaken(self, poses: Float, times: Float) -> Float:
        """Poses `(T, 4, 4)` with the shake at `times` `(T,)` in 0…1 on top."""
        waves = np.sin(2 * np.pi * self.cycles * times[:, None, None] + self.phases) - np.sin(self.phases)
        offsets = (self.amplitudes * waves).sum(axis=2)
        shaken = poses.copy()
        shaken[:, :3, 3] += np.einsum("tij,tj->ti", poses[:, :3, :3], offsets[:, 3:])
        for k, axis in enumerate(np.eye(3)):
            turn = quaternions.to_matrix(quaternions.from_axis_angle(axis, offsets[:, k]))
            shaken[:, :3, :3] = shaken[:, :3, :3] @ turn
        return shaken


def camera_poses(first: Float, moves: tuple[MoveComponent, ...], focus: Float, times: Float) -> tuple[Float, Float]:
    """Poses `(T, 4, 4)` `world_from_camera` and zoom factors `(T,)` at `times` `(T,)` in 0…1.

    The moves are applied one after another to the pose `first` `(4, 4)`; an orbit goes around `focus` `(3,)`.
    """
    poses = np.repeat(first[None], len(times), axis=0)
    zoom = np.ones(len(times))
    for move in moves:
        amount = move.amount * ease(times, move.easing)
        if move.kind == "zoom":
            zoom = zoom * np.exp(amount)
        elif move.kind == "orbit":
            turn = quaternions.to_matrix(quaternions.from_axis_angle(UP, amount))
            poses[:, :3, 3] = np.einsum("tij,tj->ti", turn, poses[:, :3, 3] - focus) + focus
            poses[:, :3, :3] = turn @ poses[:, :3, :3]
        elif move.kind == "pan":
            poses[:, :3, :3] = quaternions.to_matrix(quaternions.from_axis_angle(UP, amount)) @ poses[:, :3, :3]
        elif move.kind in ("tilt", "roll"):
            axis = (1.0, 0.0, 0.0) if move.kind == "tilt" else (0.0, 0.0, 1.0)
            poses[:, :3, :3] = poses[:, :3, :3] @ quaternions.to_matrix(quaternions.from_axis_angle(axis, amount))
        else:
            column, sign = {"truck": (0, 1.0), "pedestal": (1, 1.0), "dolly": (2, -1.0)}[move.kind]
            poses[:, :3, 3] += sign * amount[:, None] * poses[:, :3, column]
    return poses, zoom


def camera_from_world(poses: Float, points: Float) -> Float:
    """Camera-space points `(T, 3)` of world points `(T, 3)`, one per pose `(T, 4, 4)`."""
    return np.einsum("tij,tj->ti", transforms.invert_rigid(poses)[:, :3, :3], points - poses[:, :3, 3])
