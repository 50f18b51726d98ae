"""Things of the photo that stand but are no entities: flat pictures of themselves, which only the preview draws."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from real2sam2real.arrays import Bool


@dataclass(frozen=True, kw_only=True, eq=False)
class Billboard:
    """An upright picture of a bystander, a parked car or a tree, facing the photo's camera."""

    name: str  # what it is, for people; need not be unique
    mask: Bool  # `(H, W)`, the photo's pixels that show it
    distance: float  # from the photo's camera along its level line of sight, in world units

    def __post_init__(self) -> None:
        if self.mask.ndim != 2 or not self.mask.any():
            raise ValueError(f"the billboard '{self.name}' shows nothing of the photo")
        if not (np.isfinite(self.distance) and self.distance > 0):
            raise ValueError(f"the billboard '{self.name}' stands {self.distance} away; it must be in front")
