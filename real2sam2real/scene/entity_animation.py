"""Animate an entity: from its moves and its pose in the photo to its pose at every frame.

All moves run side by side in small time steps, each adding its own share to the pose, so that moves which overlap
compose: a car that goes forward while it turns drives a curve. Rotations are about the entity's own axes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Generic, Literal, TypeVar

import numpy as np

from real2sam2real.arrays import Float, Float32
from real2sam2real.errors import UserError
from real2sam2real.geometry import quaternions, transforms
from real2sam2real.geometry.transforms import about_axis, about_y
from real2sam2real.scene import entity_moves as em
from real2sam2real.scene.motion import Keyframe, Motion, through_keyframes
from real2sam2real.scene.scene import Entity, Scene
from real2sam2real.scene.targets import UP, bounds_at_rest
from real2sam2real.scene.timing import Timing
from real2sam2real.scene.units import BadValueError, Length, Point, Span, located, nearest

STEPS = 8  # time steps per frame; single moves are exact at any number, driven curves converge with its square
MAX_SCALE = 1e6

MoveT = TypeVar("MoveT", bound=em.EntityMove)
Axes = Literal["entity", "camera", "world"] | None


def animate_entity(moves: Sequence[em.EntityMove], entity: Entity, scene: Scene) -> Motion:
    """Perform `moves` of `entity`, in any order, from its pose in the photo on, except those that remove or copy it.

    The motion has `scene.frames` frames and keeps the entity's deformation and visibility.

    Raises:
        UserError: a span outside the shot, metres in a scene of unknown scale, doubled keyframes or facings.
    """
    motion = entity.motion
    if poses(moves):
        motion = _EntityPose(moves, entity, scene).run()
        grown = np.abs(motion.scale)
        if grown.max() > MAX_SCALE or grown.min() < 1 / MAX_SCALE:
            raise UserError(
                f"the moves of '{entity.name}' scale it by {grown.min():.3g} to {grown.max():.3g} in all; too much"
            )
    for move in moves:
        if isinstance(move, em.Hide):
            with located(move.where):
                motion = motion.hidden(*_hidden_frames(move, scene))
    bends = [move for move in moves if isinstance(move, em.Bend)]
    deformed = posed_by_bends(bends, entity, scene) if bends else entity.motion.vertices_object
    return replace(motion, visible=motion.visible & entity.motion.visible, vertices_object=deformed)


def poses(moves: Sequence[em.EntityMove]) -> bool:
    """Whether some of the moves say where an entity is, in place of a motion that the scene has of it."""
    return any(isinstance(move, (em.TimedEntityMove, em.EntityKeyframes)) for move in moves)


def posed_by_bends(bends: Sequence[em.Bend], entity: Entity, scene: Scene) -> Float32:
    """`(T, V, 3)` vertices in the object frame: the mesh as its skin has it while joints turn, in the order written.

    Raises:
        UserError: the entity has no skin, or no such joint.
    """
    skin = entity.skin
    rotations = np.tile(np.eye(3), (scene.frames, 0 if skin is None else len(skin.bones), 1, 1))
    for move in bends:
        with located(move.where):
            if skin is None:
                raise BadValueError(
                    f"'{entity.name}' has no joints that could bend; persons have, where the lifter 'people' lifts them"
                )
            if move.turn.joint not in skin.bones:
                hint = nearest(move.turn.joint, skin.bones)
                raise BadValueError(f"there is no joint '{move.turn.joint}'{hint}; there are {', '.join(skin.bones)}")
            bone = skin.bones.index(move.turn.joint)
            timing = Timing(*move.span.in_frames(scene.frames, scene.fps), move.easing)
        axis = skin.axes[bone, em.BENDINGS.index(move.going)]
        for frame in range(scene.frames):
            angle = math.radians(move.turn.angle) * timing.progress(frame)
            rotations[frame, bone] = rotations[frame, bone] @ quaternions.to_matrix(
                quaternions.from_axis_angle(axis, angle)
            )
    assert skin is not None
    poses = (skin.bone_matrices(dict(zip(skin.bones, frame, strict=True))) for frame in rotations)
    return np.stack([skin.deformed(entity.mesh.vertices, pose).astype(np.float32) for pose in poses])


def _hidden_frames(move: em.Hide, scene: Scene) -> tuple[int, int]:
    """The first and the last frame of a hide move, both hidden."""
    start = move.span.start.frame(scene.frames, scene.fps) if move.span.start else 0.0
    end = move.span.end.frame(scene.frames, scene.fps) if move.span.end else float(scene.frames - 1)
    if end < start:
        raise BadValueError(f"the span '{move.span}' ends before it starts (frames {start:g} to {end:g})")
    return math.ceil(start - 1e-9), math.floor(end + 1e-9)


def displacement(by: em.Steps | Point, axes: Axes, entity: Entity, scene: Scene, forward_world: Float) -> Float:
    """`(3,)` world displacement of a duplicate's offset or of a move that does not follow the entity's heading.

    Percent are of the entity's longest side, its own axes those of its pose in the photo. Its front points to
    `forward_world` `(3,)`.
    """
    if not isinstance(by, em.Steps):
        vector = _in_world(by, entity, scene)
        if axes == "camera":
            return np.asarray(scene.photo_world_from_camera)[:3, :3] @ vector
        if axes == "entity":
            _, rotation, _ = transforms.decompose(entity.rest_world_from_object)
            return quaternions.to_matrix(rotation) @ vector
        return vector
    total = np.zeros(3)
    distances = _in_world([length for _, length in by.parts], entity, scene)
    for (direction, _), distance in zip(by.parts, distances, strict=True):
        total += direction_world(direction, axes, scene, forward_world) * distance
    return total


def direction_world(direction: str, axes: Axes, scene: Scene, forward_world: Float) -> Float:
    """`(3,)` unit vector of a direction word; all but up and down are level."""
    if direction in ("up", "down"):
        return UP if direction == "up" else -UP
    if direction in ("towards", "away"):
        ahead = _camera_ahead(scene)
        return ahead if direction == "away" else -ahead
    ahead = (
        forward_world
        if _follows_heading(direction, axes)
        else (np.array([0.0, 0.0, -1.0]) if axes == "world" else _camera_ahead(scene))
    )
    ahead = _level(ahead)
    if direction in ("right", "left"):
        right = np.array([-ahead[2], 0.0, ahead[0]])
        return right if direction == "right" else -right
    return ahead if direction == "forward" else -ahead


def _follows_heading(direction: str, axes: Axes) -> bool:
    """Whether a direction turns with the entity."""
    if axes is None:
        return direction in ("forward", "back")
    return axes == "entity" and direction not in ("up", "down", "towards", "away")


def _camera_ahead(scene: Scene) -> Float:
    """The photo camera's view direction along the ground; straight down or up, the top of the picture."""
    camera = np.asarray(scene.photo_world_from_camera, np.float64)
    ahead = -camera[:3, 2]
    return _level(ahead if math.hypot(ahead[0], ahead[2]) > 1e-6 else camera[:3, 1] * -np.sign(ahead[1]))


