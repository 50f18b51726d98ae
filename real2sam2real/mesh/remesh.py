"""The last resort: a new closed surface around whatever was given, from voxels."""

from __future__ import annotations

import manifold3d
import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from real2sam2real.arrays import Bool, Float, Int
from real2sam2real.mesh.compiled import kernel
from real2sam2real.mesh.mesh import Mesh

SIDE = 56  # voxels along the longest side
MARGIN = 3
MOST_SAMPLES = 2_000_000
SHELL = 0.8  # voxels: half the thickness of what encloses nothing


def remesh(vertices: Float, faces: Int) -> Mesh:
    """A closed surface around a soup.

    A voxel is inside where rays along at least two of the three axes cross the surface an odd number of times (after
    Nooruddin and Turk, 2003), so a hole spoils few voxels. Sheets that enclose nothing become thin shells.

    Raises:
        ValueError: the soup has no extent.
    """
    low, high = vertices[np.unique(faces)].min(axis=0), vertices[np.unique(faces)].max(axis=0)
    step = float((high - low).max()) / SIDE
    if step <= 0:
        raise ValueError("all vertices lie in one point")
    origin = low - MARGIN * step
    shape = tuple(int(n) for n in np.ceil((high - low) / step).astype(int) + 2 * MARGIN + 1)
    inside = _inside(vertices, faces, origin, step, shape)
    samples = _surface_samples(vertices, faces, step / 2)
    centers = origin + np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), axis=-1) * step
    distance, _ = cKDTree(samples).query(centers.reshape(-1, 3), distance_upper_bound=4 * step)
    distance = np.minimum(distance.reshape(shape), 4 * step)
    signed = np.where(inside, distance, -distance)
    if inside.sum() < 27:
        signed = SHELL * step - distance
    signed[[0, -1]] = signed[:, [0, -1]] = signed[:, :, [0, -1]] = -step
    return _level_set(_without_crumbs(signed), origin, step)


def _inside(vertices: Float, faces: Int, origin: Float, step: float, shape: tuple[int, ...]) -> Bool:
    votes = np.zeros(shape, np.int8)
    corners = (vertices[faces] - origin) / step
    for axis in range(3):
        order = [(axis + 1) % 3, (axis + 2) % 3, axis]
        odd = _odd_crossings(corners[..., order], tuple(shape[k] for k in order))
        votes += np.moveaxis(odd, [0, 1, 2], order)
    return ndimage.binary_opening(votes >= 2, iterations=1) | (votes == 3)


def _odd_crossings(corners: Float, shape: tuple[int, ...]) -> Bool:
    """`shape` bool: rays along the last axis that crossed an odd number of triangles `(F, 3, 3)` on their way here."""
    shift = np.array([0.5013, 0.4987]) - 0.5  # rays avoid the vertices of regular meshes
    plane = corners[..., :2] + shift
    first = np.maximum(np.ceil(plane.min(axis=1)).astype(int), 0)
    last = np.minimum(np.floor(plane.max(axis=1)).astype(int), np.array(shape[:2]) - 1)
    size = np.maximum(last - first + 1, 0)
    count = size.prod(axis=1)
    triangle = np.repeat(np.arange(len(corners)), count)
    within = np.arange(len(triangle)) - np.repeat(np.cumsum(count) - count, count)
    u = first[triangle, 0] + within // np.maximum(size[triangle, 1], 1)
    v = first[triangle, 1] + within % np.maximum(size[triangle, 1], 1)
    a, b, c = (plane[triangle, k] for k in range(3))
    area = _cross(b - a, c - a)
    ray = np.stack([u, v], axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        wb, wc = _cross(ray - a, c - a) / area, _cross(b - a, ray - a) / area
        hit = (area != 0) & (wb >= 0) & (wc >= 0) & (wb + wc <= 1)
    wb, wc, depth = wb[hit], wc[hit], corners[triangle[hit], :, 2]
    at = depth[:, 0] * (1 - wb - wc) + depth[:, 1] * wb + depth[:, 2] * wc
    index = np.clip(np.ceil(at).astype(int), 0, shape[2] - 1)
    crossed = np.zeros(shape, np.int32)
    np.add.at(crossed, (u[hit], v[hit], index), 1)
    return np.cumsum(crossed, axis=2) % 2 == 1


def _cross(a: Float, b: Float) -> Float:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def _surface_samples(vertices: Float, faces: Int, spacing: float) -> Float:
    """Points `(N, 3)` on all triangles, no farther apart than `spacing`, or as near as some `MOST_SAMPLES` can be."""
    triangles = vertices[faces]
    longest = np.linalg.norm(triangles - np.roll(triangles, 1, axis=1), axis=-1).max(axis=1)
    wanted = float((np.ceil(longest / spacing).clip(1, 2 * SIDE) ** 2 / 2).sum())
    spacing *= max(1.0, np.sqrt(wanted / MOST_SAMPLES))
    level = np.ceil(longest / spacing).astype(int).clip(1, 2 * SIDE)
    found = [triangles.reshape(-1, 3)]
    for n in np.unique(level):
        i, j = np.meshgrid(np.arange(n + 1), np.arange(n + 1), indexing="ij")
        weights = np.stack([i, j, n - i - j], axis=-1)[i + j <= n] / n
        found.append(np.einsum("wk,fkd->fwd", weights, triangles[level == n]).reshape(-1, 3))
    points = np.concatenate(found)
    cells = ((points - points.min(axis=0)) / (spacing / 4)).astype(np.int64)  # a tree of doubles would be slow
    wide = cells.max(axis=0) + 1
    return points[np.unique((cells[:, 0] * wide[1] + cells[:, 1]) * wide[2] + cells[:, 2], return_index=True)[1]]


def _without_crumbs(signed: Float) -> Float:
    """Without crumbs smaller than a thousandth of the largest component."""
    label, count = ndimage.label(signed > 0)
    if count <= 1:
        return signed
    size = np.bincount(label.reshape(-1))
    small = size < 1e-3 * size[1:].max()
    small[0] = False
    return np.where(small[label], -np.abs(signed), signed)


def _level_set(signed: Float, origin: Float, step: float) -> Mesh:
    last = np.array(signed.shape) - 1

    def field(x: float, y: float, z: float) -> float:
        return _interpolated(signed, x / step - shift[0], y / step - shift[1], z / step - shift[2])

    shift = (origin / step).tolist()
    bounds = [*origin.tolist(), *(origin + last * step).tolist()]
    solid = manifold3d.Manifold.level_set(field, bounds, step, 0.0)
    result = solid.to_mesh()
    return Mesh(
        vertices=np.asarray(result.vert_properties, np.float64)[:, :3],
        faces=np.asarray(result.tri_verts).astype(np.int32),
    )


@kernel
def _interpolated(values: Float, x: float, y: float, z: float) -> float:
    """Trilinear between the values of a grid, and as at its border beyond it."""
    nx, ny, nz = values.shape
    x, y, z = min(max(x, 0.0), nx - 1.0), min(max(y, 0.0), ny - 1.0), min(max(z, 0.0), nz - 1.0)
    i, j, k = min(int(x), nx - 2), min(int(y), ny - 2), min(int(z), nz - 2)
    total = 0.0
    for di in range(2):
        for dj in range(2):
            for dk in range(2):
                weight = (x - i if di else 1 - x + i) * (y - j if dj else 1 - y + j) * (z - k if dk else 1 - z + k)
                total += weight * values[i + di, j + dj, k + dk]
    return total
