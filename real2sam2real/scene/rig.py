"""Perform camera moves: from moves and a scene to the camera's pose and zoom at every frame.

The camera is a head on a carriage. Orbit, spiral, crane, dolly, truck and pedestal drive the carriage; pan, tilt and
roll turn the head; look-at and track correct pan and tilt after both; handheld shakes the result. All moves run side
by side in small time steps, each adding its own share, so that moves which overlap compose and their order in the
shot does not matter. Directions of travel are fixed to the carriage when a move starts: a dolly's track is straight,
and becomes a spiral when the carriage orbits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Generic, TypeVar

import numpy as np

from real2sam2real.errors import UserError
from real2sam2real.geometry import quaternions, transforms
from real2sam2real.geometry.quaternions import Float
from real2sam2real.scene import moves as m
from real2sam2real.scene.camera_path import CameraPath
from real2sam2real.scene.easing import ease
from real2sam2real.scene.motion import Keyframe, Motion
from real2sam2real.scene.paths import load_camera_path
from real2sam2real.scene.scene import Entity, Scene
from real2sam2real.scene.settings import Target
from real2sam2real.scene.units import BadValueError, Length, located, nearest

STEPS = 8  # time steps per frame; single moves are exact at any number, overlapping ones converge with its square
MAX_ZOOM = 1e4
UP = np.array([0.0, 1.0, 0.0])
_POLE = math.radians(89.5)

MoveT = TypeVar("MoveT", bound=m.CameraMove)


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
    stage = Stage(scene, seed)
    rig = _Rig(stage, [driver for move in moves if (driver := _driver(move, stage)) is not None])
    return rig.run()


def middle(entity: Entity) -> Float:
    """`(3,)` middle of the bounds of an entity at rest, in the world."""
    return _bounds_at_rest(entity).mean(axis=0)


def _bounds_at_rest(entity: Entity) -> Float:
    points = transforms.apply(entity.rest_world_from_object, entity.mesh.vertices)
    return np.stack([points.min(axis=0), points.max(axis=0)])


@dataclass
class Stage:
    """What moves refer to: the scene, its targets and its scale."""

    scene: Scene
    seed: int = 0
    _middles: dict[str, Float] = field(default_factory=dict)

    @property
    def last(self) -> int:
        """The last frame's number."""
        return self.scene.frames - 1

    def entity(self, name: str) -> Entity:
        """The entity called `name`, or a `BadValueError` with the nearest one."""
        if name not in self.scene.names:
            hint = nearest(name, self.scene.names) or "; the scene has no entities"
            gone = " (it was removed)" if any(entity.name == name for entity in self.scene.removed) else ""
            raise BadValueError(f"no entity called '{name}'{gone}{hint}")
        return self.scene.entity(name)

    def focus(self) -> str:
        """The entity that looks largest from the photo's camera: what moves refer to when no target is given."""
        camera = np.asarray(self.scene.photo_world_from_camera, np.float64)
        best, best_size = "", 0.0
        for entity in self.scene.entities:
            low, high = _bounds_at_rest(entity)
            offset = (low + high) / 2 - camera[:3, 3]
            depth = -float(offset @ camera[:3, 2])
            size = float(np.linalg.norm(high - low)) / max(depth, 1e-9)
            if depth > 0 and size > best_size:
                best, best_size = entity.name, size
        if not best:
            raise BadValueError(
                "no entity stands in front of the camera to refer to; name a point, such as 'around (0, 0, -3)', "
                "or give distances in units"
            )
        return best

    def place(self, target: Target | None) -> Float:
        """`(3,)` world position of a target at rest; without one, of the scene's main entity."""
        if target is None:
            target = self.focus()
        if isinstance(target, str):
            if target not in self._middles:
                self._middles[target] = middle(self.entity(target))
            return self._middles[target]
        return np.array([self.length(part) for part in target])

    def followed(self, target: Target) -> Float:
        """`(T, 3)` world positions of a target as it moves: the middle of its bounds at rest, carried along."""
        if not isinstance(target, str):
            return np.broadcast_to(self.place(target), (self.scene.frames, 3))
        entity = self.entity(target)
        inverse = np.linalg.inv(entity.rest_world_from_object)
        middle_object = transforms.apply(inverse, self.place(target)[None])
        return transforms.apply(entity.motion.matrices(), middle_object[None])[:, 0]

    def length(self, length: Length, camera: Float | None = None, target: Target | None = None) -> float:
        """World units of a distance; percent are of the distance from `camera` `(3,)` to the target."""
        reference = 0.0
        if length.unit == "%":
            if camera is None:
                raise BadValueError(f"'{length}' has nothing to be a part of here; write units")
            reference = float(np.linalg.norm(self.place(target) - camera))
        return length.in_scene(self.scene.unit, reference)