def _level(vector: Float) -> Float:
    length = math.hypot(vector[0], vector[2])
    if length < 1e-9:
        raise BadValueError(
            "the entity's front points straight up or down, so 'forward' has no direction on the ground"
        )
    return np.array([vector[0], 0.0, vector[2]]) / length


def _in_world(lengths: Sequence[Length], entity: Entity, scene: Scene) -> Float:
    """`(N,)` world units of lengths; percent are of the longest side of the entity's bounds at rest."""
    longest_side = float(np.ptp(bounds_at_rest(entity), axis=0).max())
    return np.array([length.in_scene(scene.unit, longest_side) for length in lengths])


class _EntityPose:
    """The entity's pose at one moment, in parts."""

    def __init__(self, moves: Sequence[em.EntityMove], entity: Entity, scene: Scene) -> None:
        self.entity, self.scene = entity, scene
        translation, rotation, scale = transforms.decompose(entity.rest_world_from_object)
        self.position, self.rotation, self.scale = translation.copy(), quaternions.to_matrix(rotation), scale.copy()
        bounds = entity.mesh.bounds()
        self.middle_object = bounds.mean(axis=0)
        self.front_object = front_object(moves, entity, scene)
        self.animators = [_ANIMATORS[type(move)](move, self) for move in moves if type(move) in _ANIMATORS]
        if len([a for a in self.animators if isinstance(a, _KeyframeAnimator)]) > 1:
            raise UserError(f"{moves[-1].where}: '{entity.name}' has two lists of keyframes; join them")

    @property
    def forward(self) -> Float:
        """Where the front points in the world, `(3,)`."""
        return self.rotation @ self.front_object

    @property
    def right_object(self) -> Float:
        """The entity's own right, in its object frame, `(3,)`."""
        return right_of(self.front_object)

    def turn(self, local: Float, pivot: str = "footprint") -> None:
        """Rotate by `local` `(3, 3)` in the object's own axes about its footprint or its middle."""
        before = self.rotation
        self.rotation = before @ local
        if pivot == "middle":
            self.position = self.position + (before - self.rotation) @ (self.scale * self.middle_object)

    def grow(self, factors: Float, pivot: str = "footprint") -> None:
        """Multiply the scale by `factors` `(3,)`."""
        before = self.scale
        self.scale = before * factors
        if pivot == "middle":
            self.position = self.position + self.rotation @ ((before - self.scale) * self.middle_object)

    def run(self) -> Motion:
        frames = self.scene.frames
        translation, rotation, scale = np.zeros((frames, 3)), np.zeros((frames, 3, 3)), np.zeros((frames, 3))
        for frame in range(frames):
            if frame:
                self._advance_frame(frame - 1)
            translation[frame], rotation[frame], scale[frame] = self.position, self.rotation, self.scale
        return Motion(
            translation=translation, rotation_wxyz=quaternions.from_matrix(rotation), scale=scale,
            visible=np.ones(frames, bool),
        )  # fmt: skip

    def _advance_frame(self, frame: int) -> None:
        """Every other step in opposite order, which cancels the order's effect to second order (Strang splitting)."""
        for step in range(STEPS):
            for animator in self.animators if step % 2 == 0 else reversed(self.animators):
                animator.step(frame + step / STEPS, frame + (step + 1) / STEPS)


