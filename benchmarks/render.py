"""Speed and memory of the renderer: `python benchmarks/render.py [--repeats N] [--threads N]`.

The scene is 81 frames of five moving, bumpy spheres, 250,000 triangles in all; the small clips are what the procedural
world draws by the thousand. Every case runs in a process of its own, after one clip that is not counted, and reports
its best repeat (other work on the machine can only slow a repeat down), the processor time of a frame over all threads,
which other work disturbs less, and that process's peak memory.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from real2sam2real.geometry import Intrinsics, quaternions, transforms
from real2sam2real.mesh import Mesh
from real2sam2real.rendering import Frame, Light, render_frames
from real2sam2real.scene import CameraPath, Entity, Motion, Scene


@dataclass(frozen=True, kw_only=True)
class Case:
    """One row of the table."""

    name: str
    width: int = 1280
    height: int = 720
    frames: int = 81
    entities: int = 5
    rings: int = 112  # 4 · rings · (rings − 1) triangles each
    color: bool = False
    antialias: bool = False
    deforming: bool = False


CASES = [
    Case(name="normals, ids, depth"),
    Case(name="+ lit texture", color=True),
    Case(name="+ 2×2 anti-aliasing", antialias=True),
    Case(name="+ texture and anti-aliasing", color=True, antialias=True),
    Case(name="every vertex deformed", deforming=True),
    Case(name="small clip, coloured", width=96, height=64, frames=33, entities=4, rings=16, color=True),
    Case(name="medium clip, coloured", width=256, height=144, frames=33, entities=4, rings=16, color=True),
    Case(
        name="medium clip, coloured, anti-aliased", width=256, height=144, frames=33, entities=4, rings=16, color=True,
        antialias=True,
    ),
]  # fmt: skip


def bumpy_sphere(rings: int, seed: int) -> Mesh:
    """A closed latitude-longitude sphere with bumps and a noise texture; 4 · rings · (rings − 1) triangles."""
    rng = np.random.default_rng(seed)
    around = 2 * rings
    latitude = np.pi * np.arange(1, rings) / rings
    longitude = 2 * np.pi * np.arange(around) / around
    y = np.repeat(np.cos(latitude), around)
    x = np.outer(np.sin(latitude), np.cos(longitude)).ravel()
    z = np.outer(np.sin(latitude), np.sin(longitude)).ravel()
    directions = np.concatenate([[[0.0, 1.0, 0.0]], np.stack([x, y, z], axis=1), [[0.0, -1.0, 0.0]]])
    bumps = np.sin(directions @ rng.normal(0, 4, (3, 6)) + rng.uniform(0, 6, 6)).sum(axis=1)
    here = np.arange(around)
    there = (here + 1) % around
    last = len(directions) - 1
    faces = [np.stack([np.zeros(around, int), 1 + there, 1 + here], axis=1)]
    for ring in range(rings - 2):
        upper, lower = 1 + ring * around, 1 + (ring + 1) * around
        faces.append(np.stack([upper + here, upper + there, lower + there], axis=1))
        faces.append(np.stack([upper + here, lower + there, lower + here], axis=1))
    bottom = last - around
    faces.append(np.stack([np.full(around, last), bottom + here, bottom + there], axis=1))
    joined = np.concatenate(faces)
    vertices = directions * (1 + 0.04 * bumps)[:, None]
    return Mesh(
        vertices=vertices,
        faces=joined,
        corner_uvs=0.5 + 0.5 * directions[joined][..., :2],
        texture=rng.integers(0, 256, (512, 512, 3), dtype=np.uint8),
    )


def build(case: Case) -> Scene:
    """Meshes that turn and cross in front of a camera that moves too."""
    time_axis = np.linspace(0, 1, case.frames)
    entities = []
    for k in range(case.entities):
        mesh = bumpy_sphere(case.rings, k)
        angle = 2 * np.pi * (k / case.entities + 0.3 * time_axis)
        place = np.stack([2.4 * np.sin(angle), 0.5 * np.cos(3 * angle), -6.0 + 1.2 * np.cos(angle)], axis=1)
        turn = quaternions.from_axis_angle(np.array([0.3, 1.0, 0.1]), 2 * angle)
        motion = Motion.from_matrices(transforms.compose(place, turn, 0.9))
        if case.deforming:
            swell = 1 + 0.1 * np.sin(8 * time_axis[:, None, None] + 3 * mesh.vertices[:, 1][None, :, None])
            motion = Motion(
                translation=motion.translation,
                rotation_wxyz=motion.rotation_wxyz,
                scale=motion.scale,
                visible=motion.visible,
                vertices_object=(mesh.vertices * swell).astype(np.float32),
            )
        entities.append(Entity(name=f"mesh{k}", mesh=mesh, rest_world_from_object=np.eye(4), motion=motion))
    lens = Intrinsics.from_fov(case.width, case.height, horizontal_degrees=60)
    poses = np.broadcast_to(np.eye(4), (case.frames, 4, 4)).copy()
    poses[:, 0, 3] = 0.5 * time_axis
    camera = CameraPath(world_from_camera=poses, intrinsics=lens, zoom=np.ones(case.frames))
    return Scene(entities=tuple(entities), camera=camera)


def rendered(case: Case, scene: Scene, threads: int | None) -> Iterator[Frame]:
    """The frames of a case."""
    return render_frames(
        scene, width=case.width, height=case.height, color=case.color, antialias=case.antialias,
        light=Light() if case.color else None, threads=threads,
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What a case cost: best seconds per clip by the clock and of processor time, peak MiB of the whole process."""

    seconds: float
    processor_seconds: float
    triangles: int
    covered: float
    peak_mib: float


def measure(case: Case, repeats: int, threads: int | None) -> Measured:
    """Render a case once to warm up, then `repeats` times."""
    scene = build(case)
    covered = float(np.mean([np.mean(frame.ids > 0) for frame in rendered(case, scene, threads)]))
    best = best_processor = np.inf
    for _ in range(repeats):
        start, start_processor = time.perf_counter(), time.process_time()
        for _frame in rendered(case, scene, threads):
            pass
        best = min(best, time.perf_counter() - start)
        best_processor = min(best_processor, time.process_time() - start_processor)
    triangles = sum(len(entity.mesh.faces) for entity in scene.entities)
    return Measured(
        seconds=best,
        processor_seconds=best_processor,
        triangles=triangles,
        covered=covered,
        peak_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5, help="the best of so many clips counts")
    parser.add_argument("--threads", type=int, default=None, help="default: as render_frames chooses")
    parser.add_argument("--case", default="", help="only cases whose name contains this")
    options = parser.parse_args()
    head = f"{'case':<38}{'size':>10}{'frames':>8}{'triangles':>11}{'covered':>9}"
    print(head + f"{'s/clip':>9}{'frames/s':>10}{'CPU ms':>9}{'peak MiB':>10}")
    context = multiprocessing.get_context("spawn")
    for case in (case for case in CASES if options.case in case.name):
        with context.Pool(1) as pool:
            cost = pool.apply(measure, (case, options.repeats, options.threads))
        row = f"{case.name:<38}{f'{case.width}×{case.height}':>10}{case.frames:>8}{cost.triangles:>11,}"
        row += f"{cost.covered:>9.0%}{cost.seconds:>9.3f}{case.frames / cost.seconds:>10.1f}"
        print(row + f"{1e3 * cost.processor_seconds / case.frames:>9.2f}{cost.peak_mib:>10.0f}")


if __name__ == "__main__":
    main()
