"""Camera-space points -> snapped image positions -> front-facing triangles, sorted into tiles.

Image positions are whole multiples of 2⁻¹⁵ sample, so every later inside test is exact integer arithmetic: two triangles
with a common edge can neither leave a gap nor both own a sample. Triangles that reach behind the near plane, or so far
outside the image that the integers would overflow, are clipped first (Sutherland and Hodgman, 1974).
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from real2sam2real.geometry.mesh import Int32
from real2sam2real.geometry.quaternions import Float

BITS = 15
UNIT = 1 << BITS  # steps per sample
GUARD = 1 << 14  # samples; positions within ±GUARD keep edge functions below 2⁶¹
TILE = 64  # samples along a tile's side; even, so that 2×2 blocks of samples never straddle tiles

Bool = NDArray[np.bool_]
Int64 = NDArray[np.int64]


@njit(cache=True, nogil=True)
def _snap(homogeneous: float, inverse_depth: float) -> int:
    """The multiple of 2⁻¹⁵ sample nearest to a projected coordinate."""
    steps = int(np.floor(homogeneous * inverse_depth * UNIT + 0.5))
    return max(-GUARD * UNIT, min(GUARD * UNIT, steps))


@njit(cache=True, nogil=True)
def project(
    vertices: Float,
    vertex_starts: Int64,
    camera_from_object: Float,
    shown: Bool,
    lens: Float,
    points_camera: Float,
    inverse_depth: Float,
    snapped: Int32,
    unsafe: Int64,
) -> None:
    """Move and project the vertices of all shown entities.

    Args:
        vertices: `(V, 3)` float64 of all entities one after another, each in its object frame.
        vertex_starts: `(E + 1,)` where each entity's vertices start.
        camera_from_object: `(E, 4, 4)` float64.
        shown: `(E,)` bool.
        lens: `(5,)` fx, fy, cx, cy in samples, and the near distance in scene units.
        points_camera: `(V', 3)` float64 out.
        inverse_depth: `(V',)` float64 out; 0 marks a vertex whose faces need clipping.
        snapped: `(V', 2)` int32 out, image position in steps of 2⁻¹⁵ sample.
        unsafe: `(E,)` int64 out, number of marked vertices.
    """
    fx, fy, cx, cy, near = lens[0], lens[1], lens[2], lens[3], lens[4]
    for e in range(len(shown)):
        unsafe[e] = 0
        if not shown[e]:
            continue
        m = camera_from_object[e]
        m00, m01, m02, m03 = m[0, 0], m[0, 1], m[0, 2], m[0, 3]
        m10, m11, m12, m13 = m[1, 0], m[1, 1], m[1, 2], m[1, 3]
        m20, m21, m22, m23 = m[2, 0], m[2, 1], m[2, 2], m[2, 3]
        for v in range(vertex_starts[e], vertex_starts[e + 1]):
            px, py, pz = vertices[v, 0], vertices[v, 1], vertices[v, 2]
            x = m00 * px + m01 * py + m02 * pz + m03
            y = m10 * px + m11 * py + m12 * pz + m13
            depth = -(m20 * px + m21 * py + m22 * pz + m23)
            points_camera[v, 0], points_camera[v, 1], points_camera[v, 2] = x, y, -depth
            h, k = cx * depth + fx * x, cy * depth - fy * y
            limit = GUARD * depth
            if depth < near or abs(h) > limit or abs(k) > limit:
                inverse_depth[v] = 0.0
                unsafe[e] += 1
                continue
            inverse = 1.0 / depth
            inverse_depth[v] = inverse
            snapped[v, 0] = _snap(h, inverse)
            snapped[v, 1] = _snap(k, inverse)


@njit(cache=True, nogil=True)
def count_unsafe_faces(faces: Int32, face_starts: Int64, shown: Bool, unsafe: Int64, inverse_depth: Float) -> int:
    """Number of shown faces with a marked vertex: what `bin_triangles` will have to clip."""
    count = 0
    for e in range(len(shown)):
        if shown[e] and unsafe[e]:
            for f in range(face_starts[e], face_starts[e + 1]):
                for k in range(3):
                    if inverse_depth[faces[f, k]] == 0.0:
                        count += 1
                        break
    return count


@njit(cache=True, nogil=True)
def _inside(point: Float, plane: int, near: float) -> float:
    """Signed distance (up to scale) of a homogeneous image point `(h, k, depth)` to a clipping plane."""
    if plane == 0:
        return point[2] - near
    if plane == 1:
        return GUARD * point[2] - point[0]
    if plane == 2:
        return GUARD * point[2] + point[0]
    if plane == 3:
        return GUARD * point[2] - point[1]
    return GUARD * point[2] + point[1]


@njit(cache=True, nogil=True)
def _clip(polygon: Float, other: Float, near: float) -> int:
    """Clip the triangle in `polygon[:3]` in place against the near plane and the guard band; returns its new size.

    A crossing is always computed from the inner towards the outer end, so both faces at an edge get the same point.
    """
    size = 3
    for plane in range(5):
        kept = 0
        for i in range(size):
            here, there = polygon[i], polygon[(i + 1) % size]
            a, b = _inside(here, plane, near), _inside(there, plane, near)
            if a >= 0.0:
                other[kept] = here
                kept += 1
            if (a >= 0.0) != (b >= 0.0):
                if a >= 0.0:
                    t = a / (a - b)
                    for c in range(3):
                        other[kept, c] = here[c] + t * (there[c] - here[c])
                else:
                    t = b / (b - a)
                    for c in range(3):
                        other[kept, c] = there[c] + t * (here[c] - there[c])
                kept += 1
        for i in range(kept):
            polygon[i] = other[i]
        size = kept
        if size < 3:
            return 0
    return size


@njit(cache=True, nogil=True)
def sample_range(low: int, high: int, size: int) -> tuple[int, int]:
    """First and last sample whose centre lies in `low…high` steps, within an image `size` samples wide."""
    first = (low + UNIT // 2 - 1) >> BITS
    last = (high - UNIT // 2) >> BITS
    return max(first, 0), min(last, size - 1)


@njit(cache=True, nogil=True)
def _keep(
    a: int, b: int, c: int, face: int, width: int, height: int, snapped: Int32, triangles: Int32, count: int
) -> int:
    """Append a triangle if it faces the camera and may own a sample; returns the new number of triangles."""
    ax, ay = np.int64(snapped[a, 0]), np.int64(snapped[a, 1])
    bx, by = np.int64(snapped[b, 0]), np.int64(snapped[b, 1])
    cx, cy = np.int64(snapped[c, 0]), np.int64(snapped[c, 1])
    if (bx - ax) * (cy - ay) - (by - ay) * (cx - ax) <= 0:
        return count
    first, last = sample_range(min(ax, bx, cx), max(ax, bx, cx), width)
    if first > last:
        return count
    first, last = sample_range(min(ay, by, cy), max(ay, by, cy), height)
    if first > last:
        return count
    triangles[count, 0], triangles[count, 1], triangles[count, 2], triangles[count, 3] = a, b, c, face
    return count + 1


@njit(cache=True, nogil=True)
def collect_triangles(
    faces: Int32,
    face_starts: Int64,
    mirrored: Bool,
    shown: Bool,
    unsafe: Int64,
    lens: Float,
    width: int,
    height: int,
    spare_vertex: int,
    points_camera: Float,
    inverse_depth: Float,
    snapped: Int32,
    triangles: Int32,
) -> int:
    """Write the triangles that may be seen, in the order of entities and faces; returns their number.

    Back faces are dropped. On the image (y down) a kept triangle runs clockwise.

    Args:
        mirrored: `(E,)` bool, the entity's pose turns its winding round.
        spare_vertex: where the vertices made by clipping start in the vertex arrays.
        triangles: `(N, 4)` int32 out: three vertices and the face they belong to.
    """
    polygon = np.empty((9, 3))
    other = np.empty((9, 3))
    fx, fy, cx, cy, near = lens[0], lens[1], lens[2], lens[3], lens[4]
    count = 0
    for e in range(len(shown)):
        if not shown[e]:
            continue
        # Outward faces run counter-clockwise to the eye; the mirrored ones run clockwise already.
        second, third = (1, 2) if mirrored[e] else (2, 1)
        for f in range(face_starts[e], face_starts[e + 1]):
            a, b, c = faces[f, 0], faces[f, second], faces[f, third]
            if not unsafe[e] or (inverse_depth[a] > 0.0 and inverse_depth[b] > 0.0 and inverse_depth[c] > 0.0):
                count = _keep(a, b, c, f, width, height, snapped, triangles, count)
                continue
            corner = (a, b, c)
            for i in range(3):
                p = points_camera[corner[i]]
                depth = -p[2]
                polygon[i, 0] = cx * depth + fx * p[0]
                polygon[i, 1] = cy * depth - fy * p[1]
                polygon[i, 2] = depth
            size = _clip(polygon, other, near)
            for i in range(size):
                inverse = 1.0 / polygon[i, 2]
                inverse_depth[spare_vertex + i] = inverse
                snapped[spare_vertex + i, 0] = _snap(polygon[i, 0], inverse)
                snapped[spare_vertex + i, 1] = _snap(polygon[i, 1], inverse)
            for i in range(1, size - 1):
                count = _keep(
                    spare_vertex, spare_vertex + i, spare_vertex + i + 1, f, width, height, snapped, triangles, count
                )
            spare_vertex += size
    return count


@njit(cache=True, nogil=True)
def _tile_range(low: int, high: int, size: int) -> tuple[int, int]:
    first, last = sample_range(low, high, size)
    return first // TILE, last // TILE


@njit(cache=True, nogil=True)
def sort_into_tiles(triangles: Int32, count: int, snapped: Int32, width: int, height: int) -> tuple[Int64, Int32]:
    """Counting sort of triangles into the tiles their bounding boxes touch; the order within a tile is kept.

    Returns:
        Where each tile's list starts `(tiles + 1,)` int64, and the lists `(N,)` int32 of rows of `triangles`.
    """
    across, down = (width + TILE - 1) // TILE, (height + TILE - 1) // TILE
    starts = np.zeros(across * down + 2, np.int64)
    lists = np.empty(0, np.int32)
    for sweep in range(2):
        if sweep == 1:
            for t in range(2, len(starts)):
                starts[t] += starts[t - 1]
            lists = np.empty(starts[-1], np.int32)
        for n in range(count):
            a, b, c = triangles[n, 0], triangles[n, 1], triangles[n, 2]
            ax, bx, cx = snapped[a, 0], snapped[b, 0], snapped[c, 0]
            ay, by, cy = snapped[a, 1], snapped[b, 1], snapped[c, 1]
            left, right = _tile_range(min(ax, bx, cx), max(ax, bx, cx), width)
            top, bottom = _tile_range(min(ay, by, cy), max(ay, by, cy), height)
            for row in range(top, bottom + 1):
                for column in range(left, right + 1):
                    t = row * across + column
                    if sweep == 0:
                        starts[t + 2] += 1
                    else:
                        lists[starts[t + 1]] = n
                        starts[t + 1] += 1
    return starts[:-1], lists
