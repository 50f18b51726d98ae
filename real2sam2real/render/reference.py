"""The renderer once more, slow and readable: every ray against every face. What the kernels are tested against."""

from __future__ import annotations

import numpy as np

from real2sam2real.arrays import Float, UInt8
from real2sam2real.geometry import transforms
from real2sam2real.render.frame import Frame
from real2sam2real.render.renderer import NEAR
from real2sam2real.scene import Entity, Scene


def reference_frame(scene: Scene, frame: int, *, width: int, height: int) -> Frame:
    """Normals, ids, depth and unlit, unfiltered colour of one frame, as `render_frames` defines them.

    It knows no snapping: within 2⁻¹⁵ pixel of an edge it may see another face than the kernels do. Textures are
    sampled bilinearly at full size, which is what the kernels do where a texture is not minified.
    """
    intrinsics = scene.camera.resized(width, height).intrinsics_at(frame)
    columns, rows = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    rays = np.stack(
        [(columns - intrinsics.cx) / intrinsics.fx, (intrinsics.cy - rows) / intrinsics.fy, -np.ones_like(rows)],
        axis=-1,
    )
    camera_from_world = scene.camera.camera_from_world()[frame]
    image = Frame(
        normals=np.zeros((height, width, 3), np.float32),
        ids=np.zeros((height, width), np.uint8),
        depth=np.full((height, width), np.inf, np.float32),
        color=np.zeros((height, width, 3), np.uint8),
    )
    nearest = np.full((height, width), np.inf)
    for index, entity in enumerate(scene.entities):
        if entity.motion.visible[frame]:
            _draw(entity, index + 1, frame, camera_from_world, rays, nearest, image)
    return image


def _draw(
    entity: Entity, identity: int, frame: int, camera_from_world: Float, rays: Float, nearest: Float, image: Frame
) -> None:
    """Enter one entity into the image, face by face, where it is nearer than what is there."""
    mesh, deformed = entity.mesh, entity.motion.vertices_object
    vertices = mesh.vertices if deformed is None else deformed[frame].astype(np.float64)
    camera_from_object = camera_from_world @ entity.motion.matrices()[frame]
    linear = camera_from_object[:3, :3]
    points = transforms.apply(camera_from_object, vertices)
    normals = mesh.vertex_normals(vertices) @ np.linalg.inv(linear)  # rows times M⁻¹ are columns times M⁻ᵀ
    outward = np.sign(np.linalg.det(linear))
    for number, face in enumerate(mesh.faces):
        corner, first, second = points[face[0]], points[face[1]] - points[face[0]], points[face[2]] - points[face[0]]
        plane = np.cross(first, second)
        towards = rays @ plane
        with np.errstate(divide="ignore", invalid="ignore"):
            u = rays @ np.cross(second, corner) / towards
            v = rays @ np.cross(corner, first) / towards
            depth = corner @ plane / towards
            hit = (outward * towards < 0) & (u >= 0) & (v >= 0) & (u + v <= 1) & (depth >= NEAR) & (depth < nearest)
        if not hit.any():
            continue
        weights = np.stack([1 - u - v, u, v], axis=-1)[hit]
        normal = weights @ normals[face]
        nearest[hit] = depth[hit]
        image.depth[hit] = depth[hit]
        image.ids[hit] = identity
        image.normals[hit] = normal / np.linalg.norm(normal, axis=-1, keepdims=True)
        if image.color is not None:
            image.color[hit] = np.floor(_color(entity, number, weights) + 0.5)


def _color(entity: Entity, face: int, weights: Float) -> Float:
    """Colours `(N, 3)`, 0…255, at barycentric `weights` `(N, 3)` of a face."""
    mesh = entity.mesh
    if mesh.texture is not None and mesh.corner_uvs is not None:
        return _bilinear(mesh.texture, weights @ mesh.corner_uvs[face].astype(np.float32))
    if mesh.vertex_colors is not None:
        return weights @ mesh.vertex_colors[mesh.faces[face]]
    return np.full((len(weights), 3), 128.0)


def _bilinear(texture: UInt8, uvs: Float) -> Float:
    """Texture colour `(N, 3)` at `(N, 2)`, clamped at the border and repeated outside 0…1."""
    size = np.array([texture.shape[1], texture.shape[0]])
    inside = np.where((uvs < 0) | (uvs > 1), uvs - np.floor(uvs), uvs)
    place = np.clip(inside * size - 0.5, 0, size - 1)
    low = place.astype(int)
    high = np.minimum(low + 1, size - 1)
    s, t = np.split(place - low, 2, axis=-1)
    upper = texture[low[:, 1], low[:, 0]] * (1 - s) + texture[low[:, 1], high[:, 0]] * s
    lower = texture[high[:, 1], low[:, 0]] * (1 - s) + texture[high[:, 1], high[:, 0]] * s
    return upper * (1 - t) + lower * t
