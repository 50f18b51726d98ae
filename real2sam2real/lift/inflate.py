"""How thick an object is behind each pixel of its silhouette, when nothing but the silhouette is known."""

from __future__ import annotations

import cv2
import numpy as np
from scipy import sparse
from scipy.sparse.linalg import spsolve

from real2sam2real.arrays import Bool, Float

COARSE_SIDE = 110
FLATNESS = 0.85  # bodies are a little flatter than they are wide
WIDEST = 0.36  # of the silhouette's shorter side: half the depth of the thickest part


def half_thickness(inside: Bool) -> Float:
    """Half the depth behind each cell of a silhouette `(H, W)` bool, in cells; 0 outside.

    The square root of the Poisson solution ∇²φ = −2 is a half circle across a strip, so limbs become round and wide
    parts bulge smoothly without a ridge; what would swell beyond a share of the silhouette's size is flattened.
    """
    h, w = inside.shape
    scale = min(1.0, COARSE_SIDE / max(h, w))
    size = (max(3, round(w * scale)), max(3, round(h * scale)))
    coarse = cv2.resize(inside.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.4
    coarse = np.pad(coarse, 1)
    phi = _poisson(coarse)[1:-1, 1:-1] / scale**2
    smooth = np.sqrt(np.maximum(cv2.resize(phi, (w, h), interpolation=cv2.INTER_CUBIC), 0))
    distance = cv2.distanceTransform(np.pad(inside, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1].astype(np.float64)
    rows, columns = np.nonzero(inside)
    limit = WIDEST * min(np.ptp(rows) + 1, np.ptp(columns) + 1)
    thick = FLATNESS * np.maximum(smooth, 0.9 * np.sqrt(distance))
    thick = limit * np.tanh(thick / limit)
    # Near the contour the coarse solution is a blur; there the exact distance gives the half circle.
    return np.where(inside, np.minimum(thick, _round_edge(distance, thick)), 0.0)


def _round_edge(distance: Float, thick: Float) -> Float:
    """A quarter circle that rises from 0 at the contour to `thick` at that distance from it."""
    reach = np.maximum(thick, 1e-9)
    inner = np.clip(1 - np.maximum(distance - 0.5, 0.25) / reach, 0, 1)
    return thick * np.sqrt(1 - inner**2)


def _poisson(inside: Bool) -> Float:
    """Solve ∇²φ = −2 inside, φ = 0 outside, on the grid's own spacing."""
    ids = np.full(inside.shape, -1)
    ids[inside] = np.arange(inside.sum())
    rows, columns = np.nonzero(inside)
    own = ids[inside]
    entries = [(own, own, np.full(len(own), 4.0))]
    for dr, dc in ((0, 1), (1, 0), (0, -1), (-1, 0)):
        other = ids[rows + dr, columns + dc]
        linked = other >= 0
        entries.append((own[linked], other[linked], np.full(int(linked.sum()), -1.0)))
    i, j, value = (np.concatenate(parts) for parts in zip(*entries, strict=True))
    matrix = sparse.csc_matrix((value, (i, j)), shape=(len(own), len(own)))
    phi = np.zeros(inside.shape)
    if len(own):
        phi[inside] = spsolve(matrix, np.full(len(own), 2.0), permc_spec="MMD_AT_PLUS_A")
    return phi
