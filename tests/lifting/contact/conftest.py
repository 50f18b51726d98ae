"""Small worlds of known solids on a plane, seen by a tilted camera; masks are what the renderer shows of them."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
import trimesh

from real2sam2real.geometry import Intrinsics, transforms
from real2sam2real.geometry.transforms import about_x
from real2sam2real.lifting.contact.body import ContactBody, common_volume
from real2sam2real.mesh import Mesh
from real2sam2real.rendering import render_frames
from real2sam2real.scene import CameraPath, Entity, Motion, Scene

WIDTH, HEIGHT = 320, 240
EYE_HEIGHT = 1.6
GROUND = -0.4


class Worlds:
    """Builds scenes, puts entities out of their places, and measures."""

    ground_y = GROUND

    @staticmethod
    def box(width: float, height: float, depth: float) -> Mesh:
        solid = trimesh.creation.box(extents=(width, height, depth)).subdivide().subdivide()
        return Mesh(vertices=solid.vertices + np.array([0, height / 2, 0]), faces=solid.faces)

    @staticmethod
    def ball(radius: float) -> Mesh:
        solid = trimesh.creation.icosphere(subdivisions=3, radius=radius)
        return Mesh(vertices=solid.vertices + np.array([0, -solid.vertices[:, 1].min(), 0]), faces=solid.faces)

    @staticmethod
    def cylinder(radius: float, height: float) -> Mesh:
        solid = trimesh.creation.cylinder(radius=radius, height=height, sections=48)
        points = solid.vertices @ about_x(-np.pi / 2).T
        return Mesh(vertices=points + np.array([0, height / 2, 0]), faces=solid.faces)

    @staticmethod
    def wedge(width: float, height: float, depth: float) -> Mesh:
        """A prism with one upright edge in front."""
        foot = np.array([[-width / 2, 0, -depth / 2], [width / 2, 0, -depth / 2], [0, 0, depth / 2]])
        hull = trimesh.convex.convex_hull(np.concatenate([foot, foot + np.array([0, height, 0])]))
        return Mesh(vertices=hull.vertices, faces=hull.faces)

    @staticmethod
    def ring(radius: float, thickness: float) -> Mesh:
        """A ring that lies on the ground."""
        solid = trimesh.creation.torus(radius, thickness, 48, 24)
        return Mesh(vertices=solid.vertices @ about_x(-np.pi / 2).T + [0, thickness, 0], faces=solid.faces)

    @staticmethod
    def camera(tilt_degrees: float) -> np.ndarray:
        """`(4, 4)` world_from_camera, off the world's origin, looking down by so much."""
        pose = np.eye(4)
        pose[:3, :3] = about_x(-np.radians(tilt_degrees))
        pose[:3, 3] = [0.3, GROUND + EYE_HEIGHT, 0.7]
        return pose

    def ahead(self, tilt_degrees: float, x: float, away: float, height: float = 0.0) -> np.ndarray:
        """`(3,)` a place `height` above the ground, `away` from the camera's foot and `x` to the right."""
        eye = self.camera(tilt_degrees)[:3, 3]
        return np.array([eye[0] + x, GROUND + height, eye[2] - away])

    def scene(
        self, things: Mapping[str, tuple[Mesh, np.ndarray]], tilt_degrees: float = 20.0, *, fov: float = 60.0
    ) -> Scene:
        """Meshes at places `(3,)` or poses `(4, 4)`; what is hidden wholly is left out. Masks show what is seen."""
        pose = self.camera(tilt_degrees)
        lens = Intrinsics.from_fov(WIDTH, HEIGHT, horizontal_degrees=fov)
        entities = []
        for name, (mesh, place) in things.items():
            rest = place if place.shape == (4, 4) else transforms.compose(place, (1.0, 0, 0, 0))
            entities.append(Entity(name=name, mesh=mesh, rest_world_from_object=rest, motion=Motion.still(1, rest)))
        scene = Scene(
            entities=tuple(entities),
            camera=CameraPath.still(1, lens, pose),
            photo_world_from_camera=pose,
            ground_y=GROUND,
        )
        (frame,) = render_frames(scene, width=WIDTH, height=HEIGHT)
        masks = [np.asarray(frame.ids) == k + 1 for k in range(len(entities))]
        entities = [replace(e, mask=mask) for e, mask in zip(entities, masks, strict=True) if mask.any()]
        return replace(scene, entities=tuple(entities))

    @staticmethod
    def farther(scene: Scene, **factors: float) -> Scene:
        """Entities scaled about the camera, which the photo does not show."""
        for name, factor in factors.items():
            body = ContactBody.of(scene.entity(name), scene.photo_world_from_camera).farther(float(np.log(factor)))
            scene = scene.with_entity(body.as_entity())
        return scene

    @staticmethod
    def moved(scene: Scene, name: str, offset: np.ndarray) -> Scene:
        """An entity moved, with the mask that it had."""
        entity = scene.entity(name)
        rest = entity.rest_world_from_object.copy()
        rest[:3, 3] += offset
        return scene.with_entity(replace(entity, rest_world_from_object=rest, motion=Motion.still(1, rest)))

    @staticmethod
    def pixels(scene: Scene, name: str) -> np.ndarray:
        """`(V, 2)` where the photo's camera sees the vertices of an entity at rest."""
        camera_from_world = transforms.invert_rigid(scene.photo_world_from_camera)
        points = transforms.apply(camera_from_world, scene.entity(name).vertices_world(0))
        return scene.camera.intrinsics.project(points)[0]

    @staticmethod
    def common(scene: Scene, a: str, b: str) -> float:
        """What two entities have in common, as a share of the smaller one."""
        return common_volume(*(ContactBody.of(scene.entity(name), scene.photo_world_from_camera) for name in (a, b)))

    @staticmethod
    def gap(scene: Scene, a: str, b: str) -> float:
        """Least distance between two entities, 0 if it is more than 0.2."""
        bodies = [ContactBody.of(scene.entity(name), scene.photo_world_from_camera) for name in (a, b)]
        return float(bodies[0].solid.min_gap(bodies[1].solid, 0.2))

    @staticmethod
    def above_ground(scene: Scene, name: str) -> float:
        """Height of the lowest point above the plane, as a share of the entity's height."""
        heights = scene.entity(name).vertices_world(0)[:, 1]
        return float((heights.min() - GROUND) / np.ptp(heights))

    @staticmethod
    def center(scene: Scene, name: str) -> np.ndarray:
        """`(3,)` in the world."""
        points = scene.entity(name).vertices_world(0)
        return (points.min(axis=0) + points.max(axis=0)) / 2


@pytest.fixture(scope="session")
def worlds() -> Worlds:
    return Worlds()
