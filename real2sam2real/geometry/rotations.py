"""Rotation matrices about the axes, right-handed, acting on column vectors. See docs/conventions.md."""

from __future__ import annotations

import math

import numpy as np

from real2sam2real.arrays import Float


def about_x(angle: float) -> Float:
    """`(3, 3)` rotation by `angle` radians about +X: +Y goes to +Z."""
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[1.0, 0.0, 0.0], [0.0, c, -s], [0.0, s, c]])


def about_y(angle: float) -> Float:
    """`(3, 3)` rotation by `angle` radians about +Y: +Z goes to +X."""
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])


def about_z(angle: float) -> Float:
    """`(3, 3)` rotation by `angle` radians about +Z: +X goes to +Y."""
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
