"""Tile by tile: which face each sample sees, then what that face looks like there.

Visibility comes first and stores only the nearest face, so the costly part, shading, is done once per sample however
many surfaces lie behind each other. Shading goes back to the face's corners in camera space and intersects the sample's
ray with them (Möller and Trumbore, 1997): perspective-correct without division by depth, also for clipped faces.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from real2sam2real.geometry.mesh import Int32, UInt8
from real2sam2real.geometry.quaternions import Float
from real2sam2real.render.projection import BITS, TILE, UNIT, Int64, sample_range

Float32 = NDArray[np.float32]
GREY, VERTEX_COLORS, TEXTURE = 0, 1, 2


@njit(cache=True, nogil=True)
def _bias(dx: int, dy: int) -> int:
    """0 for a top or left edge of a clockwise triangle, which owns the samples it crosses exactly; else −1."""
    return 0 if dy < 0 or (dy == 0 and dx > 0) else -1


@njit(cache=True, nogil=True)
def _draw(
    triangle: Int32, snapped: Int32, inverse_depth: Float, left: int, top: int, right: int, bottom: int,
    nearest: Float, seen: Int32,
) -> None:  # fmt: skip
    """Enter one triangle into a tile of samples `left…right`, `top…bottom`: greater inverse depth wins, first on ties."""
    a, b, c, face = triangle[0], triangle[1], triangle[2], triangle[3]
    ax, ay = np.int64(snapped[a, 0]), np.int64(snapped[a, 1])
    bx, by = np.int64(snapped[b, 0]), np.int64(snapped[b, 1])
    cx, cy = np.int64(snapped[c, 0]), np.int64(snapped[c, 1])
    x0, x1 = sample_range(min(ax, bx, cx), max(ax, bx, cx), right + 1)
    y0, y1 = sample_range(min(ay, by, cy), max(ay, by, cy), bottom + 1)
    x0, y0 = max(x0, left), max(y0, top)
    px, py = (np.int64(x0) << BITS) + UNIT // 2, (np.int64(y0) << BITS) + UNIT // 2
    # An edge function is twice the area between an edge and the sample: the weight of the opposite corner.
    row_a = (cx - bx) * (py - by) - (cy - by) * (px - bx) + _bias(cx - bx, cy - by)
    row_b = (ax - cx) * (py - cy) - (ay - cy) * (px - cx) + _bias(ax - cx, ay - cy)
    row_c = (bx - ax) * (py - ay) - (by - ay) * (px - ax) + _bias(bx - ax, by - ay)
    right_a, right_b, right_c = (by - cy) << BITS, (cy - ay) << BITS, (ay - by) << BITS
    down_a, down_b, down_c = (cx - bx) << BITS, (ax - cx) << BITS, (bx - ax) << BITS
    wa, wb, wc = inverse_depth[a], inverse_depth[b], inverse_depth[c]
    for y in range(y0, y1 + 1):
        ea, eb, ec = row_a, row_b, row_c
        for x in range(x0, x1 + 1):
            if (ea | eb | ec) >= 0:
                fa, fb, fc = float(ea), float(eb), float(ec)
                w = (fa * wa + fb * wb + fc * wc) / (fa + fb + fc)
                if w > nearest[y - top, x - left]:
                    nearest[y - top, x - left] = w
                    seen[y - top, x - left] = face
            ea += right_a
            eb += right_b
            ec += right_c
        row_a += down_a
        row_b += down_b
        row_c += down_c


@njit(cache=True, nogil=True)
def _texel(texels: UInt8, place: Int64, u: float, v: float, color: Float) -> None:
    """Bilinear colour at `(u, v)`: clamped at the border, repeated outside 0…1."""
    start, height, width = place[0], place[1], place[2]
    if u < 0.0 or u > 1.0:
        u -= np.floor(u)
    if v < 0.0 or v > 1.0:
        v -= np.floor(v)
    x = min(max(u * width - 0.5, 0.0), width - 1.0)
    y = min(max(v * height - 0.5, 0.0), height - 1.0)
    x0, y0 = int(x), int(y)
    x1, y1 = min(x0 + 1, width - 1), min(y0 + 1, height - 1)
    s, t = x - x0, y - y0
    p, q = start + y0 * width, start + y1 * width
    for k in range(3):
        upper = (1.0 - s) * texels[p + x0, k] + s * texels[p + x1, k]
        lower = (1.0 - s) * texels[q + x0, k] + s * texels[q + x1, k]
        color[k] = (1.0 - t) * upper + t * lower


@njit(cache=True, nogil=True)
def _light(light: Float, nx: float, ny: float, nz: float, dx: float, dy: float, color: Float) -> None:
    """Shade an sRGB colour in place; `light` is direction (camera space, unit), ambient, diffuse, specular, shininess."""
    cosine = max(light[0] * nx + light[1] * ny + light[2] * nz, 0.0)
    glow = 0.0
    if light[5] > 0.0 and cosine > 0.0:
        away = 1.0 / np.sqrt(dx * dx + dy * dy + 1.0)
        hx, hy, hz = light[0] - dx * away, light[1] - dy * away, light[2] + away
        size = np.sqrt(hx * hx + hy * hy + hz * hz)
        if size > 1e-12:
            glow = 255.0 * light[5] * (max(hx * nx + hy * ny + hz * nz, 0.0) / size) ** light[6]
    shade = light[3] + light[4] * cosine
    for k in range(3):
        color[k] = min(color[k] * shade + glow, 255.0)


@njit(cache=True, nogil=True)
def _base_color(
    face: int, entity: int, faces: Int32, u: float, v: float, looks: Int64, vertex_colors: UInt8, corner_uvs: Float32,
    texels: UInt8, color: Float,
) -> None:  # fmt: skip
    """Texture, vertex colour or mid-grey of a face at barycentric `(1 − u − v, u, v)`."""
    w = 1.0 - u - v
    if looks[entity, 0] == TEXTURE:
        s = w * corner_uvs[face, 0, 0] + u * corner_uvs[face, 1, 0] + v * corner_uvs[face, 2, 0]
        t = w * corner_uvs[face, 0, 1] + u * corner_uvs[face, 1, 1] + v * corner_uvs[face, 2, 1]
        _texel(texels, looks[entity, 1:], s, t, color)
    elif looks[entity, 0] == VERTEX_COLORS:
        a, b, c = faces[face, 0], faces[face, 1], faces[face, 2]
        for k in range(3):
            color[k] = w * vertex_colors[a, k] + u * vertex_colors[b, k] + v * vertex_colors[c, k]
    else:
        color[:] = 128.0


@njit(cache=True, nogil=True)
def _shade(
    seen: Int32, left: int, top: int, columns: int, rows: int, lens: Float, faces: Int32, face_entity: UInt8,
    points_camera: Float, vertex_normals: Float, normal_matrices: Float, with_color: bool, looks: Int64,
    vertex_colors: UInt8, corner_uvs: Float32, texels: UInt8, light: Float,
    tile_normals: Float, tile_depth: Float, tile_color: Float,
) -> None:  # fmt: skip
    """Normal, depth and colour of every sample of a tile that sees a face."""
    fx, fy, cx, cy = lens[0], lens[1], lens[2], lens[3]
    color = np.empty(3)
    last = np.int32(-1)
    a = b = c = np.int32(0)
    e = np.uint8(0)
    z0 = z1 = z2 = 0.0
    ux = uy = uz = vx = vy = vz = gx = gy = gz = 0.0
    for row in range(rows):
        dy = (cy - (top + row + 0.5)) / fy
        for column in range(columns):
            face = seen[row, column]
            if face < 0:
                continue
            dx = (left + column + 0.5 - cx) / fx
            if face != last:
                last = face
                e = face_entity[face]
                a, b, c = faces[face, 0], faces[face, 1], faces[face, 2]
                x0, y0, z0 = points_camera[a, 0], points_camera[a, 1], points_camera[a, 2]
                x1, y1, z1 = points_camera[b, 0] - x0, points_camera[b, 1] - y0, points_camera[b, 2] - z0
                x2, y2, z2 = points_camera[c, 0] - x0, points_camera[c, 1] - y0, points_camera[c, 2] - z0
                # u = d·(t × e2) / d·(e1 × e2) and v = d·(e1 × t) / d·(e1 × e2), with t = −a for a ray from the origin.
                ux, uy, uz = z0 * y2 - y0 * z2, x0 * z2 - z0 * x2, y0 * x2 - x0 * y2
                vx, vy, vz = y0 * z1 - z0 * y1, z0 * x1 - x0 * z1, x0 * y1 - y0 * x1
                gx, gy, gz = y1 * z2 - z1 * y2, z1 * x2 - x1 * z2, x1 * y2 - y1 * x2
            facing = dx * gx + dy * gy - gz
            if facing != 0.0:
                u = min(max((dx * ux + dy * uy - uz) / facing, 0.0), 1.0)
                v = min(max((dx * vx + dy * vy - vz) / facing, 0.0), 1.0)
                if u + v > 1.0:
                    u, v = u / (u + v), v / (u + v)
            else:
                u = v = 1.0 / 3.0
            w = 1.0 - u - v
            nx = w * vertex_normals[a, 0] + u * vertex_normals[b, 0] + v * vertex_normals[c, 0]
            ny = w * vertex_normals[a, 1] + u * vertex_normals[b, 1] + v * vertex_normals[c, 1]
            nz = w * vertex_normals[a, 2] + u * vertex_normals[b, 2] + v * vertex_normals[c, 2]
            m = normal_matrices[e]
            kx = m[0, 0] * nx + m[0, 1] * ny + m[0, 2] * nz
            ky = m[1, 0] * nx + m[1, 1] * ny + m[1, 2] * nz
            kz = m[2, 0] * nx + m[2, 1] * ny + m[2, 2] * nz
            size = np.sqrt(kx * kx + ky * ky + kz * kz)
            if size <= 1e-12:
                kx, ky, kz = -dx, -dy, 1.0
                size = np.sqrt(kx * kx + ky * ky + kz * kz)
            kx, ky, kz = kx / size, ky / size, kz / size
            tile_normals[row, column, 0] = kx
            tile_normals[row, column, 1] = ky
            tile_normals[row, column, 2] = kz
            tile_depth[row, column] = -(z0 + u * z1 + v * z2)
            if with_color:
                _base_color(face, e, faces, u, v, looks, vertex_colors, corner_uvs, texels, color)
                if light[3] >= 0.0:
                    _light(light, kx, ky, kz, dx, dy, color)
                for k in range(3):
                    tile_color[row, column, k] = color[k]


@njit(cache=True, nogil=True)
def _store(
    seen: Int32, left: int, top: int, columns: int, rows: int, face_entity: UInt8, with_color: bool,
    tile_normals: Float, tile_depth: Float, tile_color: Float,
    normals: Float32, ids: UInt8, depth: Float32, color: UInt8,
) -> None:  # fmt: skip
    """Copy a tile whose samples are the pixels."""
    for row in range(rows):
        y = top + row
        for column in range(columns):
            face = seen[row, column]
            if face < 0:
                continue
            x = left + column
            ids[y, x] = face_entity[face] + 1
            depth[y, x] = tile_depth[row, column]
            for k in range(3):
                normals[y, x, k] = tile_normals[row, column, k]
                if with_color:
                    color[y, x, k] = np.uint8(tile_color[row, column, k] + 0.5)


@njit(cache=True, nogil=True)
def _winner(ids: Int64, depths: Float) -> int:
    """The id that most of four samples have; on a tie the nearest one's. No surface (0) is infinitely far."""
    best, most, nearest = 0, 0, np.inf
    for i in range(4):
        votes = 0
        near = np.inf
        for j in range(4):
            if ids[j] == ids[i]:
                votes += 1
                near = min(near, depths[j])
        if votes > most or (votes == most and near < nearest):
            best, most, nearest = ids[i], votes, near
    return best


