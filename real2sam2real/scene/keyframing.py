"""Keyframes by the pose that they should lead to: the shot in which an entity or the camera is where it was put.

Other moves add to keyframes, so a key is not the pose itself. It is solved for: the shot is performed, the key is
changed by what is missing, and so on until nothing is (Broyden's method, which learns how the other moves answer).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import numpy as np

from real2sam2real.arrays import Float
from real2sam2real.geometry import quaternions, transforms
from real2sam2real.geometry.transforms import about_axis, about_x, about_y, about_z
from real2sam2real.scene import camera_moves as cm
from real2sam2real.scene import entity_moves as em
from real2sam2real.scene.entity_animation import front_object, keyframe_in_scene, right_of
from real2sam2real.scene.kept_motions import KeptMotions
from real2sam2real.scene.move_syntax import WrittenKeyframe
from real2sam2real.scene.scene import Scene
from real2sam2real.scene.shot import Shot
from real2sam2real.scene.targets import UP, MoveTargets, entity_called
from real2sam2real.scene.timing import Easing
from real2sam2real.scene.units import MAX_FACTOR, BadValueError, Length, Point, Time, located

_ENOUGH = 1e-8  # shares of the distance, radians, log factors: what is left is rounding
_TOLERANCE = 1e-4  # likewise, of a key with rounded numbers: what is farther off was not reached
_TRIES, _HALVINGS, _NUDGE = 10, 4, 1e-5
_LARGEST_STEP = 3.2  # half a turn
_SHEAR = 1e-4  # of a pose, that is taken for rounding
_DEGREE_DIGITS, _DIGITS = 5, 7  # of what is written

KeyT = TypeVar("KeyT", bound=WrittenKeyframe)


def with_entity_key(
    shot: Shot, scene: Scene, name: str, frame: int, pose: Float, kept: KeptMotions | None = None
) -> Shot:
    """The shot in which an entity has a pose at a frame, by a keyframe that is changed or added there.

    Args:
        shot: what happens so far.
        scene: at rest.
        name: of the entity, which may be a copy that the shot makes.
        frame: 0 to the shot's last.
        pose: `(4, 4)` world from object.
        kept: see `Shot.apply`.

    Raises:
        UserError: the pose is sheared, mirrored or flat, or no keyframe leads to it while other moves go on.
    """
    kept = KeptMotions() if kept is None else kept
    directed = shot.apply(scene, kept)
    with located(""):
        entity_called(directed, name)
        solver = _EntityKey(shot, scene, directed, name, frame, kept)
        solver.wanted = solver.own(_pose_of(pose, f"'{name}'"))
        result = solver.shot_with(solver.solved())
        found = result.apply(scene, kept).entity(name).motion.matrices()[frame]
        _require_reached(found, pose, solver.distance, f"'{name}'", frame, solver.others())
    return result


def with_camera_key(
    shot: Shot, scene: Scene, frame: int, pose: Float, zoom: float | None = None, kept: KeptMotions | None = None
) -> Shot:
    """The shot in which the camera has a pose, and a zoom, at a frame, by a keyframe that is changed or added there.

    Args:
        shot: what happens so far.
        scene: at rest.
        frame: 0 to the shot's last.
        pose: `(4, 4)` world from camera, a rotation and a position.
        zoom: focal length over the photo's; what it is now if None.
        kept: see `Shot.apply`.

    Raises:
        UserError: the pose is no camera's, or no keyframe leads to it while other moves go on.
    """
    kept = KeptMotions() if kept is None else kept
    directed = shot.apply(scene, kept)
    with located(""):
        solver = _CameraKey(shot, scene, directed, frame, kept)
        zoom = float(directed.camera.zoom[frame]) if zoom is None else zoom
        wanted = _pose_of(pose, "the camera")
        if np.abs(wanted.factors - 1).max() > _SHEAR:
            raise BadValueError("a camera's pose has no scale; give a rotation and a position")
        solver.wanted = replace(wanted, factors=np.full(3, _in_range(zoom, "the camera's zoom")))
        result = solver.shot_with(solver.solved())
        path = result.apply(scene, kept).camera
        _require_reached(path.world_from_camera[frame], pose, solver.distance, "the camera", frame, solver.others())
        if abs(math.log(path.zoom[frame] / zoom)) > _TOLERANCE:
            raise BadValueError(f"no keyframe leads to a zoom of {zoom:g}x at frame {frame} while others change it")
    return result


@dataclass(frozen=True, eq=False)
class _PoseParts:
    """A pose in parts; of a key, what it says."""

    position: Float  # `(3,)`
    rotation: Float  # `(3, 3)`
    factors: Float  # `(3,)` scales of an entity, or the camera's zoom three times

    def moved(self, step: Float, distance: float) -> _PoseParts:
        """Changed by `(9,)`: shares of a distance, radians about the axes, log factors."""
        angle = float(np.linalg.norm(step[3:6]))
        turn = about_axis(step[3:6], angle) if angle > 1e-12 else np.eye(3)
        return _PoseParts(self.position + step[:3] * distance, turn @ self.rotation, self.factors * np.exp(step[6:]))

    def missing(self, wanted: _PoseParts, distance: float) -> Float:
        """`(9,)` what `moved` needs to lead from here to `wanted`."""
        turn = quaternions.from_matrix(wanted.rotation @ self.rotation.T)
        sine = float(np.linalg.norm(turn[1:]))
        rotation = turn[1:] * (2 * math.atan2(sine, turn[0]) / sine) if sine > 1e-15 else np.zeros(3)
        place = (wanted.position - self.position) / distance
        return np.concatenate([place, rotation, np.log(wanted.factors / self.factors)])


class _Key(ABC, Generic[KeyT]):
    """One key that is solved for, among the others of its list.

    Args:
        keys: that there are.
        frame: at which it stands.
        scene: whose length counts.
    """

    wanted: _PoseParts  # what is performed at the frame
    start: _PoseParts  # what the key says to begin with

    def __init__(self, keys: Sequence[KeyT], frame: int, scene: Scene) -> None:
        if not 0 <= frame < scene.frames:
            raise BadValueError(f"frame {frame} is outside the shot's frames 0…{scene.frames - 1}")
        self.keys, self.frame = keys, frame
        self.frames = [key.time.frame(scene.frames, scene.fps) for key in keys]
        near = [k for k, at in enumerate(self.frames) if abs(at - frame) < 0.5]
        self.at = min(near, key=lambda k: abs(self.frames[k] - frame), default=None)
        self.old = None if self.at is None else keys[self.at]
        camera = np.asarray(scene.photo_world_from_camera)[:3, 3]
        middles = [entity.rest_world_from_object[:3, 3] for entity in scene.entities]
        self.distance = max(min((float(np.linalg.norm(m - camera)) for m in middles), default=1.0), 1e-6)

    @abstractmethod
    def performed(self, said: _PoseParts) -> _PoseParts:
        """What happens at the frame if the key says this."""

    @abstractmethod
    def key_of(self, said: _PoseParts) -> KeyT:
        """The key that says this."""

    @abstractmethod
    def shot_with(self, key: KeyT) -> Shot:
        """The shot with a key in the old one's place, or as a further one."""

    def time(self) -> Time:
        """When the key is: as it says, if that is the frame."""
        if self.old is not None and self.at is not None and abs(self.frames[self.at] - self.frame) < 1e-6:
            return self.old.time
        return Time(float(self.frame))

    def easing(self) -> Easing:
        """The old key's, or of the way that a new one parts."""
        if self.old is not None:
            found: Easing = self.old.easing  # type: ignore[attr-defined]
            return found
        before = [k for k, at in enumerate(self.frames) if at < self.frame]
        if not before:
            return "ease"
        last: Easing = self.keys[max(before, key=lambda k: self.frames[k])].easing  # type: ignore[attr-defined]
        return last

    def place(self, position: Float, offset: Float, *, rounded: bool) -> tuple[Point | None, Point | None]:
        """Its position in the world or its offset, as the old key has it."""
        if not rounded:
            return None, _point(offset, 0.0)
        if self.old is not None and self.old.position is not None:
            return _point(position, self.distance), None
        return None, _point(offset, self.distance)

    def list_with(self, key: KeyT) -> tuple[KeyT, ...]:
        """All keys, with this one."""
        if self.at is not None:
            return (*self.keys[: self.at], key, *self.keys[self.at + 1 :])
        after = sum(at < self.frame for at in self.frames)
        return (*self.keys[:after], key, *self.keys[after:])

    def solved(self) -> KeyT:
        """The key that leads to what is wanted, or as near as can be."""
        said, missing = self.start, self._missing(self.start)
        slope = -np.eye(9)  # how what is missing answers to a step: as if the key were alone, until it is measured
        for _ in range(_TRIES):
            if np.abs(missing).max() < _ENOUGH:
                break
            step = np.linalg.lstsq(slope, -missing, rcond=1e-6)[0].astype(np.float64)
            step *= min(1.0, _LARGEST_STEP / float(np.abs(step).max()))
            for _ in range(_HALVINGS):
                tried = said.moved(step, self.distance)
                left = self._missing(tried)
                if np.linalg.norm(left) < np.linalg.norm(missing):
                    break
                step = step / 2
            slow = np.linalg.norm(left) > 0.5 * np.linalg.norm(missing)
            slope = slope + np.outer(left - missing - slope @ step, step) / float(step @ step)  # Broyden's
            said, missing = tried, left
            if slow and np.abs(missing).max() > _ENOUGH:
                slope = self._measured(said, missing)
        return self.key_of(said)

    def _missing(self, said: _PoseParts) -> Float:
        return self.performed(said).missing(self.wanted, self.distance)

    def _measured(self, said: _PoseParts, missing: Float) -> Float:
        """`(9, 9)` how what is missing answers to small steps."""
        steps = np.eye(9) * _NUDGE
        return np.stack([(self._missing(said.moved(step, self.distance)) - missing) / _NUDGE for step in steps], axis=1)