def front_object(moves: Sequence[em.EntityMove], entity: Entity, scene: Scene) -> Float:
    """`(3,)` where the entity's front points, in its object frame: as a facing move says, else as the entity does."""
    facings = [move for move in moves if isinstance(move, em.Facing)]
    if len(facings) > 1:
        raise UserError(f"{facings[1].where}: '{entity.name}' is told twice where it faces; keep one")
    if not facings:
        return entity.front_object()
    _, rotation, _ = transforms.decompose(entity.rest_world_from_object)
    ahead = about_y(-math.radians(facings[0].heading)) @ _camera_ahead(scene)
    return quaternions.to_matrix(rotation).T @ ahead


def right_of(front: Float) -> Float:
    """`(3,)` the right of what faces `front` `(3,)`, both in its object frame."""
    right = np.cross(front, UP)
    length = float(np.linalg.norm(right))
    return right / length if length > 1e-9 else np.array([1.0, 0.0, 0.0])


def keyframe_in_scene(key: em.EntityKeyframe, entity: Entity, scene: Scene, front: Float, where: str = "") -> Keyframe:
    """A key as what it adds to the pose in the photo: an offset in the world, a rotation in the object frame, factors.

    `front` `(3,)` is where the entity's front points, in its object frame.
    """
    with located(key.where or where):
        frame = key.time.frame(scene.frames, scene.fps)
        offset = np.zeros(3)
        if key.position is not None:
            offset = _in_world(key.position, entity, scene) - entity.rest_world_from_object[:3, 3]
        elif key.by is not None:
            offset = _in_world(key.by, entity, scene)
    rotation = quaternions.from_axis_angle(-UP, math.radians(key.turn))
    for axis, degrees in ((right_of(front), key.pitch), (front, key.roll)):
        rotation = quaternions.multiply(rotation, quaternions.from_axis_angle(axis, math.radians(degrees)))
    (x, y, z), (qw, qx, qy, qz) = offset, rotation
    return Keyframe(
        frame=frame, translation=(x, y, z), rotation_wxyz=(qw, qx, qy, qz),
        scale=(key.scale.x, key.scale.y, key.scale.z), easing=key.easing,
    )  # fmt: skip


