"""How a texture goes on beyond its border (glTF's samplers), worked into the texture and its coordinates.

Our renderer and atlas know one way, repetition. A mirrored texture is laid out twice, after which it repeats; a clamped
one gets as much of its border's colour as its surfaces reach.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from real2sam2real.arrays import Float, Int, UInt8
from real2sam2real.mesh.gltf.surfaces import Surface
from real2sam2real.mesh.gltf.textures import MOST_PIXELS

_EDGE = 1e-4  # of the texture: coordinates beyond its border by rounding alone


def wrapped_surfaces(surfaces: Sequence[Surface]) -> tuple[list[Surface], list[str]]:
    """The surfaces with textures that repeat, and notes on what could not be laid out."""
    result, notes = list(surfaces), []
    materials = {id(s.material): s.material for s in surfaces}
    for key, material in materials.items():
        mine = [k for k, s in enumerate(surfaces) if id(s.material) == key and s.uvs is not None]
        texture = material.texture
        if texture is None or not mine:
            continue
        stretches = []
        for axis, wrap in ((0, material.wrap[0]), (1, material.wrap[1])):
            used = np.concatenate([_used(surfaces[k])[:, axis] for k in mine])
            low, high = (float(used.min()), float(used.max())) if len(used) else (0.0, 1.0)
            if wrap == "repeat" or (low >= -_EDGE and high <= 1 + _EDGE):
                stretches.append((0.0, 1.0))
                continue
            texture, start, length, lost = _laid_out(texture, axis, wrap, low, high)
            stretches.append((start, length))
            if lost:
                notes.append(f"{surfaces[mine[0]].label}: its texture's border reaches too far to be laid out")
        if stretches == [(0.0, 1.0), (0.0, 1.0)]:
            continue
        start, length = np.array(stretches).T
        changed = replace(material, texture=texture, wrap=("repeat", "repeat"))
        for k in mine:
            uvs = surfaces[k].uvs
            assert uvs is not None
            moved = (uvs - start) / length
            for axis in (0, 1):
                if material.wrap[axis] == "clamp":  # in the border's own pixels, so that no repetition begins
                    edge = 0.5 / texture.shape[1 - axis]
                    moved[:, axis] = moved[:, axis].clip(edge, 1 - edge)
            result[k] = replace(surfaces[k], material=changed, uvs=moved)
    return result, notes


def _used(surface: Surface) -> Float:
    assert surface.uvs is not None
    return surface.uvs[np.unique(surface.triangles)]


def _laid_out(texture: UInt8, axis: int, wrap: str, low: float, high: float) -> tuple[UInt8, float, float, bool]:
    """The texture, larger along `axis`, where in it the old coordinates start, their length, and if some is missing."""
    side = 1 - axis  # rows run along v
    size = texture.shape[side]
    across = texture.shape[axis] if texture.shape[axis] else 1
    if wrap == "mirror":
        if 2 * texture.shape[0] * texture.shape[1] > MOST_PIXELS:
            return texture, 0.0, 1.0, True
        return np.concatenate([texture, np.flip(texture, side)], axis=side), 0.0, 2.0, False
    room = max(MOST_PIXELS // across - size, 0)
    before, after = (int(np.ceil(max(reach, 0.0) * size)) for reach in (-low, high - 1))
    lost = before + after > room
    if lost:
        before, after = min(before, room // 2), min(after, room // 2)
    pads = [(0, 0)] * 3
    pads[side] = (before, after)
    return np.pad(texture, pads, mode="edge"), -before / size, (size + before + after) / size, lost


def repetitions(texture: UInt8, corner_uvs: Float) -> tuple[Int, int]:
    """How often, along u and v, a tile of an atlas must hold `texture` for faces with coordinates `(F, 3, 2)`.

    Also over how many faces it repeats still more often, where there is no room for all.
    """
    folded = from_first_tile(corner_uvs)
    spans = np.maximum(np.ceil(folded.max(axis=(0, 1), initial=1.0) - _EDGE).astype(np.int64), 1)
    if int(spans.prod()) * texture.size // 3 > MOST_PIXELS // 4:
        spans = np.ones(2, np.int64)
    return spans, int((folded.max(axis=1) > spans + _EDGE).any(axis=1).sum())


def from_first_tile(corner_uvs: Float) -> Float:
    """`(F, 3, 2)` without the whole repetitions before each face."""
    folded: Float = corner_uvs - np.floor(corner_uvs.min(axis=1, keepdims=True) + _EDGE)
    return folded
