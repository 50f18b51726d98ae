"""How far away the photo's background is, pixel by pixel: what stands behind the entities, with their places filled."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from real2sam2real.arrays import Float32


@dataclass(frozen=True, kw_only=True, eq=False)
class BackgroundRelief:
    """The relief behind a photo's entities and billboards, as its camera sees it."""

    # `(h, w)` float32 of the photo's aspect: 1 / distance along the camera's −Z, in 1 / world units; 0 is the sky
    inverse_depth: Float32
    source: str  # where it is from, for people

    def __post_init__(self) -> None:
        inverse = self.inverse_depth
        if inverse.ndim != 2 or min(inverse.shape) < 2:
            raise ValueError(f"a background's depth has shape {inverse.shape}; it must be (height, width)")
        if not (np.isfinite(inverse).all() and (inverse >= 0).all() and inverse.any()):
            raise ValueError("a background's inverse depth must be finite, nowhere negative, and not 0 everywhere")
