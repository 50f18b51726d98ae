"""The embedded lifter: photo and masks to a scene of closed meshes, from silhouettes alone. See docs/lifting.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from real2sam2real.arrays import Float, Float32, Mask, UInt8
from real2sam2real.geometry import Intrinsics, transforms
from real2sam2real.lifting.depth_fields import DepthField, inflated_field, solid_field, solid_silhouette
from real2sam2real.lifting.ground import Ground, ground_under
from real2sam2real.lifting.outline import (
    BELOW_BORDER,
    Grid,
    Outline,
    convex_body,
    interpolated,
    outlines_by_nearness,
    sample,
    silhouette_field,
    silhouette_grid,
)
from real2sam2real.lifting.sheets import two_sheets
from real2sam2real.lifting.solid import Solid, fit_solid, typical_of
from real2sam2real.lifting.texture import textured
from real2sam2real.mesh import Mesh
from real2sam2real.mesh.decimation import decimate
from real2sam2real.mesh.mesh import footprint
from real2sam2real.perceive.masks import clean_masks
from real2sam2real.scene import CameraPath, Entity, Motion, Scene

MAX_TRIANGLES = 20_000
TYPICAL_HEIGHT = 1.6  # scene units: the median entity's height, so that a unit is near a metre for people and cars
MAX_MISFIT = 0.035
MIN_SOLIDITY = 0.7
MIN_SOLIDITY_TALL = 0.86  # people and posts are tall and fill little of their hull
TALL = 1.6
SLENDER = 4.0  # times as high as wide: a pole is as thick as it is wide, which inflating it gives and a fit leaves open
SOFTNESS, SOLID_SOFTNESS = 0.6, 2.0
THINNEST = 1e-4  # of the depth: front and back must not touch
BEHIND = 1.01


def lift_photo(
    photo_pixels: UInt8,
    masks: Mapping[str, Mask],
    intrinsics: Intrinsics,
    *,
    frames: int = 81,
    fps: float = 16.0,
    prompt: str = "",
    pitch_degrees: float | None = None,
) -> tuple[Scene, list[str]]:
    """Lift every masked object to a closed, textured mesh that stands where the photo shows it.

    Args:
        photo_pixels: `(H, W, 3)` uint8 sRGB.
        masks: `(H, W)` bool by entity name, in the order of the scene's ids; cleaned as by `clean_masks`.
        intrinsics: of a photo of this size.
        frames: length T of the shot; everything rests in all of them.
        fps: frames per second.
        prompt: kept in the scene.
        pitch_degrees: how far the camera looks down, if known.

    Returns:
        A scene whose world is upright, with the photo's camera at its origin, and notes on what was assumed or left
        out. Its unit is chosen so that the median entity is 1.6 units tall. An entity's +Z points out of the side that
        the photo shows.

    Raises:
        UserError: a mask is empty, full, tiny or wholly covered, or the pitch is out of range.
        ValueError: sizes of photo, masks and intrinsics disagree.
    """
    _check_sizes(photo_pixels, masks, intrinsics)
    cleaned = clean_masks(masks)
    outlines = outlines_by_nearness(cleaned)
    ground = ground_under(outlines, intrinsics, pitch_degrees)
    nearer = np.zeros(photo_pixels.shape[:2], np.float32)
    solids = _fitted_solids(outlines, ground)
    lifted = {o.name: _lift(photo_pixels, o, ground, solids.get(o.name), nearer) for o in outlines}
    entities = [lifted[name] for name in cleaned]
    scale = TYPICAL_HEIGHT / float(np.median([entity.mesh.bounds()[1, 1] for entity in entities]))
    pose = ground.world_from_camera
    scene = Scene(
        entities=tuple(_scaled(entity, scale, frames) for entity in entities),
        camera=CameraPath.still(frames, intrinsics, pose),
        photo=photo_pixels,
        photo_world_from_camera=pose,
        fps=fps,
        prompt=prompt,
        ground_y=-scale,
    )
    return scene, [*cleaned.notes, ground.note]


def _check_sizes(photo_pixels: UInt8, masks: Mapping[str, Mask], intrinsics: Intrinsics) -> None:
    height, width = photo_pixels.shape[:2]
    if (intrinsics.width, intrinsics.height) != (width, height):
        raise ValueError(f"intrinsics of {intrinsics.width}×{intrinsics.height} do not fit a photo of {width}×{height}")
    for name, mask in masks.items():
        if mask.shape != (height, width):
            raise ValueError(f"the mask '{name}' has shape {mask.shape}; the photo's is {(height, width)}")


def _notes(outline: Outline, field: DepthField, grounded: bool) -> list[str]:
    taken_for = "its inflated silhouette" if field.solid is None else f"a rounded {field.shape}"
    notes = [f"taken for {taken_for}"]
    if not grounded:
        notes.append("it ends above the horizon, so it stands on nothing: how far away it is, is guessed")
    elif outline.cut_below:
        notes.append("the photo's border cuts it: how it goes on below, and so how far away it is, is guessed")
    elif outline.bottom_hidden:
        notes.append("its lower edge is hidden: how far away it is, is guessed")
    return notes


def _fitted_solids(outlines: list[Outline], ground: Ground) -> dict[str, Solid]:
    """The solids of compact objects, each fitted on its own first, then again in the light of the others' sizes."""
    whole = [o for o in outlines if not o.cut_below and ground.is_below_horizon(_contact_row(o))]
    solids: dict[str, Solid] = {}
    for _ in range(2):
        typical = typical_of(list(solids.values()))
        if solids and typical is None:
            break
        fits = {o.name: (o, fit_solid(o.mask, o.hidden, ground, typical)) for o in whole}
        solids = {name: solid for name, (o, solid) in fits.items() if solid is not None and _is_compact(o, solid)}
    return solids


