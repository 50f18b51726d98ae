"""The scene of a clip as a perfect lifter would give it: right geometry, but textures that carry the photo's light.

A clip's own scene holds unlit textures, because its video is lit afresh in every frame. A lifter sees the photo only,
so the light of frame 0 sticks to the textures and turns with the objects. Previews are to be made from this one.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from real2sam2real.arrays import Float
from real2sam2real.lab.synth.clip import SynthClip
from real2sam2real.lab.synth.shapes import BaseShape, base_shape
from real2sam2real.scene import Entity, Scene


def lifted_scene(clip: SynthClip) -> Scene:
    """`clip.scene` with the light of frame 0 (highlights left out) multiplied into every texture."""
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
