"""Pixels of surfaces: images in and out, several textures as one, and sRGB against linear light.

glTF's factors and vertex colours are linear light; ours are sRGB bytes. A mesh of ours has one texture, where the
primitives of a glTF mesh may have one each.
"""

from __future__ import annotations

import io
import math

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image

from real2sam2real.arrays import Float, UInt8

MOST_PIXELS = 8192 * 8192  # largest texture that is decoded: a small file can claim to be an image of any size
_BORDER = 2  # repeated edge pixels around every tile, so that bilinear sampling never reads its neighbour
_CODES = np.arange(256) / 255
_LINEAR = np.where(_CODES <= 0.04045, _CODES / 12.92, ((_CODES + 0.055) / 1.055) ** 2.4)


def linear_from_srgb(colors: UInt8) -> Float:
    """Linear light in 0…1 `(...)` float64 of sRGB bytes `(...)` (IEC 61966-2-1)."""
    return _LINEAR[colors]


def srgb_from_linear(colors: ArrayLike) -> UInt8:
    """The nearest sRGB bytes `(...)` of linear light `(...)`, clipped to 0…1."""
    linear = np.clip(np.asarray(colors, np.float64), 0.0, 1.0)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.round(encoded * 255).astype(np.uint8)


def encode_png(pixels: UInt8) -> bytes:
    """A PNG of `(H, W, 3)` sRGB pixels."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def plain_tile(color: UInt8) -> UInt8:
    """A small picture `(8, 8, 3)` of one sRGB colour `(3,)`."""
    return np.broadcast_to(color, (8, 8, 3)).copy()


def build_atlas(given: list[UInt8]) -> tuple[UInt8, Float]:
    """Lay tiles `(h, w, 3)` out in shelves; the same array given twice is laid out once.

    Returns:
        The atlas `(H, W, 3)` and for every tile `(K, 4)`: left, top, width, height as fractions of the atlas. Tiles
        are scaled down together where the atlas would exceed `MOST_PIXELS`.
    """
    shared = {id(tile): tile for tile in given}
    number = {key: k for k, key in enumerate(shared)}
    tiles = list(shared.values())
    area = _area(tiles)
    if area * 1.3 > MOST_PIXELS:
        tiles = [_shrunk(tile, math.sqrt(MOST_PIXELS / (area * 1.3))) for tile in tiles]
        area = _area(tiles)
    width = max(math.ceil(math.sqrt(area)), *(tile.shape[1] + 2 * _BORDER for tile in tiles))
    corners: list[tuple[int, int]] = [(0, 0)] * len(tiles)
    x = y = shelf = 0
    for k in sorted(range(len(tiles)), key=lambda k: -tiles[k].shape[0]):
        h, w = (size + 2 * _BORDER for size in tiles[k].shape[:2])
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
    return atlas, places[[number[id(tile)] for tile in given]]


def into_atlas(corner_uvs: Float, place: Float) -> Float:
    """Corner coordinates `(F, 3, 2)` of a tile as coordinates of the atlas; whole repetitions are taken off per face.

    A face over which the texture repeats would leave its tile: it is held at the tile's edge.
    """
    folded = corner_uvs - np.floor(corner_uvs.min(axis=1, keepdims=True) + 1e-9)
    return place[:2] + np.clip(folded, 0.0, 1.0) * place[2:]


def _area(tiles: list[UInt8]) -> int:
    return sum((tile.shape[0] + 2 * _BORDER) * (tile.shape[1] + 2 * _BORDER) for tile in tiles)


def _shrunk(tile: UInt8, factor: float) -> UInt8:
    size = (max(1, int(tile.shape[1] * factor)), max(1, int(tile.shape[0] * factor)))
    return np.asarray(Image.fromarray(tile).resize(size, Image.Resampling.BOX), np.uint8)