def _lift(pixels: UInt8, outline: Outline, ground: Ground, solid: Solid | None, nearer: Float32) -> Entity:
    """One entity in camera heights; `nearer` `(H, W)` collects the depths of what was lifted before it."""
    grid = silhouette_grid(outline)
    field, silhouette = _depth_field(outline, ground, grid, solid)
    occluders = _sampled_depth(nearer, grid)
    front, middle, back = _layers(field, ground, grid, occluders)
    mesh = decimate(_mesh(silhouette, grid, ground, front, middle, back), MAX_TRIANGLES, shape_only=True)
    grounded = ground.is_below_horizon(_contact_row(outline))
    if grounded and not outline.bottom_hidden:
        stretch = 1 / -float(mesh.bounds()[0, 1])  # along the rays, so that nothing moves in the photo
        mesh = replace(mesh, vertices=mesh.vertices * stretch)
        front = front * stretch
    rows, columns = np.nonzero(outline.mask)
    at = (np.stack([rows, columns], axis=-1) + 0.5 - grid.origin[::-1]) / grid.cell
    nearer[rows, columns] = interpolated(front, at)
    mesh = textured(mesh, pixels, outline, ground, field)
    world_from_object = _standing_frame(field.world_from_object, mesh)
    provenance: dict[str, Any] = {"lifter": "embedded", "shape": field.shape, "notes": _notes(outline, field, grounded)}
    return Entity(
        name=outline.name,
        mesh=mesh.transformed(transforms.invert_rigid(world_from_object)),
        rest_world_from_object=world_from_object,
        motion=Motion.still(1, world_from_object),
        mask=outline.mask,
        provenance=provenance,
    )


def _depth_field(outline: Outline, ground: Ground, grid: Grid, solid: Solid | None) -> tuple[DepthField, Float]:
    """What the outline is taken for, and its completed silhouette."""
    if solid is None:
        silhouette = silhouette_field(outline, grid, convex_body(outline, grid), softness=SOFTNESS)
        return inflated_field(outline, ground, grid, silhouette, _contact_row(outline)), silhouette
    middle, half, hits = solid_silhouette(solid, ground, grid)
    silhouette = silhouette_field(outline, grid, hits, softness=SOLID_SOFTNESS)
    return solid_field(solid, ground, grid, middle, half, hits, silhouette), silhouette


