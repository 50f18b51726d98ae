"""A small depth buffer for alignment: which pixels does a mesh cover, and how far away is it there?

It draws both sides of every face, as lifted meshes need not be closed yet, and is made for some hundred pixels and some
thousand faces, drawn a thousand times. V vertices, F faces, H × W pixels of a window of the photo.
"""

from __future__ import annotations

import numpy as np

from real2sam2real.arrays import Float, Int32
from real2sam2real.geometry import Intrinsics
from real2sam2real.mesh.compiled import kernel

NEAR = 1e-6  # of the mesh's farthest depth: faces that reach nearer, or behind the camera, are left out


def inverse_depth(points_camera: Float, faces: Int32, intrinsics: Intrinsics, *, farthest: bool = False) -> Float:
    """`(H, W)` float64, 1 / depth of the nearest surface at each pixel's centre of a window, 0 where there is none.

    The faces `(F, 3)` int32 have their corners at `(V, 3)` in the camera frame (+X right, +Y up, looking along −Z).
    `farthest` gives that of the farthest surface instead.
    """
    drawn = np.zeros((intrinsics.height, intrinsics.width))
    near = NEAR * max(0.0, -float(points_camera[:, 2].min()))
    k = intrinsics
    _draw(np.ascontiguousarray(points_camera), faces, k.fx, k.fy, k.cx, k.cy, near, farthest, drawn)
    return drawn


@kernel
def _draw(
    points: Float, faces: Int32, fx: float, fy: float, cx: float, cy: float, near: float, farthest: bool, drawn: Float
) -> None:
    height, width = drawn.shape
    projected = np.empty((len(points), 3))  # column, row, inverse depth
    for v in range(len(points)):
        depth = -points[v, 2]
        if depth <= near:
            projected[v, 2] = 0.0
            continue
        projected[v, 0] = cx + fx * points[v, 0] / depth
        projected[v, 1] = cy - fy * points[v, 1] / depth
        projected[v, 2] = 1.0 / depth
    for f in range(len(faces)):
        a, b, c = projected[faces[f, 0]], projected[faces[f, 1]], projected[faces[f, 2]]
        if a[2] == 0.0 or b[2] == 0.0 or c[2] == 0.0:
            continue
        left = max(0, int(np.ceil(min(a[0], b[0], c[0]) - 0.5)))
        right = min(width - 1, int(np.floor(max(a[0], b[0], c[0]) - 0.5)))
        top = max(0, int(np.ceil(min(a[1], b[1], c[1]) - 0.5)))
        bottom = min(height - 1, int(np.floor(max(a[1], b[1], c[1]) - 0.5)))
        if left > right or top > bottom:
            continue
        area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
        if area == 0.0:
            continue
        # Weights of b and c are linear in the pixel, and so is the inverse depth (perspective-correct).
        b_right, b_down = (c[1] - a[1]) / area, -(c[0] - a[0]) / area
        c_right, c_down = -(b[1] - a[1]) / area, (b[0] - a[0]) / area
        for y in range(top, bottom + 1):
            dx, dy = left + 0.5 - a[0], y + 0.5 - a[1]
            weight_b = b_right * dx + b_down * dy
            weight_c = c_right * dx + c_down * dy
            for x in range(left, right + 1):
                if weight_b >= 0.0 and weight_c >= 0.0 and weight_b + weight_c <= 1.0:
                    inverse = a[2] + weight_b * (b[2] - a[2]) + weight_c * (c[2] - a[2])
                    if drawn[y, x] == 0.0 or (inverse < drawn[y, x]) == farthest:
                        drawn[y, x] = inverse
                weight_b += b_right
                weight_c += c_right
