"""The photo without the objects that have left their places: what the preview's other layers are laid over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from real2sam2real.arrays import Bool, Float32, UInt8
from real2sam2real.render import footprints
from real2sam2real.render.inpaint import inpaint


@dataclass(frozen=True, kw_only=True, eq=False)
class Place:
    """The pixels of the photo that one object takes up, within a window.

    Attributes:
        window: rows and columns of the photo that hold the rest.
        body: bool, shows the object.
        outline: uint8 0…255, the body with its soft edge.
        shadowed: uint8 0…255, the same with the shadow that leaves with the object.
    """

    window: tuple[slice, slice]
    body: Bool
    outline: UInt8
    shadowed: UInt8


def find_places(photo: UInt8, bodies: Sequence[Bool]) -> list[Place]:
    """The places of objects whose pixels `(H, W)` bool in the photo `(H, W, 3)` uint8 are given."""
    if not bodies:
        return []
    objects = np.any(bodies, axis=0)
    margin = max(1.0, 0.003 * photo.shape[1])
    places = []
    for body in bodies:
        areas = (body, footprints.with_shadow(photo, body, objects))
        edges = [np.maximum(_soft(footprints.outline(area, margin)), area * np.uint8(255)) for area in areas]
        window = _window(edges[1] > 0)
        places.append(Place(window=window, body=body[window], outline=edges[0][window], shadowed=edges[1][window]))
    return places


class Plate:
    """The photo with some objects' places painted over, which ones depending on the frame.

    Args:
        photo: `(H, W, 3)` uint8.
        places: of the objects of the photo.
        ever_left: per place, if it ever has to be painted over.
        shadows: per place, how much light `(H, W)` float32 0…1 its resting object takes from the ground under it, or
            None. The photo shows such a shadow beside the object; where the object hid it, it has to be painted.

    Attributes:
        emptied: `(H, W, 3)` uint8, the photo with all the places that are ever left painted over, without shadows.
    """

    def __init__(
        self,
        photo: UInt8,
        places: Sequence[Place],
        ever_left: Sequence[bool],
        shadows: Sequence[Float32 | None],
    ) -> None:
        self._photo = photo
        self._places = places
        self._shadows = shadows
        hole, bodies = np.zeros(photo.shape[:2], bool), np.zeros(photo.shape[:2], bool)
        for place, left in zip(places, ever_left, strict=True):
            bodies[place.window] |= place.body
            if left:
                hole[place.window] |= place.shadowed > 0
        self.emptied = inpaint(photo, hole, avoid=bodies)
        self._key: list[tuple[float, float]] | None = None
        self._last = (photo, np.zeros(photo.shape[:2], np.uint8))

    def at(self, left: Sequence[tuple[float, float]]) -> tuple[UInt8, UInt8]:
        """The plate of one frame.

        Args:
            left: per place, how far (0…1) its object and its object's shadow have left it.

        Returns:
            The plate `(H, W, 3)` uint8, and how much of each pixel is painted over, `(H, W)` uint8 0…255. Not to be
            written to: the next frame may be the same.
        """
        if self._key != list(left):
            self._key = list(left)
            painted = self._painted(left)
            share = painted.astype(np.float32) / 255
            plate = cv2.blendLinear(self._shaded(left), self._photo, share, 1 - share)
            self._last = (np.where(painted[..., None] > 0, plate, self._photo), painted)
        return self._last

    def _painted(self, left: Sequence[tuple[float, float]]) -> UInt8:
        painted = np.zeros(self._photo.shape[:2], np.uint8)
        for place, (body_left, shadow_left) in zip(self._places, left, strict=True):
            area = painted[place.window]
            np.maximum(area, (place.outline * np.float32(body_left)).astype(np.uint8), out=area)
            np.maximum(area, (place.shadowed * np.float32(shadow_left)).astype(np.uint8), out=area)
        for place, (body_left, _) in zip(self._places, left, strict=True):
            if not body_left:  # a neighbour's outline or shadow does not wipe out what still stands there
                painted[place.window][place.body] = 0
        return painted

    def _shaded(self, left: Sequence[tuple[float, float]]) -> UInt8:
        """The emptied photo under the shadows of the objects that rest in the world (the camera may have moved)."""
        light = np.ones(self._photo.shape[:2], np.float32)
        for shadow, (body_left, shadow_left) in zip(self._shadows, left, strict=True):
            if shadow is not None and body_left and shadow_left < 1:
                light *= 1 - shadow * np.float32(1 - shadow_left)
        if light.min() == 1:
            return self.emptied
        return (self.emptied * light[..., None] + np.float32(0.5)).astype(np.uint8)


def _soft(area: Bool) -> UInt8:
    """255 inside, falling to 0 over about two pixels."""
    blurred = cv2.GaussianBlur(area.astype(np.uint8) * 255, (5, 5), 0.8)
    return blurred.astype(np.uint8, copy=False)


def _window(area: Bool) -> tuple[slice, slice]:
    rows, columns = np.flatnonzero(area.any(axis=1)), np.flatnonzero(area.any(axis=0))
    if not len(rows):
        return slice(0, 0), slice(0, 0)
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
