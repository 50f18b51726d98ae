"""Rays of the photo's camera through closed meshes: where they enter and leave, on a lattice of the image plane.

Image plane coordinates here are x / −z and y / −z of camera space: one unit is 45° from the axis, +v is up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from real2sam2real.arrays import Bool, Float, Int, Int32

OFFSET = 0.618034  # of a cell: nodes do not fall on the round coordinates that edges like


@dataclass(frozen=True, kw_only=True, eq=False)
class Lattice:
    """`columns × rows` nodes over a window of the image plane; node r · columns + c lies at column c of row r."""

    origin: Float  # `(2,)` u, v of node 0
    step: Float  # `(2,)` between nodes
    columns: int  # number of nodes along u
    rows: int  # number of nodes along v

    @classmethod
    def over(cls, low: Float, high: Float, side: int) -> Lattice:
        """About `side` nodes along the longer side of the window from `low` to `high` `(2,)`, square where possible."""
        size = np.maximum(high - low, 1e-12)
        counts = np.maximum(np.ceil(side * size / size.max()), 8).astype(int)
        step = size / counts
        return cls(origin=low + OFFSET * step, step=step, columns=int(counts[0]), rows=int(counts[1]))

    def at(self, nodes: Int) -> Float:
        """`(N, 2)` u, v of nodes `(N,)`."""
        return self.origin + np.stack([nodes % self.columns, nodes // self.columns], axis=-1) * self.step


@dataclass(frozen=True, kw_only=True, eq=False)
class Hits:
    """Where rays cross a surface."""

    nodes: Int  # `(N,)` of the lattice
    log_depth: Float  # `(N,)` natural logarithm of the depth along the camera's −Z
    entering: Bool  # `(N,)` bool, whether the ray goes in there


@dataclass(frozen=True, kw_only=True, eq=False)
class Spans:
    """The parts of rays inside a closed mesh, sorted by node and then by depth."""

    nodes: Int  # `(N,)` of the lattice
    near: Float  # `(N,)` log depth where it begins
    far: Float  # `(N,)` log depth where it ends

    def first(self) -> tuple[Int, Float]:
        """Every node with a span once, and the log depth at which its ray enters first."""
        nodes, index = np.unique(self.nodes, return_index=True)
        return nodes, self.near[index]


def image_plane(points_camera: Float) -> tuple[Float, Float]:
    """`(N, 2)` u, v and `(N,)` depth of points `(N, 3)` in front of the camera."""
    depth = -points_camera[:, 2]
    return points_camera[:, :2] / depth[:, None], depth


def cast(points_camera: Float, faces: Int32, lattice: Lattice) -> Hits:
    """All crossings of the lattice's rays with a triangle mesh in front of the camera.

    Every row of nodes cuts a triangle in a segment; the segment's ends are computed alike for both triangles at an
    edge, so no ray slips through and none counts twice.
    """
    uv, depth = image_plane(points_camera)
    at = (uv - lattice.origin) / lattice.step
    corners = _within(at, faces, lattice)
    # A row belongs to the triangle that begins at it, not to the one that ends there.
    triangle, rows = _nodes_between(at[corners, 1].min(axis=1), at[corners, 1].max(axis=1), lattice.rows)
    x, inverse = _ends(at, 1 / depth, corners[triangle], rows)
    left, right = np.argmin(x, axis=1), np.argmax(x, axis=1)
    segment, column = _nodes_between(x.min(axis=1), x.max(axis=1), lattice.columns)
    x_left, x_right = x[segment, left[segment]], x[segment, right[segment]]
    share = (column - x_left) / np.maximum(x_right - x_left, 1e-300)
    depth_inverse = inverse[segment, left[segment]] * (1 - share) + inverse[segment, right[segment]] * share
    a, b, c = (at[corners[:, k]] for k in range(3))
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    return Hits(
        nodes=rows[segment] * lattice.columns + column,
        log_depth=-np.log(depth_inverse),
        entering=(area > 0)[triangle[segment]],
    )


def _within(at: Float, faces: Int32, lattice: Lattice) -> Int:
    """The faces whose bounds meet the lattice, `(M, 3)`."""
    a, b, c = (at[faces[:, k]] for k in range(3))
    low, high = np.minimum(np.minimum(a, b), c), np.maximum(np.maximum(a, b), c)
    last = np.array([lattice.columns - 1, lattice.rows - 1])
    return faces[np.all((high >= 0) & (low <= last), axis=1)].astype(np.int64)


def _nodes_between(low: Float, high: Float, count: int) -> tuple[Int, Int]:
    """The nodes 0…`count` − 1 within each range, its upper end left out: the range of each, and its number."""
    first, past = (np.clip(np.ceil(bound), 0, count).astype(np.int64) for bound in (low, high))
    return expanded_ranges(first, past)


def expanded_ranges(first: Int, past: Int) -> tuple[Int, Int]:
    """All integers of the ranges from `first` `(R,)` to before `past` `(R,)`: the range of each, and the integers."""
    count = np.maximum(past - first, 0)
    of_range = np.repeat(np.arange(len(count)), count)
    return of_range, np.arange(len(of_range)) - np.repeat(np.cumsum(count) - count, count) + first[of_range]


def _ends(at: Float, inverse_depth: Float, corners: Int, rows: Int) -> tuple[Float, Float]:
    """`(N, 2)` columns at which a row enters and leaves a triangle, and `(N, 2)` inverse depths there."""
    x, inverse = np.empty((len(rows), 2)), np.empty((len(rows), 2))
    found = np.zeros(len(rows), np.int64)
    for k in range(3):
        a, b = corners[:, k], corners[:, (k + 1) % 3]
        a, b = np.where(a < b, a, b), np.where(a < b, b, a)  # alike for both triangles at this edge
        crossed = np.nonzero((at[a, 1] >= rows) != (at[b, 1] >= rows))[0]
        a, b = a[crossed], b[crossed]
        share = (rows[crossed] - at[a, 1]) / (at[b, 1] - at[a, 1])
        slot = found[crossed]
        x[crossed, slot] = at[a, 0] + share * (at[b, 0] - at[a, 0])
        inverse[crossed, slot] = inverse_depth[a] + share * (inverse_depth[b] - inverse_depth[a])
        found[crossed] += 1
    return x, inverse


def spans(hits: Hits) -> Spans:
    """From crossings to the parts of the rays that lie inside; rays that rounding left odd are dropped."""
    if not len(hits.nodes):
        return Spans(nodes=hits.nodes, near=hits.log_depth, far=hits.log_depth)
    order = np.lexsort((~hits.entering, hits.log_depth, hits.nodes))
    nodes, depth = hits.nodes[order], hits.log_depth[order]
    step = np.where(hits.entering[order], 1, -1)
    level = np.cumsum(step)  # a consistent ray comes back to the level at which it began
    starts = np.append(True, nodes[1:] != nodes[:-1])
    ray = np.cumsum(starts) - 1
    level = level - (level - step)[starts][ray]
    lowest = np.full(int(starts.sum()), np.iinfo(np.int64).max)
    np.minimum.at(lowest, ray, level)
    sound = ((lowest >= 0) & (level[np.append(starts[1:], True)] == 0))[ray]
    opens = sound & (step == 1) & (level == 1)
    closes = sound & (step == -1) & (level == 0)
    return Spans(nodes=nodes[opens], near=depth[opens], far=depth[closes])


def silhouette_iou(before_camera: Float, after_camera: Float, faces: Int32, side: int = 256) -> float:
    """IoU of the silhouettes of one mesh at two places, both `(V, 3)` in camera space and in front of the camera."""
    uv = np.concatenate([image_plane(before_camera)[0], image_plane(after_camera)[0]])
    lattice = Lattice.over(uv.min(axis=0), uv.max(axis=0), side)
    covered = np.zeros((2, lattice.rows * lattice.columns), bool)
    for k, points in enumerate((before_camera, after_camera)):
        covered[k, cast(points, faces, lattice).nodes] = True
    return float((covered[0] & covered[1]).sum() / max(1, (covered[0] | covered[1]).sum()))
