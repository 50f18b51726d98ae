"""One texture out of several: a mesh of ours has one, a glTF mesh may have one per primitive."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from real2sam2real.arrays import Float, UInt8
from real2sam2real.mesh.gltf.images import MOST_PIXELS

_BORDER = 2
"""Repeated edge pixels around every tile, so that bilinear sampling never reads its neighbour."""


def build_atlas(tiles: list[UInt8]) -> tuple[UInt8, Float]:
    """Lay tiles `(h, w, 3)` out in shelves.

    Returns:
        The atlas `(H, W, 3)` and for every tile `(K, 4)`: left, top, width, height as fractions of the atlas. Tiles
        are scaled down together where the atlas would exceed `MOST_PIXELS`.
    """
    area = sum(_outer(tile.shape[1]) * _outer(tile.shape[0]) for tile in tiles)
    if area * 1.3 > MOST_PIXELS:
        tiles = [_shrunk(tile, math.sqrt(MOST_PIXELS / (area * 1.3))) for tile in tiles]
        area = sum(_outer(tile.shape[1]) * _outer(tile.shape[0]) for tile in tiles)
    width = max(math.ceil(math.sqrt(area)), *(_outer(tile.shape[1]) for tile in tiles))
    corners: list[tuple[int, int]] = [(0, 0)] * len(tiles)
    x = y = shelf = 0
    for k in sorted(range(len(tiles)), key=lambda k: -tiles[k].shape[0]):
        w, h = _outer(tiles[k].shape[1]), _outer(tiles[k].shape[0])
        if x + w > width:
            x, y, shelf = 0, y + shelf, 0
        corners[k] = (x, y)
        x += w
        shelf = max(shelf, h)
    height = y + shelf
    atlas = np.zeros((height, width, 3), np.uint8)
    places = np.zeros((len(tiles), 4))
    for k, (tile, (left, top)) in enumerate(zip(tiles, corners, strict=True)):
        h, w = tile.shape[:2]
        padded = np.pad(tile, ((_BORDER, _BORDER), (_BORDER, _BORDER), (0, 0)), mode="edge")
        atlas[top : top + h + 2 * _BORDER, left : left + w + 2 * _BORDER] = padded
        places[k] = (left + _BORDER) / width, (top + _BORDER) / height, w / width, h / height
    return atlas, places


def into_atlas(corner_uvs: Float, place: Float) -> Float:
    """Corner coordinates `(F, 3, 2)` of a tile as coordinates of the atlas; whole repetitions are taken off per face.

    A face over which the texture repeats would leave its tile: it is held at the tile's edge.
    """
    folded = corner_uvs - np.floor(corner_uvs.min(axis=1, keepdims=True) + 1e-9)
    return place[:2] + np.clip(folded, 0.0, 1.0) * place[2:]


def _outer(size: int) -> int:
    return size + 2 * _BORDER


def _shrunk(tile: UInt8, factor: float) -> UInt8:
    size = (max(1, int(tile.shape[1] * factor)), max(1, int(tile.shape[0] * factor)))
    return np.asarray(Image.fromarray(tile).resize(size, Image.Resampling.BOX), np.uint8)
