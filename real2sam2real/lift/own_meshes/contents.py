"""What a mesh file holds, before anything is known about the photo."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from real2sam2real.errors import UserError
from real2sam2real.geometry import Mesh
from real2sam2real.scene.motion import Motion

MOST_FACES = 5_000_000
"""Most triangles of a file: closing and alignment of more would not fit a workstation's memory."""

MOST_BYTES = 2**31
"""Largest file that is read."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FileMesh:
    """One mesh of a file, all its parts joined.

    Attributes:
        mesh: in the file's own frame, as it is at the first moment of its animation; at least one triangle.
        motion: the animation in the file's frame, with the identity at its first frame, or None.
        fps: at which `motion` was sampled; None without one.
        provenance: facts about the file as JSON values.
        notes: what a person should know.
    """

    mesh: Mesh
    motion: Motion | None = None
    fps: float | None = None
    provenance: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def check_count(name: str, faces: int) -> None:
    """Refuse files without triangles, or with more than `MOST_FACES`.

    Raises:
        UserError: there are none or too many.
    """
    if not faces:
        raise UserError(f"{name} holds no triangle; export a mesh with faces")
    if faces > MOST_FACES:
        raise UserError(
            f"{name} has {faces:,} triangles and at most {MOST_FACES:,} are read; decimate it (in Blender: the "
            "modifier Decimate)"
        )
