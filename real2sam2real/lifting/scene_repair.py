"""Every mesh of a scene made a closed solid, with its deformations."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from real2sam2real.errors import UserError
from real2sam2real.mesh import Mesh
from real2sam2real.mesh.solidity import is_solid
from real2sam2real.scene import Entity, Motion, Scene

if TYPE_CHECKING:
    from real2sam2real.mesh.repair import RepairedMesh


def repaired_scene(scene: Scene) -> tuple[Scene, list[str]]:
    """The scene with every entity's mesh closed, and what was repaired, entity by entity.

    Deformations follow: each vertex moves as the input vertex nearest to it.

    Raises:
        UserError: a mesh has no surface, or encloses nothing even when it is rebuilt.
    """
    repaired = [_repaired_entity(entity) for entity in scene.entities]
    notes = [f"'{entity.name}': {note}" for entity, its_notes in repaired for note in its_notes]
    return replace(scene, entities=tuple(entity for entity, _ in repaired)), notes


def _repaired_entity(entity: Entity) -> tuple[Entity, tuple[str, ...]]:
    if is_solid(entity.mesh):
        return entity, ()
    from real2sam2real.mesh.repair import repair  # and all that mends, which most scenes never need

    try:
        repaired = repair(entity.mesh)
    except UserError as error:
        raise UserError(f"'{entity.name}': {error}") from None
    notes = tuple(repaired.report.notes)
    motion = repaired_motion(entity.motion, entity.mesh, repaired)
    provenance = {**entity.provenance, "repaired": list(notes)}
    return replace(entity, mesh=repaired.mesh, motion=motion, provenance=provenance), notes


def repaired_motion(motion: Motion, mesh: Mesh, repaired: RepairedMesh) -> Motion:
    """The motion of a mesh for the repaired one: its deformations carried over, where it has any."""
    if motion.vertices_object is None:
        return motion
    source = repaired.source_vertices
    offset = (repaired.mesh.vertices - mesh.vertices[source]).astype(np.float32)
    return replace(motion, vertices_object=motion.vertices_object[:, source] + offset)
