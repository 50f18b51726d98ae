"""Animate the camera: from camera moves and a scene to the camera's pose and zoom at every frame.

The camera is a head on a carriage. Orbit, spiral, crane, dolly, truck and pedestal drive the carriage; pan, tilt and
roll turn the head; look-at and track correct pan and tilt after both; handheld shakes the result. All moves run side
by side in small time steps, each adding its own share, so that moves which overlap compose and their order in the
shot does not matter. Directions of travel are fixed to the carriage when a move starts: a dolly's track is straight,
and becomes a spiral when the carriage orbits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Generic, TypeVar

import numpy as np

from real2sam2real.arrays import Float
from real2sam2real.errors import UserError
from real2sam2real.geometry.transforms import about_axis, about_x, about_y, about_z
from real2sam2real.scene import camera_moves as cm
from real2sam2real.scene.base_path import base_path
from real2sam2real.scene.camera_path import CameraPath
from real2sam2real.scene.scene import Scene
from real2sam2real.scene.targets import UP, MoveTargets, unit
from real2sam2real.scene.timing import Timing, ease
from real2sam2real.scene.units import BadValueError, located

STEPS = 8  # time steps per frame; single moves are exact at any number, overlapping ones converge with its square
MAX_ZOOM = 1e4
_POLE = math.radians(89.5)

MoveT = TypeVar("MoveT", bound=cm.TimedCameraMove)


def animate_camera(moves: Sequence[cm.CameraMove], scene: Scene, *, seed: int = 0) -> CameraPath:
    """Perform `moves`, in any order, in `scene`; without moves the camera rests where the photo was taken.

    The path has `scene.frames` frames in the scene's world. Frame 0 is the photo's own camera unless keyframes say
    otherwise. `seed` is for the handheld moves that have none of their own.

    Raises:
        UserError: an unknown target, a span outside the shot, metres in a scene of unknown scale, or a move that
            cannot be performed (through its target, over the pole).
    """
    return _CameraRig(moves, MoveTargets(scene, seed)).run()


class _CameraRig:
    """The camera at one moment: a carriage (position and rotation), a head, a zoom."""

    def __init__(self, moves: Sequence[cm.CameraMove], targets: MoveTargets) -> None:
        self.targets = targets
        self.animators = [_ANIMATORS[type(move)](move, targets) for move in moves if type(move) in _ANIMATORS]
        self.aims = [_AimAnimator(move, targets) for move in moves if isinstance(move, (cm.LookAt, cm.TrackTarget))]
        self.shakes = [_CameraShake(move, targets) for move in moves if isinstance(move, cm.Handheld)]
        self.base, self.base_zoom = base_path(moves, targets, STEPS)
        self.position = self.base[0, :3, 3].copy()
        self.carriage = np.eye(3)
        self.pan = self.tilt = self.roll = 0.0
        self.zoom = 1.0
        self.step_index = 0

    @property
    def time(self) -> float:
        return self.step_index / STEPS

    def level(self) -> Float:
        """World rotation of carriage and panned head, before tilt and roll; `(3, 3)`."""
        return self.carriage @ about_y(-self.pan) @ self.base[self.step_index, :3, :3]

    def upright(self, aims: Sequence[_AimAnimator] | None = None) -> Float:
        """World rotation of the camera without its roll, corrected by `aims` (all of them unless given); `(3, 3)`."""
        level, turn, lift = self.level(), 0.0, 0.0
        for aim in self.aims if aims is None else aims:
            if aim.begun:
                turn, lift = aim.correct(self, level, turn, lift)
        return about_y(turn) @ level @ about_x(self.tilt + lift)

    def run(self) -> CameraPath:
        scene = self.targets.scene
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
            for animator in self.animators if self.step_index % 2 == 0 else reversed(self.animators):
                animator.step(self, before, after)
            travelled = self.base[self.step_index + 1, :3, 3] - self.base[self.step_index, :3, 3]
            self.position = self.position + self.carriage @ travelled
            self.step_index += 1


class _CameraAnimator(Generic[MoveT]):
    """One move at work: `begin` when its span starts, `advance` at every step of progress."""

    def __init__(self, move: MoveT, targets: MoveTargets) -> None:
        self.move, self.targets = move, targets
        with located(move.where):
            self.timing = Timing(*move.span.in_frames(targets.scene.frames, targets.scene.fps), move.easing)
        self.begun = False

    def step(self, rig: _CameraRig, before: float, after: float) -> None:
        """Do the share of the move that lies between two moments, given as frame numbers."""
        if after <= self.timing.start:
            return
        with located(self.move.where):
            if not self.begun:
                self.begun = True
                self.begin(rig)
            a, b = self.timing.progress(before), self.timing.progress(after)
            if a != b:
                self.advance(rig, a, b)

    def begin(self, rig: _CameraRig) -> None:
        """Note what depends on where the camera is when the move starts."""

    def advance(self, rig: _CameraRig, a: float, b: float) -> None:
        """Change the rig by the share from progress `a` to progress `b`."""


class _HeadAnimator(_CameraAnimator[cm.Pan | cm.Tilt | cm.CameraRoll]):
    """Pan, tilt, roll: angles that add up."""

    def advance(self, rig: _CameraRig, a: float, b: float) -> None:
        name = self.move.kind
        setattr(rig, name, getattr(rig, name) + math.radians(self.move.angle) * (b - a))


class _TravelAnimator(_CameraAnimator[cm.Dolly | cm.Truck | cm.Pedestal]):
    """A straight track, fixed to the carriage when the move starts."""

    def begin(self, rig: _CameraRig) -> None:
        move = self.move
        self.amount = self.targets.length(move.distance, rig.position, move.target)
        if isinstance(move, cm.Pedestal):
            direction = UP
        elif isinstance(move, cm.Truck):
            direction = rig.upright()[:, 0]
        elif move.target is None:
            direction = -rig.upright()[:, 2]
        else:
            direction = unit(self.targets.place(move.target) - rig.position, "the camera stands on its target already")
        self.on_carriage = rig.carriage.T @ direction

    def advance(self, rig: _CameraRig, a: float, b: float) -> None:
        """Travel along it; up and down stay the world's."""
        direction = UP if isinstance(self.move, cm.Pedestal) else rig.carriage @ self.on_carriage
        rig.position = rig.position + direction * (self.amount * (b - a))


