"""Rigid transforms, quaternions, cameras and triangle meshes. NumPy only. Conventions: docs/conventions.md."""

from real2sam2real.geometry import quaternions, transforms
from real2sam2real.geometry.camera import Intrinsics
from real2sam2real.geometry.mesh import Mesh, concatenate

__all__ = ["Intrinsics", "Mesh", "concatenate", "quaternions", "transforms"]
