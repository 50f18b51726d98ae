"""Colours for all of a person: the photo's where it shows them, else those of the other half, else what is around.

`with_photo` lays the photo itself over the faces that it shows; these colours are for the others.
"""

from __future__ import annotations

import cv2
import numpy as np

from real2sam2real.arrays import Float, Int, Int32, Mask, UInt8
from real2sam2real.geometry import Intrinsics
from real2sam2real.lifting.align.drawing import inverse_depth
from real2sam2real.lifting.people.surface import BodySurface
from real2sam2real.mesh import Mesh

SEEN_COSINE = 0.3  # vertices seen flatter than this show streaks
DEPTH_SLACK = 0.01  # of the depth
RIM = 0.006  # of the mask's extent: what lies nearer to its outline may show what is behind


def person_colors(
    vertices: Float, faces: Int32, mirrored: Int, pixels: UInt8, mask: Mask, hidden: Mask, intrinsics: Intrinsics
) -> UInt8:
    """`(V, 3)` uint8 sRGB of vertices in the photo's camera frame; `mirrored` `(V,)` numbers their other halves."""
    rows, columns = np.nonzero(mask)
    rim = max(2, round(RIM * max(np.ptp(rows), np.ptp(columns))))
    clean = cv2.erode((mask & ~hidden).astype(np.uint8), np.ones((2 * rim + 1,) * 2, np.uint8)).astype(bool)
    soft = cv2.GaussianBlur(pixels, (0, 0), rim / 2).astype(np.float64)
    normals = Mesh(vertices=vertices, faces=faces).vertex_normals()
    facing = -(normals * vertices).sum(axis=1) / np.linalg.norm(vertices, axis=1)
    at, depth = intrinsics.project(vertices)
    size = np.array([intrinsics.width, intrinsics.height])
    inside = np.asarray(((at >= 0) & (at < size)).all(axis=1))  # NaN lies nowhere
    x, y = np.where(inside[:, None], np.nan_to_num(at), 0).astype(int).T
    drawn = inverse_depth(vertices, faces, intrinsics)
    nearest = drawn[y, x] * depth <= 1 + DEPTH_SLACK
    seen = np.asarray(inside & clean[y, x] & nearest & (facing > SEEN_COSINE))
    if not seen.any():
        return np.broadcast_to(pixels[mask].mean(axis=0).astype(np.uint8), vertices.shape).copy()
    colors = np.where(seen[:, None], soft[y, x], soft[y[mirrored], x[mirrored]])
    spread = BodySurface(faces, len(vertices)).spread(colors, seen | seen[mirrored])
    return np.clip(np.round(spread), 0, 255).astype(np.uint8)
