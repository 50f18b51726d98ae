"""What each sample's face looks like there: normal, depth, colour; and how samples become pixels.

Only what is seen is shaded, however many surfaces lie behind it. A sample's ray is intersected with its face in camera
space (Möller and Trumbore, 1997): perspective-correct without dividing by depth, also where the face was clipped.
"""

from __future__ import annotations

import numpy as np

from real2sam2real.arrays import Float, Float32, Int, Int32, UInt8, UInt32
from real2sam2real.mesh.compiled import borrowed, kernel, part

GREY, VERTEX_COLORS, TEXTURE = 0, 1, 2

# A face made ready for its samples is one row of numbers; where each group of them starts:
_RAY = 0  # three vectors: numerators of the weights of corners 1 and 2, and their common denominator
_DEPTH = 9  # depth at the three corners
_NORMAL = 12  # camera-space normals at the three corners, up to one common length
_READY = 21


@part
def _make_ready(
    face: int, faces: Int32, normal_faces: Int32, points_camera: Float, normals_camera: Float32, with_normals: bool,
    ready: Float,
) -> None:  # fmt: skip
    a, b, c = faces[face, 0], faces[face, 1], faces[face, 2]
    x0, y0, z0 = points_camera[a, 0], points_camera[a, 1], points_camera[a, 2]
    x1, y1, z1 = points_camera[b, 0] - x0, points_camera[b, 1] - y0, points_camera[b, 2] - z0
    x2, y2, z2 = points_camera[c, 0] - x0, points_camera[c, 1] - y0, points_camera[c, 2] - z0
    # With edges p, q from corner 0 at o, the weights of a ray d are d·(q × o) and d·(o × p) over d·(p × q).
    ready[_RAY + 0], ready[_RAY + 1], ready[_RAY + 2] = z0 * y2 - y0 * z2, x0 * z2 - z0 * x2, y0 * x2 - x0 * y2
    ready[_RAY + 3], ready[_RAY + 4], ready[_RAY + 5] = y0 * z1 - z0 * y1, z0 * x1 - x0 * z1, x0 * y1 - y0 * x1
    ready[_RAY + 6], ready[_RAY + 7], ready[_RAY + 8] = y1 * z2 - z1 * y2, z1 * x2 - x1 * z2, x1 * y2 - y1 * x2
    ready[_DEPTH], ready[_DEPTH + 1], ready[_DEPTH + 2] = -z0, -(z0 + z1), -(z0 + z2)
    a, b, c = normal_faces[face, 0], normal_faces[face, 1], normal_faces[face, 2]
    for k in range(3 if with_normals else 0):
        ready[_NORMAL + k] = normals_camera[a, k]
        ready[_NORMAL + 3 + k] = normals_camera[b, k]
        ready[_NORMAL + 6 + k] = normals_camera[c, k]


@part
def _weights(ready: Float, dx: float, dy: float) -> tuple[float, float]:
    """Weights of corners 1 and 2 where the ray `(dx, dy, −1)` meets the face, kept inside it.

    Snapping lets a face own samples up to 2⁻¹⁶ outside its true outline.
    """
    denominator = dx * ready[_RAY + 6] + dy * ready[_RAY + 7] - ready[_RAY + 8]
    if denominator == 0.0:
        return 1.0 / 3.0, 1.0 / 3.0
    inverse = 1.0 / denominator
    u = min(max((dx * ready[_RAY + 0] + dy * ready[_RAY + 1] - ready[_RAY + 2]) * inverse, 0.0), 1.0)
    v = min(max((dx * ready[_RAY + 3] + dy * ready[_RAY + 4] - ready[_RAY + 5]) * inverse, 0.0), 1.0)
    if u + v > 1.0:
        return u / (u + v), v / (u + v)
    return u, v


@part
def _normal(ready: Float, u: float, v: float, dx: float, dy: float) -> tuple[float, float, float]:
    """Interpolated unit normal; straight towards the camera where the corners' normals cancel out."""
    w = 1.0 - u - v
    x = w * ready[_NORMAL + 0] + u * ready[_NORMAL + 3] + v * ready[_NORMAL + 6]
    y = w * ready[_NORMAL + 1] + u * ready[_NORMAL + 4] + v * ready[_NORMAL + 7]
    z = w * ready[_NORMAL + 2] + u * ready[_NORMAL + 5] + v * ready[_NORMAL + 8]
    square = x * x + y * y + z * z
    if square < 1e-24:
        x, y, z = -dx, -dy, 1.0
        square = x * x + y * y + z * z
    inverse = 1.0 / np.sqrt(square)
    return x * inverse, y * inverse, z * inverse