class _EntityKey(_Key[em.EntityKeyframe]):
    """A key of an entity."""

    def __init__(self, shot: Shot, scene: Scene, directed: Scene, name: str, frame: int, kept: KeptMotions) -> None:
        self.shot, self.name, self.kept = shot, name, kept
        self.scene = shot.staged(scene)[0]
        self.directed = directed
        self.entity = self.scene.entity(name)
        self.moves = shot.entities.get(name, ())
        super().__init__(next((m.keys for m in self.moves if isinstance(m, em.EntityKeyframes)), ()), frame, self.scene)
        self.front = front_object(self.moves, self.entity, self.scene)
        self.rest = _pose_of(self.entity.rest_world_from_object, f"'{name}'")
        self.start = self.rest
        if self.old is not None:
            key = keyframe_in_scene(self.old, self.entity, self.scene, self.front)
            rotation = self.rest.rotation @ quaternions.to_matrix(key.rotation_wxyz)
            self.start = _PoseParts(
                self.rest.position + np.array(key.translation), rotation, self.rest.factors * np.array(key.scale)
            )

    def own(self, pose: _PoseParts) -> _PoseParts:
        """The pose without what the entity's carrier adds to it."""
        carrier = self.scene.carrier_of(self.name)
        if carrier is None:
            return pose
        moved_by = self.directed.entity(carrier.name).motion.matrices()[self.frame] @ np.linalg.inv(
            carrier.rest_world_from_object
        )
        matrix = np.eye(4)
        matrix[:3, :3], matrix[:3, 3] = pose.rotation * pose.factors, pose.position
        return _pose_of(np.linalg.inv(moved_by) @ matrix, f"'{self.name}' on '{carrier.name}'")

    def performed(self, said: _PoseParts) -> _PoseParts:
        """What happens at the frame if the key says this."""
        key = self.key_of(said, rounded=False)
        motion = self.kept.of_entity(self._moves_with(key), self.entity, self.scene)
        rotation = quaternions.to_matrix(motion.rotation_wxyz[self.frame])
        return _PoseParts(motion.translation[self.frame], rotation, motion.scale[self.frame])

    def key_of(self, said: _PoseParts, *, rounded: bool = True) -> em.EntityKeyframe:
        """The key that says this."""
        turn, pitch, roll = _entity_angles(self.rest.rotation.T @ said.rotation, self.front)
        scales = [_in_range(value, f"the scale of '{self.name}'") for value in said.factors / self.rest.factors]
        x, y, z = map(_written, scales) if rounded else scales
        position, by = self.place(said.position, said.position - self.rest.position, rounded=rounded)
        return em.EntityKeyframe(
            time=self.time(), easing=self.easing(), turn=_angle(turn, rounded), pitch=_angle(pitch, rounded),
            roll=_angle(roll, rounded), scale=em.Factors(x, y, z), position=position, by=by,
        )  # fmt: skip

    def _moves_with(self, key: em.EntityKeyframe) -> tuple[em.EntityMove, ...]:
        keys = self.list_with(key)
        if not any(isinstance(move, em.EntityKeyframes) for move in self.moves):
            return (*self.moves, em.EntityKeyframes(keys=keys))
        return tuple(replace(m, keys=keys) if isinstance(m, em.EntityKeyframes) else m for m in self.moves)

    def shot_with(self, key: em.EntityKeyframe) -> Shot:
        """The shot with a key in the old one's place, or as a further one."""
        return replace(self.shot, entities={**self.shot.entities, self.name: self._moves_with(key)})

    def others(self) -> list[str]:
        """What else moves it."""
        carrier = self.scene.carrier_of(self.name)
        moving = [m.kind for m in self.moves if isinstance(m, em.TimedEntityMove)]
        return [*moving, *([] if carrier is None else [f"those of '{carrier.name}', which carries it"])]


