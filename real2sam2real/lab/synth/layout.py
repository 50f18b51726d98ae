"""Where objects stand, how they move, and how the camera looks at them: drawn by chance, kept if well in view.

Everything is drawn in a reference view of 8:5, before any image size is known, so one seed is one world at every size
and number of frames. Lengths are world units; the camera starts at the world's origin.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from real2sam2real.arrays import Float
from real2sam2real.lab.synth import motions
from real2sam2real.lab.synth.config import WorldConfig
from real2sam2real.lab.synth.deform import Deformation
from real2sam2real.lab.synth.motions import UP, CameraKind, CameraShake, MoveComponent, ObjectMove, camera_from_world
from real2sam2real.lab.synth.seeds import Rng
from real2sam2real.lab.synth.shapes import HELD_OUT_SHAPES, TRAIN_SHAPES, base_shape
from real2sam2real.scene.timing import Easing

REFERENCE_ASPECT = 1.6
_CHECKED = np.linspace(0.0, 1.0, 7)
"""Times at which a move is checked against the view and the other objects."""


@dataclass(frozen=True, kw_only=True)
class View:
    """The first camera and the ground under it."""

    span: float  # image height over focal length
    pitch: float  # radians that the camera looks down
    ground_y: float | None  # height of the ground, or None for objects that float before a far background

    def pose(self) -> Float:
        """`world_from_camera` `(4, 4)` at frame 0."""
        c, s = np.cos(-self.pitch), np.sin(-self.pitch)
        pose = np.eye(4)
        pose[1:3, 1:3] = [[c, -s], [s, c]]
        return pose

    def ray(self, x: float, y: float) -> Float:
        """World direction `(3,)` through the image point at fractions of width and height, one unit deep."""
        way = np.array([(x - 0.5) * REFERENCE_ASPECT * self.span, (0.5 - y) * self.span, -1.0])
        return self.pose()[:3, :3] @ way

    def on_ground(self, x: float, y: float) -> tuple[Float, float] | None:
        """World point and depth where the ground is seen, or None above the horizon."""
        ray = self.ray(x, y)
        if self.ground_y is None or ray[1] > -0.03:
            return None
        depth = self.ground_y / ray[1]
        return depth * ray, float(depth)


@dataclass(frozen=True, kw_only=True, eq=False)
class ObjectPlan:
    """One object."""

    shape: int  # index of its base shape
    stretch: Float  # `(3,)` world size of the base shape's unit along each of its axes
    position: Float  # `(3,)` world position of the footprint's middle at rest
    yaw: float  # radians about +Y at rest
    depth: float  # distance in front of the first camera
    move: ObjectMove  # what it does
    deformation: Deformation | None = None  # how its shape changes, or None for a rigid body

    @cached_property
    def extent(self) -> Float:
        """`(3,)` size in the object frame."""
        return base_shape(self.shape).extent * self.stretch

    @property
    def middle_height(self) -> float:
        """Height of the body's centre over its footprint."""
        return float(self.extent[1]) / 2

    @property
    def middle(self) -> Float:
        """The body's centre `(3,)` in the object frame."""
        return np.array([0.0, self.middle_height, 0.0])

    @cached_property
    def radius(self) -> float:
        """About the horizontal reach of the body from its axis, over all checked times."""
        radius = 0.42 * np.hypot(self.extent[0], self.extent[2])
        if self.deformation is None:
            return float(radius)
        rest = base_shape(self.shape).vertices * self.stretch
        reach = np.linalg.norm(self.deformation.vertices(rest, _CHECKED)[..., [0, 2]], axis=-1)
        return float(radius * reach.max() / reach[0].max())

    @cached_property
    def checked(self) -> tuple[Float, Float]:
        """World centres `(7, 3)` and scales `(7,)` at the times at which moves are checked.

        A move turns about +Y or about the body's centre, so turning does not shift the centre.
        """
        points, scale = self.move.pivots(self.position, _CHECKED)
        points[:, 1] += scale * (self.middle_height - self.move.pivot_height)
        return points, scale


