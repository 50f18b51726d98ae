"""The user's own meshes: GLB, glTF, OBJ, PLY and STL files become `LiftedMesh`es. See docs/meshes.md."""

from real2sam2real.lift.own_meshes.moving import entity_motion
from real2sam2real.lift.own_meshes.reading import read_mesh_file

__all__ = ["entity_motion", "read_mesh_file"]
