"""Billboards as entities: thin upright slabs before the photo's camera, textured with what the photo shows of them.

From another place the photo's things shift against each other and against the ground, as they should; what a slab
cannot show is its side, so it fades as the camera comes round to it.
"""

from __future__ import annotations

import cv2
import manifold3d
import numpy as np

from real2sam2real.arrays import Bool, Float, Int32
from real2sam2real.lifting.texture import photo_page
from real2sam2real.mesh import Mesh
from real2sam2real.rendering.amodal import completed
from real2sam2real.scene import Entity, Motion, Scene
from real2sam2real.scene.billboard import Billboard

FADE_DEGREES = 35.0, 60.0  # between the line of sight and the slab's front: whole below, gone beyond
_THICKNESS = 0.0005  # of the distance: a rim that shows is a smear
_OUTLINE_ERROR = 0.6  # photo pixels by which the outline may be simplified
_LEAST_AREA = 12.0  # photo pixels that a part of the outline encloses


def billboard_entities(scene: Scene) -> list[Entity]:
    """An entity at rest for every billboard whose outline encloses anything; empty without a photo."""
    made = (_entity(scene, billboard, number) for number, billboard in enumerate(scene.billboards, start=1))
    return [entity for entity in made if entity is not None]


def billboard_opacity(scene: Scene, entities: list[Entity], frame: int) -> Float:
    """`(N,)` in 0…1: how much is left of each billboard as the camera of a frame sees it."""
    angle = _angles(scene, np.array([entity.rest_world_from_object[:3, 3] for entity in entities]), frame)
    return np.clip((FADE_DEGREES[1] - angle) / (FADE_DEGREES[1] - FADE_DEGREES[0]), 0, 1)


def billboard_warnings(scene: Scene) -> list[str]:
    """What fades because a camera of the shot comes round to its side: in which frames, and from how far round."""
    entities = billboard_entities(scene)
    places = np.array([entity.rest_world_from_object[:3, 3] for entity in entities]).reshape(-1, 3)
    angles = np.array([_angles(scene, places, frame) for frame in range(scene.frames)]).reshape(scene.frames, -1)
    beyond = np.flatnonzero((angles > FADE_DEGREES[0]).any(axis=1))
    if not len(beyond):
        return []
    names = [billboard.name for billboard in scene.billboards if _outlines(billboard.mask)]
    fading = sorted({names[k] for k in np.flatnonzero((angles > FADE_DEGREES[0]).any(axis=0))})
    return [
        f"{', '.join(fading)} of the background: flat pictures, seen from up to {angles.max():.0f}° to their side in "
        f"frames {beyond[0] + 1}–{beyond[-1] + 1}; beyond {FADE_DEGREES[0]:.0f}° they fade, and are gone at "
        f"{FADE_DEGREES[1]:.0f}°. Keep the camera within that, or name them as objects"
    ]


def _angles(scene: Scene, places: Float, frame: int) -> Float:
    """`(N,)` degrees from the billboards' front to where a frame's camera sees their `places` `(N, 3)` from."""
    towards = (places - scene.camera.world_from_camera[frame, :3, 3]) * [1.0, 0.0, 1.0]
    cosine = towards @ scene.photo_level_forward / np.maximum(np.linalg.norm(towards, axis=1), 1e-9)
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))


def _entity(scene: Scene, billboard: Billboard, number: int) -> Entity | None:
    if scene.photo is None:
        return None
    whole = completed(scene.photo, billboard.mask, _nearer(scene, billboard))
    outlines = _outlines(whole.mask)
    if not outlines:
        return None
    pixels = np.concatenate(outlines)
    front, back = (_on_plane(scene, pixels, billboard.distance * (1 + depth)) for depth in (0.0, _THICKNESS))
    page = photo_page(whole.pixels, whole.shown, np.zeros_like(whole.mask), pixels)
    faces = _slab_faces(outlines)
    height, width = page.image.shape[:2]
    uvs = page.at(pixels) / [width, height]
    vertices = np.concatenate([front, back])
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    rest = np.eye(4)
    rest[:3, 3] = ((low[0] + high[0]) / 2, low[1], (low[2] + high[2]) / 2)
    mesh = Mesh(
        vertices=vertices - rest[:3, 3],
        faces=faces,
        corner_uvs=np.concatenate([uvs, uvs])[faces],
        texture=page.image,
    )
    return Entity(
        name=f"billboard {number}",
        mesh=mesh,
        rest_world_from_object=rest,
        motion=Motion.still(scene.frames, rest),
        mask=billboard.mask,
    )


def _nearer(scene: Scene, billboard: Billboard) -> Bool:
    """`(H, W)`: the photo's pixels that show what stands before a billboard."""
    eye, forward = scene.photo_world_from_camera[:3, 3], scene.photo_level_forward
    nearer = np.zeros_like(billboard.mask)
    for other in scene.billboards:
        if other.distance < billboard.distance:
            nearer |= other.mask
    for entity in (*scene.entities, *scene.removed):
        if entity.mask is not None and (entity.rest_world_from_object[:3, 3] - eye) @ forward < billboard.distance:
            nearer |= entity.mask
    return nearer & ~billboard.mask


def _outlines(mask: Bool) -> list[Float]:
    """Polygons `(N, 2)` of photo pixels: outer ones counter-clockwise as a person sees them, holes clockwise."""
    found, hierarchy = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    outlines = []
    for contour, (_, _, _, parent) in zip(found, hierarchy[0] if len(found) else [], strict=True):
        points = cv2.approxPolyDP(contour, _OUTLINE_ERROR, closed=True)[:, 0].astype(np.float64) + 0.5
        area = 0.5 * float(np.sum(points[:, 0] * np.roll(points[:, 1], -1) - np.roll(points[:, 0], -1) * points[:, 1]))
        if abs(area) < _LEAST_AREA:
            continue
        is_counter_clockwise = area < 0  # as seen, where y points down
        outlines.append(points if is_counter_clockwise == (parent < 0) else points[::-1])
    return outlines


def _on_plane(scene: Scene, pixels: Float, distance: float) -> Float:
    """`(N, 3)` in the world: where the rays of photo pixels `(N, 2)` meet the upright plane at this distance."""
    pose = scene.photo_world_from_camera
    rays = scene.camera.intrinsics.unproject(pixels, np.ones(len(pixels))) @ pose[:3, :3].T
    depth = np.maximum(rays @ scene.photo_level_forward, 0.05)
    return pose[:3, 3] + rays * (distance / depth)[:, None]


def _slab_faces(outlines: list[Float]) -> Int32:
    """`(F, 3)`: front, back and rim over the outlines' points, in their order, once for the front and once behind."""
    upward = [outline * [1.0, -1.0] for outline in outlines]
    front = np.asarray(manifold3d.triangulate(upward), np.int32)
    starts = np.cumsum([0] + [len(outline) for outline in outlines])
    here = np.arange(starts[-1], dtype=np.int32)
    there = here + 1
    there[starts[1:] - 1] = starts[:-1]
    count = int(starts[-1])
    rim = np.concatenate([np.stack([there, here, here + count], 1), np.stack([there, here + count, there + count], 1)])
    return np.concatenate([front, front[:, ::-1] + count, rim]).astype(np.int32)