class _EntityAnimator(Generic[MoveT]):
    """One move at work on a pose."""

    def __init__(self, move: MoveT, pose: _EntityPose) -> None:
        self.move, self.pose = move, pose
        span, easing = (move.span, move.easing) if isinstance(move, em.TimedEntityMove) else (Span(), "linear")
        with located(move.where):
            self.timing = Timing(*span.in_frames(pose.scene.frames, pose.scene.fps), easing)
            self.prepare()

    def step(self, before: float, after: float) -> None:
        if self.timing.touches(before, after):
            with located(self.move.where):
                self.advance(before, after)

    def part(self, before: float, after: float) -> float:
        """Share of the move done between two moments."""
        return self.timing.progress(after) - self.timing.progress(before)

    def prepare(self) -> None: ...

    def advance(self, before: float, after: float) -> None:
        raise NotImplementedError


class _MoveAnimator(_EntityAnimator[em.Move]):
    """Along fixed directions, except that forward, back and the entity's own sides follow its heading."""

    def prepare(self) -> None:
        pose, by, axes = self.pose, self.move.by, self.move.axes
        self.along: list[tuple[str, float]] = []
        if isinstance(by, em.Steps):
            own = [part for part in by.parts if _follows_heading(part[0], axes)]
            distances = _in_world([length for _, length in own], pose.entity, pose.scene)
            self.along = [(direction, float(d)) for (direction, _), d in zip(own, distances, strict=True)]
            by = em.Steps(tuple(part for part in by.parts if part not in own))
        self.fixed = displacement(by, axes, pose.entity, pose.scene, pose.forward)

    def advance(self, before: float, after: float) -> None:
        part, pose = self.part(before, after), self.pose
        if part == 0:
            return
        total = self.fixed * part
        for direction, distance in self.along:
            total = total + direction_world(direction, "entity", pose.scene, pose.forward) * (distance * part)
        pose.position = pose.position + total


class _RotateAnimator(_EntityAnimator[em.Turn | em.Pitch | em.Tumble | em.EntityRoll]):
    """About the entity's own axes."""

    def prepare(self) -> None:
        pose, move = self.pose, self.move
        self.pivot = "footprint" if isinstance(move, em.Turn) else move.pivot
        self.axis = {"turn": -UP, "pitch": pose.right_object, "tumble": -pose.right_object, "roll": pose.front_object}[
            move.kind
        ]

    def advance(self, before: float, after: float) -> None:
        angle = math.radians(self.move.angle) * self.part(before, after)
        self.pose.turn(about_axis(self.axis, angle), self.pivot)


class _ScaleAnimator(_EntityAnimator[em.Scale]):
    """Geometric growth."""

    def advance(self, before: float, after: float) -> None:
        factors = self.move.factors
        part = self.part(before, after)
        self.pose.grow(np.array([factors.x, factors.y, factors.z]) ** part, self.move.pivot)


class _FollowAnimator(_EntityAnimator[em.Follow]):
    """Along a Catmull-Rom curve through the points, at constant speed before easing."""

    SAMPLES = 64

    def prepare(self) -> None:
        pose = self.pose
        points = [_in_world(point, pose.entity, pose.scene) for point in self.move.points]
        if float(np.abs(points[0]).max()) > 1e-12:
            points.insert(0, np.zeros(3))
        if len(points) < 2 or any(float(np.linalg.norm(b - a)) < 1e-9 for a, b in pairwise(points)):
            raise BadValueError("two neighbouring points of the curve are the same; each must lie elsewhere")
        self.curve = catmull_rom(np.array(points), self.SAMPLES)
        steps = np.linalg.norm(np.diff(self.curve, axis=0), axis=1)
        self.lengths = np.concatenate([[0.0], np.cumsum(steps)])

    def place(self, time: float) -> Float:
        at = self.timing.progress(time) * self.lengths[-1]
        inside = np.array([np.interp(at, self.lengths, self.curve[:, axis]) for axis in range(3)])
        beyond = at - float(np.clip(at, 0, self.lengths[-1]))  # an easing that overshoots goes straight on
        return inside if beyond == 0 else inside + beyond * _direction(self.curve, first=beyond < 0)

    def heading(self, time: float) -> float:
        at = self.timing.progress(time) * self.lengths[-1]
        middles = (self.lengths[1:] + self.lengths[:-1]) / 2
        flat = np.diff(self.curve[:, [0, 2]], axis=0)
        return float(np.interp(at, middles, np.unwrap(np.arctan2(flat[:, 0], flat[:, 1]))))

    def advance(self, before: float, after: float) -> None:
        self.pose.position = self.pose.position + self.place(after) - self.place(before)
        if self.move.face:
            self.pose.turn(about_y(self.heading(after) - self.heading(before)))


