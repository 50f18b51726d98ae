"""From what OBJ, PLY and STL files list to one mesh, by the same welding and atlas as glTF meshes go through."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from real2sam2real.arrays import Float, Int, UInt8
from real2sam2real.errors import UserError
from real2sam2real.mesh import Mesh
from real2sam2real.mesh.gltf.colors import linear_from_srgb
from real2sam2real.mesh.gltf.container import Document
from real2sam2real.mesh.gltf.json_object import JsonObject
from real2sam2real.mesh.gltf.materials import Material
from real2sam2real.mesh.gltf.shapes import build_shape
from real2sam2real.mesh.gltf.surfaces import Surface
from real2sam2real.mesh.readers.limits import check_faces


def surface(
    label: str,
    positions: Float,
    triangles: Int,
    *,
    material: Material | None = None,
    uvs: Float | None = None,
    colors: UInt8 | None = None,
) -> Surface:
    """Triangles of one material.

    Args:
        label: what notes call it.
        positions: `(N, 3)`.
        triangles: `(M, 3)`.
        material: base colour; None for none.
        uvs: `(N, 2)`, origin at the texture's bottom-left corner, as these formats have it; or None.
        colors: `(N, 3)` uint8 sRGB per vertex, or None.
    """
    return Surface(
        label=label,
        positions=np.asarray(positions, np.float64),
        triangles=triangles,
        material=material or Material(),
        uvs=None if uvs is None else np.stack([uvs[:, 0], 1.0 - uvs[:, 1]], axis=1),
        colors=None if colors is None else linear_from_srgb(colors),
        targets=np.zeros((0, len(positions), 3)),
    )


def welded(path: Path, surfaces: list[Surface], notes: list[str]) -> Mesh:
    """One mesh of all `surfaces`, with one texture or vertex colours; what was changed is added to `notes`.

    Raises:
        UserError: there are too many triangles, or none of them has an area.
    """
    check_faces(path.name, sum(len(s.triangles) for s in surfaces))
    document = Document(path=path, root=JsonObject({}, path.name))  # the glTF room's way of collecting notes
    shape = build_shape(document, document.root, surfaces)
    if shape is None:
        raise UserError(f"{path.name} has no triangle with an area: it is no surface; export the object again")
    notes += document.notes
    return shape.mesh
