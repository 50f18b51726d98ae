"""An entity's texture: one page seen by the photo's camera, one for the side that the photo does not show.

Both pages are laid over the photo's own pixels, so a texture coordinate is a pixel and a page.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from real2sam2real.geometry.quaternions import Float

MAX_PAGE_SIDE = 1024
MARGIN = 4


@dataclass(frozen=True, kw_only=True, eq=False)
class Atlas:
    """Two pages, one above the other, over a window of the photo.

    Attributes:
        image: `(2h, w, 3)` uint8 sRGB: the front page on top.
        left: x of the window in photo pixels.
        top: y of the window in photo pixels.
        scale: texture pixels per photo pixel.
    """

    image: NDArray[np.uint8]
    left: int
    top: int
    scale: float

    def uvs(self, pixels: Float, back: NDArray[np.bool_]) -> Float:
        """`(F, 3, 2)` texture coordinates of face corners at photo `pixels` `(F, 3, 2)`; `back` `(F,)` picks the page."""
        height, width = self.image.shape[0] // 2, self.image.shape[1]
        x = np.clip((pixels[..., 0] - self.left) * self.scale, 0.5, width - 0.5)
        y = np.clip((pixels[..., 1] - self.top) * self.scale, 0.5, height - 0.5)
        return np.stack([x / width, (y + np.where(back, height, 0)[:, None]) / (2 * height)], axis=-1)


def make_atlas(pixels: NDArray[np.uint8], visible: NDArray[np.bool_], whole: tuple[int, int, int, int]) -> Atlas:
    """Cut an entity's texture from the photo.

    Args:
        pixels: `(H, W, 3)` uint8 sRGB photo.
        visible: `(H, W)` bool, the pixels that show the entity.
        whole: left, top, right, bottom of the completed silhouette in pixels; it may exceed the photo.
    """
    left, top = whole[0] - MARGIN, whole[1] - MARGIN
    width, height = whole[2] + MARGIN - left, whole[3] + MARGIN - top
    color, known = _window(pixels, visible, left, top, width, height)
    scale = min(1.0, MAX_PAGE_SIDE / max(width, height))
    if scale < 1:
        size = (max(8, round(width * scale)), max(8, round(height * scale)))
        color = cv2.resize(color, size, interpolation=cv2.INTER_AREA)
        known = cv2.resize(known.astype(np.uint8), size, interpolation=cv2.INTER_AREA) > 0
        scale = size[0] / width
    front = _extended(color, _eroded(known))
    back = cv2.GaussianBlur(front, (0, 0), 1.0 + 0.004 * max(front.shape[:2]))
    return Atlas(image=np.concatenate([front, back]), left=left, top=top, scale=scale)


def _window(
    pixels: NDArray[np.uint8], visible: NDArray[np.bool_], left: int, top: int, width: int, height: int
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    color = np.zeros((height, width, 3), np.uint8)
    known = np.zeros((height, width), bool)
    y0, y1 = max(0, top), min(pixels.shape[0], top + height)
    x0, x1 = max(0, left), min(pixels.shape[1], left + width)
    color[y0 - top : y1 - top, x0 - left : x1 - left] = pixels[y0:y1, x0:x1]
    known[y0 - top : y1 - top, x0 - left : x1 - left] = visible[y0:y1, x0:x1]
    return color, known


def _eroded(known: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Without the rim, where the photo mixes the object with what is behind it; thin parts keep their core."""
    padded = np.pad(known, 1).astype(np.uint8)
    distance = cv2.distanceTransform(padded, cv2.DIST_L2, 3)
    ridge = distance >= cv2.dilate(distance, np.ones((3, 3), np.uint8)) - 0.5
    return ((distance > 2.2) | (ridge & (distance > 0)))[1:-1, 1:-1]


def _extended(color: NDArray[np.uint8], known: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Known colours continued into the unknown: the nearest one, blended ever more widely with the distance."""
    if known.all():
        return color
    distance, labels = cv2.distanceTransformWithLabels(
        (~known).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    table = np.zeros((labels.max() + 1, 3), np.uint8)
    table[labels[known]] = color[known]
    filled = table[labels].astype(np.float32)
    weight = known.astype(np.float32)
    for sigma in (2.0, 6.0, 18.0):
        share = cv2.GaussianBlur(weight, (0, 0), sigma)
        mean = cv2.GaussianBlur(color * weight[..., None], (0, 0), sigma) / np.maximum(share, 1e-6)[..., None]
        mix = np.clip((distance - sigma) / sigma, 0, 1) * (share > 1e-3)
        filled += mix[..., None] * (mean - filled)
    filled[known] = color[known]
    return np.clip(np.round(filled), 0, 255).astype(np.uint8)
