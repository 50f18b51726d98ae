"""What a mesh file holds, whatever its format, and what is refused of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from real2sam2real.arrays import Float, Float32, Int, UInt8
from real2sam2real.errors import UserError
from real2sam2real.mesh import Mesh
from real2sam2real.mesh.gltf.materials import Material
from real2sam2real.mesh.gltf.posing import PosedMesh
from real2sam2real.mesh.gltf.surfaces import Surface
from real2sam2real.mesh.gltf.textures import linear_from_srgb
from real2sam2real.mesh.gltf.welded_mesh import weld_surfaces

MOST_FACES = 5_000_000
"""Reading takes up to some 1 kB of memory per triangle; closing and aligning take a light copy anyway."""

LARGEST = 1e30  # largest coordinate: deformed vertices are 32-bit floats, and squares must not overflow


@dataclass(frozen=True, kw_only=True)
class SampledAnimation:
    """How a file's animation was sampled."""

    clip: str  # names of the clips that play
    fps: float  # frames per second
    start: float  # second after its first keyframe that the first frame shows
    seconds: float  # that it lasts
    loop: bool  # whether it begins again after its end; otherwise the last pose holds
    period: float | None  # seconds after which the frames repeat; None where they do not, or all were asked for


@dataclass(frozen=True, kw_only=True, eq=False)
class MeshFile:
    """One object as a file has it, in the file's coordinates."""

    format: str  # OBJ, PLY, STL or glTF
    mesh: Mesh  # all of it at the first frame, with one texture or vertex colours
    # the meshes that `mesh` is joined of, in its order, at every frame; empty for formats without any
    components: tuple[PosedMesh, ...] = ()
    animation: SampledAnimation | None = None  # how they were sampled; None where the file has no animation
    clips: tuple[str, ...] = ()  # names of all animation clips in the file
    notes: tuple[str, ...] = ()  # what was left out or changed, as sentences for the user


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


def check_positions(name: str, positions: Float, corners: Int | None = None) -> None:
    """Refuse coordinates `(N, 3)` that no geometry can be made of; with `corners` only those that they number.

    Raises:
        UserError: one is not finite, or beyond `LARGEST`.
    """
    if positions.min(initial=0) >= -LARGEST and positions.max(initial=0) <= LARGEST:  # a NaN is neither
        return
    if corners is not None:
        positions = positions[np.unique(corners)]
    bad = int((~np.isfinite(positions)).any(axis=1).sum())
    if bad:
        raise UserError(
            f"{name}: {bad:,} of {len(positions):,} vertices are not finite (NaN or infinity); repair the "
            "mesh, for instance in Blender (Mesh > Clean Up), and export it again"
        )
    if np.abs(positions).max(initial=0) > LARGEST:
        raise UserError(
            f"{name} has a coordinate of {np.abs(positions).max():.0e}; the file is damaged: export it again"
        )


def surface_of(
    label: str,
    positions: Float,
    triangles: Int,
    *,
    material: Material | None = None,
    uvs: Float | None = None,
    colors: UInt8 | None = None,
    corner_normals: Float32 | None = None,
) -> Surface:
    """Triangles `(M, 3)` of `positions` `(N, 3)` in the file's coordinates and one material; notes call it `label`.

    The texture coordinates `(N, 2)` have their origin at the bottom-left corner, as OBJ and PLY have it; colours are
    `(N, 3)` uint8 sRGB, normals `(M, 3, 3)` of the triangles' corners.
    """
    return Surface(
        label=label,
        positions=positions,
        triangles=triangles,
        material=material or Material(),
        uvs=None if uvs is None else np.stack([uvs[:, 0], 1.0 - uvs[:, 1]], axis=1),
        colors=None if colors is None else linear_from_srgb(colors),
        corner_normals=corner_normals,
        targets=np.zeros((0, len(positions), 3)),
    )


def still_file(path: Path, kind: str, surfaces: list[Surface], notes: Iterable[str] = ()) -> MeshFile:
    """The file of one mesh that is welded from `surfaces`; notes get the file's name.

    Raises:
        UserError: there are too many triangles, or none of them has an area.
    """
    check_faces(path.name, sum(len(s.triangles) for s in surfaces))
    welded = weld_surfaces(path.name, surfaces)
    if welded is None:
        raise UserError(f"{path.name} has no triangle with an area: it is no surface; export the object again")
    named = [note if note.startswith(path.name) else f"{path.name}: {note}" for note in (*notes, *welded.notes)]
    return MeshFile(format=kind, mesh=welded.mesh, notes=tuple(dict.fromkeys(named)))
