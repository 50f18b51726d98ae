"""The editable 3D cache: entities with motions, the camera, and the photo they were lifted from."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from real2sam2real.arrays import Bool, Float, UInt8
from real2sam2real.mesh import Mesh
from real2sam2real.mesh.skin import Skin
from real2sam2real.scene.background import BackgroundRelief
from real2sam2real.scene.billboard import Billboard
from real2sam2real.scene.camera_path import CameraPath
from real2sam2real.scene.motion import Motion
from real2sam2real.scene.relation import Relation, check_circles
from real2sam2real.scene.units import nearest


@dataclass(frozen=True, kw_only=True, eq=False)
class Entity:
    """One object of the photo.

    Attributes:
        name: unique in its scene; a letter, digit or underscore first, then also `-`, `.` and spaces.
        mesh: closed, wound outward, in the object frame: +Y up, origin where a person would grab it (the middle of
            the footprint, so that turning and scaling keep it standing).
        rest_world_from_object: `(4, 4)` pose in the photo.
        motion: pose at every frame.
        mask: `(H, W)` bool, the photo's pixels that show it, or None.
        in_photo: False for an entity that was added (a duplicate, an import) and never covered photo pixels.
        facing: degrees about the object's +Y from its +Z to where its front points, as a lifter guessed it; None where
            nobody did, and +Z counts.
        relation: what it stands on or belongs to, or that it floats; None where nothing is known.
        skin: bones by which the mesh can be posed, in the object frame; None where it has none.
        provenance: where it came from and what was repaired, as JSON values (kept in scene.json).
    """

    name: str
    mesh: Mesh
    rest_world_from_object: Float
    motion: Motion
    mask: Bool | None = None
    in_photo: bool = True
    facing: float | None = None
    relation: Relation | None = None
    skin: Skin | None = None
    provenance: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.name or not (self.name[0].isalnum() or self.name[0] == "_"):
            raise ValueError(f"'{self.name}' cannot be an entity's name; start with a letter, a digit or '_'")
        if bad := sorted({c for c in self.name if not (c.isalnum() or c in "_-. ")}):
            raise ValueError(f"the entity name '{self.name}' contains {' '.join(bad)}; use letters, digits, _ - . only")
        deformed = self.motion.vertices_object
        if deformed is not None and deformed.shape[1] != len(self.mesh.vertices):
            raise ValueError(
                f"'{self.name}' deforms {deformed.shape[1]} vertices but its mesh has {len(self.mesh.vertices)}"
            )

    def front_object(self) -> Float:
        """`(3,)` where its front points, in the object frame: as guessed, else +Z (glTF's front)."""
        angle = np.radians(self.facing or 0.0)
        return np.array([np.sin(angle), 0.0, np.cos(angle)])

    def vertices_world(self, frame: int) -> Float:
        """`(V, 3)` vertex positions in the world at `frame`, deformation included."""
        deformed = self.motion.vertices_object
        vertices = self.mesh.vertices if deformed is None else deformed[frame].astype(np.float64)
        matrix = self.motion.matrices()[frame]
        return vertices @ matrix[:3, :3].T + matrix[:3, 3]


@dataclass(frozen=True, kw_only=True, eq=False)
class Scene:
    """A photo's objects in 3D, with the shot that is to be made of them. Every edit returns a new scene.

    Attributes:
        entities: in a fixed order; entity k renders with instance id k + 1.
        camera: the camera at every frame; frame 0 is the photo's own camera unless the user says otherwise.
        photo: `(H, W, 3)` uint8 sRGB, or None.
        photo_world_from_camera: `(4, 4)` pose of the camera that took the photo.
        fps: frames per second.
        prompt: what the video should show, for text-conditioned checkpoints.
        unit: "metre" when the scale is known, else "unit" (one unit is what the lifter chose).
        ground_y: height of the ground plane in world units, or None when none is known.
        removed: entities of the photo that were taken out; the preview paints their places over.
        billboards: what stands in the photo without being an entity; the preview alone draws it.
        background: how far away the rest of the photo is, or None where only its ground and a wall are assumed.
    """

    entities: tuple[Entity, ...]
    camera: CameraPath
    photo: UInt8 | None = None
    photo_world_from_camera: Float = field(default_factory=lambda: np.eye(4))
    fps: float = 16.0
    prompt: str = ""
    unit: str = "unit"
    ground_y: float | None = None
    removed: tuple[Entity, ...] = ()
    billboards: tuple[Billboard, ...] = ()
    background: BackgroundRelief | None = None

    def __post_init__(self) -> None:
        names = [entity.name for entity in self.entities]
        if doubled := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"entity names must be unique; used twice: {', '.join(doubled)}")
        if len(names) > 255:
            raise ValueError(f"a scene holds at most 255 entities (ids are 8-bit), not {len(names)}")
        for entity in self.entities:
            if entity.motion.frames != self.frames:
                raise ValueError(
                    f"'{entity.name}' moves over {entity.motion.frames} frames but the camera over {self.frames}"
                )
        check_circles({entity.name: entity.relation for entity in self.entities if entity.relation is not None})
        if not (np.isfinite(self.fps) and self.fps > 0):
            raise ValueError(f"fps is {self.fps}; it must be a positive number")

    @property
    def frames(self) -> int:
        """Number of frames T of the shot."""
        return self.camera.frames

    @property
    def photo_level_forward(self) -> Float:
        """`(3,)` unit vector: the photo camera's line of sight made level; its own where it looks straight down."""
        forward = -self.photo_world_from_camera[:3, 2]
        level = forward * np.array([1.0, 0.0, 1.0])
        length = float(np.linalg.norm(level))
        return level / length if length > 1e-3 else forward

    @property
    def names(self) -> list[str]:
        """Entity names in order."""
        return [entity.name for entity in self.entities]

    def entity(self, name: str) -> Entity:
        """The entity called `name`.

        Raises:
            KeyError: there is none; the message names the nearest one.
        """
        for entity in self.entities:
            if entity.name == name:
                return entity
        raise KeyError(f"no entity called '{name}'{nearest(name, self.names) or '; the scene is empty'}")

    def carrier_of(self, name: str) -> Entity | None:
        """What an entity goes along with: the one that it stands on or belongs to, where that is in the scene."""
        relation = self.entity(name).relation
        carrier = None if relation is None else relation.carrier
        return self.entity(carrier) if carrier in self.names else None

    def carried_by(self, name: str) -> list[str]:
        """Names of all that goes along with an entity, directly or on something that does; carriers first."""
        found = [name]
        for at in found:
            found += [e.name for e in self.entities if e.relation is not None and e.relation.carrier == at]
        return found[1:]

    def with_entity(self, entity: Entity) -> Scene:
        """Replace the entity of the same name, or add a new one at the end."""
        if entity.name in self.names:
            return replace(self, entities=tuple(entity if e.name == entity.name else e for e in self.entities))
        return replace(self, entities=(*self.entities, entity))

    def with_motion(self, name: str, motion: Motion) -> Scene:
        """Give one entity another motion."""
        return self.with_entity(replace(self.entity(name), motion=motion))

    def without(self, name: str) -> Scene:
        """Take one entity out. One that the photo shows is remembered, so that its place can be painted over."""
        gone = self.entity(name)
        kept = tuple(entity for entity in self.entities if entity.name != name)
        removed = (*self.removed, gone) if gone.in_photo else self.removed
        return replace(self, entities=kept, removed=removed)

    def duplicated(self, name: str, new_name: str, world_offset: ArrayLike) -> Scene:
        """Add a copy called `new_name` that belongs to nothing, moved by `world_offset` `(3,)` in every frame."""
        if new_name in self.names:
            raise ValueError(f"'{new_name}' is already in the scene; choose another name for the copy")
        source = self.entity(name)
        offset = np.asarray(world_offset, np.float64)
        rest = source.rest_world_from_object.copy()
        rest[:3, 3] += offset
        motion = replace(source.motion, translation=source.motion.translation + offset)
        copy = replace(
            source,
            name=new_name,
            rest_world_from_object=rest,
            motion=motion,
            mask=None,
            in_photo=False,
            relation=None,
        )
        return self.with_entity(copy)
