"""How soft an object's outline is in its photo: out of focus, in motion, or just as sharp as pixels are."""

from __future__ import annotations

import cv2
import numpy as np

from real2sam2real.arrays import Float, Mask, UInt8

SHARP = 0.8  # pixels, standard deviation: a softer edge takes more than two pixels from 10 to 90 %
SOFTEST = 8.0  # pixels: what looks softer is shading
RIM = 2.2  # standard deviations, and at least pixels, in which an outline mixes the object with what is behind it
_REACH = 12  # pixels to either side of an outline that are looked at
_MARGIN = _REACH + 2  # pixels around an object
_MOST_POINTS = 400
_LEAST_POINTS = 12
_CONTRAST = 30.0  # levels between inside and outside, for an edge to tell anything
_EVEN = 0.2  # of the contrast: by how much either side may vary along the way
_ON_OUTLINE, _AGREEING = 1.5, 0.7  # pixels from the outline, and the share of profiles that cross over within these


def edge_sigma(pixels: UInt8, mask: Mask) -> float:
    """Standard deviation in pixels of the blur along an object's outline; 0 where it is sharp or nothing tells it.

    Of a step that is blurred by a Gaussian, the steepest slope is 1 / (σ √2π). It is read off colour profiles across
    the outline, where inside and outside are even and differ; texture only makes an edge look sharper. Where the
    colours change over anywhere but at the outline, it is shading that is seen, and no edge.

    Args:
        pixels: `(H, W, 3)` uint8 sRGB.
        mask: `(H, W)` bool, the object's pixels.
    """
    left, top, across, down = cv2.boundingRect(mask.astype(np.uint8))
    rows, columns = (slice(max(0, low - _MARGIN), low + size + _MARGIN) for low, size in ((top, down), (left, across)))
    pixels, mask = pixels[rows, columns], mask[rows, columns]
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not contours:
        return 0.0
    points = np.concatenate([contour[:, 0] for contour in contours]).astype(np.float64)
    points = points[:: -(-len(points) // _MOST_POINTS)]
    smooth = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 3.0)
    rise_down, rise_right = (cv2.Sobel(smooth, cv2.CV_32F, *order) for order in ((0, 1), (1, 0)))
    x, y = points.astype(int).T
    normal = np.stack([rise_right[y, x], rise_down[y, x]], axis=-1).astype(np.float64)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
    steps = np.arange(-_REACH, _REACH + 0.25, 0.5)
    at = points[:, None] + normal[:, None] * steps[None, :, None]
    height, width = mask.shape
    inside = ((at >= 0) & (at <= [width - 1, height - 1])).all(axis=(1, 2))
    if inside.sum() < _LEAST_POINTS:
        return 0.0
    maps = at[inside].astype(np.float32)
    profile = cv2.remap(pixels.astype(np.float32), maps[..., 0], maps[..., 1], cv2.INTER_LINEAR)
    sigma, off = _edges(profile.astype(np.float64))
    if len(sigma) < _LEAST_POINTS or (np.abs(off) <= _ON_OUTLINE).mean() < _AGREEING:
        return 0.0
    found = float(np.median(sigma))
    return found if SHARP < found < SOFTEST else 0.0


def _edges(profile: Float) -> tuple[Float, Float]:
    """Of those profiles `(M, S, 3)`, half a pixel apart, that show an edge, where outside becomes inside.

    Returns:
        Standard deviations of the blur, and how far inside of the outline each is, both `(N,)` in pixels.
    """
    quarter = profile.shape[1] // 4
    outer, inner = profile[:, :quarter], profile[:, -quarter:]
    low, high = outer.mean(axis=1), inner.mean(axis=1)
    across = high - low
    contrast = np.linalg.norm(across, axis=1)
    uneven = np.maximum(np.linalg.norm(outer.std(axis=1), axis=1), np.linalg.norm(inner.std(axis=1), axis=1))
    good = (contrast > _CONTRAST) & (uneven < _EVEN * contrast)
    share = ((profile - low[:, None]) * across[:, None]).sum(axis=2)[good] / (contrast[good, None] ** 2)
    slope = (share[:, 2:] - share[:, :-2]).max(axis=1)  # per pixel: two steps of half a pixel
    middle = (np.abs(share - 0.5).argmin(axis=1) - profile.shape[1] // 2) / 2
    return 1 / (np.maximum(slope, 1e-6) * np.sqrt(2 * np.pi)), middle