class _DollyZoomAnimator(_CameraAnimator[cm.DollyZoom]):
    """A dolly along the view whose zoom undoes the change of the target's depth."""

    def begin(self, rig: _CameraRig) -> None:
        self.goal = self.targets.place(self.move.target)
        forward = -rig.upright()[:, 2]
        depth = float((self.goal - rig.position) @ forward)
        if depth <= 0:
            raise BadValueError("the target of the dolly-zoom is behind the camera")
        self.amount = self.move.distance.in_scene(self.targets.scene.unit, depth)
        if self.amount >= depth * (1 - 1e-6):
            raise BadValueError(
                f"the dolly-zoom travels {self.amount:.3g} units but its target is only {depth:.3g} units deep; "
                "stop before it, for example at '50%'"
            )
        self.on_carriage = rig.carriage.T @ forward

    def advance(self, rig: _CameraRig, a: float, b: float) -> None:
        forward = -rig.upright()[:, 2]
        before = float((self.goal - rig.position) @ forward)
        rig.position = rig.position + rig.carriage @ self.on_carriage * (self.amount * (b - a))
        after = float((self.goal - rig.position) @ forward)
        if min(before, after) <= 0:
            raise BadValueError("during the dolly-zoom the camera passes its target; shorten the other moves")
        rig.zoom *= after / before


