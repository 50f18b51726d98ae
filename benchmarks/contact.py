"""Processor time of resolving the contacts of ten entities of 20,000 triangles, and what comes of it.

Run: python benchmarks/contact.py

Bumpy balls stand on the ground in two rows, so that those behind are partly hidden; two have a small one on their
heads. They are put out of their places along the lines of sight. Seconds are processor time on one thread, the median
of three runs; penetration is the worst pair's, in percent of the smaller volume; gaps to the ground are in percent of
the entity's height, of those that stand there in the end.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import statistics
import time
from dataclasses import replace

import manifold3d
import numpy as np

from real2sam2real.geometry import Intrinsics, transforms
from real2sam2real.geometry.transforms import about_x
from real2sam2real.lifting.contact import ContactOptions, ContactReport, resolve_contacts
from real2sam2real.lifting.contact.body import ContactBody
from real2sam2real.mesh import Mesh
from real2sam2real.rendering import render_frames
from real2sam2real.scene import CameraPath, Entity, Motion, Scene

WIDTH, HEIGHT = 1280, 720
SEGMENTS = 200  # 20,000 triangles


def bumpy(seed: int, size: float) -> Mesh:
    """A ball with bumps that stands on the origin on a flat base."""
    rng = np.random.default_rng(seed)
    wave, phase = rng.normal(0, 3, (3, 3)), rng.uniform(0, 6, 3)
    solid = manifold3d.Manifold.sphere(1.0, SEGMENTS).to_mesh64()
    points = np.asarray(solid.vert_properties)[:, :3]
    points = points * (1 + 0.06 * np.sin(points @ wave + phase).sum(axis=1, keepdims=True))
    points[:, 1] = np.maximum(points[:, 1], -0.7) + 0.7
    points[:, 1] = np.minimum(points[:, 1], 1.4)
    return Mesh(vertices=points * size, faces=np.asarray(solid.tri_verts).astype(np.int32))


def world() -> Scene:
    """In order: everything stands, nothing interpenetrates."""
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = about_x(np.radians(-22)), [0, 4.0, 0]
    lens = Intrinsics.from_fov(WIDTH, HEIGHT, horizontal_degrees=50)
    places = [(1.5 * (k - 1.5), 0.0, -8.0) for k in range(4)] + [(1.6 * (k - 1.2), 0.0, -9.7) for k in range(4)]
    things = [(bumpy(k, 0.6), place) for k, place in enumerate(places)]
    things += [(bumpy(8 + k, 0.15), (x, 1.4 * 0.6, z)) for k, (x, _, z) in enumerate(places[:2])]
    entities = []
    for k, (mesh, place) in enumerate(things):
        rest = transforms.compose(place, (1.0, 0, 0, 0))
        entities.append(Entity(name=f"e{k}", mesh=mesh, rest_world_from_object=rest, motion=Motion.still(1, rest)))
    scene = Scene(
        entities=tuple(entities),
        camera=CameraPath.still(1, lens, pose),
        photo_world_from_camera=pose,
        ground_y=0.0,
    )
    (frame,) = render_frames(scene, width=WIDTH, height=HEIGHT)
    masked = [replace(e, mask=np.asarray(frame.ids) == k + 1) for k, e in enumerate(entities)]
    return replace(scene, entities=tuple(masked))


def strewn(scene: Scene, amount: float, seed: int) -> Scene:
    """Every entity nearer or farther by up to that share."""
    rng = np.random.default_rng(seed)
    moved = [
        ContactBody.of(e, scene.photo_world_from_camera).farther(float(rng.uniform(-amount, amount))).as_entity()
        for e in scene.entities
    ]
    return replace(scene, entities=tuple(moved))


def row(what: str, scene: Scene, options: ContactOptions) -> str:
    """One line of the table."""
    seconds = []
    report: ContactReport | None = None
    for _ in range(3):
        start = time.process_time()
        _, report = resolve_contacts(scene, options)
        seconds.append(time.process_time() - start)
    assert report is not None
    lines = report.entities
    pierced = [max(getattr(line, f"penetration_{when}") for line in lines) for when in ("before", "after")]
    standing = [line for line in lines if line.supported_by == "ground"]
    gaps = [
        max((abs(getattr(line, f"ground_gap_{when}")) for line in standing), default=0.0)
        for when in ("before", "after")
    ]
    on_ground = f"{gaps[0]:.1f} % → {gaps[1]:.1g} %" if options.ground == "auto" else "not asked"
    return (
        f"| {what} | {statistics.median(seconds):.2f} s | {sum(line.factor != 1 for line in lines)} "
        f"| {pierced[0]:.2f} % → {pierced[1]:.1g} % | {len(standing)}: {on_ground} |"
    )


def main() -> None:
    scene = world()
    triangles = sum(len(entity.mesh.faces) for entity in scene.entities)
    print(f"{len(scene.entities)} entities, {triangles:,} triangles, {WIDTH}×{HEIGHT}\n")
    print("| | time | moved | worst penetration | stand on the ground: worst gap |\n|---|---|---|---|---|")
    print(row("in order", scene, ContactOptions()))
    for share in (0.03, 0.1, 0.25):
        print(row(f"distances off by up to {share:.0%}", strewn(scene, share, 1), ContactOptions()))
    off = ContactOptions(ground="off")
    print(row("the same 10 %, ground off", strewn(scene, 0.1, 1), off))
    print(row("the same 25 %, ground off", strewn(scene, 0.25, 1), off))


if __name__ == "__main__":
    main()
