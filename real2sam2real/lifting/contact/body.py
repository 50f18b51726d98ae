"""An entity while the contacts of its scene are resolved.

The eye frame has the world's axes and its origin at the centre of the photo's camera: there, scaling about the camera
is one number.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import manifold3d
import numpy as np

from real2sam2real.arrays import Float, Int32
from real2sam2real.geometry import quaternions, transforms
from real2sam2real.scene import Entity

NEAREST = 1e-3  # of its distance: an entity that comes that near to the camera plane, or crosses it, has no silhouette
EMPTY = 1e-12  # of the smaller volume: what a boolean leaves of two solids that touch


@dataclass(frozen=True, kw_only=True, eq=False)
class ContactBody:
    """An entity and the similarity by which it has moved."""

    entity: Entity  # as it was
    eye_from_world: Float  # `(4, 4)` translation by minus the camera's centre
    camera_from_eye: Float  # `(3, 3)` rotation
    start: Float  # `(V, 3)` resting vertices in the eye frame, as they were
    start_solid: manifold3d.Manifold  # the same for booleans; it has an error status if the mesh is no manifold
    # `(4, 4)` similarity in the eye frame from there to here
    moved_by: Float = field(default_factory=lambda: np.eye(4))

    @classmethod
    def of(cls, entity: Entity, world_from_camera: Float) -> ContactBody:
        """The entity where it rests; a deforming one in the shape of its first frame."""
        deformed = entity.motion.vertices_object
        vertices = entity.mesh.vertices if deformed is None else deformed[0].astype(np.float64)
        eye_from_world = np.eye(4)
        eye_from_world[:3, 3] = -world_from_camera[:3, 3]
        start = np.ascontiguousarray(transforms.apply(eye_from_world @ entity.rest_world_from_object, vertices))
        return cls(
            entity=entity,
            eye_from_world=eye_from_world,
            camera_from_eye=world_from_camera[:3, :3].T,
            start=start,
            start_solid=_solid(start, entity),
        )

    @property
    def name(self) -> str:
        """Of the entity."""
        return self.entity.name

    @property
    def faces(self) -> Int32:
        """`(F, 3)` of the mesh."""
        return self.entity.mesh.faces

    @cached_property
    def points(self) -> Float:
        """`(V, 3)` vertices in the eye frame."""
        return self.start if self.is_still else transforms.apply(self.moved_by, self.start)

    @cached_property
    def points_camera(self) -> Float:
        """`(V, 3)` vertices in the photo's camera frame."""
        return self.points @ self.camera_from_eye.T

    @cached_property
    def start_camera(self) -> Float:
        """`(V, 3)` vertices in the photo's camera frame, as they were."""
        return self.start @ self.camera_from_eye.T

    @property
    def is_still(self) -> bool:
        """Whether it never moved."""
        return np.array_equal(self.moved_by, np.eye(4))

    @property
    def is_before_camera(self) -> bool:
        """Whether all of it is in front of the camera."""
        return bool((-self.points_camera[:, 2] > NEAREST * np.linalg.norm(self.points, axis=1).max()).all())

    @property
    def bottom(self) -> float:
        """Height of the lowest vertex in the eye frame."""
        return float(self.points[:, 1].min())

    @property
    def height(self) -> float:
        """Vertical extent in world units."""
        return float(np.ptp(self.points[:, 1]))

    @property
    def factor(self) -> float:
        """By how much it has grown."""
        return 1.0 if self.is_still else float(np.cbrt(np.linalg.det(self.moved_by[:3, :3])))

    @cached_property
    def solid(self) -> manifold3d.Manifold:
        """For booleans, in the eye frame."""
        return self.start_solid if self.is_still else self.start_solid.transform(self.moved_by[:3])

    @cached_property
    def volume(self) -> float:
        """In cubic world units; 0 where there is no solid."""
        return float(self.solid.volume()) if self.solid.status() == manifold3d.Error.NoError else 0.0

    def moved(self, similarity: Float) -> ContactBody:
        """Moved further by a `(4, 4)` similarity of the eye frame."""
        return replace(self, moved_by=similarity @ self.moved_by)

    def farther(self, log_factor: float) -> ContactBody:
        """Scaled about the camera by e to the `log_factor`."""
        if log_factor == 0:
            return self
        factor = float(np.exp(log_factor))
        return self.moved(np.diag([factor, factor, factor, 1.0]))

    def translated(self, offset: Float) -> ContactBody:
        """Moved by `offset` `(3,)` in the eye frame."""
        return self.moved(transforms.compose(offset, (1.0, 0.0, 0.0, 0.0)))

    def as_entity(self) -> Entity:
        """The entity where it is now; itself if it never moved. Its growth goes into its mesh, not into its pose."""
        if self.is_still:
            return self.entity
        by = np.linalg.inv(self.eye_from_world) @ self.moved_by @ self.eye_from_world
        factor = self.factor
        rotation = by[:3, :3] / factor
        entity, motion = self.entity, self.entity.motion
        rest = by @ entity.rest_world_from_object
        rest[:3, :3] /= factor
        deformed = motion.vertices_object
        turned = not np.allclose(rotation, np.eye(3), rtol=0, atol=1e-15)
        return replace(
            entity,
            mesh=replace(entity.mesh, vertices=entity.mesh.vertices * factor),
            rest_world_from_object=rest,
            skin=None if entity.skin is None else entity.skin.transformed(np.diag([factor, factor, factor, 1.0])),
            motion=replace(
                motion,
                translation=transforms.apply(by, motion.translation),
                rotation_wxyz=quaternions.multiply(quaternions.from_matrix(rotation), motion.rotation_wxyz)
                if turned
                else motion.rotation_wxyz,
                vertices_object=None if deformed is None else deformed * np.float32(factor),
            ),
        )


def _solid(points: Float, entity: Entity) -> manifold3d.Manifold:
    """The surface as a solid; of a mirrored entity the winding is turned."""
    faces = entity.mesh.faces
    if np.linalg.det(entity.rest_world_from_object[:3, :3]) < 0:
        faces = faces[:, ::-1]
    return manifold3d.Manifold(
        manifold3d.Mesh64(vert_properties=points, tri_verts=np.ascontiguousarray(faces, dtype=np.uint64))
    )


def common_volume(a: ContactBody, b: ContactBody) -> float:
    """What two bodies have in common, as a share of the smaller one's volume; 0 where one of them is no solid."""
    smaller = min(a.volume, b.volume)
    p, q = a.points, b.points
    if smaller <= 0 or (p.min(axis=0) >= q.max(axis=0)).any() or (q.min(axis=0) >= p.max(axis=0)).any():
        return 0.0
    share = float((a.solid ^ b.solid).volume()) / smaller
    return share if share > EMPTY else 0.0