def _direction(curve: Float, *, first: bool) -> Float:
    """`(3,)` unit vector of a curve's first or last piece."""
    piece = curve[1] - curve[0] if first else curve[-1] - curve[-2]
    return piece / np.linalg.norm(piece)


def catmull_rom(points: Float, samples: int) -> Float:
    """`(samples · (N − 1) + 1, 3)` points of the centripetal Catmull-Rom curve through `points` `(N, 3)`.

    Centripetal spacing (square roots of the distances) leaves no loops or cusps (Yuksel et al., 2011).
    """
    padded = np.concatenate([[2 * points[0] - points[1]], points, [2 * points[-1] - points[-2]]])
    knots = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(padded, axis=0), axis=1) ** 0.5)])
    pieces = []
    for k in range(1, len(padded) - 2):
        p, t = padded[k - 1 : k + 3], knots[k - 1 : k + 3]
        at = np.linspace(t[1], t[2], samples + 1)[:-1, None]
        a = [(p[i] * (t[i + 1] - at) + p[i + 1] * (at - t[i])) / (t[i + 1] - t[i]) for i in range(3)]
        b = [(a[i] * (t[i + 2] - at) + a[i + 1] * (at - t[i])) / (t[i + 2] - t[i]) for i in range(2)]
        pieces.append((b[0] * (t[2] - at) + b[1] * (at - t[1])) / (t[2] - t[1]))
    return np.concatenate([*pieces, points[-1:]])


class _KeyframeAnimator(_EntityAnimator[em.EntityKeyframes]):
    """Poses relative to the one in the photo, interpolated at every step."""

    def prepare(self) -> None:
        pose = self.pose
        keys = [
            keyframe_in_scene(key, pose.entity, pose.scene, pose.front_object, self.move.where)
            for key in self.move.keys
        ]
        if min(key.frame for key in keys) > 0:
            keys.append(Keyframe(frame=0, easing="ease"))
        motion = through_keyframes(keys, pose.scene.frames, steps=STEPS, what="scale")
        self.offsets, self.scales = motion.translation, motion.scale
        self.rotations = quaternions.to_matrix(motion.rotation_wxyz)
        self._apply(np.zeros(3), np.eye(3), np.ones(3), 0)

    def _apply(self, offset: Float, rotation: Float, scale: Float, index: int) -> None:
        """Move the pose on from one keyframed state to the one at `index`."""
        pose = self.pose
        pose.position = pose.position + self.offsets[index] - offset
        pose.rotation = pose.rotation @ rotation.T @ self.rotations[index]
        pose.scale = pose.scale / scale * self.scales[index]

    def advance(self, before: float, after: float) -> None:
        i, j = round(before * STEPS), round(after * STEPS)
        self._apply(self.offsets[i], self.rotations[i], self.scales[i], j)


_ANIMATORS: dict[type[em.EntityMove], type[_EntityAnimator]] = {  # type: ignore[type-arg]
    em.Move: _MoveAnimator, em.Scale: _ScaleAnimator, em.Follow: _FollowAnimator, em.EntityKeyframes: _KeyframeAnimator,
    em.Turn: _RotateAnimator, em.Pitch: _RotateAnimator, em.Tumble: _RotateAnimator, em.EntityRoll: _RotateAnimator,
}  # fmt: skip
