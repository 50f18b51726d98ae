"""A coarse grid over the pointmap with a local plane in every cell: what gravity and ground are found on.

A plane `m · p = 1` is linear in the picture: a point at depth d on the ray r (scaled to depth 1) has `m · r = 1 / d`.
So inverse depth is averaged and fitted, with exact regressors, and the relative error of a depth is `m · p - 1`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from real2sam2real.arrays import Bool, Float, Float32, Mask
from real2sam2real.geometry import Intrinsics
from real2sam2real.perceive.camera.depth import pixel_centres

CELLS = 160  # along the longer side
WINDOW = 7  # cells along a side of the window that a cell's normal is fitted to
MIN_FILLED = 0.5  # of a cell or a window must be known
MAX_ROUGHNESS = 0.06  # relative misfit of the depth in a window; beyond it lies an edge, not a surface


@dataclass(frozen=True, kw_only=True, eq=False)
class Surfaces:
    """The grid's cells as flat lists, those with a known depth alone."""

    points_camera: Float  # `(N, 3)` float64
    rays_camera: Float  # `(N, 3)` float64, `points_camera` scaled to depth 1
    normals_camera: Float  # `(N, 3)` float64 unit normals towards the camera; NaN at edges
    free: Bool  # `(N,)` bool, False where an entity's mask is near
    cells: int  # how many cells the whole grid has


def find_surfaces(
    points_camera: Float32, intrinsics: Intrinsics, masks: Iterable[Mask], normals_camera: Float32 | None = None
) -> Surfaces:
    """Average the pointmap into at most 160 cells along its longer side.

    Args:
        points_camera: `(H, W, 3)` float32, NaN where unknown.
        intrinsics: of that size.
        masks: `(H, W)` bool, the entities.
        normals_camera: `(h, w, 3)` float32 of an estimator, of any size; fitted to the points where None.
    """
    height, width = points_camera.shape[:2]
    scale = min(1.0, CELLS / max(width, height))
    columns, rows = max(1, round(width * scale)), max(1, round(height * scale))
    of_grid = intrinsics.resized(columns, rows)
    inverse = _averaged(-1.0 / points_camera[..., 2:3].astype(np.float64), columns, rows)[..., 0]
    rays = of_grid.unproject(pixel_centres(columns, rows), np.ones((rows, columns)))
    normals = (
        _fitted_normals(inverse, rays)
        if normals_camera is None
        else _unit(_averaged(normals_camera.astype(np.float64), columns, rows))
    )
    known: Bool = np.asarray(np.isfinite(inverse) & (inverse > 0))
    return Surfaces(
        points_camera=rays[known] / inverse[known][:, None],
        rays_camera=rays[known],
        normals_camera=normals[known],
        free=~_near_entities(masks, columns, rows)[known],
        cells=rows * columns,
    )


def depth_noise(surfaces: Surfaces) -> float:
    """Relative scatter of the depth from cell to cell, by how far a cell is from the middle of its neighbours."""
    inverse = -1.0 / surfaces.points_camera[:, 2]
    bend = inverse[1:-1] - (inverse[:-2] + inverse[2:]) / 2  # neighbours in a row, but for the row's ends
    return 1.4826 * float(np.median(np.abs(bend) / inverse[1:-1])) / np.sqrt(1.5) if len(bend) else 0.0


def _averaged(values: Float, columns: int, rows: int) -> Float:
    """Mean of the finite values `(H, W, C)` in each cell, NaN where fewer than half are."""
    if values.shape[:2] == (rows, columns):
        return values
    known: Bool = np.asarray(np.isfinite(values).all(axis=-1))
    filled = np.where(known[..., None], values, 0.0)
    share = cv2.resize(known.astype(np.float64), (columns, rows), interpolation=cv2.INTER_AREA)
    sums = cv2.resize(filled, (columns, rows), interpolation=cv2.INTER_AREA).reshape(rows, columns, -1)
    return np.where((share >= MIN_FILLED)[..., None], sums / np.maximum(share, 1e-9)[..., None], np.nan)


def _near_entities(masks: Iterable[Mask], columns: int, rows: int) -> Bool:
    """Cells that an entity touches, and their neighbours."""
    near = np.zeros((rows, columns), np.uint8)
    for mask in masks:
        near |= (cv2.resize(mask.astype(np.float32), (columns, rows), interpolation=cv2.INTER_AREA) > 0).astype(
            np.uint8
        )
    return cv2.dilate(near, np.ones((3, 3), np.uint8)).astype(bool)


def _fitted_normals(inverse: Float, rays: Float) -> Float:
    """Unit normals `(h, w, 3)` of the planes that fit the inverse depth `(h, w)` around each cell best; else NaN."""
    known = np.isfinite(inverse)
    w = np.where(known, inverse, 0.0)
    design = np.where(known[..., None], rays, 0.0)
    count = _window_sums(known.astype(np.float64))
    left = _window_sums(design[..., :, None] * design[..., None, :])
    right = _window_sums(design * w[..., None])
    squares = _window_sums(w * w)
    usable = known & (count >= MIN_FILLED * WINDOW**2) & (squares > 0)
    planes = np.full((*inverse.shape, 3), np.nan)
    # The ridge, far below the rays' spread in a window, only keeps a window without any from stopping the rest.
    matrix = left[usable] + 1e-12 * count[usable][:, None, None] * np.eye(3)
    planes[usable] = np.linalg.solve(matrix, right[usable][..., None])[..., 0]
    residual = np.maximum(squares - (planes * right).sum(axis=-1), 0.0)
    with np.errstate(invalid="ignore"):
        rough = np.sqrt(residual / np.maximum(squares, 1e-300)) > MAX_ROUGHNESS
    planes[rough] = np.nan
    return _unit(-planes)


def _window_sums(values: Float) -> Float:
    """Sums over each cell's window; cells outside of the picture count as 0."""
    flat = values.reshape(*values.shape[:2], -1)
    sums = [
        cv2.boxFilter(
            np.ascontiguousarray(flat[..., k]), cv2.CV_64F, (WINDOW, WINDOW), normalize=False,
            borderType=cv2.BORDER_CONSTANT,
        )
        for k in range(flat.shape[-1])
    ]  # fmt: skip
    return np.stack(sums, axis=-1).reshape(values.shape)


def _unit(vectors: Float) -> Float:
    """Unit vectors `(..., 3)`, NaN where the length is zero or unknown."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(length > 1e-9, vectors / length, np.nan)