@dataclass(frozen=True, kw_only=True, eq=False)
class Layout:
    """The geometry of one clip."""

    view: View  # the first camera
    objects: tuple[ObjectPlan, ...]  # at least one
    camera_moves: tuple[MoveComponent, ...]  # empty for a camera at rest
    focus: Float  # `(3,)` world point that the camera attends to
    camera_shake: CameraShake | None = None  # of a camera held by hand, or None

    def others(self, k: int) -> tuple[ObjectPlan, ...]:
        """All objects but the one numbered `k`."""
        return self.objects[:k] + self.objects[k + 1 :]

    def with_object(self, k: int, plan: ObjectPlan) -> Layout:
        """The layout with another object numbered `k`."""
        return replace(self, objects=(*self.objects[:k], plan, *self.objects[k + 1 :]))

    def camera(self, times: Float) -> tuple[Float, Float]:
        """Poses `(T, 4, 4)` and zoom `(T,)`."""
        poses, zoom = motions.camera_poses(self.view.pose(), self.camera_moves, self.focus, times)
        return poses if self.camera_shake is None else self.camera_shake.shaken(poses, times), zoom

    @cached_property
    def checked_camera(self) -> tuple[Float, Float]:
        """The camera at the times at which moves are checked."""
        return self.camera(_CHECKED)


def sample_layout(rng: Rng, config: WorldConfig, *, held_out: bool) -> Layout:
    """Draw the geometry of one clip."""
    view = _sample_view(rng, config)
    objects = _place_objects(rng, config, view, HELD_OUT_SHAPES if held_out else TRAIN_SHAPES)
    focus = _focus(rng, objects)
    layout = Layout(view=view, objects=tuple(objects), camera_moves=(), focus=focus)
    moving_camera = rng.random() >= config.static_camera
    if moving_camera:
        layout = _move_camera(rng, config, layout)
    return _move_objects(rng, config, layout)


def _sample_view(rng: Rng, config: WorldConfig) -> View:
    fov = np.radians(rng.uniform(*config.fov_degrees))
    span = 2 * np.tan(fov / 2) / REFERENCE_ASPECT
    if rng.random() < config.ground:
        return View(span=float(span), pitch=float(np.radians(rng.uniform(5, 24))), ground_y=-1.5)
    return View(span=float(span), pitch=float(np.radians(rng.uniform(-4, 8))), ground_y=None)


def _place_objects(rng: Rng, config: WorldConfig, view: View, shapes: range) -> list[ObjectPlan]:
    wanted = 1 + int(rng.choice(config.max_objects, p=_count_weights(config.max_objects)))
    objects: list[ObjectPlan] = []
    for _ in range(wanted):
        for _ in range(12):
            candidate = _sample_object(rng, config, view, shapes, alone=wanted == 1)
            if candidate is not None and not any(touch(candidate, other) for other in objects):
                objects.append(candidate)
                break
    return objects or [_fallback_object(view, shapes.start)]


def _count_weights(most: int) -> Float:
    weights = np.array([0.3, 0.35, 0.22, 0.13, 0.08, 0.05, 0.03, 0.02])[:most]
    return weights / weights.sum()


def _sample_object(rng: Rng, config: WorldConfig, view: View, shapes: range, *, alone: bool) -> ObjectPlan | None:
    """One object at rest, or None when the chosen place does not work out."""
    shape, stretch = sample_body(rng, shapes)
    low, high = config.object_size
    size = rng.uniform(max(low, 0.6 * high), high) if alone else rng.uniform(low, high)
    x, y = rng.uniform(0.16, 0.84), rng.uniform(0.0, 1.0)
    if view.ground_y is None:
        depth = rng.uniform(4.0, 8.0)
        position = depth * view.ray(x, 0.3 + 0.4 * y)
    else:
        found = view.on_ground(x, 0.55 + 0.37 * y)
        if found is None or found[1] > 16.0:
            return None
        position, depth = found
    stretch *= size * view.span * depth
    plan = ObjectPlan(
        shape=shape, stretch=stretch, position=position, yaw=float(rng.uniform(0, 2 * np.pi)), depth=float(depth),
        move=ObjectMove(),
    )  # fmt: skip
    if view.ground_y is None:
        plan = replace(plan, position=position - plan.middle)
    top = position + np.array([0.0, plan.extent[1], 0.0])
    seen = camera_from_world(view.pose()[None], top[None])[0]
    return plan if seen[1] / -seen[2] / view.span < 0.5 else None


def _fallback_object(view: View, shape: int) -> ObjectPlan:
    """An object in the middle, for the rare draw in which no place was found."""
    found = view.on_ground(0.5, 0.75)
    position, depth = found if found is not None else (5.0 * view.ray(0.5, 0.6), 5.0)
    return ObjectPlan(
        shape=shape, stretch=np.full(3, 0.35 * view.span * depth), position=position, yaw=0.7, depth=depth,
        move=ObjectMove(),
    )  # fmt: skip


