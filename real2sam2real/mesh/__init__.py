"""Triangle meshes: their type, files of meshes, repair to closed solids, decimation, spatial queries, attributes."""

from real2sam2real.mesh.mesh import Mesh, concatenate

__all__ = ["Mesh", "concatenate"]
