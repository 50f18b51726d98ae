"""The embedded lifter: photo and masks to a scene of closed meshes, from silhouettes alone. See docs/lifting.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from real2sam2real.geometry import Intrinsics, Mesh, transforms
from real2sam2real.geometry.quaternions import Float
from real2sam2real.lift.decimation import decimated
from real2sam2real.lift.ground import Ground, estimate_ground
from real2sam2real.lift.inflate import half_thickness
from real2sam2real.lift.sheets import two_sheets
from real2sam2real.lift.texture import make_atlas
from real2sam2real.perceive.masks import Mask, clean_masks
from real2sam2real.scene import CameraPath, Entity, Motion, Scene

MAX_TRIANGLES = 20_000
TYPICAL_HEIGHT = 1.6  # scene units: the median entity's height, so that a unit is near a metre for people and cars
GRID_SIDE = 300


def lift_photo(
    photo_pixels: NDArray[np.uint8],
    masks: Mapping[str, Mask],
    intrinsics: Intrinsics,
    *,
    frames: int = 81,
    fps: float = 16.0,
    prompt: str = "",
    pitch_degrees: float | None = None,
) -> Scene:
    """Lift every masked object to a closed, textured mesh that stands where the photo shows it."""
    height, width = photo_pixels.shape[:2]
    if (intrinsics.width, intrinsics.height) != (width, height):
        raise ValueError(f"intrinsics of {intrinsics.width}×{intrinsics.height} do not fit a photo of {width}×{height}")
    notes: list[str] = []
    masks = clean_masks(masks, notes=notes)
    outlines = [_Outline.of(name, mask) for name, mask in masks.items()]
    standing = [o for o in outlines if not o.cut_below]
    ground = estimate_ground(
        intrinsics, [o.bottom for o in standing], [o.bottom - o.top for o in standing], pitch_degrees=pitch_degrees
    )
    entities = [_lift(photo_pixels, outline, ground) for outline in outlines]
    scale = TYPICAL_HEIGHT / float(np.median([e.mesh.bounds()[1, 1] for e in entities]))
    entities = [_scaled(entity, scale, frames) for entity in entities]
    pose = ground.world_from_camera
    return Scene(
        entities=tuple(entities),
        camera=CameraPath.still(frames, intrinsics, pose),
        photo=photo_pixels,
        photo_world_from_camera=pose,
        fps=fps,
        prompt=prompt,
        ground_y=-scale,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Outline:
    name: str
    mask: Mask
    left: int
    top: int
    right: int
    bottom: int
    cut_below: bool

    @classmethod
    def of(cls, name: str, mask: Mask) -> _Outline:
        rows, columns = np.nonzero(mask)
        bottom = int(rows.max()) + 1
        return cls(
            name=name,
            mask=mask,
            left=int(columns.min()),
            top=int(rows.min()),
            right=int(columns.max()) + 1,
            bottom=bottom,
            cut_below=bottom >= mask.shape[0] - 2,
        )


def _lift(pixels: NDArray[np.uint8], outline: _Outline, ground: Ground) -> Entity:
    cell = max(0.5, max(outline.right - outline.left, outline.bottom - outline.top) / GRID_SIDE)
    field, origin = _field(outline, cell)
    sheets = two_sheets(field)
    half = half_thickness(field > 0)[tuple(sheets.inside.T)] * cell
    nodes = origin + (sheets.inside[:, ::-1] + 0.5) * cell
    contour = origin + (sheets.contour[:, ::-1] + 0.5) * cell
    contact_row = np.percentile(nodes[:, 1], 99.5)
    contact_column = np.median(nodes[nodes[:, 1] > contact_row - 0.05 * (outline.bottom - outline.top), 0])
    contact = ground.points_world(np.array([contact_column, outline.bottom]))
    normal = -contact * [1, 0, 1]
    normal /= np.linalg.norm(normal)
    depth = [(contact @ normal) / (ground.rays_world(p) @ normal) for p in (nodes, contour)]
    away = half * depth[0] / ground.intrinsics.fx
    rays = [ground.rays_world(p) for p in (nodes, contour)]
    vertices = np.concatenate(
        [rays[0] * (depth[0] - away)[:, None], rays[0] * (depth[0] + away)[:, None], rays[1] * depth[1][:, None]]
    )
    mesh = decimated(Mesh(vertices=vertices, faces=sheets.faces), MAX_TRIANGLES)
    mesh = _textured(mesh, pixels, outline, ground)
    yaw = np.arctan2(normal[0], normal[2])
    world_from_object = np.eye(4)
    world_from_object[:3, :3] = [[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]]
    world_from_object[:3, 3] = contact
    mesh = mesh.transformed(transforms.invert_rigid(world_from_object))
    provenance: dict[str, Any] = {"lifter": "embedded"}
    return Entity(
        name=outline.name,
        mesh=mesh,
        rest_world_from_object=world_from_object,
        motion=Motion.still(1, world_from_object),
        mask=outline.mask,
        provenance=provenance,
    )


def _field(outline: _Outline, cell: float) -> tuple[Float, Float]:
    pad = 3
    crop = outline.mask[outline.top : outline.bottom, outline.left : outline.right].astype(np.float32)
    rows, columns = (max(2, round(n / cell)) for n in crop.shape)
    small = cv2.resize(crop, (columns, rows), interpolation=cv2.INTER_AREA if cell > 1 else cv2.INTER_LINEAR)
    small = np.pad(small, pad)
    soft = cv2.GaussianBlur(small, (0, 0), 0.6).astype(np.float64)
    soft[:1] = soft[-1:] = 0
    return soft - 0.5, np.array([outline.left, outline.top]) - pad * cell


def _textured(mesh: Mesh, pixels: NDArray[np.uint8], outline: _Outline, ground: Ground) -> Mesh:
    atlas = make_atlas(pixels, outline.mask, (outline.left, outline.top, outline.right, outline.bottom))
    camera = transforms.apply(transforms.invert_rigid(ground.world_from_camera), mesh.vertices)
    projected, _ = ground.intrinsics.project(camera)
    corners = projected[mesh.faces]
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    back = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0] > 0
    return replace(mesh, corner_uvs=atlas.uvs(corners, back), texture=atlas.image)


def _scaled(entity: Entity, scale: float, frames: int) -> Entity:
    rest = entity.rest_world_from_object.copy()
    rest[:3, 3] *= scale
    mesh = replace(entity.mesh, vertices=entity.mesh.vertices * scale)
    return replace(entity, mesh=mesh, rest_world_from_object=rest, motion=Motion.still(frames, rest))