def sample_body(rng: Rng, shapes: range) -> tuple[int, Float]:
    """The index of a base shape, and a stretch `(3,)` that makes it of apparent size 1 in proportions of its own."""
    shape = int(rng.integers(shapes.start, shapes.stop))
    stretch = rng.uniform(0.8, 1.25, 3)
    return shape, stretch / _apparent_size(stretch * base_shape(shape).extent)


def _apparent_size(extent: Float) -> float:
    """The longest extent, or less for thin bodies, which would else cover hardly any pixels."""
    longest, middle, _ = sorted(extent, reverse=True)
    return float(max(np.sqrt(longest * middle), 0.75 * longest))


def touch(a: ObjectPlan, b: ObjectPlan) -> bool:
    """True when two bodies come so near that they would run into each other."""
    (at_a, scale_a), (at_b, scale_b) = a.checked, b.checked
    apart = np.linalg.norm((at_a - at_b)[:, [0, 2]], axis=1)
    if a.move.hop or b.move.hop or (np.abs(at_a - at_b)[:, 1] > 0.6 * (a.extent[1] + b.extent[1])).all():
        apart = np.linalg.norm(at_a - at_b, axis=1)
    return bool(np.any(apart < a.radius * scale_a + b.radius * scale_b))


def _focus(rng: Rng, objects: list[ObjectPlan]) -> Float:
    """The middle of one object or of all."""
    centres = np.array([plan.position + plan.middle for plan in objects])
    return centres.mean(axis=0) if rng.random() < 0.5 else centres[int(rng.integers(len(centres)))]


def sample_easing(rng: Rng) -> Easing:
    """A random speed curve, most often one that starts and ends at rest."""
    choices: tuple[Easing, ...] = ("ease", "ease", "linear", "ease-in", "ease-out")
    return choices[int(rng.integers(len(choices)))]


# Camera ---------------------------------------------------------------------------------------------------------------

_CAMERA_KINDS: tuple[tuple[CameraKind, float], ...] = (
    ("orbit", 0.32), ("pan", 0.16), ("tilt", 0.07), ("roll", 0.06),
    ("truck", 0.13), ("pedestal", 0.06), ("dolly", 0.12), ("zoom", 0.08),
)  # fmt: skip


def _move_camera(rng: Rng, config: WorldConfig, layout: Layout) -> Layout:
    """Give the camera one or two moves, smaller and smaller until the objects at rest stay in view."""
    count = 2 if rng.random() < 0.25 else 1
    weights = np.array([weight for _, weight in _CAMERA_KINDS])
    chosen = rng.choice(len(_CAMERA_KINDS), count, replace=False, p=weights / weights.sum())
    easing = sample_easing(rng)
    moves = tuple(_camera_move(rng, config, layout, _CAMERA_KINDS[int(k)][0], easing) for k in chosen)
    for _ in range(6):
        moved = replace(layout, camera_moves=moves)
        if all(in_view(moved, plan, loose=True) for plan in layout.objects):
            return moved
        moves = tuple(replace(move, amount=0.65 * move.amount) for move in moves)
    return replace(layout, camera_moves=moves)


def _camera_move(rng: Rng, config: WorldConfig, layout: Layout, kind: CameraKind, easing: Easing) -> MoveComponent:
    distance = float(np.linalg.norm(layout.focus))
    most = {
        "orbit": np.radians(config.max_orbit_degrees),
        "pan": np.radians(config.max_pan_degrees),
        "tilt": np.radians(9),
        "roll": np.radians(13),
        "truck": 0.3 * distance,
        "pedestal": 0.12 * distance,
        "dolly": 0.3 * distance,
        "zoom": 0.35,
    }[kind]
    amount = most * rng.uniform(0.25, 1.0) * rng.choice([-1.0, 1.0])
    if kind == "pedestal" and layout.view.ground_y is not None:
        amount = max(amount, 0.35 * layout.view.ground_y)
    return MoveComponent(kind=kind, amount=float(amount), easing=easing)