class _Driver(Generic[MoveT]):
    """One move at work: `begin` when its span starts, `advance` at every step of progress."""

    def __init__(self, move: MoveT, stage: Stage) -> None:
        self.move, self.stage = move, stage
        with located(move.where):
            self.start, self.end = move.span.in_frames(stage.scene.frames, stage.scene.fps)
        self.begun = False

    def progress(self, time: float) -> float:
        if self.end <= self.start:
            return 0.0
        return float(ease((time - self.start) / (self.end - self.start), self.move.easing))

    def step(self, rig: _Rig, before: float, after: float) -> None:
        if after <= self.start:
            return
        with located(self.move.where):
            if not self.begun:
                self.begun = True
                self.begin(rig)
            a, b = self.progress(before), self.progress(after)
            if a != b:
                self.advance(rig, a, b)

    def begin(self, rig: _Rig) -> None: ...

    def advance(self, rig: _Rig, a: float, b: float) -> None: ...


class _Rig:
    """The camera at one moment: a carriage (position and rotation), a head, a lens."""

    def __init__(self, stage: Stage, drivers: Sequence[_Driver[m.CameraMove]]) -> None:
        self.stage = stage
        self.drivers = [d for d in drivers if not isinstance(d, (_Aim, _Handheld, _Base))]
        self.aims = [d for d in drivers if isinstance(d, _Aim)]
        self.shakes = [d for d in drivers if isinstance(d, _Handheld)]
        bases = [d for d in drivers if isinstance(d, _Base)]
        if len(bases) > 1:
            raise UserError(f"{bases[1].move.where}: a shot has one list of camera keyframes or one path; join them")
        count = stage.last * STEPS + 1
        photo = np.asarray(stage.scene.photo_world_from_camera, np.float64)
        self.base = bases[0].poses(count) if bases else np.broadcast_to(photo, (count, 4, 4))
        self.base_zoom = bases[0].zooms(count) if bases else np.ones(count)
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

    def upright(self, aims: Sequence[_Aim] | None = None) -> Float:
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


class _Head(_Driver[m.Pan | m.Tilt | m.Roll]):
    """Pan, tilt, roll: angles that add up."""

    def advance(self, rig: _Rig, a: float, b: float) -> None:
        name = self.move.kind
        setattr(rig, name, getattr(rig, name) + math.radians(self.move.angle) * (b - a))


class _Travel(_Driver[m.Dolly | m.Truck | m.Pedestal]):
    """A straight track, fixed to the carriage when the move starts."""

    def begin(self, rig: _Rig) -> None:
        move = self.move
        self.amount = self.stage.length(move.distance, rig.position, move.target)
        if isinstance(move, m.Pedestal):
            direction = UP
        elif isinstance(move, m.Truck):
            direction = rig.upright()[:, 0]
        elif move.target is None:
            direction = -rig.upright()[:, 2]
        else:
            direction = _unit(self.stage.place(move.target) - rig.position, "the camera stands on its target already")
        self.on_carriage = rig.carriage.T @ direction

    def advance(self, rig: _Rig, a: float, b: float) -> None:
        direction = UP if isinstance(self.move, m.Pedestal) else rig.carriage @ self.on_carriage
        rig.position = rig.position + direction * (self.amount * (b - a))


