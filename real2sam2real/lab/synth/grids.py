"""Closed surfaces as grids of points: the building blocks of every synthetic shape.

A grid `(R, C, 3)` runs around in its columns (the last column joins the first). Its rows either end in two poles (the
first and the last row are one point each) or run around too, as on a torus. So a grid is closed by construction, and it
carries texture coordinates and a map from texels to surface points for free.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from real2sam2real.arrays import Float, Int


@dataclass(frozen=True, kw_only=True, eq=False)
class ClosedGrid:
    """One closed surface."""

    points: Float  # `(R, C, 3)` float64
    torus: bool = False  # rows run around; otherwise the first and the last row are poles
    material: int = 0  # which of the shape's materials covers it

    def moved(self, offset: ArrayLike, matrix: Float | None = None, *, material: int | None = None) -> ClosedGrid:
        """The grid under a linear map `(3, 3)`, then an offset `(3,)`; covered by another material if one is given."""
        points = self.points if matrix is None else self.points @ matrix.T
        material = self.material if material is None else material
        return ClosedGrid(points=points + np.asarray(offset, np.float64), torus=self.torus, material=material)

    def triangles(self) -> tuple[Float, Int, Float]:
        """Vertices `(V, 3)`, outward faces `(F, 3)`, and corner coordinates `(F, 3, 2)` in 0…1 (column, row)."""
        vertices, faces, uvs = _torus(self.points) if self.torus else _with_poles(self.points)
        a, b, c = (vertices[faces[:, k]] for k in range(3))
        if np.sum(a * np.cross(b, c)) < 0:
            faces, uvs = faces[:, ::-1], uvs[:, ::-1]
        return vertices, faces, uvs

    def texel_points(self, rows: int, columns: int) -> Float:
        """Surface points `(rows, columns, 3)` of a texture whose outer texels' centres lie on the grid's border."""
        points = self.points[:, np.r_[: self.points.shape[1], 0]]
        if self.torus:
            points = points[np.r_[: len(points), 0]]
        for axis, size in ((0, rows), (1, columns)):
            at = np.linspace(0.0, points.shape[axis] - 1.0, size)
            low = np.minimum(at.astype(np.int64), points.shape[axis] - 2)
            share = np.expand_dims(at - low, tuple(k for k in range(3) if k != axis))
            points = np.take(points, low, axis) * (1 - share) + np.take(points, low + 1, axis) * share
        return points

    def area(self) -> float:
        """Surface area, roughly: the sum over grid cells."""
        right = np.roll(self.points, -1, axis=1) - self.points
        down = np.diff(self.points, axis=0)
        return float(np.linalg.norm(np.cross(right[:-1], down), axis=-1).sum())


def _quads(rows: int, columns: int, index: Int) -> tuple[Int, Float]:
    """Two triangles per cell of a `(rows + 1, columns + 1)` table of vertex numbers, with corner coordinates."""
    r, c = (axis.ravel() for axis in np.mgrid[:rows, :columns])
    corners = np.array([[(0, 0), (1, 0), (1, 1)], [(0, 0), (1, 1), (0, 1)]])
    at_row = r[:, None, None] + corners[None, :, :, 0]
    at_column = c[:, None, None] + corners[None, :, :, 1]
    uvs = np.stack([at_column / columns, at_row / rows], axis=-1)
    return index[at_row, at_column].reshape(-1, 3), uvs.reshape(-1, 3, 2)


def _torus(points: Float) -> tuple[Float, Int, Float]:
    rows, columns = points.shape[:2]
    index = np.arange(rows * columns).reshape(rows, columns)
    index = index[np.r_[:rows, 0]][:, np.r_[:columns, 0]]
    return points.reshape(-1, 3), *_quads(rows, columns, index)


def _with_poles(points: Float) -> tuple[Float, Int, Float]:
    rows, columns = points.shape[:2]
    inner = np.arange((rows - 2) * columns).reshape(rows - 2, columns) + 1
    index = np.zeros((rows, columns), np.int64)
    index[1:-1] = inner
    index[-1] = inner[-1, -1] + 1
    faces, uvs = _quads(rows - 1, columns, index[:, np.r_[:columns, 0]])
    whole = (faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 2] != faces[:, 0])
    vertices = np.concatenate([points[0, :1], points[1:-1].reshape(-1, 3), points[-1, :1]])
    return vertices, faces[whole], uvs[whole]


def around(columns: int) -> Float:
    """`(columns,)` angles once around, without the last, which is the first."""
    return np.arange(columns, dtype=np.float64) * (2 * np.pi / columns)


def from_pole_to_pole(rows: int) -> tuple[Float, Float]:
    """Sines, exactly 0 at both poles, and cosines of `rows` polar angles, `(rows, 1)` each."""
    polar = np.linspace(0.0, np.pi, rows)[:, None]
    sine = np.sin(polar)
    sine[[0, -1]] = 0.0
    return sine, np.cos(polar)


def stacked(x: Float, y: Float, z: Float) -> Float:
    """Points `(R, C, 3)` of coordinates that broadcast to `(R, C)`."""
    return np.stack(np.broadcast_arrays(x, y, z), axis=-1)


def superellipsoid(
    half: tuple[float, float, float], roundness: tuple[float, float], rows: int, columns: int
) -> ClosedGrid:
    """From a box (roundness near 0) over an ellipsoid (1) to a double cone (2); half extents along x, y, z."""

    def bent(x: Float, power: float) -> Float:
        return np.sign(x) * np.abs(x) ** power

    sine, cosine = from_pole_to_pole(rows)
    ring = bent(sine, roundness[0])
    x, z = bent(np.cos(around(columns)), roundness[1]), bent(np.sin(around(columns)), roundness[1])
    points = stacked(half[0] * ring * x, half[1] * bent(cosine, roundness[0]), half[2] * ring * z)
    return ClosedGrid(points=points)


def box(half: tuple[float, float, float], rows: int = 10, columns: int = 20) -> ClosedGrid:
    """A rounded box."""
    return superellipsoid(half, (0.2, 0.2), rows, columns)


def ellipsoid(half: tuple[float, float, float], rows: int = 10, columns: int = 16) -> ClosedGrid:
    """An ellipsoid."""
    return superellipsoid(half, (1.0, 1.0), rows, columns)


def lathe(radii: Float, heights: Float, columns: int, sides: int = 0) -> ClosedGrid:
    """A profile of `radii` `(R,)`, positive, and `heights` `(R,)`, turned about +Y, with a flat cap at both ends.

    With `sides` the cross section is a polygon.
    """
    angle = around(columns)
    bulge = np.ones(columns)
    if sides:
        within = np.mod(angle, 2 * np.pi / sides) - np.pi / sides
        bulge = np.cos(np.pi / sides) / np.cos(within)
    radii = np.concatenate([[0.0], radii, [0.0]])[:, None] * bulge
    heights = np.concatenate([heights[:1], heights, heights[-1:]])[:, None]
    return ClosedGrid(points=stacked(radii * np.cos(angle), heights, radii * np.sin(angle)))


def capsule(radius: float, length: float, rows: int = 12, columns: int = 14) -> ClosedGrid:
    """A rod along y with round ends; `length` without the ends."""
    grid = ellipsoid((radius, radius, radius), rows, columns)
    shift = np.where(np.arange(rows) < rows / 2, 0.5, -0.5)[:, None] * length
    grid.points[..., 1] += shift
    return grid


def wheel(radius: float, half_width: float, columns: int = 16) -> ClosedGrid:
    """A short cylinder with rounded rims about z."""
    profile = lathe(np.array([0.85, 1.0, 1.0, 0.85]) * radius, np.array([-1.0, -0.6, 0.6, 1.0]) * half_width, columns)
    return profile.moved((0.0, 0.0, 0.0), np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]]))
