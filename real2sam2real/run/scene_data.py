"""A scene and its motion as JSON values, for the studio's page and for the 3D view in the page of a run.

`studio/src/types.ts` is the other side: `SceneData` and `MotionData`.
"""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from numpy.typing import NDArray

from real2sam2real.arrays import Float
from real2sam2real.geometry import Intrinsics
from real2sam2real.lifting.plausible import OUTLYING, implausible_size
from real2sam2real.run.pictures import entity_colors
from real2sam2real.scene.scene import Entity, Scene


def as_base64(values: NDArray[Any]) -> str:
    """Little-endian bytes of an array as base64."""
    return base64.b64encode(np.ascontiguousarray(values.astype(values.dtype.newbyteorder("<"))).tobytes()).decode()


def column_major(matrices: Float) -> NDArray[np.float32]:
    """`(..., 16)` float32 of `(..., 4, 4)`, column by column, as three.js has them."""
    return np.swapaxes(matrices, -1, -2).reshape(*matrices.shape[:-2], 16).astype(np.float32)


def motion_data(directed: Scene, notes: list[str] | None = None) -> dict[str, Any]:
    """A shot performed: everything that moves, at every frame."""
    return {
        "frames": directed.frames,
        "fps": directed.fps,
        "camera": as_base64(column_major(directed.camera.world_from_camera)),
        "zoom": as_base64(directed.camera.zoom.astype(np.float32)),
        "entities": [
            {
                "name": entity.name,
                "matrices": as_base64(column_major(entity.motion.matrices())),
                "visible": as_base64(entity.motion.visible.astype(np.uint8)),
                "deforms": entity.motion.vertices_object is not None,
                "copyOf": entity.provenance.get("copy_of"),
            }
            for entity in directed.entities
        ],
        "notes": notes or [],
    }


def scene_data(name: str, scene: Scene) -> dict[str, Any]:
    """A scene at rest."""
    colors = entity_colors(len(scene.entities))
    return {
        "id": name,
        "unit": scene.unit,
        "groundY": scene.ground_y,
        "intrinsics": intrinsics_data(scene.camera.intrinsics),
        "photoWorldFromCamera": column_major(np.asarray(scene.photo_world_from_camera, np.float64)).tolist(),
        "entities": [
            _entity_data(index, entity, colors[index - 1]) for index, entity in enumerate(scene.entities, start=1)
        ],
    }


def intrinsics_data(lens: Intrinsics) -> dict[str, float]:
    """A lens, in the photo's pixels."""
    return {name: getattr(lens, name) for name in ("width", "height", "fx", "fy", "cx", "cy")}


def _entity_data(index: int, entity: Entity, color: tuple[int, int, int]) -> dict[str, Any]:
    relation, bounds = entity.relation, entity.mesh.bounds()
    outlying = entity.provenance.get(OUTLYING)
    return {
        "name": entity.name,
        "index": index,
        "color": "#{:02x}{:02x}{:02x}".format(*color),
        "faces": len(entity.mesh.faces),
        "lower": bounds[0].tolist(),
        "upper": bounds[1].tolist(),
        "inPhoto": entity.in_photo,
        "facing": entity.facing,
        "relation": relation and {"word": relation.word, "to": relation.to, "guessed": relation.guessed},
        "joints": list(entity.skin.bones) if entity.skin is not None else [],
        "copyOf": entity.provenance.get("copy_of"),
        "warning": str(outlying) if outlying else implausible_size(entity),
    }
