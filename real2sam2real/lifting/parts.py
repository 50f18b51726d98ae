"""Things made of the usual parts of their kind: seat, back and legs, each a body of its own, cut to the silhouette.

Every part that a pixel's ray meets is there, also behind another one, so a leg behind a seat is a leg after an orbit.
What the mask shows and no part explains is added to the part beside it.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import manifold3d
import numpy as np

from real2sam2real.arrays import Bool, Float
from real2sam2real.lifting.depth_fields import DepthField, front_yaw, half_thickness, nearest_known
from real2sam2real.lifting.ground import Ground
from real2sam2real.lifting.kinds import Part
from real2sam2real.lifting.outline import Grid
from real2sam2real.lifting.solid import Solid, part_spans
from real2sam2real.mesh import Mesh

THINNEST_CELLS = 0.35  # half the depth of a piece where its part is met at a corner
FLAT = 1e-4  # of its size: how far a surface may move when edges are taken out of it
SMALLEST_NODES = 6  # of a part in the silhouette: fewer are a corner that shows nothing


def part_silhouette(solid: Solid, parts: Sequence[Part], ground: Ground, grid: Grid) -> Bool:
    """`(rows, columns)` where any part is."""
    enter, leave = part_spans(solid, parts, ground.rays_world(grid.pixels()))
    drawn: Bool = np.logical_or.reduce(enter < leave, axis=0)
    return drawn


def part_fields(
    solid: Solid, parts: Sequence[Part], ground: Ground, grid: Grid, silhouette: Float
) -> list[tuple[DepthField, Float]]:
    """Every part's depths, and its own silhouette within the thing's; empty where no part shows at all."""
    inside = silhouette > 0
    enter, leave = part_spans(solid, parts, ground.rays_world(grid.pixels()))
    met = enter < leave
    shown = met & inside
    explained: Bool = np.logical_or.reduce(shown, axis=0)
    if not explained.any():
        return []
    first = np.where(met, enter, np.inf).argmin(axis=0)
    owner, _ = nearest_known(first, explained)
    stray = inside & ~explained
    local = half_thickness(inside) if stray.any() else np.zeros(inside.shape)
    fields = []
    for k in range(len(parts)):
        known = shown[k]
        if known.sum() < SMALLEST_NODES:
            continue
        region = known | (stray & (owner == k))
        middle, half = (enter[k] + leave[k]) / 2, (leave[k] - enter[k]) / 2
        middle, half = (nearest_known(np.where(known, values, 0.0), known)[0] for values in (middle, half))
        cell = grid.cell * middle / ground.intrinsics.fx
        half = np.where(stray, np.minimum(half, np.maximum(local, 1.0) * cell), half)
        half = np.maximum(half, THINNEST_CELLS * cell)
        # A cell wider, so that parts side by side are one.
        wider = cv2.dilate(region.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(np.float32)
        own = np.minimum(silhouette, cv2.GaussianBlur(wider, (0, 0), 0.6) - 0.5)
        if (own > 0).any():
            field = DepthField(
                middle=middle,
                half=half,
                world_from_object=solid.world_from_object(),
                shape=solid.name,
                solid=solid,
                front_yaw=front_yaw(solid),
            )
            fields.append((field, own))
    return fields


def united(meshes: Sequence[Mesh]) -> Mesh:
    """One closed surface around all of them, without the edges that change nothing."""
    size = float(np.ptp(np.concatenate([mesh.bounds() for mesh in meshes]), axis=0).max())
    solids = [_as_manifold(mesh).simplify(FLAT * size) for mesh in meshes]
    found = solids[0] if len(solids) == 1 else manifold3d.Manifold.batch_boolean(solids, manifold3d.OpType.Add)
    mesh = found.to_mesh64()
    return Mesh(
        vertices=np.asarray(mesh.vert_properties)[:, :3].astype(np.float64),
        faces=np.asarray(mesh.tri_verts).astype(np.int32),
    )


def _as_manifold(mesh: Mesh) -> manifold3d.Manifold:
    return manifold3d.Manifold(
        manifold3d.Mesh64(vert_properties=mesh.vertices, tri_verts=np.ascontiguousarray(mesh.faces, np.uint64))
    )
