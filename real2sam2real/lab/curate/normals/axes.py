"""To an estimator's own sizes, and from its own axes to ours, for vectors that never were colours."""

from __future__ import annotations

import numpy as np

from real2sam2real.arrays import Float32, UInt8
from real2sam2real.control.normal_convention import NormalConvention


def unit_normals(components: Float32, ids: UInt8, convention: NormalConvention) -> Float32:
    """Normals as `NormalEstimator.estimate` gives them, of components `(T, H, W, 3)` of any length.

    Their axes grow towards `convention.directions`; its colours do not matter. Where a vector is zero or not finite
    there is no telling: it faces the camera.
    """
    ours = convention.in_our_axes(np.nan_to_num(components, nan=0.0, posinf=0.0, neginf=0.0))
    length = np.linalg.norm(ours, axis=-1, keepdims=True)
    facing = np.array([0, 0, 1], np.float32)
    unit = np.where(length > 1e-6, ours / np.maximum(length, 1e-6), facing)
    return np.asarray(unit * (ids > 0)[..., None], np.float32)


def size_in_multiples(width: int, height: int, scale: float, multiple: int) -> tuple[int, int]:
    """Width and height at a scale, each the nearest multiple, at least one."""
    across, down = (max(multiple, round(side * scale / multiple) * multiple) for side in (width, height))
    return across, down
