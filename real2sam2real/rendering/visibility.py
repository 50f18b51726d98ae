"""Which face does each sample see? Projection, clipping, sorting into tiles, and the depth test.

Image positions are whole multiples of 2⁻¹⁵ sample, so every inside test is exact integer arithmetic: two triangles with
a common edge can neither leave a gap nor both own a sample. Triangles that reach behind the near plane, or so far
outside the image that the integers would overflow, are clipped first (Sutherland and Hodgman, 1974).

A sample is the centre of a pixel, or of a quarter of it under anti-aliasing. E entities have V vertices and F faces in
all; vertex arrays have spare rows after V for the corners that clipping makes (V' rows). What the kernels share, here
and in `shading`; what a scene is made of is `packed`'s:

    intrinsics      (5,)      float64  fx, fy, cx, cy in samples, and the near distance in scene units
    points_camera   (V', 3)   float64
    inverse_depth   (V',)     float64  0 marks a vertex whose faces need clipping
    snapped         (V', 2)   int32    image position in steps of 2⁻¹⁵ sample
    unsafe          (E,)      int64    number of marked vertices
    triangles       (N, 8)    int32    three vertices, their face, first and last column and row of samples
    tiles           (M,)      int64    those where anything may be seen, numbered along their rows
    seen            (H, W)    int32    face of each sample, −1 for none; undefined outside of the tiles
    normals_camera  (N, 3)    float32  of the shading points, up to one common length per entity
"""

from __future__ import annotations

import numpy as np

from real2sam2real.arrays import Bool, Float, Float32, Int, Int32
from real2sam2real.mesh.compiled import borrowed, kernel, part

BITS = 15
UNIT = 1 << BITS  # steps per sample
GUARD = 1 << 14  # samples; positions within ±GUARD keep edge functions below 2⁶¹
MAX_CORNERS = 8  # of a triangle that was clipped by the near plane and the four sides of the guard band
TILE = 64  # samples along a tile's side; its depths fit the fastest cache


@part
def _snap(homogeneous: float, inverse_depth: float) -> int:
    """The multiple of 2⁻¹⁵ sample nearest to a projected coordinate."""
    steps = int(np.floor(homogeneous * inverse_depth * UNIT + 0.5))
    return max(-GUARD * UNIT, min(GUARD * UNIT, steps))


@kernel
def project(
    vertices: Float, vertex_starts: Int, camera_from_object: Float, shown: Bool, intrinsics: Float,
    points_camera: Float, inverse_depth: Float, snapped: Int32, unsafe: Int,
) -> None:  # fmt: skip
    """Move and project the vertices of all shown entities; writes the last four arrays."""
    fx, fy, cx, cy, near = intrinsics[0], intrinsics[1], intrinsics[2], intrinsics[3], intrinsics[4]
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


@kernel
def turn_normals(
    normals: Float, normal_starts: Int, normal_matrices: Float, shown: Bool, normals_camera: Float32
) -> None:
    """Turn the normals `(N, 3)` of all shown entities; writes the last array."""
    for e in range(len(shown)):
        if not shown[e]:
            continue
        for v in range(normal_starts[e], normal_starts[e + 1]):
            for i in range(3):
                normals_camera[v, i] = (
                    normal_matrices[e, i, 0] * normals[v, 0]
                    + normal_matrices[e, i, 1] * normals[v, 1]
                    + normal_matrices[e, i, 2] * normals[v, 2]
                )


@kernel
def count_unsafe_faces(faces: Int32, face_starts: Int, shown: Bool, unsafe: Int, inverse_depth: Float) -> int:
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


