"""A small photo enlarged once, by the network that enlarges videos, so that a shot can be drawn larger than the photo.

Frames of a video that are enlarged one by one flicker; meshes and a backdrop that wear an enlarged photo do not.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from real2sam2real import media
from real2sam2real.arrays import Bool, UInt8
from real2sam2real.diffusion.upscaling import SCALE, VideoUpscaler, load_upscaler
from real2sam2real.mesh import Mesh
from real2sam2real.scene.scene import Entity, Scene

_ROUGH = 6.0  # of the Laplacian, in levels of 255: what is smoother than this looks the same bicubically


def with_enlarged_photo(scene: Scene, width: int, height: int) -> Scene:
    """The scene over its photo at `width × height` pixels, masks, camera and the meshes' photo textures with it.

    The scene itself where its photo is as large already, or where it has none.
    """
    photo = scene.photo
    if photo is None or width <= photo.shape[1]:
        return scene
    upscaler, factor = load_upscaler(), width / photo.shape[1]

    def enlarged(entity: Entity) -> Entity:
        mesh = _with_enlarged_texture(entity.mesh, upscaler, factor, max(photo.shape))
        return replace(entity, mesh=mesh, mask=None if entity.mask is None else _resized(entity.mask, width, height))

    return replace(
        scene,
        photo=_enlarged(photo, upscaler, width, height),
        camera=scene.camera.resized(width, height),
        entities=tuple(map(enlarged, scene.entities)),
        removed=tuple(map(enlarged, scene.removed)),
        billboards=tuple(replace(b, mask=_resized(b.mask, width, height)) for b in scene.billboards),
    )


def _with_enlarged_texture(mesh: Mesh, upscaler: VideoUpscaler, factor: float, longest: int) -> Mesh:
    """The mesh with a finer texture, unless its own is wider than the photo's `longest` side."""
    texture = mesh.texture
    if texture is None or texture.shape[1] > longest:
        return mesh
    height, width = (max(1, round(side * factor)) for side in texture.shape[:2])
    return replace(mesh, texture=_enlarged(texture, upscaler, width, height))


def _enlarged(picture: UInt8, upscaler: VideoUpscaler, width: int, height: int) -> UInt8:
    rough = np.abs(cv2.Laplacian(picture.astype(np.float32), cv2.CV_32F)).max(axis=-1) > _ROUGH
    large = upscaler.enlarged(picture, rough)
    size = min(width, SCALE * picture.shape[1]), min(height, SCALE * picture.shape[0])
    return media.resized(media.resized(large, *size), width, height)


def _resized(mask: Bool, width: int, height: int) -> Bool:
    return cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR) >= 0.5
