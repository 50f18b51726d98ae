"""Random directions for benchmark cases: camera paths, and moves of objects, from a seed.

They are written as a person would write them, so that each case's direction is a shot file.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from real2sam2real.errors import UserError
from real2sam2real.lab.synth.seeds import Rng
from real2sam2real.scene import Scene
from real2sam2real.scene.shot import Shot

TRIES = 40
_SIDES = ("left", "right")


def random_camera_shot(rng: Rng, scene: Scene, frames: int) -> Shot:
    """A camera path of one or two moves that gets inside nothing; entities rest.

    Raises:
        UserError: none of `TRIES` paths stays clear of the entities.
    """
    return _first_possible(scene, lambda: Shot.from_flags(camera=[_camera_moves(rng)], frames=frames))


def random_object_shot(rng: Rng, scene: Scene, frames: int, most: int = 2) -> Shot:
    """One to `most` entities move over the ground and turn; the camera rests.

    Raises:
        UserError: the scene has no entity, or none of `TRIES` shots keeps them in view and out of each other.
    """
    names = [entity.name for entity in scene.entities if entity.in_photo]
    if not names:
        raise UserError("the scene has no object that could move")
    count = int(rng.integers(1, min(most, len(names)) + 1))

    def draw() -> Shot:
        chosen = rng.choice(names, size=count, replace=False)
        return Shot.from_flags(
            move=[f'"{name}": {_entity_moves(rng)}' for name in chosen], camera=["static"], frames=frames
        )

    return _first_possible(scene, draw)


def _first_possible(scene: Scene, draw: Callable[[], Shot]) -> Shot:
    last = ""
    for _ in range(TRIES):
        shot = draw()
        try:
            directed = shot.apply(scene)
        except UserError as error:
            last = str(error)
            continue
        if not (last := _trouble(directed)):
            return shot
    raise UserError(f"no possible shot in {TRIES} tries; the last one: {last}")


def _trouble(scene: Scene) -> str:
    """What makes a directed scene no fair case: things that leave the picture or pass through each other."""
    boxes = []
    middle = np.array([e.vertices_world(scene.frames - 1).mean(axis=0) for e in scene.entities])
    camera = scene.camera.camera_from_world()[-1]
    seen = middle @ camera[:3, :3].T + camera[:3, 3]
    lens = scene.camera.intrinsics_at(scene.frames - 1)
    x = lens.cx + lens.fx * seen[:, 0] / -seen[:, 2]
    y = lens.cy - lens.fy * seen[:, 1] / -seen[:, 2]
    inside = (seen[:, 2] < 0) & (x > 0) & (x < lens.width) & (y > 0) & (y < lens.height)
    moved = [_moves(scene, entity.name) for entity in scene.entities]
    if any(m and not i for m, i in zip(moved, inside, strict=True)) or not inside.any():
        return "what moves leaves the picture"
    for entity in scene.entities:
        points = np.stack([entity.vertices_world(t) for t in range(0, scene.frames, 4)])
        boxes.append((points.min(axis=1), points.max(axis=1)))
    for a, (low_a, high_a) in enumerate(boxes):
        for b, (low_b, high_b) in enumerate(boxes[a + 1 :], start=a + 1):
            touch = ((low_a < high_b) & (low_b < high_a)).all(axis=1)
            if (moved[a] or moved[b]) and touch.any() and not touch[0]:
                return "what moves runs into another thing"
    return ""


def _moves(scene: Scene, name: str) -> bool:
    matrices = scene.entity(name).motion.matrices()
    return bool(np.abs(matrices - matrices[:1]).max() > 1e-6)


def _camera_moves(rng: Rng) -> str:
    """One or two moves of the camera in the words of a flag; the first one always travels."""
    side, other = rng.choice(_SIDES, size=2)
    travelling = [
        f"orbit {side} {rng.uniform(12, 35):.1f} deg",
        f"truck {side} {rng.uniform(10, 25):.1f}%",
        f"dolly in {rng.uniform(12, 30):.1f}%",
        f"pedestal up {rng.uniform(12, 25):.1f}%",
        f"spiral {side} {rng.uniform(12, 30):.1f} deg radius {rng.uniform(75, 95):.0f}%",
    ]
    beside = [
        f"pan {other} {rng.uniform(2, 8):.1f} deg",
        f"tilt up {rng.uniform(1, 4):.1f} deg",
        f"pedestal up {rng.uniform(3, 8):.1f}%",
    ]
    easing = rng.choice(["ease", "linear", "ease-in", "ease-out"])
    moves = [f"{rng.choice(travelling)} {easing}"]
    if rng.random() < 0.5:
        moves.append(f"{rng.choice(beside)} {easing}")
    return "; ".join(moves)


def _entity_moves(rng: Rng) -> str:
    """A way over the ground and a turn, in the words of a flag."""
    side, towards = rng.choice(_SIDES), rng.choice(["towards", "away"])
    return (
        f"move ({side} {rng.uniform(20, 70):.0f}%, {towards} {rng.uniform(0, 40):.0f}%), "
        f"turn {rng.choice(_SIDES)} {rng.uniform(15, 75):.0f} deg"
    )
