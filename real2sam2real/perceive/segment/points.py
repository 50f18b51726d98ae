"""A mask that obeys points: those that a person sets on the object, and those beside it."""

from __future__ import annotations

from contextlib import suppress

import cv2
import numpy as np

from real2sam2real.arrays import Bool, Float, Float32, Mask, UInt8
from real2sam2real.errors import UserError
from real2sam2real.perceive.grabcut import cut_by_colour
from real2sam2real.perceive.segment.box_masks import colour_labels

_REACH = 0.15  # of the object's size: how far around a point that the mask does not obey colours decide anew


def hits(mask: Mask, points: Float) -> Bool:
    """`(N,)`: which points `(N, 2)`, pixels x, y inside the picture, lie on a mask `(H, W)`."""
    found: Bool = mask[points[:, 1].astype(int), points[:, 0].astype(int)]
    return found


def obeying(pixels: UInt8, mask: Mask, probability: Float32, inner: Float, outer: Float) -> Mask:
    """The mask, changed as far as it takes to hold the points `inner` and none of those `outer`.

    A part with a point beside the object, and none on it, goes. Where that is not enough, colours decide anew around
    the points that are not obeyed, and what they join to or part from the mask there changes; and the points themselves
    are set whatever colours say.

    Args:
        pixels: `(H, W, 3)` uint8 sRGB.
        mask: `(H, W)` bool.
        probability: `(H, W)` 0…1, of the object.
        inner: `(N, 2)` pixels x, y.
        outer: `(M, 2)` pixels x, y.
    """
    mask = _without_refused_parts(mask, inner, outer)
    if hits(mask, inner).all() and not hits(mask, outer).any():
        return mask
    labels = colour_labels(probability)
    labels[mask & (labels != cv2.GC_FGD)] = cv2.GC_PR_FGD
    reach = max(4, round(_REACH * float(np.sqrt(max(int(mask.sum()), 1) * 2))))
    for points, wrong, likely in (
        (inner, ~hits(mask, inner), cv2.GC_PR_FGD),
        (outer, hits(mask, outer), cv2.GC_PR_BGD),
    ):
        for x, y in points[wrong].astype(int):
            cv2.circle(labels, (int(x), int(y)), reach, int(likely), -1)
    _set_points(labels, inner, outer, (cv2.GC_FGD, cv2.GC_BGD))
    missed, refused = inner[~hits(mask, inner)], outer[hits(mask, outer)]
    with suppress(UserError):  # where colours tell nothing, the points alone change the mask
        anew = cut_by_colour(pixels, labels, "the points")
        mask = (mask | parts_with(anew & ~mask, missed)) & ~parts_with(mask & ~anew, refused)
    changed = mask.astype(np.uint8)
    _set_points(changed, inner, outer, (1, 0))
    return _without_refused_parts(changed.astype(bool), inner, outer)


def parts_with(mask: Mask, points: Float) -> Mask:
    """The parts of a mask `(H, W)` that hold one of some points `(N, 2)`."""
    _, parts = cv2.connectedComponents(mask.astype(np.uint8))
    numbers = parts[points[:, 1].astype(int), points[:, 0].astype(int)]
    return np.isin(parts, numbers[numbers > 0])


def _without_refused_parts(mask: Mask, inner: Float, outer: Float) -> Mask:
    _, parts = cv2.connectedComponents(mask.astype(np.uint8))
    on, beside = (parts[points[:, 1].astype(int), points[:, 0].astype(int)] for points in (inner, outer))
    return mask & ~np.isin(parts, np.setdiff1d(beside, on))


def _set_points(picture: UInt8, inner: Float, outer: Float, values: tuple[int, int]) -> None:
    """Discs around the points; smaller ones where a point of the other kind is near."""
    usual = max(2, min(picture.shape) // 80)
    for points, others, value in ((inner, outer, values[0]), (outer, inner, values[1])):
        for x, y in points:
            nearest = float(np.linalg.norm(others - [x, y], axis=1).min()) if len(others) else np.inf
            radius = int(min(usual, max(0.0, nearest / 2 - 1)))
            cv2.circle(picture, (int(x), int(y)), radius, int(value), -1)
