"""Several meshes as one, with their colours side by side or their textures on one."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from real2sam2real.arrays import Float, UInt8
from real2sam2real.mesh import Mesh
from real2sam2real.mesh.gltf.textures import MOST_PIXELS, build_atlas, into_atlas, plain_tile


def join_meshes(meshes: Sequence[Mesh]) -> tuple[Mesh, tuple[str, ...]]:
    """One mesh of the vertices and faces of all, in order, with their colours; and notes for the user on what is lost.

    Where one has a texture, all get their place in one texture: vertex colours are drawn into it, exactly, with four
    pixels per face. Without any texture colours stay at the vertices; a mesh without colours is white.
    """
    if len(meshes) == 1:
        return meshes[0], ()
    starts = np.cumsum([0] + [len(m.vertices) for m in meshes[:-1]])
    colors, uvs, texture, repeating = None, None, None, 0
    hard = any(m.corner_normals is not None for m in meshes)
    textures = {id(m.texture) for m in meshes}
    if all(m.texture is None for m in meshes):
        if any(m.vertex_colors is not None for m in meshes):
            colors = np.concatenate([_colors(m) for m in meshes])
    elif len(textures) == 1:
        texture = meshes[0].texture
        uvs = np.concatenate([m.corner_uvs for m in meshes if m.corner_uvs is not None])
    else:
        texture, uvs, repeating = _one_texture(meshes)
    joined = Mesh(
        vertices=np.concatenate([m.vertices for m in meshes]),
        faces=np.concatenate([m.faces + start for m, start in zip(meshes, starts, strict=True)]),
        vertex_colors=colors,
        corner_uvs=uvs,
        texture=texture,
        corner_normals=np.concatenate([m.normals_at_corners() for m in meshes]) if hard else None,
    )
    lost = f"the texture repeats within {repeating:,} faces, which the joined texture cannot show"
    return joined, (lost,) if repeating else ()


def _colors(mesh: Mesh) -> UInt8:  # white where it has none
    return np.full(mesh.vertices.shape, 255, np.uint8) if mesh.vertex_colors is None else mesh.vertex_colors


def _one_texture(meshes: Sequence[Mesh]) -> tuple[UInt8, Float, int]:
    """An atlas, coordinates `(F, 3, 2)` in it of all faces, and over how many of them a texture repeats."""
    textures = {id(m.texture): m.texture.size // 3 for m in meshes if m.texture is not None}
    room = MOST_PIXELS / 2 - sum(textures.values())
    tiles, coordinates, repeating = [], [], 0
    for mesh in meshes:
        tile, uvs = mesh.texture, mesh.corner_uvs
        if tile is not None and uvs is not None:
            repeating += int((np.ptp(uvs, axis=1) > 1 + 1e-6).any(axis=1).sum())
        else:
            tile, uvs = drawn_colors(_colors(mesh)[mesh.faces], most_pixels=room)
            room -= tile.size // 3
        tiles.append(tile)
        coordinates.append(uvs)
    atlas, places = build_atlas(tiles)
    joined = [into_atlas(uvs, place) for uvs, place in zip(coordinates, places, strict=True)]
    return atlas, np.concatenate(joined), repeating


def drawn_colors(corner_colors: UInt8, *, most_pixels: float) -> tuple[UInt8, Float]:
    """A texture `(H, W, 3)` and coordinates `(F, 3, 2)` that look like colours `(F, 3, 3)` blended over each face.

    Each face has 2×2 pixels: its corners' colours and, in the fourth, the value that makes the bilinear sample between
    them linear. Where that takes more than `most_pixels` every face gets the mean colour of all.
    """
    count = len(corner_colors)
    flat = bool((corner_colors == corner_colors[:1, :1]).all())
    if flat or count * 4 * 1.1 > most_pixels:
        color = np.round(corner_colors.reshape(-1, 3).mean(axis=0)).astype(np.uint8)
        return plain_tile(color), np.full((count, 3, 2), 0.5)
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    a, b, c = (corner_colors[:, k].astype(np.int64) for k in range(3))
    blocks = np.zeros((rows * columns, 2, 2, 3), np.uint8)
    blocks[:count, 0, 0], blocks[:count, 0, 1], blocks[:count, 1, 0] = a, b, c
    blocks[:count, 1, 1] = np.clip(b + c - a, 0, 255)
    texture = blocks.reshape(rows, columns, 2, 2, 3).transpose(0, 2, 1, 3, 4).reshape(2 * rows, 2 * columns, 3)
    corner = 2.0 * np.stack([np.arange(count) % columns, np.arange(count) // columns], axis=1)
    pixels = corner[:, None] + np.array([[0.5, 0.5], [1.5, 0.5], [0.5, 1.5]])
    return np.ascontiguousarray(texture), pixels / [2 * columns, 2 * rows]