@njit(cache=True, nogil=True)
def _resolve(
    seen: Int32, left: int, top: int, columns: int, rows: int, face_entity: UInt8, with_color: bool,
    tile_normals: Float, tile_depth: Float, tile_color: Float,
    normals: Float32, ids: UInt8, depth: Float32, color: UInt8, coverage: Float32,
) -> None:  # fmt: skip
    """Average each 2×2 block of a tile's samples into one pixel."""
    sample_ids = np.empty(4, np.int64)
    depths = np.empty(4)
    total = np.empty(6)
    for row in range(0, rows, 2):
        for column in range(0, columns, 2):
            hits = 0
            total[:] = 0.0
            for i in range(4):
                r, c = row + i // 2, column + i % 2
                face = seen[r, c]
                sample_ids[i] = 0
                depths[i] = np.inf
                if face < 0:
                    continue
                hits += 1
                sample_ids[i] = face_entity[face] + 1
                depths[i] = tile_depth[r, c]
                for k in range(3):
                    total[k] += tile_normals[r, c, k]
                    if with_color:
                        total[3 + k] += tile_color[r, c, k]
            if hits == 0:
                continue
            y, x = (top + row) // 2, (left + column) // 2
            coverage[y, x] = hits / 4.0
            size = np.sqrt(total[0] ** 2 + total[1] ** 2 + total[2] ** 2)
            for k in range(3):
                normals[y, x, k] = total[k] / size if size > 1e-12 else (1.0 if k == 2 else 0.0)
                if with_color:
                    color[y, x, k] = np.uint8(total[3 + k] / hits + 0.5)
            winner = _winner(sample_ids, depths)
            if winner > 0:
                mean, votes = 0.0, 0
                for i in range(4):
                    if sample_ids[i] == winner:
                        mean += depths[i]
                        votes += 1
                ids[y, x] = winner
                depth[y, x] = mean / votes


