"""Per-frame vertices as morph targets with weights over time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from real2sam2real.arrays import Float, Float32

MOST_TARGETS = 200
"""Up to so many distinct frames each has a target of its own; longer sequences share a smaller set of shapes."""

_TOLERANCE = 1e-5
"""Largest error of a shared set of shapes, as a fraction of the mesh's size."""


@dataclass(frozen=True, eq=False)
class Morph:
    """Frame t is the base plus the sum of `weights[t, k] * targets[k]`.

    Attributes:
        targets: `(K, V, 3)` float32 displacements.
        weights: `(T, K)` float32.
        names: `(K,)` what the targets are called.
    """

    targets: Float32
    weights: Float32
    names: list[str]


def morph_of(base: Float, deformed: Float32) -> Morph:
    """Targets that turn `base` `(V, 3)` into `deformed` `(T, V, 3)`.

    One target per distinct frame is exact and linear between frames, as a mesh cache would be. A sequence of more than
    `MOST_TARGETS` distinct frames is written in its principal components, to 1e-5 of the mesh's size.
    """
    seen: dict[bytes, int] = {}
    shown = np.array([seen.setdefault((frame + 0.0).tobytes(), len(seen)) for frame in deformed])  # −0 equals 0
    _, first = np.unique(shown, return_index=True)
    moved = (deformed[first] - base).astype(np.float32)
    if len(first) <= MOST_TARGETS:
        weights = np.zeros((len(deformed), len(first)), np.float32)
        weights[np.arange(len(deformed)), shown] = 1.0
        return Morph(moved, weights, [f"frame {frame}" for frame in first])
    targets, weights = _principal(moved, _TOLERANCE * float(np.ptp(base, axis=0).max()))
    return Morph(targets, weights[shown], [f"shape {k + 1}" for k in range(len(targets))])


def _principal(moved: Float32, tolerance: float) -> tuple[Float32, Float32]:
    """The fewest principal components (in steps of half as many again) that rebuild `(T, V, 3)` within `tolerance`.

    The eigenvectors of the frames' T×T Gram matrix give the components without a decomposition of the whole sequence.
    """
    flat = moved.reshape(len(moved), -1)
    order = np.linalg.eigh(flat.astype(np.float64) @ flat.T.astype(np.float64))[1][:, ::-1]
    count = 8
    while True:
        count = min(count, len(flat))
        directions = order[:, :count]
        shapes = directions.T @ flat  # (K, 3V)
        largest = np.abs(directions).max(axis=0)  # weights within −1…1, as sliders in other tools expect
        targets = (shapes * largest[:, None]).astype(np.float32)
        weights = (directions / largest).astype(np.float32)
        if count == len(flat) or np.abs(weights @ targets - flat).max() <= tolerance:
            return targets.reshape(count, *moved.shape[1:]), weights
        count += count // 2