@part
def _texel(texels: UInt32, first: int, height: int, width: int, s: float, t: float) -> tuple[float, float, float]:
    """Bilinear colour of one level of a texture, clamped at its border."""
    x = min(max(s * width - 0.5, 0.0), width - 1.0)
    y = min(max(t * height - 0.5, 0.0), height - 1.0)
    column, row = int(x), int(y)
    fx, fy = x - column, y - row
    p = first + row * width + column
    q = p + width if row + 1 < height else p
    step = 1 if column + 1 < width else 0
    t00, t01, t10, t11 = int(texels[p]), int(texels[p + step]), int(texels[q]), int(texels[q + step])
    w00, w01, w10, w11 = (1.0 - fx) * (1.0 - fy), fx * (1.0 - fy), (1.0 - fx) * fy, fx * fy
    red = w00 * (t00 & 255) + w01 * (t01 & 255) + w10 * (t10 & 255) + w11 * (t11 & 255)
    green = w00 * (t00 >> 8 & 255) + w01 * (t01 >> 8 & 255) + w10 * (t10 >> 8 & 255) + w11 * (t11 >> 8 & 255)
    blue = w00 * (t00 >> 16) + w01 * (t01 >> 16) + w10 * (t10 >> 16) + w11 * (t11 >> 16)
    return red, green, blue


@part
def _footprint(ready: Float, intrinsics: Float, u: float, v: float, dx: float, dy: float, uv_area: float) -> float:
    """Area, as a share of the texture, that one sample covers: the derivative of the weights times `uv_area`."""
    gx, gy = ready[_RAY + 6], ready[_RAY + 7]
    denominator = dx * gx + dy * gy - ready[_RAY + 8]
    if denominator == 0.0:
        return 0.0
    u_x, u_y = ready[_RAY + 0] - u * gx, ready[_RAY + 1] - u * gy
    v_x, v_y = ready[_RAY + 3] - v * gx, ready[_RAY + 4] - v * gy
    return abs((u_x * v_y - u_y * v_x) / (denominator * denominator * intrinsics[0] * intrinsics[1]) * uv_area)


@part
def _textured(
    ready: Float, intrinsics: Float, face: int, entity: int, u: float, v: float, dx: float, dy: float, samples: int,
    color_table: Int, levels: Int, corner_uvs: Float32, texels: UInt32,
) -> tuple[float, float, float]:  # fmt: skip
    """Texture colour over some samples: bilinear where magnified, between two levels of its pyramid where minified."""
    s0, t0 = corner_uvs[face, 0, 0], corner_uvs[face, 0, 1]
    s1, t1 = corner_uvs[face, 1, 0] - s0, corner_uvs[face, 1, 1] - t0
    s2, t2 = corner_uvs[face, 2, 0] - s0, corner_uvs[face, 2, 1] - t0
    s, t = s0 + u * s1 + v * s2, t0 + u * t1 + v * t2
    if s < 0.0 or s > 1.0:
        s -= np.floor(s)
    if t < 0.0 or t > 1.0:
        t -= np.floor(t)
    first, count = color_table[entity, 1], color_table[entity, 2]
    area = samples * (s1 * t2 - s2 * t1)
    covered = _footprint(ready, intrinsics, u, v, dx, dy, area) * levels[first, 1] * levels[first, 2]
    last = first + count - 1
    while covered >= 4.0 and first < last:
        covered *= 0.25
        first += 1
    red, green, blue = _texel(texels, levels[first, 0], levels[first, 1], levels[first, 2], s, t)
    if covered <= 1.0 or first == last:
        return red, green, blue
    first += 1
    r, g, b = _texel(texels, levels[first, 0], levels[first, 1], levels[first, 2], s, t)
    mix = (covered - 1.0) / 3.0
    return red + mix * (r - red), green + mix * (g - green), blue + mix * (b - blue)


@part
def _painted(face: int, u: float, v: float, faces: Int32, vertex_colors: UInt8) -> tuple[float, float, float]:
    w = 1.0 - u - v
    a, b, c = faces[face, 0], faces[face, 1], faces[face, 2]
    return (
        w * vertex_colors[a, 0] + u * vertex_colors[b, 0] + v * vertex_colors[c, 0],
        w * vertex_colors[a, 1] + u * vertex_colors[b, 1] + v * vertex_colors[c, 1],
        w * vertex_colors[a, 2] + u * vertex_colors[b, 2] + v * vertex_colors[c, 2],
    )


