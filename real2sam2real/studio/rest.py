"""A scene at rest for the page: a GLB without motion, and where its vertices come from."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from real2sam2real.arrays import Float32
from real2sam2real.scene.gltf import save_glb, split_at_seams
from real2sam2real.scene.motion import Motion
from real2sam2real.scene.retime import retimed
from real2sam2real.scene.scene import Entity, Scene


def rest_glb(scene: Scene) -> bytes:
    """A GLB of the entities where the photo shows them: one node each, by its name, with all its vertices.

    Raises:
        UserError: an entity cannot be written.
    """
    still = retimed(scene, 1)
    entities = tuple(
        replace(each, motion=Motion.still(1, each.rest_world_from_object), relation=None, skin=None)
        for each in still.entities
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scene.glb"
        save_glb(replace(still, entities=entities), path)
        return path.read_bytes()


def moved_vertices(entity: Entity) -> Float32 | None:
    """`(T, N, 3)` float32 in the object frame: the vertices of its mesh in `rest_glb` at every frame, if they move."""
    deformed = entity.motion.vertices_object
    if deformed is None:
        return None
    source = split_at_seams(entity.mesh)[0]
    return np.ascontiguousarray(deformed[:, source], np.float32)