class _DollyZoom(_Driver[m.DollyZoom]):
    """A dolly along the view whose zoom undoes the change of the target's depth."""

    def begin(self, rig: _Rig) -> None:
        self.goal = self.stage.place(self.move.target)
        forward = -rig.upright()[:, 2]
        depth = float((self.goal - rig.position) @ forward)
        if depth <= 0:
            raise BadValueError("the target of the dolly-zoom is behind the camera")
        self.amount = self.move.distance.in_scene(self.stage.scene.unit, depth)
        if self.amount >= depth * (1 - 1e-6):
            raise BadValueError(
                f"the dolly-zoom travels {self.amount:.3g} units but its target is only {depth:.3g} units deep; "
                "stop before it, for example at '50%'"
            )
        self.on_carriage = rig.carriage.T @ forward

    def advance(self, rig: _Rig, a: float, b: float) -> None:
        forward = -rig.upright()[:, 2]
        before = float((self.goal - rig.position) @ forward)
        rig.position = rig.position + rig.carriage @ self.on_carriage * (self.amount * (b - a))
        after = float((self.goal - rig.position) @ forward)
        if min(before, after) <= 0:
            raise BadValueError("during the dolly-zoom the camera passes its target; shorten the other moves")
        rig.zoom *= after / before


class _Zoom(_Driver[m.Zoom]):
    """Geometric change of the focal length, so that equal times multiply it by equal factors."""

    def begin(self, rig: _Rig) -> None:
        lens, intrinsics = self.move.lens, self.stage.scene.camera.intrinsics
        current = intrinsics.fx * rig.zoom * rig.base_zoom[rig.step_index]
        if lens.unit == "x":
            self.factor = lens.value
        elif lens.unit == "mm":
            self.factor = lens.value / 36.0 * intrinsics.width / current
        else:
            self.factor = intrinsics.width / (2 * math.tan(math.radians(lens.value) / 2)) / current

    def advance(self, rig: _Rig, a: float, b: float) -> None:
        rig.zoom *= self.factor ** (b - a)


class _Around(_Driver[m.Orbit | m.Spiral | m.Crane]):
    """Turn the whole carriage about a target, so that the target stays where it is in the picture."""

    def begin(self, rig: _Rig) -> None:
        move = self.move
        self.pivot = self.stage.place(move.target)
        _unit(self.pivot - rig.position, "the camera stands on the point it should circle around")
        self.azimuth = math.radians(0.0 if isinstance(move, m.Crane) else move.angle)
        self.elevation = math.radians(move.elevation) if isinstance(move, m.Orbit) else 0.0
        self.radius = move.radius if isinstance(move, m.Spiral) else 1.0
        self.height = 0.0
        if not isinstance(move, m.Orbit):
            self.height = self.stage.length(move.height, rig.position, move.target)

    def advance(self, rig: _Rig, a: float, b: float) -> None:
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
        lift = quaternions.to_matrix(quaternions.from_axis_angle(np.cross(outward, UP), raised - angle))
        rig.carriage = lift @ turn @ rig.carriage
        rig.position = self.pivot + outward * flat + UP * height


class _Aim(_Driver[m.LookAt | m.Track]):
    """Correct pan and tilt so that a target appears in a wanted direction of the picture."""

    def begin(self, rig: _Rig) -> None:
        self.goals = self.stage.followed(self.move.target)
        self.last_turn = 0.0
        self.wanted = np.array([0.0, 0.0, -1.0])
        if isinstance(self.move, m.Track):
            earlier = rig.aims[: rig.aims.index(self)]
            direction = _unit(self.goal(rig.time) - rig.position, "the camera stands on the target it should track")
            self.wanted = rig.upright(earlier).T @ direction

    def goal(self, time: float) -> Float:
        time = min(time, self.end) if isinstance(self.move, m.Track) else time
        low = int(time)
        high = min(low + 1, len(self.goals) - 1)
        return self.goals[low] + (self.goals[high] - self.goals[low]) * (time - low)

    def correct(self, rig: _Rig, level: Float, turn: float, lift: float) -> tuple[float, float]:
        """Turn about the world's vertical and lift about the camera's right axis, with this aim's share added."""
        share = 1.0 if isinstance(self.move, m.Track) else self.progress(rig.time)
        with located(self.move.where):
            toward = _unit(self.goal(rig.time) - rig.position, "the camera passes through the target it looks at")
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


