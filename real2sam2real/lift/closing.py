"""Every mesh of a scene made closed, with its deformations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from real2sam2real.errors import UserError
from real2sam2real.mesh.repair import repair
from real2sam2real.scene import Entity, Scene


def closed_scene(scene: Scene) -> tuple[Scene, list[str]]:
    """The scene with every entity's mesh closed, and what was repaired, entity by entity.

    Deformations follow: each vertex moves as the input vertex nearest to it.
    """
    notes: list[str] = []
    entities = tuple(_closed_entity(entity, notes) for entity in scene.entities)
    return replace(scene, entities=entities), notes


def _closed_entity(entity: Entity, notes: list[str]) -> Entity:
    try:
        closed = repair(entity.mesh)
    except UserError as error:
        raise UserError(f"'{entity.name}': {error}") from None
    if closed.mesh is entity.mesh:
        return entity
    notes += [f"'{entity.name}': {note}" for note in closed.report.notes]
    motion = entity.motion
    if motion.vertices_object is not None:
        source = closed.source_vertices
        offset = (closed.mesh.vertices - entity.mesh.vertices[source]).astype(np.float32)
        motion = replace(motion, vertices_object=motion.vertices_object[:, source] + offset)
    provenance = {**entity.provenance, "repaired": list(closed.report.notes)}
    return replace(entity, mesh=closed.mesh, motion=motion, provenance=provenance)
