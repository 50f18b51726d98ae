"""What a lifter gives back: a mesh, and where it says that the mesh stands in the photo."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from real2sam2real.arrays import Float
from real2sam2real.geometry import Intrinsics
from real2sam2real.mesh import Mesh
from real2sam2real.mesh.skin import Skin
from real2sam2real.scene.motion import Motion


@dataclass(frozen=True, kw_only=True, eq=False)
class LiftedMesh:
    """One object as a lifter, or a file, has it: not yet aligned, closed or light."""

    name: str  # of the entity
    mesh: Mesh  # in the lifter's own object frame, brought to +Y up; not necessarily closed
    # `(4, 4)` float64 similarity (one scale for all axes) into the photo's camera frame (+X right, +Y up, looking along
    # −Z), as it says; None where it says nothing (TripoSG, Step1X-3D, most files)
    camera_from_object: Float | None = None
    # of the photo at its working size, under which that pose was found; None where it does not say
    intrinsics: Intrinsics | None = None
    # the file's own animation in the object frame, or None. Its translation, rotation and scale are relative to the
    # object frame; its `vertices_object` deform the mesh
    motion: Motion | None = None
    motion_fps: float | None = None  # at how many frames per second `motion` was sampled; None: at the shot's
    # whether its pose lays it onto its mask already, so that it need not be aligned
    on_mask: bool = False
    # bones that move the mesh, in its frame; None where it has none
    skin: Skin | None = None
    # lifter, version, seed, file: JSON values, kept in scene.json
    provenance: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()  # what a person should know
