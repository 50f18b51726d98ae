"""Processor time to read meshes of the user's own: `python benchmarks/mesh_files.py`.

A sphere of 327,680 triangles in every format, and a GLB of 20,480 triangles that deform over 81 frames. With
`--compare` a torus of 200,000 triangles in every form of OBJ and PLY, beside what trimesh takes (best of five).
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import trimesh

from real2sam2real.geometry import Intrinsics
from real2sam2real.lifting.file_animation import entity_motion
from real2sam2real.lifting.mesh_files import read_mesh_file
from real2sam2real.mesh import Mesh
from real2sam2real.mesh.readers import read_mesh
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


def write_tori(folder: Path) -> list[Path]:
    torus = trimesh.creation.torus(1.0, 0.4, major_sections=500, minor_sections=200)
    vertices, faces = torus.vertices, torus.faces
    files = []
    for order in ("binary_little_endian", "binary_big_endian", "ascii"):
        head = f"ply\nformat {order} 1.0\nelement vertex {len(vertices)}\nproperty float x\nproperty float y\n"
        head += f"property float z\nelement face {len(faces)}\nproperty list uchar int vertex_indices\nend_header\n"
        rows = np.zeros(len(faces), [("size", "u1"), ("face", ">i4" if "big" in order else "<i4", 3)])
        rows["size"], rows["face"] = 3, faces
        body = vertices.astype(">f4" if "big" in order else "<f4").tobytes() + rows.tobytes()
        if order == "ascii":
            lines = [f"{x:.8g} {y:.8g} {z:.8g}" for x, y, z in vertices] + [f"3 {a} {b} {c}" for a, b, c in faces]
            body = "\n".join(lines).encode()
        files.append(folder / f"{order}.ply")
        files[-1].write_bytes(head.encode() + body)
    points = [f"v {x:.8f} {y:.8f} {z:.8f}" for x, y, z in vertices]
    points += [f"vt {x:.6f} {y:.6f}" for x, y, _ in vertices] + [f"vn {x:.6f} {y:.6f} {z:.6f}" for x, y, z in vertices]
    for name, form in {
        "v": "{0}",
        "v-negative": "{1}",
        "v+vt": "{0}/{0}",
        "v+vn": "{0}//{0}",
        "all": "{0}/{0}/{0}",
    }.items():
        polygons = ["f " + " ".join(form.format(k + 1, k - len(vertices)) for k in face) for face in faces.tolist()]
        files.append(folder / f"{name}.obj")
        files[-1].write_text("\n".join(points + polygons))
    return files


def compare() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for file in write_tori(Path(folder)):
            best = {}
            for name, read in (("trimesh", lambda path: trimesh.load(path, process=False)), ("ours", read_mesh)):
                taken = []
                for _ in range(5):
                    start = time.process_time()
                    read(file)
                    taken.append(time.process_time() - start)
                best[name] = min(taken)
            print(f"{file.name:26} ours {best['ours']:.3f} s, trimesh {best['trimesh']:.3f} s")


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
    compare() if "--compare" in sys.argv else main()