@part
def _brightness(light: Float, nx: float, ny: float, nz: float, dx: float, dy: float) -> tuple[float, float]:
    """Factor on the colour and the highlight to add; `light` is what `Light.in_camera` gives."""
    cosine = max(light[0] * nx + light[1] * ny + light[2] * nz, 0.0)
    shade = light[3] + light[4] * cosine
    if light[5] <= 0.0 or cosine <= 0.0:
        return shade, 0.0
    away = 1.0 / np.sqrt(dx * dx + dy * dy + 1.0)
    hx, hy, hz = light[0] - dx * away, light[1] - dy * away, light[2] + away
    size = np.sqrt(hx * hx + hy * hy + hz * hz)
    if size <= 1e-12:
        return shade, 0.0
    return shade, 255.0 * light[5] * (max(hx * nx + hy * ny + hz * nz, 0.0) / size) ** light[6]


@part
def _color(
    ready: Float, intrinsics: Float, face: int, entity: int, u: float, v: float, dx: float, dy: float, samples: int,
    nx: float, ny: float, nz: float, faces: Int32, color_table: Int, levels: Int, vertex_colors: UInt8,
    corner_uvs: Float32, texels: UInt32, light: Float, lit: bool,
) -> tuple[float, float, float]:  # fmt: skip
    """Colour (sRGB) of a face at weights `u, v`, 0…255: texture, vertex colours or mid-grey, lit if asked for.

    It stands for so many `samples`.
    """
    red = green = blue = 128.0
    if color_table[entity, 0] == TEXTURE:
        red, green, blue = _textured(
            ready, intrinsics, face, entity, u, v, dx, dy, samples, color_table, levels, corner_uvs, texels
        )
    elif color_table[entity, 0] == VERTEX_COLORS:
        red, green, blue = _painted(face, u, v, faces, vertex_colors)
    if not lit:
        return red, green, blue
    factor, glow = _brightness(light, nx, ny, nz, dx, dy)
    return min(red * factor + glow, 255.0), min(green * factor + glow, 255.0), min(blue * factor + glow, 255.0)


@part
def _winner(ids: Int, depths: Float) -> int:
    """The id that most of four samples have; on a tie the nearest one's. No surface (0) is infinitely far."""
    best, most, nearest = 0, 0, np.inf
    for i in range(4):
        votes, near = 0, np.inf
        for j in range(4):
            if ids[j] == ids[i]:
                votes += 1
                near = min(near, depths[j])
        if votes > most or (votes == most and near < nearest):
            best, most, nearest = ids[i], votes, near
    return best


@part
def _mean_depth(wanted: int, ids: Int, depths: Float) -> float:
    """Mean depth of the samples that have the id `wanted`."""
    total, votes = 0.0, 0
    for i in range(len(ids)):
        if ids[i] == wanted:
            total += depths[i]
            votes += 1
    return total / votes


@part
def _write_pixel(
    x: int, y: int, side: int, hits: int, sum_x: float, sum_y: float, sum_z: float, red: float, green: float,
    blue: float, sample_ids: Int, depths: Float, with_color: bool, with_normals: bool,
    normals: Float32, ids: UInt8, depth: Float32, color: UInt8, coverage: Float32,
) -> None:  # fmt: skip
    """Gather a pixel's samples, at least one of which hit a surface."""
    if side == 1:
        winner = sample_ids[0]
        if with_normals:
            normals[y, x, 0], normals[y, x, 1], normals[y, x, 2] = sum_x, sum_y, sum_z
        depth[y, x] = depths[0]
    else:
        winner = _winner(sample_ids, depths)
        coverage[y, x] = hits / (side * side)
        if with_normals:
            size = np.sqrt(sum_x * sum_x + sum_y * sum_y + sum_z * sum_z)
            if size > 1e-12:
                normals[y, x, 0], normals[y, x, 1], normals[y, x, 2] = sum_x / size, sum_y / size, sum_z / size
            else:
                normals[y, x, 2] = 1.0
        if winner > 0:
            depth[y, x] = _mean_depth(winner, sample_ids, depths)
    ids[y, x] = winner
    if with_color:
        color[y, x, 0] = np.uint8(red / hits + 0.5)
        color[y, x, 1] = np.uint8(green / hits + 0.5)
        color[y, x, 2] = np.uint8(blue / hits + 0.5)


@part
def _one_face(seen: Int32, side: int, x: int, y: int) -> bool:
    """Do all samples of a pixel see the same face, or none?"""
    row, column = side * y, side * x
    face = seen[row, column]
    return side == 1 or (
        seen[row, column + 1] == face and seen[row + 1, column] == face and seen[row + 1, column + 1] == face
    )


