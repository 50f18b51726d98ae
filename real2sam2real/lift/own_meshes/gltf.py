"""GLB and glTF: all nodes of the shown scene as one mesh."""

from __future__ import annotations

from pathlib import Path

from real2sam2real.errors import UserError
from real2sam2real.geometry.mesh import concatenate
from real2sam2real.lift.own_meshes.contents import FileMesh
from real2sam2real.scene.gltf import load_glb


def read_gltf(path: Path, *, clip: str | None, fps: float | None) -> FileMesh:
    """Read a GLB or glTF file."""
    found = load_glb(path, frames=1)
    if not found.entities:
        raise UserError(f"{path.name} holds no triangle mesh; export a mesh")
    meshes = [e.mesh.transformed(e.rest_world_from_object) for e in found.entities]
    mesh = meshes[0] if len(meshes) == 1 else concatenate(meshes)
    return FileMesh(mesh=mesh, provenance={"format": "glTF"}, notes=found.notes)