class _ZoomAnimator(_CameraAnimator[cm.Zoom]):
    """Geometric change of the focal length, so that equal times multiply it by equal factors."""

    def begin(self, rig: _CameraRig) -> None:
        end, intrinsics = self.move.end, self.targets.scene.camera.intrinsics
        current = intrinsics.fx * rig.zoom * rig.base_zoom[rig.step_index]
        if end.unit == "x":
            self.factor = end.value
        elif end.unit == "mm":
            self.factor = end.value / 36.0 * intrinsics.width / current
        else:
            self.factor = intrinsics.width / (2 * math.tan(math.radians(end.value) / 2)) / current

    def advance(self, rig: _CameraRig, a: float, b: float) -> None:
        rig.zoom *= self.factor ** (b - a)


class _OrbitAnimator(_CameraAnimator[cm.Orbit | cm.Spiral | cm.Crane]):
    """Turn the whole carriage about a target, so that the target stays where it is in the picture."""

    def begin(self, rig: _CameraRig) -> None:
        move = self.move
        self.pivot = self.targets.place(move.target)
        unit(self.pivot - rig.position, "the camera stands on the point it should circle around")
        self.azimuth = math.radians(0.0 if isinstance(move, cm.Crane) else move.angle)
        self.elevation = math.radians(move.elevation) if isinstance(move, cm.Orbit) else 0.0
        self.radius = move.radius if isinstance(move, cm.Spiral) else 1.0
        self.height = 0.0
        if not isinstance(move, cm.Orbit):
            self.height = self.targets.length(move.height, rig.position, move.target)

    def advance(self, rig: _CameraRig, a: float, b: float) -> None:
        part = b - a
        turn = about_y(self.azimuth * part)
        offset = turn @ (rig.position - self.pivot)
        flat = math.hypot(offset[0], offset[2])
        if flat < 1e-9:
            if self.elevation or self.height or self.radius != 1:
                raise BadValueError("the camera stands straight above or below its target; it can only turn there")
            rig.carriage, rig.position = turn @ rig.carriage, self.pivot + offset
            return
        outward = np.array([offset[0], 0.0, offset[2]]) / flat
        angle = math.atan2(offset[1], flat)
        if self.elevation:
            distance, raised = math.hypot(flat, offset[1]), angle + self.elevation * part
            if abs(raised) > _POLE:
                raise BadValueError(
                    f"an elevation of {math.degrees(self.elevation):.3g} deg carries the camera over its target's "
                    f"{'top' if raised > 0 else 'bottom'}; it stands at {math.degrees(angle):.1f} deg already"
                )
            flat, height = distance * math.cos(raised), distance * math.sin(raised)
        else:
            height = offset[1] + self.height * part
            flat *= self.radius**part
            raised = math.atan2(height, flat)
        rig.carriage = turn @ rig.carriage
        if raised != angle:
            rig.carriage = about_axis(np.cross(outward, UP), raised - angle) @ rig.carriage
        rig.position = self.pivot + outward * flat + UP * height


class _AimAnimator(_CameraAnimator[cm.LookAt | cm.TrackTarget]):
    """Correct pan and tilt so that a target appears in a wanted direction of the picture."""

    def begin(self, rig: _CameraRig) -> None:
        self.goals = self.targets.followed(self.move.target)
        self.last_turn = 0.0
        self.wanted = np.array([0.0, 0.0, -1.0])
        if isinstance(self.move, cm.TrackTarget):
            earlier = rig.aims[: rig.aims.index(self)]
            direction = unit(self.goal(rig.time) - rig.position, "the camera stands on the target it should track")
            self.wanted = rig.upright(earlier).T @ direction

    def goal(self, time: float) -> Float:
        """`(3,)` where the target is at frame number `time`; a track that has ended looks on at the same place."""
        time = min(time, self.timing.end) if isinstance(self.move, cm.TrackTarget) else time
        low = int(time)
        high = min(low + 1, len(self.goals) - 1)
        return self.goals[low] + (self.goals[high] - self.goals[low]) * (time - low)

    def correct(self, rig: _CameraRig, level: Float, turn: float, lift: float) -> tuple[float, float]:
        """Turn about the world's vertical and lift about the camera's right axis, with this aim's share added."""
        share = 1.0 if isinstance(self.move, cm.TrackTarget) else self.timing.progress(rig.time)
        with located(self.move.where):
            toward = unit(self.goal(rig.time) - rig.position, "the camera passes through the target it looks at")
        tilt = rig.tilt + lift
        x, y, z = self.wanted
        row = level[1]
        along, across = row[1] * y + row[2] * z, row[2] * y - row[1] * z
        reach = max(math.hypot(along, across), 1e-12)
        middle_angle = math.atan2(across, along)
        half = math.acos(min(max((toward[1] - row[0] * x) / reach, -1.0), 1.0))
        angle = min((_wrap(middle_angle + sign * half - tilt) for sign in (1, -1)), key=abs)
        seen = level @ about_x(tilt + angle) @ self.wanted
        heading = math.atan2(toward[0], toward[2]) - math.atan2(seen[0], seen[2]) - turn
        heading = self.last_turn + _wrap(heading - self.last_turn)
        self.last_turn = heading
        return turn + share * heading, lift + share * angle