class _CameraKey(_Key[cm.CameraKeyframe]):
    """A key of the camera."""

    def __init__(self, shot: Shot, scene: Scene, directed: Scene, frame: int, kept: KeptMotions) -> None:
        self.shot, self.scene, self.kept = shot, directed, kept
        self.moves = shot.camera or ()
        if path := next((move for move in self.moves if isinstance(move, cm.ImportedPath)), None):
            raise BadValueError(
                f"the camera follows the path '{path.file}', and a shot has one path or one list of keyframes; take "
                "the path out first"
            )
        super().__init__(next((m.keys for m in self.moves if isinstance(m, cm.CameraKeyframes)), ()), frame, directed)
        photo = MoveTargets(directed).photo_camera
        self.photo = _PoseParts(photo[:3, 3], photo[:3, :3], np.ones(3))
        self.start = self.photo

    def performed(self, said: _PoseParts) -> _PoseParts:
        """What happens at the frame if the key says this."""
        moves = self._moves_with(self.key_of(said, rounded=False))
        path = self.kept.of_camera(moves, self.scene, seed=self.shot.seed)
        found = path.world_from_camera[self.frame]
        return _PoseParts(found[:3, 3], found[:3, :3], np.full(3, path.zoom[self.frame]))

    def key_of(self, said: _PoseParts, *, rounded: bool = True) -> cm.CameraKeyframe:
        """The key that says this."""
        pan, tilt, roll = _camera_angles(said.rotation, self.photo.rotation)
        right, up, back = self.photo.rotation.T @ (said.position - self.photo.position)
        position, by = self.place(said.position, np.array([right, up, -back]), rounded=rounded)
        zoom = _in_range(float(said.factors[0]), "the camera's zoom")
        return cm.CameraKeyframe(
            time=self.time(), easing=self.easing(), pan=_angle(pan, rounded), tilt=_angle(tilt, rounded),
            roll=_angle(roll, rounded), zoom=_written(zoom) if rounded else zoom,
            position=position, by=by,
        )  # fmt: skip

    def _moves_with(self, key: cm.CameraKeyframe) -> tuple[cm.CameraMove, ...]:
        keys = self.list_with(key)
        if not any(isinstance(move, cm.CameraKeyframes) for move in self.moves):
            return (*self.moves, cm.CameraKeyframes(keys=keys))
        return tuple(replace(m, keys=keys) if isinstance(m, cm.CameraKeyframes) else m for m in self.moves)

    def shot_with(self, key: cm.CameraKeyframe) -> Shot:
        """The shot with a key in the old one's place, or as a further one."""
        return replace(self.shot, camera=self._moves_with(key))

    def others(self) -> list[str]:
        """What else moves it."""
        return [move.kind for move in self.moves if not isinstance(move, cm.CameraKeyframes | cm.Static)]