@njit(cache=True, nogil=True)
def draw_tiles(
    width: int, height: int, starts: Int64, lists: Int32, triangles: Int32, snapped: Int32, inverse_depth: Float,
    lens: Float, faces: Int32, face_entity: UInt8, points_camera: Float, vertex_normals: Float,
    normal_matrices: Float, looks: Int64, vertex_colors: UInt8, corner_uvs: Float32, texels: UInt8, light: Float,
    antialias: bool, with_color: bool,
    normals: Float32, ids: UInt8, depth: Float32, color: UInt8, coverage: Float32,
) -> None:  # fmt: skip
    """Draw, shade and store every tile that has triangles; the outputs must come in empty (zero, depth infinite).

    Args:
        width: samples across; twice the pixels when anti-aliased.
        height: samples down.
        starts: `(tiles + 1,)` int64, from `sort_into_tiles`.
        lists: `(N,)` int32, from `sort_into_tiles`.
        triangles: `(N, 4)` int32, from `collect_triangles`.
        snapped: `(V', 2)` int32, from `project`.
        inverse_depth: `(V',)` float64, from `project`.
        lens: `(5,)` fx, fy, cx, cy in samples, near.
        faces: `(F, 3)` int32 of all entities.
        face_entity: `(F,)` uint8 index of the entity.
        points_camera: `(V', 3)` float64.
        vertex_normals: `(V, 3)` float64, object frames.
        normal_matrices: `(E, 3, 3)` float64, object normals to camera space up to length.
        looks: `(E, 4)` int64: kind of colour, then the texture's first texel, height and width.
        vertex_colors: `(V, 3)` uint8, or empty if no entity has them.
        corner_uvs: `(F, 3, 2)` float32, or empty if no entity has a texture.
        texels: `(N, 3)` uint8 of all textures.
        light: `(7,)` see `_light`; a negative ambient share means unlit.
        antialias: samples are quarters of pixels.
        with_color: also write `color`.
        normals: `(H, W, 3)` float32 out.
        ids: `(H, W)` uint8 out.
        depth: `(H, W)` float32 out.
        color: `(H, W, 3)` uint8 out, or empty.
        coverage: `(H, W)` float32 out, or empty.
    """
    across = (width + TILE - 1) // TILE
    nearest = np.empty((TILE, TILE))
    seen = np.empty((TILE, TILE), np.int32)
    tile_normals = np.empty((TILE, TILE, 3))
    tile_depth = np.empty((TILE, TILE))
    tile_color = np.empty((TILE, TILE, 3))
    for t in range(len(starts) - 1):
        if starts[t] == starts[t + 1]:
            continue
        left, top = (t % across) * TILE, (t // across) * TILE
        columns, rows = min(TILE, width - left), min(TILE, height - top)
        nearest[:] = 0.0
        seen[:] = -1
        for n in range(starts[t], starts[t + 1]):
            _draw(
                triangles[lists[n]], snapped, inverse_depth, left, top, left + columns - 1, top + rows - 1,
                nearest, seen,
            )  # fmt: skip
        _shade(
            seen, left, top, columns, rows, lens, faces, face_entity, points_camera, vertex_normals, normal_matrices,
            with_color, looks, vertex_colors, corner_uvs, texels, light, tile_normals, tile_depth, tile_color,
        )  # fmt: skip
        if antialias:
            _resolve(
                seen, left, top, columns, rows, face_entity, with_color, tile_normals, tile_depth, tile_color,
                normals, ids, depth, color, coverage,
            )  # fmt: skip
        else:
            _store(
                seen, left, top, columns, rows, face_entity, with_color, tile_normals, tile_depth, tile_color,
                normals, ids, depth, color,
            )  # fmt: skip