def _is_compact(outline: Outline, solid: Solid) -> bool:
    """Whether the outline is well explained by a solid: near its outline, and mostly filled."""
    grid = silhouette_grid(outline)
    hull = convex_body(outline, grid)
    filled = sample(outline.mask, grid) > 0.5
    hidden = hull & (sample(outline.hidden, grid) > 0.5)
    solidity = (filled | hidden).sum() / max(1, hull.sum())
    tall = outline.height > TALL * outline.width
    if outline.height > SLENDER * outline.width:
        return False
    return solid.misfit < MAX_MISFIT and solidity > (MIN_SOLIDITY_TALL if tall else MIN_SOLIDITY)


def _contact_row(outline: Outline) -> float:
    if outline.stands_in_view:
        return float(outline.bottom)
    return outline.bottom + BELOW_BORDER * outline.height


def _layers(field: DepthField, ground: Ground, grid: Grid, occluders: Float) -> tuple[Float, Float, Float]:
    """Depths `(rows, columns)` of front, middle and back: above the ground, and behind what stands in front."""
    rays = ground.rays_world(grid.pixels())
    floor = np.where(rays[..., 1] < -1e-3, -1 / np.minimum(rays[..., 1], -1e-3), np.inf)
    front, back = field.middle - field.half, field.middle + field.half
    front = np.maximum(front, 0.05 * field.middle)
    front = np.maximum(np.minimum(front, floor), BEHIND * occluders)
    back = np.minimum(back, np.maximum(floor, BEHIND * occluders))
    back = np.maximum(back, front * (1 + 2 * THINNEST))
    middle = np.clip(field.middle, front * (1 + THINNEST), back)
    return front, middle, back


def _mesh(silhouette: Float, grid: Grid, ground: Ground, front: Float, middle: Float, back: Float) -> Mesh:
    sheets = two_sheets(silhouette)
    node = tuple(sheets.inside.T)
    rays = ground.rays_world(grid.at(sheets.inside.astype(np.float64)))
    contour_rays = ground.rays_world(grid.at(sheets.contour))
    rim = interpolated(middle, sheets.contour)
    vertices = np.concatenate([rays * front[node][:, None], rays * back[node][:, None], contour_rays * rim[:, None]])
    return Mesh(vertices=vertices, faces=sheets.faces)


def _sampled_depth(nearer: Float32, grid: Grid) -> Float:
    """`(rows, columns)` depths of what stands in front, 0 where nothing does."""
    if not nearer.any():
        return np.zeros(grid.shape)
    pixels = np.floor(grid.pixels()).astype(int)
    x, y = pixels[..., 0], pixels[..., 1]
    within = (x >= 0) & (y >= 0) & (x < nearer.shape[1]) & (y < nearer.shape[0])
    x, y = np.clip(x, 0, nearer.shape[1] - 1), np.clip(y, 0, nearer.shape[0] - 1)
    return np.where(within, nearer[y, x], 0.0).astype(np.float64)


def _standing_frame(world_from_object: Float, mesh: Mesh) -> Float:
    """The body's axes, with their origin under the middle of the mesh at its lowest point."""
    frame = world_from_object.copy()
    frame[:3, 3] = 0
    frame[:3, 3] = frame[:3, :3] @ footprint(mesh.vertices @ frame[:3, :3])
    return frame


def _scaled(entity: Entity, scale: float, frames: int) -> Entity:
    rest = entity.rest_world_from_object.copy()
    rest[:3, 3] *= scale
    mesh = replace(entity.mesh, vertices=entity.mesh.vertices * scale)
    return replace(entity, mesh=mesh, rest_world_from_object=rest, motion=Motion.still(frames, rest))
