"""What camera moves refer to: targets, their places, and distances."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from real2sam2real.arrays import Float
from real2sam2real.geometry import transforms
from real2sam2real.scene.move_syntax import Target
from real2sam2real.scene.scene import Entity, Scene
from real2sam2real.scene.units import BadValueError, Length, nearest

UP = np.array([0.0, 1.0, 0.0])


def bounds_at_rest(entity: Entity) -> Float:
    """`(2, 3)` lowest and highest corner of an entity at rest, in the world."""
    points = transforms.apply(entity.rest_world_from_object, entity.mesh.vertices)
    return np.stack([points.min(axis=0), points.max(axis=0)])


def entity_called(scene: Scene, name: str) -> Entity:
    """The entity called `name`, or a `BadValueError` with the nearest one."""
    if name not in scene.names:
        hint = nearest(name, scene.names) or "; the scene has no entities"
        gone = " (it was removed)" if any(entity.name == name for entity in scene.removed) else ""
        names = f" (entities: {', '.join(scene.names)})" if scene.names else ""
        raise BadValueError(f"no entity called '{name}'{gone}{hint}{names}")
    return scene.entity(name)


@dataclass
class MoveTargets:
    """What moves refer to: the scene, its targets and its scale."""

    scene: Scene
    seed: int = 0
    _middles: dict[str, Float] = field(default_factory=dict)

    @property
    def photo_camera(self) -> Float:
        """`(4, 4)` world_from_camera of the photo."""
        return np.asarray(self.scene.photo_world_from_camera, np.float64)

    def focus(self) -> str:
        """The entity that looks largest from the photo's camera: what moves refer to when no target is given."""
        camera = self.photo_camera
        best, best_size = "", 0.0
        for entity in self.scene.entities:
            low, high = bounds_at_rest(entity)
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
                self._middles[target] = bounds_at_rest(entity_called(self.scene, target)).mean(axis=0)
            return self._middles[target]
        return np.array([self.length(part) for part in target])

    def followed(self, target: Target) -> Float:
        """`(T, 3)` world positions of a target as it moves: the middle of its bounds at rest, carried along."""
        if not isinstance(target, str):
            return np.broadcast_to(self.place(target), (self.scene.frames, 3))
        entity = entity_called(self.scene, target)
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


def unit(vector: Float, complaint: str) -> Float:
    """`vector` at length 1, or a `BadValueError` with the complaint when it has none."""
    length = float(np.linalg.norm(vector))
    if length < 1e-9:
        raise BadValueError(complaint)
    return vector / length
