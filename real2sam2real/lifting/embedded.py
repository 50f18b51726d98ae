"""The embedded lifter: photo and masks to a scene of closed meshes, from silhouettes alone. See docs/lifting.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from real2sam2real.arrays import Float, Float32, Int, Mask, UInt8
from real2sam2real.geometry import Intrinsics, transforms
from real2sam2real.lifting.carriers import Carrier, carriers_first, carriers_of, standing_on, stands_by_word
from real2sam2real.lifting.depth_fields import (
    DepthField,
    inflated_field,
    nearest_known,
    solid_field,
    solid_silhouette,
)
from real2sam2real.lifting.ground import Ground, ground_under
from real2sam2real.lifting.kinds import ThingKind, kind_of
from real2sam2real.lifting.outline import (
    Grid,
    Outline,
    convex_body,
    interpolated,
    outlines_by_nearness,
    sample,
    silhouette_field,
    silhouette_grid,
)
from real2sam2real.lifting.parts import part_fields, part_silhouette, united
from real2sam2real.lifting.sheets import two_sheets
from real2sam2real.lifting.solid import BOXY_PLAN, Solid, fit_solid, typical_of
from real2sam2real.lifting.texture import textured
from real2sam2real.mesh import Mesh
from real2sam2real.mesh.decimation import decimate
from real2sam2real.mesh.mesh import footprint
from real2sam2real.perceive.camera.vanishing import StraightEdges, pitch_of_edges
from real2sam2real.perceive.masks import clean_masks
from real2sam2real.scene import CameraPath, Entity, Motion, Scene
from real2sam2real.scene.relation import Relation
from real2sam2real.workfolder.kept import Arrays, KeptResults

MAX_TRIANGLES = 20_000
TYPICAL_HEIGHT = 1.6  # scene units: the median entity's height, so that a unit is near a metre for people and cars
MAX_MISFIT = 0.035
MAX_KIND_MISFIT = 0.1  # of a thing whose word says what it is: a car with its door open is a car
MIN_COVER, MIN_BODY_COVER = 0.3, 0.64  # IoU of the usual parts with the mask; legs of chairs are thin
MOST_FRONTAL_DEGREES = 35.0
MAX_BODY_MISFIT = 0.02
PITCH_SPREAD = float(np.radians(8.0))  # standard deviation, where it is not known
MIN_SOLIDITY = 0.86
MIN_SOLIDITY_ALIKE = 0.7  # where others tell its size, and a motorcycle in front cuts it
MAX_BOX_MISFIT, MIN_BOX_SOLIDITY = 0.0125, 0.7
LONGEST, MIN_SOLIDITY_LONG = 2.2, 0.93  # longer things, either way, are better inflated than guessed
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
    words: Mapping[str, str] | None = None,
    relations: Mapping[str, Relation] | None = None,
    kept: KeptResults | None = None,
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
        words: what entities are, such as "car", for those whose names do not say.
        relations: what entities stand on or belong to, or that they float, for those of which it is known.
        kept: where shapes of earlier calls are looked up, and left.

    Returns:
        A scene whose world is upright, with the photo's camera at its origin, and notes on what was assumed or left
        out. Its unit is chosen so that the median entity is 1.6 units tall. An entity's +Z points out of the side that
        the photo shows.

    Raises:
        UserError: a mask is empty, full, tiny or wholly covered, or the pitch is out of range.
        ValueError: sizes of photo, masks and intrinsics disagree.
    """
    _check_sizes(photo_pixels, masks, intrinsics)
    cleaned, said = clean_masks(masks), relations or {}
    outlines = outlines_by_nearness(cleaned)
    kinds = {name: kind_of(name) or kind_of((words or {}).get(name, "")) for name in cleaned}
    grounded = [o for o in outlines if o.name not in said or stands_by_word(said[o.name], cleaned)]
    ground = ground_under(grounded, intrinsics, pitch_degrees)
    ground = _ground_of_edges(photo_pixels, np.any(list(cleaned.values()), axis=0), ground)
    ground = _ground_of_shapes(outlines, ground, kinds)
    carriers = carriers_of(outlines, kinds, ground, said)
    outlines = outlines_by_nearness(cleaned, standing_on(carriers))
    nearer = np.zeros(photo_pixels.shape[:2], np.float32)
    fits = _fitted_solids(outlines, ground, kinds)
    kept, lifted = kept or KeptResults(), {}
    for o in carriers_first(outlines, carriers):
        stands = stands_by_word(said.get(o.name), cleaned)
        carrier = carriers.get(o.name)
        entity = _lift(photo_pixels, o, ground, fits.get(o.name), nearer, carrier, stands=stands, kept=kept)
        lifted[o.name] = replace(entity, relation=said.get(o.name, entity.relation))
    scale = TYPICAL_HEIGHT / float(np.median([entity.mesh.bounds()[1, 1] for entity in lifted.values()]))
    scene = Scene(
        entities=tuple(_scaled(lifted[name], scale, frames) for name in cleaned),
        camera=CameraPath.still(frames, intrinsics, ground.world_from_camera),
        photo=photo_pixels,
        photo_world_from_camera=ground.world_from_camera,
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


def _is_seen_from_its_side(solid: Solid) -> bool:
    """Whether a body is seen so that its silhouette tells more of it than the usual parts do."""
    if solid.kind is None or solid.kind.build != "body":
        return False
    away = solid.yaw - np.arctan2(-solid.center[0], -solid.center[2])
    return abs(np.sin(away)) > np.sin(np.radians(MOST_FRONTAL_DEGREES))


def _is_body(solid: Solid) -> bool:
    """Whether a fit tells how an inflated silhouette stands and how deep it is, without being its shape."""
    kind = solid.kind
    if kind is None or not (kind.build == "body" or kind.round):
        return False
    return solid.misfit < MAX_KIND_MISFIT and solid.cover > MIN_COVER


def _taken_for(solid: Solid) -> str:
    return f"a rounded {solid.name}" if solid.kind is None or solid.kind.round else f"a {solid.name}"


def _notes(outline: Outline, field: DepthField, carrier: Carrier | None, *, grounded: bool, stands: bool) -> list[str]:
    taken_for = "its inflated silhouette" if field.solid is None else _taken_for(field.solid)
    notes = [f"taken for {taken_for}"]
    if field.front_yaw is None and field.solid is not None and not field.solid.profile.plan < BOXY_PLAN:
        notes.append("which side is its front is not known: the side that the photo shows counts, unless 'facing' says")
    if carrier is not None:
        notes.append(_carried_how(carrier))
    elif stands:
        notes.append("it stands on the ground, as was said")
    elif not grounded:
        notes.append("it ends above the horizon, so it stands on nothing: how far away it is, is guessed")
    elif outline.cut_below:
        notes.append("the photo's border cuts it: how it goes on below, and so how far away it is, is guessed")
    elif outline.bottom_hidden:
        notes.append("its lower edge is hidden: how far away it is, is guessed")
    return notes


def _carried_how(carrier: Carrier) -> str:
    other, relation = carrier.outline.name, carrier.relation
    if relation.word == "floating":
        return f"it floats, as far away as {other}" + ("" if relation.to else ", which is next to it in the photo")
    if relation.guessed:
        return f"it ends on {other}, so it is as far away as that, and moves with it (--floating and --on untie them)"
    return f"it {relation}, as was said"


Kinds = Mapping[str, ThingKind | None]


def _ground_of_edges(photo_pixels: UInt8, taken: Mask, ground: Ground) -> Ground:
    """The ground, its pitch told by the straight edges of a room or of buildings where nothing else tells it.

    `taken` `(H, W)` bool are the objects.
    """
    if not ground.is_assumed:
        return ground
    pitch = pitch_of_edges(StraightEdges.of_photo(photo_pixels, taken, ground.intrinsics)[0])
    if pitch is None or pitch < ground.lowest_pitch:
        return ground
    note = f"camera looks down by {np.degrees(pitch):.0f}°, from upright and level edges in the photo"
    return replace(ground, pitch_radians=pitch, note=note, is_assumed=False)


def _ground_of_shapes(outlines: list[Outline], ground: Ground, kinds: Kinds) -> Ground:
    """The ground, its pitch taken from the shapes that stand on it where nothing else tells it.

    A rim that shows as an ellipse, or a box of known proportions, says from how high it is seen.
    """
    if not ground.is_assumed:
        return ground
    found = []
    for o in outlines:
        if o.stands_in_view and o.height <= SLENDER * o.width:
            solid = fit_solid(o.mask, o.hidden, ground, None, kinds[o.name], pitch_spread=PITCH_SPREAD)
            if solid is not None and _is_explained(o, solid):
                found.append(solid.pitch_radians)
    if not found:
        return ground
    pitch = max(float(np.median(found)), ground.lowest_pitch)
    note = f"camera looks down by {np.degrees(pitch):.0f}°, from the shape of what stands on the ground"
    return replace(ground, pitch_radians=pitch, note=note)


def _fitted_solids(outlines: list[Outline], ground: Ground, kinds: Kinds) -> dict[str, Solid]:
    """The solids of compact objects, each fitted on its own first, then again in the light of the others' sizes."""
    whole = [o for o in outlines if not o.cut_below and ground.is_below_horizon(o.contact_row)]
    solids: dict[str, Solid] = {}
    bodies: dict[str, Solid] = {}
    for _ in range(2):
        typical = typical_of(list(solids.values()))
        if solids and typical is None:
            break
        fits = {o.name: (o, fit_solid(o.mask, o.hidden, ground, typical, kinds[o.name])) for o in whole}
        found = {name: (o, solid) for name, (o, solid) in fits.items() if solid is not None}
        solids = {name: s for name, (o, s) in found.items() if _is_explained(o, s, alike=typical is not None)}
        bodies = {name: solid for name, (_, solid) in found.items() if name not in solids and _is_body(solid)}
    return solids | bodies


def _lift(
    pixels: UInt8,
    outline: Outline,
    ground: Ground,
    solid: Solid | None,
    nearer: Float32,
    carrier: Carrier | None,
    *,
    stands: bool,
    kept: KeptResults,
) -> Entity:
    """One entity in camera heights, on the ground or its carrier; `nearer` `(H, W)` collects the depths of all.

    What `stands` by its word does so even where its lower edge is hidden.
    """
    grid = silhouette_grid(outline)
    fields = _depth_fields(outline, ground, grid, solid)
    occluders = _sampled_depth(nearer, grid)
    layers = [_layers(field, ground, grid, occluders) for field, _ in fields]
    pieces = [_mesh(own, grid, ground, *depths) for (_, own), depths in zip(fields, layers, strict=True)]
    mesh = _in_one(pieces, kept)
    front = np.min([np.where(own > 0, d[0], np.inf) for (_, own), d in zip(fields, layers, strict=True)], axis=0)
    front = nearest_known(np.where(np.isfinite(front), front, 0.0), np.isfinite(front))[0]
    field = fields[0][0]
    grounded = ground.is_below_horizon(outline.contact_row)
    attached = None if carrier is None else carrier.depth(outline, nearer)
    if attached is not None or stands or (grounded and not outline.bottom_hidden):
        if attached is None:
            stretch = 1 / -float(mesh.bounds()[0, 1])
        else:
            pixels_there, depth = attached
            stretch = depth / float(np.median(interpolated(front, _nodes(grid, *pixels_there))))
        mesh = replace(mesh, vertices=mesh.vertices * stretch)  # along the rays, so that nothing moves in the photo
        front = front * stretch
    rows, columns = np.nonzero(outline.mask)
    nearer[rows, columns] = interpolated(front, _nodes(grid, rows, columns))
    mesh = textured(mesh, pixels, outline, ground, field)
    world_from_object = _standing_frame(field.world_from_object, mesh)
    carrier = None if attached is None else carrier
    notes = _notes(outline, field, carrier, grounded=grounded, stands=stands)
    provenance: dict[str, Any] = {"lifter": "embedded", "shape": field.shape, "notes": notes}
    return Entity(
        name=outline.name,
        mesh=mesh.transformed(transforms.invert_rigid(world_from_object)),
        rest_world_from_object=world_from_object,
        motion=Motion.still(1, world_from_object),
        mask=outline.mask,
        facing=_facing(field),
        relation=None if carrier is None else carrier.relation,
        provenance=provenance,
    )


def _in_one(pieces: Sequence[Mesh], kept: KeptResults) -> Mesh:
    """The pieces as one closed mesh of not too many triangles; of all that lifting does this takes longest."""

    def unite() -> Arrays:
        mesh = united(pieces)
        if len(mesh.faces) > MAX_TRIANGLES:
            mesh = decimate(mesh, MAX_TRIANGLES, shape_only=True)
        return {"vertices": mesh.vertices, "faces": mesh.faces}

    found = kept.get(("mesh", "lifting"), [[piece.vertices, piece.faces] for piece in pieces], unite)
    return Mesh(vertices=found["vertices"], faces=found["faces"])


def _facing(field: DepthField) -> float | None:
    """Degrees from the object's +Z to its front, where its word says that it has one."""
    if field.front_yaw is None:
        return None
    yaw = np.arctan2(field.world_from_object[0, 2], field.world_from_object[2, 2])
    return float(np.degrees(np.angle(np.exp(1j * (field.front_yaw - yaw)))))


def _nodes(grid: Grid, rows: Int, columns: Int) -> Float:
    """`(N, 2)` fractional rows and columns of a grid at the middles of pixels."""
    return (np.stack([rows, columns], axis=-1) + 0.5 - grid.origin[::-1]) / grid.cell


def _depth_fields(outline: Outline, ground: Ground, grid: Grid, solid: Solid | None) -> list[tuple[DepthField, Float]]:
    """What the outline is taken for, in one piece or several, each with its completed silhouette."""
    if solid is None or (_is_body(solid) and not _is_explained(outline, solid, alike=True)):
        silhouette = silhouette_field(outline, grid, convex_body(outline, grid), softness=SOFTNESS)
        return [(inflated_field(outline, ground, grid, silhouette, outline.contact_row, solid), silhouette)]
    if solid.kind is not None and solid.kind.parts:
        drawn = part_silhouette(solid, solid.kind.parts, ground, grid)
        silhouette = silhouette_field(outline, grid, drawn, softness=SOFTNESS)
        if fields := part_fields(solid, solid.kind.parts, ground, grid, silhouette):
            return fields
    middle, half, hits = solid_silhouette(solid, ground, grid)
    silhouette = silhouette_field(outline, grid, hits, softness=SOLID_SOFTNESS)
    return [(solid_field(solid, ground, grid, middle, half, hits, silhouette), silhouette)]


def _is_explained(outline: Outline, solid: Solid, *, alike: bool = False) -> bool:
    """Whether a solid is what the outline should be taken for; more easily where it is one among many `alike`."""
    kind = solid.kind
    if kind is None:
        return _is_compact(outline, solid, alike=alike)
    if kind.parts:
        if kind.build == "solid":
            return solid.misfit < MAX_KIND_MISFIT and solid.cover > MIN_COVER
        return solid.misfit < MAX_BODY_MISFIT and solid.cover > MIN_BODY_COVER and not _is_seen_from_its_side(solid)
    if kind.round:
        return _is_compact(outline, solid, alike=False)
    return kind.build == "solid" and solid.misfit < MAX_KIND_MISFIT


def _is_compact(outline: Outline, solid: Solid, *, alike: bool) -> bool:
    """Whether the outline is well explained by a solid: near its outline, and mostly filled."""
    grid = silhouette_grid(outline)
    hull = convex_body(outline, grid)
    filled = sample(outline.mask, grid) > 0.5
    hidden = hull & (sample(outline.hidden, grid) > 0.5)
    solidity = (filled | hidden).sum() / max(1, hull.sum())
    if outline.height > SLENDER * outline.width:
        return False
    long = max(outline.height / outline.width, outline.width / outline.height) > LONGEST
    if solid.profile.plan > BOXY_PLAN and solid.misfit < MAX_BOX_MISFIT and solidity > MIN_BOX_SOLIDITY:
        return True  # its hull has a box's corners, and what it lacks of it are legs
    least = MIN_SOLIDITY_ALIKE if alike else MIN_SOLIDITY_LONG if long else MIN_SOLIDITY
    return bool(solid.misfit < MAX_MISFIT and solidity > least)


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
