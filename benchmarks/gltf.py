"""Processor time to save and load a scene folder: `python benchmarks/gltf.py`.

A sphere of 20,480 triangles with a texture, moving over 81 frames: rigid, and deforming in every frame.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import trimesh

from real2sam2real.geometry import Intrinsics
from real2sam2real.mesh import Mesh
from real2sam2real.scene import CameraPath, Entity, Keyframe, Motion, Scene
from real2sam2real.scene.folder import load_scene, save_scene

FRAMES, REPEATS = 81, 5


def make_scene(*, deforming: bool) -> Scene:
    made = trimesh.creation.icosphere(subdivisions=5)
    uvs = made.vertices[made.faces][:, :, :2] / 4 + 0.25
    uvs[made.face_normals[:, 2] < 0, :, 0] += 0.5
    texture = np.random.default_rng(0).integers(0, 256, (512, 512, 3), dtype=np.uint8)
    mesh = Mesh(vertices=made.vertices, faces=made.faces, corner_uvs=uvs, texture=texture)
    motion = Motion.from_keyframes([Keyframe(frame=0), Keyframe(frame=80, translation=(1.0, 0.0, -2.0))], FRAMES)
    if deforming:
        swell = 1 + 0.2 * np.sin(np.arange(FRAMES))[:, None, None]
        motion = replace(motion, vertices_object=(mesh.vertices * swell).astype(np.float32))
    entity = Entity(name="ball", mesh=mesh, rest_world_from_object=np.eye(4), motion=motion)
    lens = Intrinsics.from_fov(1280, 720, horizontal_degrees=60)
    photo = np.zeros((720, 1280, 3), np.uint8)
    return Scene(entities=(entity,), camera=CameraPath.still(FRAMES, lens), photo=photo)


def main() -> None:
    for deforming in (False, True):
        scene = make_scene(deforming=deforming)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name) / "scene"
            saved, loaded = [], []
            for _ in range(REPEATS):
                start = time.process_time()
                save_scene(scene, folder)
                saved.append(time.process_time() - start)
                start = time.process_time()
                load_scene(folder)
                loaded.append(time.process_time() - start)
            size = (folder / "scene.glb").stat().st_size / 1e6
        kind = "deforming" if deforming else "rigid"
        print(f"{kind:9s}  save {min(saved):.3f} s  load {min(loaded):.3f} s  scene.glb {size:.1f} MB")


if __name__ == "__main__":
    main()