class _Handheld(_Driver[m.Handheld]):
    """Sums of sines with random phases: smooth, band-limited, the same for the same seed at any frame rate."""

    WAVES = 6
    SETTLE_SECONDS = 0.5

    def __init__(self, move: m.Handheld, stage: Stage) -> None:
        super().__init__(move, stage)
        random = np.random.default_rng([stage.seed if move.seed is None else move.seed, 0x5A4E])
        shape = (6, self.WAVES)
        self.frequencies = move.frequency * random.uniform(0.15, 1.0, shape)
        self.phases = random.uniform(0, 2 * np.pi, shape)
        weights = random.uniform(0.5, 1.0, shape) / self.frequencies
        self.weights = weights / np.sqrt(np.sum(weights**2, axis=1, keepdims=True) / 2)
        camera = np.asarray(stage.scene.photo_world_from_camera, np.float64)[:3, 3]
        with located(move.where):
            shift = self._shift(camera)
        swing = math.radians(move.rotation)
        self.amplitudes = move.amount * np.array([swing, swing, swing / 2, shift, shift, shift])

    def _shift(self, camera: Float) -> float:
        """Sway in world units; a share of the distance to nothing is no sway."""
        try:
            return self.stage.length(self.move.shift, camera)
        except BadValueError:
            if self.move.shift.unit == "%":
                return 0.0
            raise

    def offset(self, frame: int) -> Float:
        """`(4, 4)` camera-from-shaken-camera transform: identity at the ends of the span and outside it."""
        fps = self.stage.scene.fps
        seconds = frame / fps
        edge = min(frame - self.start, math.inf if self.end >= self.stage.last else self.end - frame) / fps
        if edge <= 0:
            return np.eye(4)
        envelope = float(ease(edge / self.SETTLE_SECONDS, "ease"))
        waves = np.sin(2 * np.pi * self.frequencies * seconds + self.phases)
        pitch, yaw, roll, x, y, z = self.amplitudes * envelope * np.sum(self.weights * waves, axis=1)
        pose = np.eye(4)
        pose[:3, :3] = about_y(yaw) @ about_x(pitch) @ about_z(roll)
        pose[:3, 3] = x, y, z
        return pose


class _Base(_Driver[m.Keyframes | m.ImportedPath]):
    """Poses that other moves add to."""

    def poses(self, count: int) -> Float:
        """`(count, 4, 4)` world_from_camera at every step."""
        raise NotImplementedError

    def zooms(self, count: int) -> Float:
        """`(count,)` factors on the focal length."""
        raise NotImplementedError


