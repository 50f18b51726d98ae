"""Scenes to save and hand-made glTF documents to load."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh

from real2sam2real.geometry import Intrinsics
from real2sam2real.mesh import Mesh
from real2sam2real.mesh.gltf.building import GltfBuilder
from real2sam2real.mesh.gltf.container import write_glb
from real2sam2real.scene import CameraPath, Entity, Keyframe, Motion, Scene

FRAMES = 9
TETRAHEDRON = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
TETRAHEDRON_FACES = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]], np.uint16)


def ball(seed: int = 0, *, textured: bool = False, colored: bool = False) -> Mesh:
    rng = np.random.default_rng(seed)
    made = trimesh.creation.icosphere(subdivisions=2)
    faces = len(made.faces)
    return Mesh(
        vertices=made.vertices.astype(np.float32),
        faces=made.faces,
        corner_uvs=rng.random((faces, 3, 2)).astype(np.float32) if textured else None,
        texture=rng.integers(0, 256, (8, 16, 3), dtype=np.uint8) if textured else None,
        vertex_colors=rng.integers(0, 256, made.vertices.shape, dtype=np.uint8) if colored else None,
    )


def swing(frames: int = FRAMES) -> Motion:
    keys = [
        Keyframe(frame=0, translation=(1.0, 0.0, -4.0), easing="ease"),
        Keyframe(frame=5, translation=(-1.5, 0.25, -5.0), rotation_wxyz=(0.6, 0.0, 0.8, 0.0), scale=(1.0, 2.0, 0.5)),
        Keyframe(frame=frames - 1, translation=(0.0, 1.0, -6.0), rotation_wxyz=(0.0, 0.6, 0.8, 0.0)),
    ]
    return Motion.from_keyframes(keys, frames)


def entity(name: str, mesh: Mesh, motion: Motion, **fields: Any) -> Entity:
    return Entity(name=name, mesh=mesh, rest_world_from_object=motion.matrices()[0], motion=motion, **fields)


def flight(frames: int = FRAMES) -> CameraPath:
    keys = [Keyframe(frame=0), Keyframe(frame=frames - 1, translation=(1, 1, 2), rotation_wxyz=(0.9, 0.1, 0.4, 0))]
    lens = Intrinsics(width=160, height=90, fx=150.0, fy=150.0, cx=77.0, cy=45.5)
    poses = Motion.from_keyframes(keys, frames).matrices()
    return CameraPath(world_from_camera=poses, intrinsics=lens, zoom=np.linspace(1, 1.5, frames))


@pytest.fixture
def scene() -> Scene:
    """Three entities, rigid, textured and hidden for a while, and deforming; a moving, zooming camera; a photo."""
    rng = np.random.default_rng(7)
    breathing = 1 + 0.2 * np.sin(np.arange(FRAMES))[:, None, None]
    clay = ball(1, colored=True, textured=True)  # its seams must deform with it
    deformed = (clay.vertices[None] * breathing).astype(np.float32)
    still = Motion.still(FRAMES, np.eye(4))
    bending = Motion(
        translation=still.translation,
        rotation_wxyz=still.rotation_wxyz,
        scale=still.scale,
        visible=still.visible,
        vertices_object=deformed,
    )
    mask = np.zeros((90, 160), bool)
    mask[20:40, 30:60] = True
    return Scene(
        entities=(
            entity("car", ball(2), swing(), mask=mask, facing=-35.5, provenance={"lifter": "test", "holes": [1, 2]}),
            entity("red ball", ball(3, textured=True), swing().hidden(3, 5)),
            entity("clay", clay, bending, in_photo=False),
        ),
        camera=flight(),
        photo=rng.integers(0, 256, (90, 160, 3), dtype=np.uint8),
        prompt="a “test”",
        unit="metre",
        ground_y=-0.125,
        fps=16.0,
    )


@pytest.fixture
def make_ball() -> Callable[..., Mesh]:
    return ball


@pytest.fixture
def make_entity() -> Callable[..., Entity]:
    return entity


class Handmade:
    """A glTF document with one tetrahedron, to be changed by a test before it is written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.builder = GltfBuilder("a test")
        self.root = self.builder.root
        primitive = {"attributes": {"POSITION": self.add(TETRAHEDRON)}, "indices": self.add(TETRAHEDRON_FACES.ravel())}
        self.primitive: dict[str, Any] = primitive
        self.mesh: dict[str, Any] = {"primitives": [primitive]}
        self.node: dict[str, Any] = {"name": "thing", "mesh": 0}
        self.root.update(meshes=[self.mesh], nodes=[self.node], scenes=[{"nodes": [0]}], scene=0)

    def add(self, array: np.ndarray, **options: Any) -> int:
        return self.builder.accessor(np.asarray(array), **options)

    def animate(
        self, path: str, times: list[float], values: Any, *, node: int = 0, interpolation: str = "LINEAR"
    ) -> None:
        clip = self.root.setdefault("animations", [{"name": "clip", "channels": [], "samplers": []}])[0]
        source = {"input": self.add(np.array(times, np.float32)), "output": self.add(np.array(values, np.float32))}
        clip["samplers"].append({**source, "interpolation": interpolation})
        clip["channels"].append({"sampler": len(clip["samplers"]) - 1, "target": {"node": node, "path": path}})

    def write(self, name: str = "made.glb") -> Path:
        path = self.folder / name
        write_glb(path, self.builder.finished(), self.builder.binary)
        return path


@pytest.fixture
def handmade(tmp_path: Path) -> Handmade:
    return Handmade(tmp_path)