def in_view(layout: Layout, plan: ObjectPlan, *, loose: bool = False) -> bool:
    """True when the object's middle stays inside the image and its size within bounds at all checked times."""
    poses, zoom = layout.checked_camera
    centres, scales = plan.checked
    points = camera_from_world(poses, centres)
    depth = -points[:, 2]
    if np.any(depth < 0.3 * plan.depth):
        return False
    x = np.abs(points[:, 0]) / depth * zoom / (REFERENCE_ASPECT * layout.view.span)
    y = np.abs(points[:, 1]) / depth * zoom / layout.view.span
    size = plan.extent.max() * scales / depth * zoom / layout.view.span
    edge = 0.56 if loose else 0.48
    return bool(np.all(x < edge) and np.all(y < edge) and np.all(size < 0.78) and np.all(size > 0.1))


# Objects --------------------------------------------------------------------------------------------------------------


def _move_objects(rng: Rng, config: WorldConfig, layout: Layout) -> Layout:
    """Let one or two objects move, all of them at times; a moving camera may also look at objects at rest."""
    total = len(layout.objects)
    chance = rng.random()
    count = 1 if chance < 0.55 else 2 if chance < 0.85 else total
    if layout.camera_moves and rng.random() < config.still_objects:
        count = 0
    for k in rng.permutation(total)[: min(count, total)].tolist():
        for attempt in range(10):
            plan = _with_move(rng, layout.view, layout.objects[k], gentle=attempt > 6)
            if in_view(layout, plan) and not any(touch(plan, other) for other in layout.others(k)):
                layout = layout.with_object(k, plan)
                break
    return layout


def _with_move(rng: Rng, view: View, plan: ObjectPlan, *, gentle: bool) -> ObjectPlan:
    """The object with a random move; `gentle` only turns it."""
    grounded = view.ground_y is not None
    shift = np.zeros(3)
    if not gentle and rng.random() < 0.72:
        shift = _sample_shift(rng, view, plan)
    yaw = plan.yaw
    if base_shape(plan.shape).heads and np.linalg.norm(shift) > 0 and rng.random() < 0.7:
        yaw = float(np.arctan2(-shift[2], shift[0])) + (np.pi if rng.random() < 0.1 else 0.0)
    axis: motions.Vector = UP
    radians = 0.0
    if gentle or not shift.any() or rng.random() < 0.4:
        radians = float(rng.uniform(0.25, 1.0) * np.radians(120) * rng.choice([-1.0, 1.0]))
        if rng.random() < (0.08 if grounded else 0.4):
            a = rng.normal(size=3)
            axis = (float(a[0]), float(a[1]), float(a[2]) + 1e-6)
    tumbles = axis != UP
    hop = 0.0
    if grounded and not gentle and (tumbles or rng.random() < 0.1):
        hop = float(plan.extent.max() * rng.uniform(0.3, 0.7))
    start, end = 0.0, 1.0
    if rng.random() < 0.3:
        start, end = float(rng.uniform(0, 0.25)), float(rng.uniform(0.7, 1.0))
    move = ObjectMove(
        shift=(float(shift[0]), float(shift[1]), float(shift[2])),
        axis=axis,
        radians=radians,
        scale=float(np.exp(rng.uniform(-0.45, 0.4))) if rng.random() < 0.12 else 1.0,
        hop=hop,
        pivot_height=plan.middle_height if tumbles or not grounded else 0.0,
        start=start,
        end=end,
        easing=sample_easing(rng),
    )
    return replace(plan, yaw=yaw, move=move)


def _sample_shift(rng: Rng, view: View, plan: ObjectPlan) -> Float:
    """A way to another place in view, up to half the image's width away."""
    seen = camera_from_world(view.pose()[None], plan.position[None])[0]
    x = 0.5 + seen[0] / -seen[2] / (REFERENCE_ASPECT * view.span)
    y = 0.5 - seen[1] / -seen[2] / view.span
    to_x = float(np.clip(x + rng.uniform(0.12, 0.5) * rng.choice([-1.0, 1.0]), 0.06, 0.94))
    if view.ground_y is None:
        depth = plan.depth * rng.choice([1.0, rng.uniform(0.7, 1.45)])
        return depth * view.ray(to_x, y + rng.uniform(-0.25, 0.25)) - plan.position
    found = view.on_ground(to_x, y + rng.choice([0.0, rng.uniform(-0.18, 0.18)]))
    if found is None or not 0.6 * plan.depth < found[1] < 1.7 * plan.depth:
        return np.zeros(3)
    return found[0] - plan.position
