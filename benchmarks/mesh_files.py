"""Processor time to read meshes of the user's own: `python benchmarks/mesh_files.py`.

A sphere of 327,680 triangles in every format, and a GLB of 20,480 triangles that deform over 81 frames.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import trimesh

from real2sam2real.geometry import Intrinsics
from real2sam2real.lift.mesh_files import entity_motion, read_mesh_file
from real2sam2real.mesh import Mesh
from real2sam2real.scene import CameraPath, Entity, Motion, Scene
from real2sam2real.scene.gltf import save_glb

FRAMES, FPS = 81, 16.0


def write_swelling(path: Path) -> None:
    made = trimesh.creation.icosphere(subdivisions=5)
    mesh = Mesh(vertices=made.vertices, faces=made.faces)
    swell = 1 + 0.2 * np.sin(np.arange(FRAMES))[:, None, None]
    motion = replace(Motion.still(FRAMES, np.eye(4)), vertices_object=(mesh.vertices * swell).astype(np.float32))
    entity = Entity(name="ball", mesh=mesh, rest_world_from_object=np.eye(4), motion=motion)
    lens = Intrinsics.from_fov(1280, 720, horizontal_degrees=60)
    save_glb(Scene(entities=(entity,), camera=CameraPath.still(FRAMES, lens), fps=FPS), path)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        sphere = trimesh.creation.icosphere(subdivisions=7)
        files = []
        for ending, options in (("glb", {}), ("obj", {}), ("ply", {}), ("ply", {"encoding": "ascii"}), ("stl", {})):
            files.append(Path(folder) / f"sphere-{len(files)}.{ending}")
            sphere.export(files[-1], **options)
        files.append(Path(folder) / "swelling.glb")
        write_swelling(files[-1])
        for file in files:
            start = time.process_time()
            lifted = read_mesh_file(file, name="sphere", fps=FPS)
            motion = entity_motion(lifted, np.eye(4), FRAMES, FPS)
            seconds = time.process_time() - start
            kind = "rigid" if motion.vertices_object is None else f"deforming over {motion.frames} frames"
            print(f"{file.name:14} {len(lifted.mesh.faces):9,} triangles, {kind}: {seconds:.2f} s")


if __name__ == "__main__":
    main()
