"""Mesh files in: `read_mesh` reads glTF, OBJ, PLY and STL as one mesh with its materials and animation."""

from real2sam2real.mesh.readers.mesh_file import MeshFile, SampledAnimation
from real2sam2real.mesh.readers.reading import MESH_FORMATS, read_mesh

__all__ = ["MESH_FORMATS", "MeshFile", "SampledAnimation", "read_mesh"]