def _pose_of(matrix: Float, what: str) -> _PoseParts:
    """A pose in parts.

    Raises:
        BadValueError: a shot cannot say it.
    """
    matrix = np.asarray(matrix, np.float64)
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all() or np.abs(matrix[3] - [0, 0, 0, 1]).max() > 1e-6:
        raise BadValueError(f"the pose of {what} is no 4×4 matrix that moves, turns and scales")
    try:
        position, rotation, factors = transforms.decompose(matrix)
    except ValueError:
        raise BadValueError(f"the pose of {what} is flat; a scale is more than 0") from None
    if factors.min() < 0:
        raise BadValueError(f"the pose of {what} is mirrored, which a shot cannot say; turn it instead")
    turn = quaternions.to_matrix(rotation)
    if np.abs(matrix[:3, :3] / factors - turn).max() > _SHEAR:
        raise BadValueError(
            f"the pose of {what} is sheared, which a shot cannot say; scale it along its own axes alone"
        )
    return _PoseParts(position, turn, factors)


def _require_reached(
    found: Float, wanted: Float, distance: float, what: str, frame: int, others: Sequence[str]
) -> None:
    """Raise a `BadValueError` where a key does not lead to the pose."""
    wanted = np.asarray(wanted, np.float64)
    off = np.abs(found[:3, :3] - wanted[:3, :3]).max() / np.linalg.norm(wanted[:3, :3], axis=0).max()
    far = float(np.linalg.norm(found[:3, 3] - wanted[:3, 3])) / distance
    if max(off, far) > _TOLERANCE * 10:
        told = f" while its other moves go on ({', '.join(others)}); shorten or remove them" if others else ""
        raise BadValueError(f"no keyframe leads {what} to that pose at frame {frame}{told or '; choose another'}")


