"""What stands behind the entities of a case, as a mesh: peers are told of all that a photo shows, not of things alone.

Rooms have their walls. Behind the entities of a photo stands what its preview has there: the relief of the background's
depth, or else the ground and an upright wall. Where neither is known, there is nothing.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from real2sam2real.arrays import Float, Int32
from real2sam2real.lab.evaluate.case_set import FILM, CaseRecord, CaseSet
from real2sam2real.lab.synth.rooms import bare_walls
from real2sam2real.mesh import Mesh
from real2sam2real.rendering import staging
from real2sam2real.rendering.preview import WALL
from real2sam2real.scene import Entity, Motion, Scene

NAME = "surroundings"
_TORN = 0.1  # of the nearer inverse depth: a relief is torn where neighbours differ by more
_WIDE = 50.0  # ground and wall reach so many times as far as the wall is away, to either side
_FAR = 1000.0  # the ground's end where there is no wall, in heights of the eye


def with_surroundings(cases: CaseSet, case: CaseRecord, scene: Scene) -> Scene:
    """The directed scene of a case, at any times, with what stands behind its entities as a last one.

    It takes no id of theirs. The scene comes back as it is where nothing is known of what stands behind.
    """
    mesh = _behind(cases, case, scene)
    if mesh is None or len(scene.entities) == 255:
        return scene
    name = NAME if NAME not in scene.names else f"{NAME}-{len(scene.entities)}"
    motion = Motion.still(scene.frames, np.eye(4))
    behind = Entity(name=name, mesh=mesh, rest_world_from_object=np.eye(4), motion=motion, in_photo=False)
    return replace(scene, entities=(*scene.entities, behind))


def _behind(cases: CaseSet, case: CaseRecord, scene: Scene) -> Mesh | None:
    if case.room_seed is not None and (cases.folder / case.name / FILM).is_file():
        return bare_walls(case.room_seed)
    return _relief(scene) if scene.background is not None else _ground_and_wall(scene)


def _relief(scene: Scene) -> Mesh:
    """The background's depth over a grid of its pixels, torn where it jumps; nothing where the sky is."""
    assert scene.background is not None
    inverse = scene.background.inverse_depth.astype(np.float64)
    rows, columns = inverse.shape
    lens = scene.camera.intrinsics.resized(columns, rows)
    x, y = np.meshgrid(np.arange(columns) + 0.5, np.arange(rows) + 0.5)
    known = inverse > 0
    points = lens.unproject(np.stack([x, y], axis=-1), 1 / np.where(known, inverse, 1.0)).reshape(-1, 3)
    pose = scene.photo_world_from_camera
    return Mesh(vertices=points @ pose[:3, :3].T + pose[:3, 3], faces=_whole_cells(inverse))


def _whole_cells(inverse: Float) -> Int32:
    """`(F, 3)` triangles over the cells of a grid that no jump goes through."""
    index = np.arange(inverse.size).reshape(inverse.shape)
    cells = np.stack([index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]], axis=-1).reshape(-1, 4)
    values = inverse.ravel()[cells]
    near, far = values.max(axis=1), values.min(axis=1)
    cells = cells[(far > 0) & (near - far < _TORN * near)]
    return np.concatenate([cells[:, [0, 1, 2]], cells[:, [0, 2, 3]]]).astype(np.int32)


def _ground_and_wall(scene: Scene) -> Mesh | None:
    """Two rectangles: the ground in front of the wall, and the wall; the ground alone where there is no wall."""
    eye, forward = scene.photo_world_from_camera[:3, 3], scene.photo_level_forward
    if scene.ground_y is None or eye[1] <= scene.ground_y:
        return None
    height, wall = float(eye[1]) - scene.ground_y, staging.wall_distance(scene, WALL)
    far = wall if np.isfinite(wall) else _FAR * height
    up = np.array([0.0, 1.0, 0.0])
    right, foot = np.cross(forward, up), eye - height * up
    wide = _WIDE * far
    near_left, near_right = (foot - far * forward + side * wide * right for side in (-1, 1))
    far_left, far_right = (foot + far * forward + side * wide * right for side in (-1, 1))
    corners = [near_left, near_right, far_right, far_left]
    faces = [[0, 1, 2], [0, 2, 3]]
    if np.isfinite(wall):
        corners += [far_left + wide * up, far_right + wide * up]
        faces += [[3, 2, 5], [3, 5, 4]]
    return Mesh(vertices=np.array(corners), faces=np.array(faces, np.int32))
