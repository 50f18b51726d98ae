"""Motions that were computed before, for who applies shots again and again that differ little, as an editor does."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from real2sam2real.arrays import Float
from real2sam2real.scene import camera_moves as cm
from real2sam2real.scene import entity_moves as em
from real2sam2real.scene.camera_animation import animate_camera
from real2sam2real.scene.camera_path import CameraPath
from real2sam2real.scene.entity_animation import animate_entity
from real2sam2real.scene.motion import Motion
from real2sam2real.scene.scene import Entity, Scene

T = TypeVar("T")
_MOST = 300


class KeptMotions:
    """Gives what `animate_entity` and `animate_camera` give, from memory where they were asked the same before.

    May be used from several threads. What it gives is shared: nobody may change its arrays.
    """

    def __init__(self) -> None:
        self._found: OrderedDict[Hashable, tuple[Any, Any]] = OrderedDict()
        self._lock = threading.Lock()

    def of_entity(self, moves: Sequence[em.EntityMove], entity: Entity, scene: Scene) -> Motion:
        """The motion of `animate_entity`."""
        still = entity.motion.vertices_object is None and entity.motion.visible.all()
        if not still:  # whose own motion is a part of the result
            return animate_entity(moves, entity, scene)
        moving = any(isinstance(move, em.TimedEntityMove | em.EntityKeyframes) for move in moves)
        own = b"" if moving else _bytes(entity.motion.matrices())
        key = ("entity", tuple(moves), own, _entity_key(entity), id(entity.skin), *_stage_key(scene))
        return self._kept(key, (entity.mesh, entity.skin), lambda: animate_entity(moves, entity, scene))

    def of_camera(self, moves: Sequence[cm.CameraMove], scene: Scene, *, seed: int) -> CameraPath:
        """The path of `animate_camera`."""
        if any(isinstance(move, cm.ImportedPath) for move in moves):  # the file may have changed
            return animate_camera(moves, scene, seed=seed)
        entities: list[Hashable] = [_entity_key(entity) for entity in scene.entities]
        if any(_follows(move) for move in moves):
            entities += [_bytes(entity.motion.matrices()) for entity in scene.entities]
        lens = scene.camera.intrinsics
        key = ("camera", tuple(moves), seed, tuple(entities), lens, *_stage_key(scene))
        meshes = tuple(entity.mesh for entity in scene.entities)
        path = self._kept(key, meshes, lambda: animate_camera(moves, scene, seed=seed))
        return replace(path, intrinsics=lens)

    def _kept(self, key: Hashable, alive: Any, compute: Callable[[], T]) -> T:
        """What was found under a key before; `alive` are the things whose identity is part of it."""
        with self._lock:
            if key in self._found:
                self._found.move_to_end(key)
                found: T = self._found[key][0]
                return found
        result = compute()
        with self._lock:
            self._found[key] = (result, alive)
            while len(self._found) > _MOST:
                self._found.popitem(last=False)
        return result


def _stage_key(scene: Scene) -> tuple[Hashable, ...]:
    return scene.frames, scene.fps, scene.unit, _bytes(scene.photo_world_from_camera)


def _entity_key(entity: Entity) -> Hashable:
    return entity.name, id(entity.mesh), entity.facing, _bytes(entity.rest_world_from_object)


def _follows(move: cm.CameraMove) -> bool:
    """Whether a camera move looks at entities as they move."""
    keys = move.keys if isinstance(move, cm.CameraKeyframes) else ()
    return isinstance(move, cm.LookAt | cm.TrackTarget) or any(key.look_at is not None for key in keys)


def _bytes(values: Float) -> bytes:
    return np.ascontiguousarray(values, np.float64).tobytes()