def _wrap(angle: float) -> float:
    return (angle + math.pi) % (2 * math.pi) - math.pi


class _CameraShake:
    """Sums of sines with random phases: smooth, band-limited, the same for the same seed at any frame rate."""

    WAVES = 6
    SETTLE_SECONDS = 0.5

    def __init__(self, move: cm.Handheld, targets: MoveTargets) -> None:
        self.move, self.targets = move, targets
        with located(move.where):
            self.start, self.end = move.span.in_frames(targets.scene.frames, targets.scene.fps)
            try:
                shift = targets.length(move.shift, targets.photo_camera[:3, 3])
            except BadValueError:
                if move.shift.unit != "%":
                    raise
                shift = 0.0  # a share of the distance to nothing is no sway
        random = np.random.default_rng([targets.seed if move.seed is None else move.seed, 0x5A4E])
        shape = (6, self.WAVES)
        self.frequencies = move.frequency * random.uniform(0.15, 1.0, shape)
        self.phases = random.uniform(0, 2 * np.pi, shape)
        weights = random.uniform(0.5, 1.0, shape) / self.frequencies
        self.weights = weights / np.sqrt(np.sum(weights**2, axis=1, keepdims=True) / 2)
        swing = math.radians(move.rotation)
        self.amplitudes = move.amount * np.array([swing, swing, swing / 2, shift, shift, shift])

    def offset(self, frame: int) -> Float:
        """`(4, 4)` camera-from-shaken-camera transform: identity at the ends of the span and outside it."""
        scene = self.targets.scene
        end = math.inf if self.end >= scene.frames - 1 else self.end
        edge = min(frame - self.start, end - frame) / scene.fps
        if edge <= 0:
            return np.eye(4)
        envelope = float(ease(edge / self.SETTLE_SECONDS, "ease"))
        waves = np.sin(2 * np.pi * self.frequencies * (frame / scene.fps) + self.phases)
        pitch, yaw, roll, x, y, z = self.amplitudes * envelope * np.sum(self.weights * waves, axis=1)
        pose = np.eye(4)
        pose[:3, :3] = about_y(yaw) @ about_x(pitch) @ about_z(roll)
        pose[:3, 3] = x, y, z
        return pose


_ANIMATORS: dict[type[cm.CameraMove], type[_CameraAnimator]] = {  # type: ignore[type-arg]
    cm.Pan: _HeadAnimator, cm.Tilt: _HeadAnimator, cm.CameraRoll: _HeadAnimator,
    cm.Zoom: _ZoomAnimator, cm.DollyZoom: _DollyZoomAnimator,
    cm.Dolly: _TravelAnimator, cm.Truck: _TravelAnimator, cm.Pedestal: _TravelAnimator,
    cm.Orbit: _OrbitAnimator, cm.Spiral: _OrbitAnimator, cm.Crane: _OrbitAnimator,
}  # fmt: skip
