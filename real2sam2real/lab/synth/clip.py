"""One clip of the procedural world, which of its pixels truly change, and its scene as a lifter would give it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from real2sam2real.arrays import Bool, Float, Float32, UInt8
from real2sam2real.lab.synth.lighting import Lighting
from real2sam2real.lab.synth.shapes import BaseShape, base_shape
from real2sam2real.rendering import Light
from real2sam2real.scene import CameraPath, Entity, Scene

CHANGE = 12.0
"""Difference in 8-bit steps, after blurring, from which a pixel counts as changed."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SynthClip:
    """A clip with everything about it known."""

    seed: int  # what it was made from
    scene: Scene  # complete: textured entities with motions, masks and rest poses, camera path, photo = `video[0]`
    light: Light  # what shades the entities; in a varied world the light of frame 0 without colour and strength
    video: UInt8  # `(T, H, W, 3)` uint8 sRGB, anti-aliased
    normals: Float32  # `(T, H, W, 3)` float32 camera space, unit length where `ids` is not 0, zero elsewhere
    ids: UInt8  # `(T, H, W)` uint8 instance ids, 0 = none
    depth: Float32  # `(T, H, W)` float32 along the camera's −Z, infinite where `ids` is 0
    # colours, strengths and course of the light in a varied world; None where `light` says all
    lighting: Lighting | None = None

    @property
    def frames(self) -> int:
        """Number of frames T."""
        return len(self.video)


def far_homographies(camera: CameraPath) -> Float:
    """Where pixels of frame 0's far background lie in frame t: `pixel_t_from_pixel_0` `(T, 3, 3)`.

    They act on column vectors (x, y, 1) in pixels and are scaled so that the last entry is 1.
    """
    flip = np.diag([1.0, -1.0, -1.0])  # camera axes to image axes: right, down, forward
    rotations = camera.world_from_camera[:, :3, :3] @ flip
    matrices = np.zeros((camera.frames, 3, 3))
    intrinsics = camera.intrinsics
    matrices[:, 0, 0] = intrinsics.fx * camera.zoom
    matrices[:, 1, 1] = intrinsics.fy * camera.zoom
    matrices[:, :, 2] = intrinsics.cx, intrinsics.cy, 1.0
    homographies = matrices @ np.swapaxes(rotations, 1, 2) @ rotations[0] @ np.linalg.inv(matrices[0])
    return homographies / homographies[:, 2:, 2:]


def changed_region(clip: SynthClip, threshold: float = CHANGE) -> Bool:
    """Pixels `(T, H, W)` that truly differ from the photo.

    A pixel has changed when another instance is seen there than in frame 0, or when, after a 3×3 mean over both
    frames, a colour channel differs by more than `threshold` steps of 255. Surfaces that moved but look the same do
    not count: no video could show them wrong.
    """
    smooth = np.stack([cv2.blur(frame.astype(np.float32), (3, 3)) for frame in clip.video])
    differs = np.abs(smooth - smooth[0]).max(axis=-1) > threshold
    return differs | (clip.ids != clip.ids[0])


def static_region(clip: SynthClip, threshold: float = CHANGE) -> Bool:
    """Pixels `(T, H, W)` that stay as in the photo, at a safe distance from any that change.

    The complement of `changed_region`, eroded by 1/48 of the image height (at least one pixel).
    """
    radius = max(1, round(clip.video.shape[1] / 48))
    kernel = np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)
    changed = changed_region(clip, threshold)
    return np.stack([cv2.dilate(frame.astype(np.uint8), kernel) == 0 for frame in changed])


def lifted_scene(clip: SynthClip) -> Scene:
    """`clip.scene` as a perfect lifter would give it: with the light of frame 0 multiplied into every texture.

    A clip's own scene holds unlit textures, because its video is lit afresh in every frame. A lifter sees the photo
    only, so its light sticks to the textures and turns with the objects (highlights are left out). Previews are to be
    made from this scene.
    """
    ambient, key = np.full(3, clip.light.ambient), np.full(3, clip.light.diffuse)
    if clip.lighting is not None:
        ambient, key = (colors[0] for colors in clip.lighting.colors(np.zeros(1)))
    direction = np.asarray(clip.light.direction_world) / np.linalg.norm(clip.light.direction_world)
    entities = tuple(_lit(entity, direction, ambient, key) for entity in clip.scene.entities)
    return replace(clip.scene, entities=entities)


def _lit(entity: Entity, direction: Float, ambient: Float, key: Float) -> Entity:
    """The entity in the light of `key` `(3,)` from a unit world direction `(3,)` and of `ambient` `(3,)`."""
    texture = entity.mesh.texture
    if texture is None:
        return entity
    shape = base_shape(entity.provenance["shape"])
    stretch = np.ptp(entity.mesh.vertices, axis=0) / shape.extent
    normals = texel_normals(shape, stretch) @ entity.rest_world_from_object[:3, :3].T
    shade = ambient + key * np.maximum(normals @ direction, 0.0)[..., None]
    lit = np.minimum(texture * shade + 0.5, 255.0).astype(np.uint8)
    return replace(entity, mesh=replace(entity.mesh, texture=lit))


def texel_normals(shape: BaseShape, stretch: Float) -> Float:
    """Outward unit normals `(rows, columns, 3)` in the object frame under every texel of a stretched shape.

    From differences between neighbouring texels' surface points, averaged over 5×5 texels because these points lie on
    flat facets. Where the differences vanish (at a pole) the normal is that of the nearest row with one.
    """
    normals = np.empty_like(shape.texel_points)
    first = 0
    for rows in shape.strips:
        points = shape.texel_points[first : first + rows] * stretch
        cross = np.cross(np.gradient(points, axis=1), np.gradient(points, axis=0))
        length = np.linalg.norm(cross, axis=-1, keepdims=True)
        flat = length[..., 0].mean(axis=1) < 1e-9
        cross /= np.maximum(length, 1e-12)
        if np.sum(points * cross * length) < np.sum(points.mean(axis=(0, 1)) * (cross * length).sum(axis=(0, 1))):
            cross = -cross
        good = np.flatnonzero(~flat)
        nearest = good[np.abs(np.arange(rows)[:, None] - good).argmin(axis=1)]
        smooth = cv2.blur(np.pad(cross[nearest], ((0, 0), (3, 3), (0, 0)), mode="wrap"), (5, 5))[:, 3:-3]
        normals[first : first + rows] = smooth / np.linalg.norm(smooth, axis=-1, keepdims=True)
        first += int(rows)
    return normals
