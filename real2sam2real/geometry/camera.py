"""Pinhole intrinsics. A camera looks along its −Z with +X right and +Y up; pixels start at the top-left corner.

See docs/conventions.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from real2sam2real.arrays import Float


@dataclass(frozen=True, kw_only=True)
class Intrinsics:
    """Focal lengths and principal point in pixels of an image of `width × height`; pixel centres lie at +0.5.

    Raises:
        ValueError: a size or focal length is not positive and finite.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1:
            raise ValueError(f"an image of {self.width}×{self.height} pixels has no area; sizes start at 1×1")
        for name in ("fx", "fy"):
            value = getattr(self, name)
            if not np.isfinite(value) or value <= 0:
                raise ValueError(f"{name} is {value}; a focal length is a positive number of pixels")
        if not (np.isfinite(self.cx) and np.isfinite(self.cy)):
            raise ValueError(f"the principal point ({self.cx}, {self.cy}) is not finite")

    @classmethod
    def from_fov(cls, width: int, height: int, *, horizontal_degrees: float) -> Intrinsics:
        """Square pixels, principal point in the centre, the given horizontal field of view in degrees (0…180)."""
        if not 0 < horizontal_degrees < 180:
            raise ValueError(f"a field of view of {horizontal_degrees}° is outside 0…180°")
        return cls.from_focal(width, height, float(width / (2 * np.tan(np.radians(horizontal_degrees) / 2))))

    @classmethod
    def from_focal(cls, width: int, height: int, focal: float) -> Intrinsics:
        """Square pixels, principal point in the centre, the given focal length in pixels."""
        return cls(width=width, height=height, fx=focal, fy=focal, cx=width / 2, cy=height / 2)

    @property
    def horizontal_fov_degrees(self) -> float:
        """Angle between the left and the right edge of the image, in degrees."""
        return float(np.degrees(np.arctan2(self.cx, self.fx) + np.arctan2(self.width - self.cx, self.fx)))

    def resized(self, width: int, height: int) -> Intrinsics:
        """The same view sampled on a grid of another size."""
        sx, sy = width / self.width, height / self.height
        return Intrinsics(
            width=width, height=height, fx=self.fx * sx, fy=self.fy * sy, cx=self.cx * sx, cy=self.cy * sy
        )

    def cropped(self, left: int, top: int, width: int, height: int) -> Intrinsics:
        """The view of a window whose top-left corner is pixel `(left, top)`; the window may exceed the image."""
        return replace(self, width=width, height=height, cx=self.cx - left, cy=self.cy - top)

    def zoomed(self, factor: float) -> Intrinsics:
        """The focal length times `factor`, everything else as it is."""
        return replace(self, fx=self.fx * factor, fy=self.fy * factor)

    def project(self, points_camera: ArrayLike) -> tuple[Float, Float]:
        """Pixels `(..., 2)` and depths `(...)` (distance along −Z) of camera-space points `(..., 3)`.

        A point at or behind the camera plane has depth <= 0 and pixel NaN.
        """
        p = np.asarray(points_camera, np.float64)
        depth = -p[..., 2]
        safe = np.where(depth > 0, depth, np.nan)
        pixels = np.stack([self.cx + self.fx * p[..., 0] / safe, self.cy - self.fy * p[..., 1] / safe], axis=-1)
        return pixels, depth

    def unproject(self, pixels: ArrayLike, depth: ArrayLike) -> Float:
        """Camera-space points `(..., 3)` at `pixels` `(..., 2)` and `depth` `(...)` along −Z; inverse of `project`."""
        px = np.asarray(pixels, np.float64)
        d = np.asarray(depth, np.float64)
        x = (px[..., 0] - self.cx) / self.fx * d
        y = (self.cy - px[..., 1]) / self.fy * d
        return np.stack([x, y, np.broadcast_to(-d, x.shape)], axis=-1)
