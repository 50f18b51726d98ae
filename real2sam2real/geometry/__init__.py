"""Rigid transforms, quaternions and cameras. NumPy only. Conventions: docs/conventions.md."""

from real2sam2real.geometry import quaternions, transforms
from real2sam2real.geometry.camera import Intrinsics

__all__ = ["Intrinsics", "quaternions", "transforms"]
