"""Masks from a box, or from points, refined on the photo's colours by GrabCut (Rother et al., 2004)."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import ArrayLike

from real2sam2real.arrays import Mask, UInt8
from real2sam2real.errors import UserError
from real2sam2real.perceive.prompts import box_text, checked_box, checked_inside, checked_points

WORK_SIDE = 480  # GrabCut's cost grows with the pixels; the mask's edge is refined on the photo afterwards
ROUNDS = 6


def mask_from_box(pixels: UInt8, box_xyxy: Sequence[float]) -> Mask:
    """The object inside a box.

    Args:
        pixels: `(H, W, 3)` uint8 sRGB.
        box_xyxy: left, top, right, bottom in pixels, right and bottom not included; parts outside the photo are cut.

    Returns:
        `(H, W)` bool.

    Raises:
        UserError: the box is not four finite numbers in order, misses the photo, is tiny, or holds no object.
    """
    return cut_by_colour(pixels, _box_labels(pixels, box_xyxy), f"the box {box_text(box_xyxy)}")


def mask_from_points(
    pixels: UInt8,
    inside: ArrayLike,
    outside: ArrayLike = (),
    box_xyxy: Sequence[float] | None = None,
) -> Mask:
    """The object that contains some points and avoids others.

    Args:
        pixels: `(H, W, 3)` uint8 sRGB.
        inside: `(N, 2)` pixels x, y on the object, at least one.
        outside: `(M, 2)` pixels x, y beside it.
        box_xyxy: an optional box around the object; without one the whole photo is searched.

    Returns:
        `(H, W)` bool, the components that hold a point of `inside`.

    Raises:
        UserError: no point inside, a point lies outside the photo, or nothing is found.
    """
    height, width = pixels.shape[:2]
    inner = checked_inside(width, height, inside)
    outer = checked_points(width, height, outside, "outside")
    if box_xyxy is not None:
        labels = _box_labels(pixels, box_xyxy)
    else:
        labels = np.full((height, width), cv2.GC_PR_BGD, np.uint8)
        edge = max(1, min(width, height) // 100)
        labels[:edge] = labels[-edge:] = labels[:, :edge] = labels[:, -edge:] = cv2.GC_BGD
        reach = int(0.22 * max(width, height))
        for x, y in inner.astype(int):
            near = cv2.circle(np.zeros_like(labels), (int(x), int(y)), reach, 1, -1).astype(bool)
            labels[near & (labels == cv2.GC_PR_BGD)] = cv2.GC_PR_FGD
    radius = max(2, min(width, height) // 80)
    for points, label in ((inner, cv2.GC_FGD), (outer, cv2.GC_BGD)):
        for x, y in points.astype(int):
            cv2.circle(labels, (int(x), int(y)), radius, int(label), -1)
    mask = cut_by_colour(pixels, labels, "the points")
    _, components = cv2.connectedComponents(mask.astype(np.uint8))
    hit = np.unique(components[inner[:, 1].astype(int), inner[:, 0].astype(int)])
    return np.isin(components, hit[hit > 0])


def _box_labels(pixels: UInt8, box: Sequence[float]) -> UInt8:
    height, width = pixels.shape[:2]
    x0, y0, x1, y1 = checked_box(width, height, box)
    if (x1 - x0) * (y1 - y0) >= 0.98 * width * height:
        raise UserError(f"the box {box_text(box)} covers the whole photo; leave some background outside it")
    labels = np.full((height, width), cv2.GC_BGD, np.uint8)
    labels[y0:y1, x0:x1] = cv2.GC_PR_FGD
    return labels


def cut_by_colour(pixels: UInt8, labels: UInt8, what: str) -> Mask:
    """GrabCut on a small window around the possible object, its mask brought back to the photo's size.

    Args:
        pixels: `(H, W, 3)` uint8 sRGB.
        labels: `(H, W)` uint8, of OpenCV: what is known, and what is likely.
        what: how the object was named, for messages.

    Returns:
        `(H, W)` bool.

    Raises:
        UserError: colours do not tell the object from the rest.
    """
    height, width = labels.shape
    rows, columns = np.nonzero(labels != cv2.GC_BGD)
    margin = int(0.25 * max(np.ptp(rows), np.ptp(columns))) + 8
    y0, y1 = max(0, rows.min() - margin), min(height, rows.max() + 1 + margin)
    x0, x1 = max(0, columns.min() - margin), min(width, columns.max() + 1 + margin)
    scale = min(1.0, WORK_SIDE / max(y1 - y0, x1 - x0))
    size = (max(1, round((x1 - x0) * scale)), max(1, round((y1 - y0) * scale)))
    window = cv2.resize(pixels[y0:y1, x0:x1], size, interpolation=cv2.INTER_AREA)
    small = cv2.resize(labels[y0:y1, x0:x1], size, interpolation=cv2.INTER_NEAREST)
    if not (small == cv2.GC_BGD).any():
        small[0] = small[-1] = small[:, 0] = small[:, -1] = cv2.GC_BGD
    cv2.setRNGSeed(0)  # its colour models start from k-means: same input, same mask
    try:
        cv2.grabCut(window, small, None, np.zeros((1, 65)), np.zeros((1, 65)), ROUNDS, cv2.GC_INIT_WITH_MASK)
    except cv2.error:
        raise UserError(f"{what} cannot be told from the background; give a mask file instead") from None
    found = _tidied(np.isin(small, (cv2.GC_FGD, cv2.GC_PR_FGD)))
    if found.sum() < 16:
        raise UserError(f"no object stands out inside {what}; draw it larger, or give a mask file")
    smooth = cv2.resize(found.astype(np.float32), (x1 - x0, y1 - y0), interpolation=cv2.INTER_CUBIC)
    mask = np.zeros((height, width), bool)
    mask[y0:y1, x0:x1] = smooth > 0.5
    return mask


def _tidied(mask: Mask) -> Mask:
    """Without specks, pinholes and hair-thin bridges; the largest component and those a tenth of its size remain."""
    kernel = np.ones((3, 3), np.uint8)
    small = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, kernel)
    small = cv2.morphologyEx(small, cv2.MORPH_CLOSE, kernel)
    for value in (1, 0):
        _, components, stats, _ = cv2.connectedComponentsWithStats((small == value).astype(np.uint8), connectivity=4)
        areas = stats[:, cv2.CC_STAT_AREA].copy()
        areas[0] = 0
        limit = 0.1 * areas.max() if value else 0.002 * small.size
        tiny = areas < limit
        tiny[0] = False
        small[tiny[components]] = 1 - value
    return small.astype(bool)
