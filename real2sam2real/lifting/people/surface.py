"""Smooth fields on a body's surface: offsets, colours."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_matrix, csc_matrix, diags, identity
from scipy.sparse.linalg import factorized

from real2sam2real.arrays import Bool, Float, Int, Int32
from real2sam2real.mesh import Mesh

AT_REST = 2e-4  # how strongly what nothing pulls stays as it is
MEMBRANE = 0.05  # beside bending: without it a field would go on rising beyond the last pull
NORMAL_ROUNDS = 12


class BodySurface:
    """Which vertices of a mesh are neighbours, for fields on it that are smooth."""

    def __init__(self, faces: Int32, count: int) -> None:
        ends = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
        ones = np.ones(len(ends))
        graph = coo_matrix((ones, (ends[:, 0], ends[:, 1])), shape=(count, count)).tocsr()
        graph = ((graph + graph.T) > 0).astype(np.float64)
        degree = np.maximum(np.asarray(graph.sum(axis=1)).ravel(), 1)
        self.mean = diags(1 / degree) @ graph
        laplacian = identity(count) - self.mean
        self.membrane = csc_matrix(diags(degree) - graph)
        self.smoothness = csc_matrix(MEMBRANE * self.membrane + laplacian.T @ laplacian)
        self.count = count

    def smoothed_normals(self, vertices: Float, faces: Int32) -> Float:
        """`(V, 3)` unit normals without the finer shapes, along which cloth hangs."""
        normals = Mesh(vertices=vertices, faces=faces).vertex_normals()
        for _ in range(NORMAL_ROUNDS):
            normals = 0.5 * normals + 0.5 * (self.mean @ normals)
            normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
        return normals

    def smoothed(self, values: Float, rounds: int) -> Float:
        """`(V, C)`: each vertex's value drawn halfway to its neighbours' mean, so many times."""
        for _ in range(rounds):
            values = 0.5 * values + 0.5 * (self.mean @ values)
        return values

    def spread(self, values: Float, known: Bool) -> Float:
        """`(V, C)`: the known ones of `values`, and between them the mean of the neighbours everywhere (harmonic)."""
        pull = np.where(known, 1e4, 1e-6)
        centre = values[known].mean(axis=0)
        solve = factorized(csc_matrix(diags(pull) + self.membrane))
        right = np.where(known[:, None], values, centre) * pull[:, None]
        return np.stack([solve(column) for column in right.T], axis=1)

    def smooth_field(self, numbers: Int, wanted: Float, weights: Float, stiffness: float) -> Float:
        """`(V, C)`: the smoothest field that is about `wanted` `(N, C)` at the vertices `numbers` `(N,)`.

        What is far from a first answer is taken for a mistake, and left out of the second.
        """
        field = self._solved(numbers, wanted, weights, 4 * stiffness)
        off = np.linalg.norm(field[numbers] - wanted, axis=1)
        kept = off <= 3 * np.median(off) + 1e-9
        return self._solved(numbers[kept], wanted[kept], weights[kept], stiffness)

    def _solved(self, numbers: Int, wanted: Float, weights: Float, stiffness: float) -> Float:
        pull = np.bincount(numbers, weights, self.count)
        right = np.stack([np.bincount(numbers, weights * column, self.count) for column in wanted.T], axis=1)
        solve = factorized(csc_matrix(diags(pull + AT_REST) + stiffness * self.smoothness))
        return np.stack([solve(column) for column in right.T], axis=1)
