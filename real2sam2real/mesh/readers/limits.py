"""How large a file may be."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from real2sam2real.arrays import Float
from real2sam2real.errors import UserError
from real2sam2real.mesh.gltf.container import MOST_BYTES

MOST_FACES = 5_000_000
"""Reading takes up to some 1 kB of memory per triangle; closing and aligning take a light copy anyway."""

LARGEST = 1e30
"""Largest coordinate: deformed vertices are 32-bit floats, and squares must not overflow."""


def check_faces(name: str, count: int) -> None:
    """Refuse more triangles than are read.

    Raises:
        UserError: there are more than `MOST_FACES`.
    """
    if count > MOST_FACES:
        raise UserError(
            f"{name} has {count:,} triangles, which would take some {count / 1e6:.0f} GB to read; at most "
            f"{MOST_FACES:,} are: decimate it first (in Blender: the Decimate modifier)"
        )


def check_positions(name: str, positions: Float) -> None:
    """Refuse coordinates `(N, 3)` that no geometry can be made of.

    Raises:
        UserError: one is not finite, or beyond `LARGEST`.
    """
    bad = int((~np.isfinite(positions)).any(axis=1).sum())
    if bad:
        raise UserError(
            f"{name}: {bad:,} of {len(positions):,} vertices are not finite (NaN or infinity); repair the "
            "mesh, for instance in Blender (Mesh > Clean Up), and export it again"
        )
    if len(positions) and np.abs(positions).max() > LARGEST:
        raise UserError(
            f"{name} has a coordinate of {np.abs(positions).max():.0e}; the file is damaged: export it again"
        )


def read_bytes(path: Path) -> bytes:
    """The file's content.

    Raises:
        UserError: it is missing, empty, cannot be read or is too large.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise UserError(f"{path.name} is larger than {MOST_BYTES:,} bytes; decimate the mesh first")
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(f"cannot read '{path}': {reason}; check the path") from error
    if not data:
        raise UserError(f"{path.name} is empty; export the object again")
    return data
