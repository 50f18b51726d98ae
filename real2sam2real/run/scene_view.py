"""What the 3D view in the page of a run draws: the scene's shapes, packed small, and its motion, as JSON values.

Positions and texture coordinates are 16-bit shares of their range, normals 8-bit, textures small JPEG pictures: the
page stays one file of a few megabytes. `studio/src/runview/` is the other side.
"""

from __future__ import annotations

import base64
from dataclasses import replace
from importlib import resources
from typing import Any

import cv2
import numpy as np

from real2sam2real.arrays import Float, Float32, UInt8
from real2sam2real.media import resized
from real2sam2real.mesh import Mesh
from real2sam2real.rendering.preview import emptied_photo
from real2sam2real.run.scene_data import as_base64, motion_data, scene_data
from real2sam2real.scene.gltf import split_at_seams
from real2sam2real.scene.scene import Entity, Scene

MOST_FACES = 60_000  # of all shapes together; finer ones are made lighter
MOST_MOVED_BYTES = 1_000_000  # of all deforming shapes together; beyond it, they change in fewer frames
_LEAST_FACES = 500
_TEXTURE_LONGEST_SIDE = 512
_BACKDROP_LONGEST_SIDE = 1024
_QUALITY = 85
SCRIPT = "runview.js"


def script() -> str | None:
    """The view's script, or None where it has not been built (only so in a checkout)."""
    path = resources.files("real2sam2real").joinpath("assets", "studio", SCRIPT)
    return path.read_text(encoding="utf-8") if path.is_file() else None


def scene_view(directed: Scene) -> dict[str, Any]:
    """The directed scene as `SceneView` of the view's `data.ts`."""
    own = [entity for entity in directed.entities if not _is_copy(entity)]
    shapes = [_light(entity, _share(entity, own)) for entity in own]
    moved_bytes = sum(moved.size * 2 for _, moved in shapes if moved is not None)
    step = max(1, -(-moved_bytes // MOST_MOVED_BYTES))
    return {
        "emptied": _emptied(directed),
        "scene": scene_data("view", directed),
        "motion": motion_data(directed),
        "shapes": {
            entity.name: _shape(mesh, None if moved is None else moved[::step], step)
            for entity, (mesh, moved) in zip(own, shapes, strict=True)
        },
    }


def _emptied(directed: Scene) -> str | None:
    """What stands behind objects that moved: the photo with their places painted over; None without a photo."""
    if directed.photo is None:
        return None
    height, width = directed.photo.shape[:2]
    scale = min(1.0, _BACKDROP_LONGEST_SIDE / max(width, height))
    small = resized(directed.photo, max(1, round(width * scale)), max(1, round(height * scale)))
    return _jpeg(emptied_photo(replace(directed, photo=small)), _BACKDROP_LONGEST_SIDE)


def _is_copy(entity: Entity) -> bool:
    """Whether the view can draw it with another one's shape."""
    return entity.provenance.get("copy_of") is not None and entity.motion.vertices_object is None


def _share(entity: Entity, entities: list[Entity]) -> int:
    """How many faces an entity may have."""
    total = sum(len(each.mesh.faces) for each in entities)
    faces = len(entity.mesh.faces)
    return faces if total <= MOST_FACES else max(_LEAST_FACES, faces * MOST_FACES // total)


def _light(entity: Entity, most_faces: int) -> tuple[Mesh, Float32 | None]:
    """An entity's mesh with at most so many faces, and its vertices `(T, V, 3)` at every frame if it deforms."""
    mesh, moved = entity.mesh, entity.motion.vertices_object
    if len(mesh.faces) <= most_faces or not mesh.is_closed():
        return mesh, moved
    from real2sam2real.mesh.attributes import nearest_vertices, transfer_attributes
    from real2sam2real.mesh.decimation import decimate

    light = transfer_attributes(mesh, decimate(mesh, most_faces, shape_only=True))
    if moved is None:
        return light, None
    nearest = nearest_vertices(mesh, light)
    return light, (moved[:, nearest] + (light.vertices - mesh.vertices[nearest])).astype(np.float32)


def _shape(mesh: Mesh, moved: Float32 | None, step: int) -> dict[str, Any]:
    """As `ShapeData` of the view's `data.ts`."""
    source, faces, uvs, normals = split_at_seams(mesh)
    painted = mesh.vertex_colors is not None and uvs is None
    return {
        "positions": _packed(mesh.vertices[source]),
        "normals": as_base64(np.round(normals * 127).astype(np.int8)),
        "uvs": None if uvs is None else _packed(uvs),
        "colors": as_base64(mesh.vertex_colors[source]) if painted and mesh.vertex_colors is not None else None,
        "index": as_base64(faces.astype(np.uint32 if len(source) > 65535 else np.uint16)),
        "texture": None if mesh.texture is None else _jpeg(mesh.texture),
        "moved": None if moved is None else {"step": step, "frames": _packed(moved[:, source].reshape(-1, 3))},
    }


def _packed(values: Float | Float32) -> dict[str, Any]:
    """`(N, C)` as 16-bit shares of each column's range, which is told."""
    low, high = values.min(axis=0), values.max(axis=0)
    span = np.where(high > low, high - low, 1.0)
    return {
        "low": low.tolist(),
        "span": span.tolist(),
        "data": as_base64(np.round((values - low) / span * 65535).astype(np.uint16)),
    }


def _jpeg(texture: UInt8, longest_side: int = _TEXTURE_LONGEST_SIDE) -> str:
    """A small picture as a data URI."""
    height, width = texture.shape[:2]
    scale = min(1.0, longest_side / max(width, height))
    small = resized(texture, max(1, round(width * scale)), max(1, round(height * scale)))
    _, data = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return f"data:image/jpeg;base64,{base64.b64encode(data.tobytes()).decode()}"