class _Keyframed(_Base):
    def __init__(self, move: m.Keyframes, stage: Stage) -> None:
        super().__init__(move, stage)
        self.photo = np.asarray(stage.scene.photo_world_from_camera, np.float64)
        self.keys = [self._key(key) for key in move.keys]
        self.starts_at_the_photo = min(key.frame for key in self.keys) > 0
        if self.starts_at_the_photo:
            rest = quaternions.from_matrix(self.photo[:3, :3])
            x, y, z = self.photo[:3, 3]
            self.keys.append(Keyframe(frame=0, translation=(x, y, z), rotation_wxyz=tuple(rest), easing=move.easing))

    def _key(self, key: m.CameraKeyframe) -> Keyframe:
        stage, photo = self.stage, self.photo
        with located(key.where or self.move.where):
            frame = key.time.frame(stage.scene.frames, stage.scene.fps)
            position = photo[:3, 3]
            if key.position is not None:
                position = stage.place(key.position)
            elif key.by is not None:
                right, up, ahead = (stage.length(part, photo[:3, 3]) for part in key.by)
                position = position + photo[:3, :3] @ np.array([right, up, -ahead])
            if key.look_at is None:
                rotation = about_y(-math.radians(key.pan)) @ photo[:3, :3] @ about_x(math.radians(key.tilt))
            else:
                goals = stage.followed(key.look_at)
                toward = goals[round(frame)]
                _unit(toward - position, "a keyframe stands on the point it looks at")
                rotation = transforms.look_at(position, toward)[:3, :3]
            rotation = rotation @ about_z(-math.radians(key.roll))
            x, y, z = position
            return Keyframe(
                frame=frame * STEPS, translation=(x, y, z), rotation_wxyz=tuple(quaternions.from_matrix(rotation)),
                scale=(key.zoom, key.zoom, key.zoom), easing=key.easing,
            )  # fmt: skip

    def _motion(self, count: int) -> Motion:
        with located(self.move.where):
            frames = sorted(key.frame for key in self.keys)
            if doubled := [a / STEPS for a, b in pairwise(frames) if b - a < 1e-9]:
                raise BadValueError(f"two keyframes stand on frame {doubled[0]:g}; remove one")
        return Motion.from_keyframes(self.keys, count)

    def poses(self, count: int) -> Float:
        motion = self._motion(count)
        poses = transforms.compose(motion.translation, motion.rotation_wxyz)
        if self.starts_at_the_photo:
            poses[0] = self.photo  # free of the rounding on the way through quaternions
        return poses

    def zooms(self, count: int) -> Float:
        return self._motion(count).scale[:, 0]


class _Imported(_Base):
    def __init__(self, move: m.ImportedPath, stage: Stage) -> None:
        super().__init__(move, stage)
        lens, count = stage.scene.camera.intrinsics, stage.last * STEPS + 1
        try:
            path = load_camera_path(move.file, intrinsics=lens, format=move.format, frames=count)
        except UserError as error:
            raise UserError(f"{move.where}: {error}") from error
        relative = path.world_from_camera.copy()
        relative[:, :3, 3] *= move.scale
        self._poses = np.asarray(stage.scene.photo_world_from_camera, np.float64) @ relative
        self._zooms = path.zoom / path.zoom[0]

    def poses(self, count: int) -> Float:
        return self._poses

    def zooms(self, count: int) -> Float:
        return self._zooms


_DRIVERS: dict[type[m.CameraMove], type[_Driver]] = {  # type: ignore[type-arg]
    m.Pan: _Head, m.Tilt: _Head, m.Roll: _Head, m.Zoom: _Zoom, m.DollyZoom: _DollyZoom,
    m.Dolly: _Travel, m.Truck: _Travel, m.Pedestal: _Travel,
    m.Orbit: _Around, m.Spiral: _Around, m.Crane: _Around,
    m.LookAt: _Aim, m.Track: _Aim, m.Handheld: _Handheld,
    m.Keyframes: _Keyframed, m.ImportedPath: _Imported,
}  # fmt: skip


def _driver(move: m.CameraMove, stage: Stage) -> _Driver[m.CameraMove] | None:
    return _DRIVERS[type(move)](move, stage) if type(move) in _DRIVERS else None


def _unit(vector: Float, complaint: str) -> Float:
    length = float(np.linalg.norm(vector))
    if length < 1e-9:
        raise BadValueError(complaint)
    return vector / length


def _wrap(angle: float) -> float:
    return (angle + math.pi) % (2 * math.pi) - math.pi


def about_x(angle: float) -> Float:
    """`(3, 3)` rotation by `angle` radians about +X."""
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[1.0, 0.0, 0.0], [0.0, c, -s], [0.0, s, c]])


def about_y(angle: float) -> Float:
    """`(3, 3)` rotation by `angle` radians about +Y."""
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])


def about_z(angle: float) -> Float:
    """`(3, 3)` rotation by `angle` radians about +Z."""
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