@part
def _inside(point: Float, plane: int, near: float) -> float:
    """Signed distance (up to scale) of a homogeneous image point `(h, k, depth)` to a clipping plane."""
    if plane == 0:
        return point[2] - near
    across = point[(plane - 1) // 2]  # right, left, bottom, top
    return GUARD * point[2] - (across if plane % 2 else -across)


@kernel
def _clip(polygon: Float, other: Float, near: float) -> int:
    """Clip the triangle in `polygon[:3]` in place against the near plane and the guard band; returns its new size.

    A crossing is always computed from the inner towards the outer end, so both faces at an edge get the same point.
    More corners than five planes can cut come from rounding on a face without area, which is dropped.
    """
    size = 3
    for plane in range(5):
        kept = 0
        for i in range(size):
            here, there = polygon[i], polygon[(i + 1) % size]
            a, b = _inside(here, plane, near), _inside(there, plane, near)
            if a >= 0.0:
                for c in range(3):
                    other[kept, c] = here[c]
                kept += 1
            if (a >= 0.0) != (b >= 0.0):
                inner, outer = (here, there) if a >= 0.0 else (there, here)
                t = max(a, b) / abs(a - b)
                for c in range(3):
                    other[kept, c] = inner[c] + t * (outer[c] - inner[c])
                kept += 1
        for i in range(kept):
            for c in range(3):
                polygon[i, c] = other[i, c]
        size = kept
        if size < 3 or size > MAX_CORNERS:
            return 0
    return size


@part
def _sample_range(low: np.int64, high: np.int64, size: int) -> tuple[int, int]:
    """First and last sample whose centre lies in `low…high` steps, within an image `size` samples wide."""
    first = (low + UNIT // 2 - 1) >> BITS
    last = (high - UNIT // 2) >> BITS
    return max(int(first), 0), min(int(last), size - 1)


@part
def _keep(
    a: int, b: int, c: int, face: int, width: int, height: int, snapped: Int32, triangles: Int32, count: int
) -> int:
    """Append a triangle if it faces the camera and may own a sample; returns the new number of triangles."""
    ax, ay = np.int64(snapped[a, 0]), np.int64(snapped[a, 1])
    bx, by = np.int64(snapped[b, 0]), np.int64(snapped[b, 1])
    cx, cy = np.int64(snapped[c, 0]), np.int64(snapped[c, 1])
    if (bx - ax) * (cy - ay) - (by - ay) * (cx - ax) <= 0:
        return count
    left, right = _sample_range(min(ax, bx, cx), max(ax, bx, cx), width)
    top, bottom = _sample_range(min(ay, by, cy), max(ay, by, cy), height)
    if left > right or top > bottom:
        return count
    triangle = triangles[count]
    triangle[0], triangle[1], triangle[2], triangle[3] = a, b, c, face
    triangle[4], triangle[5], triangle[6], triangle[7] = left, right, top, bottom
    return count + 1


@kernel
def collect_triangles(
    faces: Int32, face_starts: Int, mirrored: Bool, shown: Bool, unsafe: Int, intrinsics: Float, width: int,
    height: int, spare_vertex: int, points_camera: Float, inverse_depth: Float, snapped: Int32, triangles: Int32,
) -> int:  # fmt: skip
    """Write the `triangles` that may be seen, in the order of entities and faces; returns their number.

    Back faces are dropped. On the image (y down, `width` × `height` samples) a kept triangle runs clockwise. Clipping
    extends the vertex arrays from `spare_vertex` on.
    """
    snapped, triangles = borrowed(snapped), borrowed(triangles)
    polygon = np.empty((2 * MAX_CORNERS, 3))
    other = np.empty((2 * MAX_CORNERS, 3))
    fx, fy, cx, cy, near = intrinsics[0], intrinsics[1], intrinsics[2], intrinsics[3], intrinsics[4]
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


@kernel
def _sort_into_tiles(triangles: Int32, count: int, across: int, down: int) -> tuple[Int, Int32]:
    """Counting sort of triangles into the tiles their bounding boxes touch; the order within a tile is kept.

    Returns:
        Where each tile's list starts `(tiles + 1,)` int64, and the lists `(N,)` int32 of rows of `triangles`.
    """
    starts = np.zeros(across * down + 2, np.int64)
    lists = np.empty(0, np.int32)
    for sweep in range(2):
        for n in range(count):
            for row in range(triangles[n, 6] // TILE, triangles[n, 7] // TILE + 1):
                for column in range(triangles[n, 4] // TILE, triangles[n, 5] // TILE + 1):
                    tile = row * across + column
                    if sweep == 0:
                        starts[tile + 2] += 1
                    else:
                        lists[starts[tile + 1]] = n
                        starts[tile + 1] += 1
        if sweep == 0:
            for tile in range(1, len(starts)):
                starts[tile] += starts[tile - 1]
            lists = np.empty(starts[len(starts) - 1], np.int32)
    return starts[:-1], lists


@part
def _bias(dx: np.int64, dy: np.int64) -> int:
    """0 for a top or left edge of a clockwise triangle, which owns the samples it crosses exactly; else −1."""
    return 0 if dy < 0 or (dy == 0 and dx > 0) else -1


@part
def _draw(
    triangles: Int32, n: int, snapped: Int32, inverse_depth: Float, left: int, right: int, top: int, bottom: int,
    nearest: Float, seen: Int32,
) -> None:  # fmt: skip
    """Enter one triangle into the tile of samples `left…right`, `top…bottom`: the nearer wins, on ties the earlier."""
    a, b, c, face = triangles[n, 0], triangles[n, 1], triangles[n, 2], triangles[n, 3]
    x0, x1 = max(triangles[n, 4], left), min(triangles[n, 5], right)
    y0, y1 = max(triangles[n, 6], top), min(triangles[n, 7], bottom)
    ax, ay = np.int64(snapped[a, 0]), np.int64(snapped[a, 1])
    bx, by = np.int64(snapped[b, 0]), np.int64(snapped[b, 1])
    cx, cy = np.int64(snapped[c, 0]), np.int64(snapped[c, 1])
    px, py = (np.int64(x0) << BITS) + UNIT // 2, (np.int64(y0) << BITS) + UNIT // 2
    # An edge function is twice the area between an edge and the sample: the weight of the opposite corner.
    bias_a, bias_b, bias_c = _bias(cx - bx, cy - by), _bias(ax - cx, ay - cy), _bias(bx - ax, by - ay)
    row_a = (cx - bx) * (py - by) - (cy - by) * (px - bx) + bias_a
    row_b = (ax - cx) * (py - cy) - (ay - cy) * (px - cx) + bias_b
    row_c = (bx - ax) * (py - ay) - (by - ay) * (px - ax) + bias_c
    right_a, right_b, right_c = (by - cy) << BITS, (cy - ay) << BITS, (ay - by) << BITS
    down_a, down_b, down_c = (cx - bx) << BITS, (ax - cx) << BITS, (bx - ax) << BITS
    share = 1.0 / ((bx - ax) * (cy - ay) - (by - ay) * (cx - ax))
    wa = inverse_depth[a]
    to_b, to_c = (inverse_depth[b] - wa) * share, (inverse_depth[c] - wa) * share
    for y in range(y0, y1 + 1):
        ea, eb, ec = row_a, row_b, row_c
        inside = False
        for x in range(x0, x1 + 1):
            if (ea | eb | ec) >= 0:
                w = wa + (eb - bias_b) * to_b + (ec - bias_c) * to_c
                if w > nearest[y - top, x - left]:
                    nearest[y - top, x - left] = w
                    seen[y, x] = face
                inside = True
            elif inside:
                break
            ea += right_a
            eb += right_b
            ec += right_c
        row_a += down_a
        row_b += down_b
        row_c += down_c


@kernel
def find_visible(
    triangles: Int32, count: int, snapped: Int32, inverse_depth: Float, nearest: Float, seen: Int32
) -> Int:
    """Write what is `seen` of the first `count` triangles: the nearest face at every sample of the `tiles` it returns.

    `nearest` `(TILE, TILE)` float64 is scratch memory.
    """
    triangles, snapped, inverse_depth, nearest, seen = (
        borrowed(triangles), borrowed(snapped), borrowed(inverse_depth), borrowed(nearest), borrowed(seen)
    )  # fmt: skip
    height, width = seen.shape
    across, down = (width + TILE - 1) // TILE, (height + TILE - 1) // TILE
    starts, lists = _sort_into_tiles(triangles, count, across, down)
    tiles = np.flatnonzero(starts[1:] > starts[:-1])
    for tile in tiles:
        left, top = (tile % across) * TILE, (tile // across) * TILE
        right, bottom = min(left + TILE, width) - 1, min(top + TILE, height) - 1
        for row in range(top, bottom + 1):
            for column in range(left, right + 1):
                seen[row, column] = -1
                nearest[row - top, column - left] = 0.0
        for i in range(starts[tile], starts[tile + 1]):
            _draw(triangles, lists[i], snapped, inverse_depth, left, right, top, bottom, nearest, seen)
    return tiles
