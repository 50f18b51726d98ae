"""A closed surface from two height fields over a silhouette: a front and a back sheet that share their contour.

The silhouette is the zero level of a field on a pixel grid, cut by marching squares, so the contour is exact to a
fraction of a cell and the surface is closed and manifold by construction: every triangle of a sheet has a grid node
inside the silhouette, which front and back do not share, and every contour edge has one triangle on each sheet.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from real2sam2real.arrays import Bool, Float, Int, Int32

# The corners of a cell, as (row, column) offsets: top left, top right, bottom right, bottom left. Corner k has local
# code k, the crossing on the edge from corner k to the next has code 4 + k.
_CORNERS = np.array([[0, 0], [0, 1], [1, 1], [1, 0]])
NEAREST_CROSSING = 0.08  # of an edge: keeps slivers from collapsing


@dataclass(frozen=True, kw_only=True, eq=False)
class Sheets:
    """The connectivity of a front and a back sheet."""

    inside: Int  # `(N, 2)` int rows and columns of the grid nodes inside; front vertex i and back vertex N + i
    contour: Float  # `(C, 2)` float rows and columns of the contour's vertices, 2N + i
    faces: Int32  # `(F, 3)` int32, front triangles first; counter-clockwise seen from the camera, then from behind


def two_sheets(field: Float) -> Sheets:
    """Triangulate where `field` `(H, W)` is positive; the grid's outermost nodes must not be.

    Raises:
        ValueError: nothing is positive, or the border is.
    """
    inside = field > 0
    if not inside.any():
        raise ValueError("the silhouette is empty")
    if inside[0].any() or inside[-1].any() or inside[:, 0].any() or inside[:, -1].any():
        raise ValueError("the silhouette touches the border of its grid; pad the field")
    nodes = np.argwhere(inside)
    node_ids = np.full(field.shape, -1, np.int64)
    node_ids[inside] = np.arange(len(nodes))
    right, right_ids = _crossings(field, inside, (0, 1), 0)
    down, down_ids = _crossings(field, inside, (1, 0), len(right))
    triangles = _triangles(inside, node_ids, right_ids, down_ids, len(nodes))
    to_back = np.arange(2 * len(nodes) + len(right) + len(down))
    to_back[: len(nodes)] += len(nodes)
    faces = np.concatenate([triangles[:, ::-1], to_back[triangles]]).astype(np.int32)
    return Sheets(inside=nodes, contour=np.concatenate([right, down]), faces=faces)


def _crossings(field: Float, inside: Bool, step: tuple[int, int], first: int) -> tuple[Float, Int]:
    """Contour points on the grid edges along `step`: their positions, and their numbers by the edge's first node."""
    rows, columns = field.shape[0] - step[0], field.shape[1] - step[1]
    near, far = field[:rows, :columns], field[step[0] :, step[1] :]
    crossed = inside[:rows, :columns] != inside[step[0] :, step[1] :]
    at = np.argwhere(crossed)
    fraction = near[crossed] / (near[crossed] - far[crossed])
    fraction = np.clip(fraction, NEAREST_CROSSING, 1 - NEAREST_CROSSING)
    ids = np.full(field.shape, -1, np.int64)
    ids[:rows, :columns][crossed] = first + np.arange(len(at))
    return at + fraction[:, None] * np.array(step), ids


def _triangles(inside: Bool, node_ids: Int, right_ids: Int, down_ids: Int, count: int) -> Int:
    """`(F, 3)` vertex numbers, clockwise in the image; contour vertices are numbered from `2 * count`."""
    h, w = inside.shape
    corner = [np.s_[r : h - 1 + r, c : w - 1 + c] for r, c in _CORNERS]
    case = sum(inside[window].astype(np.int64) << k for k, window in enumerate(corner))
    local = np.stack(
        [node_ids[window] for window in corner]
        + [2 * count + right_ids[corner[0]], 2 * count + down_ids[corner[1]]]
        + [2 * count + right_ids[corner[3]], 2 * count + down_ids[corner[0]]],
        axis=-1,
    )
    found = []
    for code in range(1, 16):
        cells = local[case == code]
        found += [cells[:, list(triangle)] for triangle in _fan(code)]
    return np.concatenate(found)


def _fan(code: int) -> list[tuple[int, int, int]]:
    """The triangles of one cell in local codes, all around one inside corner; opposite corners are joined."""
    bits = [bool(code >> k & 1) for k in range(4)]
    first = bits.index(True)
    ring = []
    for k in ((first + i) % 4 for i in range(4)):
        if bits[k]:
            ring.append(k)
        if bits[k] != bits[(k + 1) % 4]:
            ring.append(4 + k)
    return [(ring[0], ring[i], ring[i + 1]) for i in range(1, len(ring) - 1)]