def _angles_yxz(matrix: Float) -> tuple[float, float, float]:
    """Radians a, b, c with `matrix` `(3, 3)` = about_y(a) about_x(b) about_z(c)."""
    b = math.atan2(-matrix[1, 2], math.hypot(matrix[1, 0], matrix[1, 1]))
    if math.hypot(matrix[1, 0], matrix[1, 1]) < 1e-9:  # straight up or down: a turn about one axis does for both
        return math.atan2(-matrix[2, 0], matrix[0, 0]), b, 0.0
    return math.atan2(matrix[0, 2], matrix[2, 2]), b, math.atan2(matrix[1, 0], matrix[1, 1])


def _entity_angles(local: Float, front: Float) -> tuple[float, float, float]:
    """Degrees of turn, pitch and roll that make a rotation `(3, 3)` in the object frame; see `EntityKeyframe`.

    Pitch is about the right of the front, roll about the front, which need not be level: seen from axes right, up and
    back, the angle that it is raised by belongs to the pitch.
    """
    right = right_of(front)
    axes = np.stack([right, UP, np.cross(right, UP)], axis=1)
    raised = math.atan2(float(front @ UP), float(-front @ axes[:, 2]))
    turn, pitch, roll = _angles_yxz(axes.T @ local @ axes @ about_x(raised))
    return -math.degrees(turn), math.degrees(pitch - raised), -math.degrees(roll)


def _camera_angles(rotation: Float, photo: Float) -> tuple[float, float, float]:
    """Degrees of pan, tilt and roll that make a rotation `(3, 3)` of the photo camera's; see `CameraKeyframe`.

    Found at once where the photo is level, and by Newton's method from there where it is not.
    """
    a, b, c = _angles_yxz(photo)
    x, y, z = _angles_yxz(rotation)
    angles = np.array([a - x, y - b, c - z])
    for _ in range(_TRIES):
        made = _panned(photo, angles)
        turn = quaternions.from_matrix(rotation @ made.T)
        left = 2 * turn[1:]
        if np.abs(left).max() < 1e-12:
            break
        columns = []
        for k in range(3):
            nudged = angles.copy()
            nudged[k] += 1e-6
            columns.append(2 * quaternions.from_matrix(_panned(photo, nudged) @ made.T)[1:] / 1e-6)
        angles = angles + np.linalg.lstsq(np.array(columns).T, left, rcond=1e-9)[0]
    pan, tilt, roll = (math.degrees(math.remainder(angle, 2 * math.pi)) for angle in angles)
    return pan, tilt, roll


def _panned(photo: Float, angles: Float) -> Float:
    return about_y(-angles[0]) @ photo @ about_x(angles[1]) @ about_z(-angles[2])


def _point(values: Float, distance: float) -> Point:
    """A point, rounded as is enough for what is seen from a distance; to the letter where that is 0."""
    near = 1e-7 * distance
    x, y, z = (Length(float(v) if not distance else 0.0 if abs(v) < near else _written(float(v))) for v in values)
    return x, y, z


def _written(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}") + 0.0


def _angle(degrees: float, rounded: bool) -> float:
    return round(degrees, _DEGREE_DIGITS) + 0.0 if rounded else degrees


def _in_range(factor: float, what: str) -> float:
    if not (math.isfinite(factor) and 1 / MAX_FACTOR <= factor <= MAX_FACTOR):
        raise BadValueError(f"{what} would be {factor:.3g}x, which is outside {1 / MAX_FACTOR:g}x…{MAX_FACTOR:g}x")
    return float(factor)
