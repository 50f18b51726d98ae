"""Let entities go where their carriers go: motions of their own, and motions in the world."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from real2sam2real.arrays import Float
from real2sam2real.scene.motion import Motion
from real2sam2real.scene.relation import carried, let_go
from real2sam2real.scene.scene import Scene


def carriers_first(scene: Scene) -> list[str]:
    """The entities' names, each behind what carries it."""
    roots = [name for name in scene.names if scene.carrier_of(name) is None]
    return [name for root in roots for name in (root, *scene.carried_by(root))]


def carry(scene: Scene) -> Scene:
    """The scene in which every motion, up to now an entity's own, has its carrier's added to it."""
    return _changed(scene, carriers_first(scene), carried)


def release(scene: Scene) -> Scene:
    """The inverse of `carry`: every motion is what its entity does beside going along with its carrier."""
    return _changed(scene, reversed(carriers_first(scene)), let_go)


def _changed(scene: Scene, order: Iterable[str], change: Callable[[Motion, Motion, Float], Motion]) -> Scene:
    for name in order:
        carrier = scene.carrier_of(name)
        if carrier is not None:
            motion = change(scene.entity(name).motion, carrier.motion, carrier.rest_world_from_object)
            scene = scene.with_motion(name, motion)
    return scene
