"""The photo without the objects that have left their places: what the preview's other layers are laid over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from real2sam2real.arrays import Bool, Float32, UInt8
from real2sam2real.lifting.edge_softness import RIM
from real2sam2real.lifting.texture import push_pull
from real2sam2real.rendering.inpaint import Inpainter, inpaint, prevailing
from real2sam2real.rendering.matte import window_of

_SEARCHED_AT_FULL_SIZE = 500_000  # pixels of a picture, at most
_LARGEST_KERNEL = 8  # pixels to each side
_DARKER = 0.72  # of what prevails around it: a darker pixel is in contact shadow
_FRINGE = 0.02  # of a bystander's size: how far its mask, which a network cut out, may miss its edge


@dataclass(frozen=True, kw_only=True, eq=False)
class ObjectArea:
    """The pixels of the photo that one object takes up, within a window."""

    window: tuple[slice, slice]  # rows and columns of the photo that hold the rest
    body: Bool  # bool, shows the object
    outline: UInt8  # uint8 0…255, the body with its soft edge
    shadowed: UInt8  # uint8 0…255, the same with the shadow that leaves with the object


def find_object_areas(
    photo: UInt8, bodies: Sequence[Bool], softness: Sequence[float] = (), *, rough: Sequence[bool] = ()
) -> list[ObjectArea]:
    """The places of objects whose pixels `(H, W)` bool in the photo `(H, W, 3)` uint8 are given.

    `softness` is the blur of their outlines as `edge_sigma` gives it; a `rough` mask may miss the object's edge.
    """
    if not bodies:
        return []
    objects = np.any(bodies, axis=0)
    places = []
    none = [False] * len(bodies)
    for body, sigma, is_rough in zip(bodies, softness or [0.0] * len(bodies), rough or none, strict=True):
        margin = max(1.0, 0.003 * photo.shape[1], RIM * sigma)
        if is_rough:
            margin += _FRINGE * np.sqrt(body.sum())
        areas = (body, with_shadow(photo, body, objects))
        edges = [np.maximum(_soft(outline(area, margin)), area * np.uint8(255)) for area in areas]
        window = window_of(edges[1] > 0)
        places.append(ObjectArea(window=window, body=body[window], outline=edges[0][window], shadowed=edges[1][window]))
    return places


def outline(mask: Bool, pixels: float) -> Bool:
    """`mask` `(H, W)` grown by some pixels: masks seldom take in an object's soft edge."""
    reach = round(pixels)
    if reach > _LARGEST_KERNEL:  # where a dilation is slow
        return cv2.distanceTransform(1 - mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE) <= reach
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    return cv2.dilate(mask.astype(np.uint8), kernel) > 0


def with_shadow(photo: UInt8, mask: Bool, objects: Bool) -> Bool:
    """An object's `mask` `(H, W)` together with the contact shadow that the photo `(H, W, 3)` shows around its foot.

    No pixel of all `objects` `(H, W)` is a shadow, nor does it say how bright the ground is.
    """
    rows, columns = np.nonzero(mask)
    if not len(rows):
        return mask
    reach = max(2, round(0.35 * np.sqrt(len(rows))))
    top, bottom = max(0, int(rows.max()) - reach), min(mask.shape[0], int(rows.max()) + reach + 1)
    left, right = max(0, int(columns.min()) - reach), min(mask.shape[1], int(columns.max()) + reach + 1)
    window = (slice(max(0, top - reach), min(mask.shape[0], bottom + reach)), slice(left, right))
    crop = photo[window].astype(np.float32)
    ground = prevailing(crop, objects[window], reach=0.3).mean(axis=-1)
    gray = cv2.GaussianBlur(crop, (0, 0), max(0.6, 0.04 * reach)).mean(axis=-1)
    dark = (gray < _DARKER * ground) & ~outline(objects & ~mask, 1)[window]
    below = np.zeros_like(mask)
    below[top:bottom, left:right] = True
    candidates = (dark & below[window] & outline(mask, reach)[window]) | mask[window]
    _, labels = cv2.connectedComponents(candidates.astype(np.uint8))
    touching = np.unique(labels[mask[window]])
    found = mask.copy()
    found[window] |= np.isin(labels, touching[touching > 0]) & candidates
    return found


class Plate:
    """The photo `(H, W, 3)` with some objects' places painted over, which ones depending on the frame.

    `ever_left` says per place whether it ever has to be painted over; `shadows`, how much light `(H, W)` float32 0…1
    its resting object takes from the ground under it, or None. The photo shows such a shadow beside the object; where
    the object hid it, it has to be painted. What stands `forever` keeps its shadow: the photo's own goes on there.
    """

    def __init__(
        self,
        photo: UInt8,
        places: Sequence[ObjectArea],
        ever_left: Sequence[bool],
        shadows: Sequence[Float32 | None],
        inpainter: Inpainter = inpaint,
        forever: Sequence[bool] = (),
    ) -> None:
        self._photo = photo
        self._places = places
        self._shadows = shadows
        hole, bodies = np.zeros(photo.shape[:2], bool), np.zeros(photo.shape[:2], bool)
        for place, left in zip(places, ever_left, strict=True):
            bodies[place.window] |= place.body
            if left:
                hole[place.window] |= place.shadowed > 0
        # Of all that is ever left, without shadows. In a large picture the finest search is what takes the time, and
        # what the coarser ones found looks the same.
        self.emptied = inpainter(photo, hole, avoid=bodies, draft=hole.size > _SEARCHED_AT_FULL_SIZE)
        for place in (place for place, stands in zip(places, forever, strict=False) if stands):
            _shade_under(self.emptied, photo, place)
        self._key: list[tuple[float, float]] | None = None
        self._last = (photo, np.zeros(photo.shape[:2], np.uint8))

    def at(self, left: Sequence[tuple[float, float]]) -> tuple[UInt8, UInt8]:
        """The plate `(H, W, 3)` uint8 of one frame, and how much of each pixel is painted over, `(H, W)` uint8 0…255.

        `left` says per place how far (0…1) its object and its object's shadow have left it. Both results are not to be
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


def _shade_under(emptied: UInt8, photo: UInt8, place: ObjectArea) -> None:
    """Let the shadow that the photo `(H, W, 3)` shows beside a place go on under it, in place; it ends smoothly."""
    body = place.outline > 0
    beside = (place.shadowed > 0) & ~body
    if not beside.any():
        return
    ground = emptied[place.window].astype(np.float32)
    size = max(1.0, 0.02 * float(np.sqrt(body.sum())))
    shaded, lit = (cv2.GaussianBlur(each, (0, 0), size) for each in (photo[place.window].astype(np.float32), ground))
    light = np.where(beside[..., None], np.clip(shaded / np.maximum(lit, 1), 0, 1), 1).astype(np.float32)
    known = (~body).astype(np.float32)
    light = np.clip(push_pull(light * known[..., None], known), 0, 1)
    hidden = cv2.GaussianBlur((body | beside).astype(np.float32), (0, 0), size)[..., None]  # no edge where it ends
    light = 1 + (light - 1) * hidden
    emptied[place.window] = np.rint(ground * light).astype(np.uint8)


def _soft(area: Bool) -> UInt8:
    """255 inside, falling to 0 over about two pixels."""
    blurred = cv2.GaussianBlur(area.astype(np.uint8) * 255, (5, 5), 0.8)
    return blurred.astype(np.uint8, copy=False)
