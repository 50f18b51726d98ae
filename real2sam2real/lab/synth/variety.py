"""What a varied world adds to a layout: longer camera paths, a shaking hand, an occluder, bodies that deform.

Everything is drawn from generators of its own, after the plain layout, so a config that asks for none of it changes
nothing.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from real2sam2real.arrays import Float
from real2sam2real.lab.synth.config import WorldConfig
from real2sam2real.lab.synth.deform import sample_deformation
from real2sam2real.lab.synth.layout import (
    REFERENCE_ASPECT,
    Layout,
    ObjectPlan,
    in_view,
    sample_body,
    sample_easing,
    touch,
)
from real2sam2real.lab.synth.motions import CameraKind, CameraShake, MoveComponent, ObjectMove, camera_from_world
from real2sam2real.lab.synth.seeds import Rng
from real2sam2real.lab.synth.shapes import HELD_OUT_SHAPES, TRAIN_SHAPES, base_shape

_LEAST_CLEARANCE = 0.35
"""Smallest height of the camera over the ground, as a share of its height in frame 0."""


def vary_camera(rng: Rng, config: WorldConfig, layout: Layout) -> Layout:
    """A longer path for a camera that moves, and a shake for any camera, as often as the config says."""
    if layout.camera_moves and rng.random() < config.rich_camera:
        layout = _rich_path(rng, config, layout)
    if rng.random() < config.handheld:
        layout = replace(layout, camera_shake=_sample_camera_shake(rng, layout))
    return layout


def vary_objects(rng: Rng, config: WorldConfig, layout: Layout, *, held_out: bool) -> Layout:
    """An occluder, and objects that deform, as often as the config says."""
    if rng.random() < config.occluder:
        layout = _add_occluder(rng, layout, HELD_OUT_SHAPES if held_out else TRAIN_SHAPES)
    for k in range(len(layout.objects)):
        if rng.random() < config.deforming:
            layout = _deform(rng, layout, k)
    return layout


def _deform(rng: Rng, layout: Layout, k: int) -> Layout:
    """Let an object change its shape where this does not run it into another one."""
    plan = layout.objects[k]
    for _ in range(4):
        bent = replace(plan, deformation=sample_deformation(rng, plan.extent, plan.move.pivot_height))
        collides = any(touch(bent, other) and not touch(plan, other) for other in layout.others(k))
        if not collides and _stays_in_view(layout, bent):
            return layout.with_object(k, bent)
    return layout


def _stays_in_view(layout: Layout, plan: ObjectPlan) -> bool:
    """False when a stretched object grows out of the image."""
    if plan.deformation is None or plan.deformation.kind != "stretch":
        return True
    growth = np.array([1.0, np.exp(abs(plan.deformation.amount)), 1.0])
    return in_view(layout, replace(plan, stretch=growth * plan.stretch), loose=True)


# Camera ---------------------------------------------------------------------------------------------------------------


def _rich_path(rng: Rng, config: WorldConfig, layout: Layout) -> Layout:
    """The largest of a few smaller and smaller copies of a path that keeps all objects in view, else the old path."""
    moves = _sample_path(rng, config, layout)
    for _ in range(7):
        moved = replace(layout, camera_moves=moves)
        if _above_ground(moved) and all(in_view(moved, plan, loose=True) for plan in layout.objects):
            return moved
        moves = tuple(replace(move, amount=0.75 * move.amount) for move in moves)
    return layout


def _above_ground(layout: Layout) -> bool:
    ground = layout.view.ground_y
    heights = layout.checked_camera[0][:, 1, 3]
    return ground is None or bool(np.all(heights > (1 - _LEAST_CLEARANCE) * ground))


def _sample_path(rng: Rng, config: WorldConfig, layout: Layout) -> tuple[MoveComponent, ...]:
    """An orbit, an arc of three moves, a crane, or a push-in."""
    distance = float(np.linalg.norm(layout.focus))
    orbit, pan = np.radians(config.max_orbit_degrees), np.radians(config.max_pan_degrees)
    side = rng.choice([-1.0, 1.0])
    size = rng.uniform(0.5, 1.0)
    rise = size * rng.uniform(0.15, 0.45) * distance
    kind = rng.choice(4, p=[0.3, 0.35, 0.2, 0.15])
    amounts: list[tuple[CameraKind, float]]
    if kind == 0:
        amounts = [("orbit", side * size * orbit)]
    elif kind == 1:
        amounts = [
            ("orbit", side * size * 0.8 * orbit),
            ("pedestal", rise * rng.uniform(-0.3, 0.7)),
            (("dolly", "zoom", "truck")[int(rng.integers(3))], float(rng.uniform(-0.25, 0.3))),
        ]
        if amounts[2][0] != "zoom":
            amounts[2] = (amounts[2][0], amounts[2][1] * distance)
    elif kind == 2:
        amounts = [("pedestal", rise), ("tilt", -0.9 * float(np.arctan(rise / distance))), ("pan", side * 0.4 * pan)]
    else:
        amounts = [("dolly", size * 0.5 * distance), ("pan", side * size * 0.4 * pan)]
    easing = sample_easing(rng)
    return tuple(MoveComponent(kind=name, amount=float(amount), easing=easing) for name, amount in amounts)


def _sample_camera_shake(rng: Rng, layout: Layout) -> CameraShake:
    """Slow sway and weaker, faster tremor; the whole stays within a few degrees."""
    cycles = np.array([1.0, 2.2, 4.1, 6.3]) * rng.uniform(0.7, 1.2, (6, 4))
    size = rng.uniform(0.4, 1.0)
    reach = np.array([0.012, 0.012, 0.01, *3 * [0.006 * float(np.linalg.norm(layout.focus))]])
    return CameraShake(
        amplitudes=size * reach[:, None] * rng.normal(size=(6, 4)) / np.sqrt(cycles),
        cycles=cycles,
        phases=rng.uniform(0, 2 * np.pi, (6, 4)),
    )


# Occluders ------------------------------------------------------------------------------------------------------------


def _add_occluder(rng: Rng, layout: Layout, shapes: range) -> Layout:
    """One more object, nearer to the camera than another one, that hides part of it in some frame."""
    for _ in range(16):
        target = layout.objects[int(rng.integers(len(layout.objects)))]
        plan = _sample_occluder(rng, layout, target, shapes)
        free = in_view(layout, plan, loose=True) and not any(touch(plan, other) for other in layout.objects)
        if free and hides(layout, plan, target):
            return replace(layout, objects=(*layout.objects, plan))
    return layout


def _sample_occluder(rng: Rng, layout: Layout, target: ObjectPlan, shapes: range) -> ObjectPlan:
    """An object between the first camera and the target: at rest beside the line of sight, or passing across it."""
    view = layout.view
    share = float(rng.uniform(0.5, 0.8))
    shape, stretch = sample_body(rng, shapes)
    depth = share * target.depth
    stretch *= rng.uniform(0.22, 0.42) * view.span * depth
    position = share * (target.position + target.middle)
    passes = rng.random() < 0.5
    offset = share * target.extent[[0, 2]].max() * (rng.uniform(0.6, 1.1) if passes else rng.uniform(0.15, 0.55))
    offset *= rng.choice([-1.0, 1.0])
    position[0] += offset
    middle = 0.5 * stretch[1] * base_shape(shape).extent[1]
    if view.ground_y is None:
        position[1] -= middle
    else:  # tall enough to reach the line of sight
        stretch *= max(1.0, float(rng.uniform(0.9, 1.2)) * (position[1] - view.ground_y) / (2 * middle))
        position[1] = view.ground_y
    move = ObjectMove(shift=(float(-2 * offset), 0.0, 0.0), easing=sample_easing(rng)) if passes else ObjectMove()
    yaw = float(rng.uniform(0, 2 * np.pi))
    if passes and base_shape(shape).heads:
        yaw = 0.0 if offset < 0 else np.pi
    return ObjectPlan(shape=shape, stretch=stretch, position=position, yaw=yaw, depth=depth, move=move)


def hides(layout: Layout, near: ObjectPlan, far: ObjectPlan) -> bool:
    """True when `near` covers a fair part of `far`, as boxes in the image, at some checked time, and lies before it."""
    low_a, high_a, depth_a = _boxes(layout, near)
    low_b, high_b, depth_b = _boxes(layout, far)
    low, high = np.maximum(low_a, low_b), np.minimum(high_a, high_b)
    shared = np.prod(np.maximum(high - low, 0.0), axis=1) / np.prod(high_b - low_b, axis=1)
    inside = np.all((np.abs(low + high) / 2) < np.array([0.5 * REFERENCE_ASPECT, 0.5]), axis=1)
    return bool(np.any((shared > 0.12) & inside & (depth_a < depth_b)) and np.all(shared < 0.75))


def _boxes(layout: Layout, plan: ObjectPlan) -> tuple[Float, Float, Float]:
    """Image boxes' corners `(7, 2)` in image heights from the middle, and depths `(7,)`, at the checked times."""
    poses, zoom = layout.checked_camera
    centres, scales = plan.checked
    points = camera_from_world(poses, centres)
    depth = -points[:, 2]
    factor = zoom / depth / layout.view.span
    middle = points[:, :2] * factor[:, None]
    half = np.array([0.35 * np.hypot(plan.extent[0], plan.extent[2]), 0.5 * plan.extent[1]])
    reach = half * (scales * factor)[:, None]
    return middle - reach, middle + reach, depth
