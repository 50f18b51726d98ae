"""How long a step of an edit takes in the studio: a shot is read, performed, and told, while one thing is dragged.

    python benchmarks/shot_edits.py

Five spheres of 99,400 triangles in all, 81 frames, keyframes on four of them, an orbit and camera keyframes. Prints the
processor time of ten steps, in milliseconds: all computed anew, then with what has not changed kept, while an entity's
key and while the camera's orbit is dragged.
"""

import copy
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np

from real2sam2real.geometry import Intrinsics
from real2sam2real.mesh import Mesh
from real2sam2real.run.scene_data import motion_data
from real2sam2real.scene import CameraPath, Entity, Motion, Scene
from real2sam2real.scene.kept_motions import KeptMotions
from real2sam2real.scene.shot import shot_from_data

SHOT: dict[str, Any] = {
    "frames": 81,
    "camera": [
        {"orbit": "20 deg", "around": "e2"},
        {"keyframes": [{"frame": 20, "by": [0.5, 0, 0.5], "pan": "5 deg"}, {"frame": 80, "by": [1, 0, 0]}]},
    ],
    "entities": {
        **{
            f"e{k}": [{"keyframes": [{"frame": 20 * j, "by": [0.2 * j, 0, 0.1], "turn": 10 * j} for j in range(1, 5)]}]
            for k in range(4)
        },
        "e4": [{"forward": "1"}, {"turn": "30 deg"}],
    },
}


def sphere(rings: int) -> Mesh:
    """A closed sphere of `4 · rings · (rings − 1)` triangles that stands on its footprint."""
    around = 2 * rings
    theta, phi = np.linspace(0, np.pi, rings + 1)[1:-1], np.arange(around) * np.pi / rings
    ring = [[np.sin(a) * np.cos(b), np.cos(a), np.sin(a) * np.sin(b)] for a in theta for b in phi]
    vertices = np.add([[0, 1, 0], *ring, [0, -1, 0]], [0, 1, 0])
    this, right = np.arange(around), (np.arange(around) + 1) % around
    faces = [np.stack([np.zeros(around, int), 1 + right, 1 + this], 1)]
    for row in range(rings - 2):
        a, b = 1 + row * around + this, 1 + row * around + right
        faces += [np.stack([a, b, a + around], 1), np.stack([b, b + around, a + around], 1)]
    last = 1 + (rings - 2) * around
    faces.append(np.stack([np.full(around, len(vertices) - 1), last + this, last + right], 1))
    return Mesh(vertices=vertices, faces=np.concatenate(faces))


def stage() -> Scene:
    entities = []
    for k in range(5):
        rest = np.eye(4)
        rest[:3, 3] = k * 2.5 - 5, -1, -8
        still = Motion.still(1, rest)
        entities.append(Entity(name=f"e{k}", mesh=sphere(71), rest_world_from_object=rest, motion=still))
    lens = Intrinsics.from_fov(960, 640, horizontal_degrees=60)
    return Scene(entities=tuple(entities), camera=CameraPath.still(1, lens), ground_y=-1.0)


def drag_entity(shot: dict[str, Any], step: int) -> None:
    shot["entities"]["e0"][0]["keyframes"][1]["by"] = [0.1 * step, 0, 0]


def drag_orbit(shot: dict[str, Any], step: int) -> None:
    shot["camera"][0]["orbit"] = f"{20 + step} deg"


def measure(what: str, scene: Scene, drag: Callable[[dict[str, Any], int], None], kept: KeptMotions | None) -> None:
    times = []
    for step in range(11):
        shot = copy.deepcopy(SHOT)
        drag(shot, step)
        begun = time.process_time()
        motion_data(shot_from_data(shot).apply(scene, kept))
        times.append(1000 * (time.process_time() - begun))
    print(f"{what:30} median {median(times[1:]):4.0f}, most {max(times[1:]):4.0f}")


if __name__ == "__main__":
    scene = stage()
    print(f"{sum(len(entity.mesh.faces) for entity in scene.entities)} triangles; milliseconds of processor time")
    measure("anew", scene, drag_entity, None)
    measure("an entity's key is dragged", scene, drag_entity, KeptMotions())
    measure("the orbit is dragged", scene, drag_orbit, KeptMotions())
