"""Closed meshes and small scenes for the renderer's tests."""

from collections.abc import Sequence

import numpy as np
import pytest
import trimesh
from numpy.typing import ArrayLike

from real2sam2real.geometry import Intrinsics, quaternions, transforms
from real2sam2real.mesh import Mesh
from real2sam2real.scene import CameraPath, Entity, Motion, Scene


class Workshop:
    """What the tests build their scenes from."""

    @staticmethod
    def sphere(subdivisions: int = 2, radius: float = 1.0) -> Mesh:
        ball = trimesh.creation.icosphere(subdivisions=subdivisions, radius=radius)
        return Mesh(vertices=ball.vertices, faces=ball.faces)

    @staticmethod
    def box(*size: float) -> Mesh:
        box = trimesh.creation.box(extents=size)
        return Mesh(vertices=box.vertices, faces=box.faces)

    @staticmethod
    def blob(seed: int, subdivisions: int = 2) -> Mesh:
        """A sphere with bumps, vertex colours, and a noise texture if the seed is odd."""
        rng = np.random.default_rng(seed)
        ball = trimesh.creation.icosphere(subdivisions=subdivisions)
        bumps = np.sin(ball.vertices @ rng.normal(0, 3, (3, 4)) + rng.uniform(0, 6, 4)).sum(axis=1)
        textured = seed % 2 == 1
        return Mesh(
            vertices=ball.vertices * (1 + 0.1 * bumps)[:, None],
            faces=ball.faces,
            vertex_colors=rng.integers(0, 256, ball.vertices.shape, dtype=np.uint8),
            corner_uvs=rng.uniform(-0.5, 1.5, (len(ball.faces), 1, 2)) + rng.uniform(0, 0.05, (len(ball.faces), 3, 2))
            if textured
            else None,
            texture=rng.integers(0, 256, (11, 17, 3), dtype=np.uint8) if textured else None,
        )

    @staticmethod
    def entity(mesh: Mesh, world_from_object: ArrayLike, *, name: str = "thing", frames: int = 1) -> Entity:
        matrix = np.asarray(world_from_object, np.float64)
        return Entity(name=name, mesh=mesh, rest_world_from_object=matrix, motion=Motion.still(frames, matrix))

    @staticmethod
    def at(x: float, y: float, z: float, scale: ArrayLike = 1.0) -> np.ndarray:
        return transforms.compose([x, y, z], quaternions.IDENTITY, scale)

    @staticmethod
    def scene(entities: Sequence[Entity], *, width: int = 64, height: int = 48, fov: float = 60.0) -> Scene:
        """The entities before a camera at the origin that looks along −Z."""
        frames = entities[0].motion.frames if entities else 1
        intrinsics = Intrinsics.from_fov(width, height, horizontal_degrees=fov)
        return Scene(entities=tuple(entities), camera=CameraPath.still(frames, intrinsics))

    def jumble(self, seed: int, *, frames: int = 1, count: int = 4, subdivisions: int = 2) -> Scene:
        """Blobs turned, stretched, mirrored and strewn about the camera, also behind, across and around it."""
        rng = np.random.default_rng(seed)
        entities = []
        for k in range(count):
            start, end = rng.uniform([-2, -1.5, -6], [2, 1.5, 0.5], (2, 3))
            place = start + np.linspace(0, 1, frames)[:, None] * (end - start)
            scale = rng.uniform(0.4, 1.2, 3) * rng.choice([-1, 1], 3)
            motion = Motion.from_matrices(transforms.compose(place, quaternions.normalize(rng.normal(size=4)), scale))
            mesh = self.blob(seed + k, subdivisions)
            entities.append(Entity(name=f"blob{k}", mesh=mesh, rest_world_from_object=np.eye(4), motion=motion))
        return self.scene(entities)


@pytest.fixture(scope="session")
def workshop() -> Workshop:
    return Workshop()
