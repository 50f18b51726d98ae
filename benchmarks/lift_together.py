"""How far apart things that touch come out. Run: python benchmarks/lift_together.py MESHES [--sheet FILE]

MESHES is the folder that `benchmarks/truth_meshes.py` fills. Meshes are put on, beside and before each other, rendered,
and lifted with default flags. Printed is how far away every entity is, relative to the scene's first one, in the truth
and in the lift, and by how much the second is off.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
from lift_truth import HEIGHT, WIDTH, background, load, orbits, still, turned, two_sided
from truth_meshes import MESHES

from real2sam2real.geometry import Intrinsics, transforms
from real2sam2real.mesh import Mesh
from real2sam2real.perceive.photo import Photo
from real2sam2real.rendering import Light, render_frames
from real2sam2real.run.lifting import lift
from real2sam2real.scene import CameraPath, Scene

# Of each entity: its name in the lift, its mesh, its largest extent, where its foot is (x, y, z), its turn in degrees.
Placed = tuple[str, str, float, tuple[float, float, float], float]
SCENES: dict[str, tuple[float, float, tuple[Placed, ...]]] = {  # elevation in degrees, distance, entities
    "cup on a table": (
        18,
        3.0,
        (("table", "table_roundsmall", 1.0, (0, 0, 0), 0), ("cup", "chalice", 0.3, (0.1, 0.59, 0.1), 0)),
    ),
    "bag on a sofa": (
        15,
        4.5,
        (("sofa", "couch_medium1", 1.9, (0, 0, 0), 25), ("bag", "backpack", 0.5, (0.2, 0.38, 0.2), 10)),
    ),
    "head on a body": (
        3,
        4.0,
        (("body", "bottle", 1.2, (0, 0, 0), 0), ("head", "suzanne", 0.4, (0, 1.18, 0), 10)),
    ),
    "car before a van": (
        9,
        12.0,
        (("car", "sedan", 4.2, (-0.6, 0, 2.0), 50), ("van", "van", 4.8, (1.2, 0, -3.0), 60)),
    ),
    "chair before a table": (
        16,
        4.0,
        (("chair", "chair_1", 0.95, (-0.2, 0, 0.7), 160), ("table", "sidetable", 1.3, (0, 0, -0.2), 0)),
    ),
    "person beside a motorcycle": (
        4,
        6.0,
        (("person", "homer", 1.7, (-0.7, 0, 0), 10), ("motorcycle", "motorcycle", 2.0, (0.6, 0, -0.4), 70)),
    ),
}


def composed(folder: Path, entities: tuple[Placed, ...]) -> list[tuple[str, Mesh]]:
    known = {mesh.name: mesh for mesh in MESHES}
    result = []
    for name, mesh, size, place, turn in entities:
        scale = np.diag([size, size, size, 1.0])
        scale[:3, 3] = place
        matrix = scale @ turned(transforms.about_y(np.radians(turn)))
        result.append((name, two_sided(load(known[mesh], folder).transformed(matrix))))
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("meshes", type=Path)
    parser.add_argument("--sheet", type=Path)
    options = parser.parse_args()
    errors, rows = [], []
    for title, (elevation, distance, entities) in SCENES.items():
        rng = np.random.default_rng(len(errors))
        things = composed(options.meshes, entities)
        middle = np.mean([mesh.bounds().mean(axis=0) for _, mesh in things], axis=0)
        angle = np.radians(elevation)
        pose = turned(transforms.about_x(-angle))
        pose[:3, 3] = middle + distance * np.array([0.0, np.sin(angle), np.cos(angle)])
        lens = Intrinsics.from_fov(WIDTH, HEIGHT, horizontal_degrees=50)
        ground, behind = background(rng)
        scene = Scene(
            entities=(*(still(name, mesh, 1) for name, mesh in things), still("ground", ground, 1)),
            camera=CameraPath.still(1, lens, pose),
        )
        (frame,) = render_frames(scene, width=WIDTH, height=HEIGHT, color=True, light=Light())
        pixels = np.where((frame.ids > 0)[..., None], frame.color, behind)
        masks = {name: frame.ids == k + 1 for k, (name, _) in enumerate(things)}
        lifted, _ = lift(Photo(pixels=pixels), masks)
        true = [float((pose[:3, 3] - mesh.bounds().mean(axis=0)) @ pose[:3, 2]) for _, mesh in things]
        eye = lifted.photo_world_from_camera
        found = []
        for entity in lifted.entities:
            points = entity.vertices_world(0)
            found.append(float((eye[:3, 3] - (points.min(axis=0) + points.max(axis=0)) / 2) @ eye[:3, 2]))
        print(title)
        for (name, _), a, b in zip(things[1:], true[1:], found[1:], strict=True):
            error = (b / found[0]) / (a / true[0]) - 1
            errors.append(abs(error))
            first = things[0][0]
            print(f"  {name}: {a / true[0]:.2f} times as far as the {first}, lifted {b / found[0]:.2f} ({error:+.0%})")
        if options.sheet:
            pivot = np.mean([e.vertices_world(0).mean(axis=0) for e in lifted.entities], axis=0)
            paths = ((scene, orbits(pose, middle, lens)), (lifted, orbits(eye, pivot, lifted.camera.intrinsics)))
            rows.append(np.concatenate([pixels, *(orbited(s, path) for s, path in paths)], axis=1))
    print(f"off by {np.mean(errors):.0%} in the mean, {np.max(errors):.0%} at most")
    if options.sheet:
        cv2.imwrite(str(options.sheet), np.concatenate(rows)[..., ::-1])


def orbited(scene: Scene, path: CameraPath) -> np.ndarray:
    """A scene at 30° to either side."""
    entities = []
    for entity in scene.entities:
        if entity.name != "ground":
            world = entity.mesh.transformed(entity.rest_world_from_object)
            entities.append(still(entity.name, world, path.frames))
    orbiting = Scene(entities=tuple(entities), camera=path)
    frames = render_frames(orbiting, width=WIDTH, height=HEIGHT, frames=(3, 4), color=True, light=Light())
    return np.concatenate([np.asarray(frame.color) for frame in frames], axis=1)


if __name__ == "__main__":
    main()