def scratch() -> tuple[Float, Int, Float]:
    """What `shade` works with: a face made ready for its samples, and the ids and depths of a pixel's samples."""
    return np.empty(_READY), np.zeros(4, np.int64), np.empty(4)


# Longer than other functions because it takes the place of a struct: half of it names and describes its arrays.
@kernel
def shade(
    seen: Int32, tiles: Int, tile: int, side: int, intrinsics: Float, faces: Int32, normal_faces: Int32,
    face_entity: UInt8, points_camera: Float, normals_camera: Float32, color_table: Int, levels: Int,
    vertex_colors: UInt8, corner_uvs: Float32, texels: UInt32, light: Float, with_color: bool, lit: bool,
    with_normals: bool, ready: Float, sample_ids: Int, depths: Float, normals: Float32, ids: UInt8, depth: Float32,
    color: UInt8, coverage: Float32,
) -> None:  # fmt: skip
    """Shade every sample that sees a face and gather `side × side` samples, 1 or 4, into each pixel.

    A pixel all of whose samples see one face is looked at once, in its middle, where no normals are wanted: within a
    face the mean over the samples differs from it by less than a texture's filter does.

    Of the arrays, `visibility` names those of a frame, `packed` those of a scene (`color_table` to `texels` are
    `PackedColors`), `Light.in_camera` the light, which counts where `lit`. Tiles measure `tile` pixels. `ready`,
    `sample_ids` and `depths` are scratch memory as `scratch()` makes it. The last five are those of a `Frame`; they
    come in as if nothing were seen, `color` and `coverage` empty where they are not to be written. `lit` colours need
    normals, so `with_normals` goes with it.
    """
    intrinsics, faces, normal_faces = borrowed(intrinsics), borrowed(faces), borrowed(normal_faces)
    points_camera, normals_camera = borrowed(points_camera), borrowed(normals_camera)
    color_table, levels, vertex_colors = borrowed(color_table), borrowed(levels), borrowed(vertex_colors)
    corner_uvs, texels, light = borrowed(corner_uvs), borrowed(texels), borrowed(light)
    normals, ids, depth, color, coverage = (
        borrowed(normals), borrowed(ids), borrowed(depth), borrowed(color), borrowed(coverage)
    )  # fmt: skip
    ready, sample_ids, depths = borrowed(ready), borrowed(sample_ids), borrowed(depths)
    samples = side * side
    last = -1
    step_x, step_y = 1.0 / intrinsics[0], 1.0 / intrinsics[1]
    height, width = ids.shape
    across = (width + tile - 1) // tile
    for number in tiles:
        left, top = number % across * tile, number // across * tile
        columns = min(tile, width - left)
        for pixel in range(columns * min(tile, height - top)):
            x, y = left + pixel % columns, top + pixel // columns
            hits = 0
            sum_x = sum_y = sum_z = red = green = blue = 0.0
            stands_for, inset = (samples, 0.5 * side) if not with_normals and _one_face(seen, side, x, y) else (1, 0.5)
            for i in range(0, samples, stands_for):
                row, column = side * y + i // side, side * x + i % side
                face = seen[row, column]
                if face < 0:
                    for j in range(i, i + stands_for):
                        sample_ids[j], depths[j] = 0, np.inf
                    continue
                hits += stands_for
                entity = face_entity[face]
                if face != last:
                    _make_ready(face, faces, normal_faces, points_camera, normals_camera, with_normals, ready)
                    last = face
                dx, dy = (column + inset - intrinsics[2]) * step_x, (intrinsics[3] - row - inset) * step_y
                u, v = _weights(ready, dx, dy)
                nx = ny = nz = 0.0
                if with_normals:
                    nx, ny, nz = _normal(ready, u, v, dx, dy)
                    sum_x, sum_y, sum_z = sum_x + nx, sum_y + ny, sum_z + nz
                for j in range(i, i + stands_for):
                    sample_ids[j] = entity + 1
                    depths[j] = (1.0 - u - v) * ready[_DEPTH] + u * ready[_DEPTH + 1] + v * ready[_DEPTH + 2]
                if with_color:
                    r, g, b = _color(
                        ready, intrinsics, face, entity, u, v, dx, dy, stands_for, nx, ny, nz, faces, color_table,
                        levels, vertex_colors, corner_uvs, texels, light, lit,
                    )  # fmt: skip
                    red, green, blue = red + stands_for * r, green + stands_for * g, blue + stands_for * b
            if hits == 0:
                continue
            _write_pixel(
                x, y, side, hits, sum_x, sum_y, sum_z, red, green, blue, sample_ids, depths, with_color,
                with_normals, normals, ids, depth, color, coverage,
            )  # fmt: skip
