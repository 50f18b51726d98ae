"""What a depth estimator gives, and how it is brought to the photo's size and camera frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import cv2
import numpy as np

from real2sam2real.arrays import Float, Float32, UInt8
from real2sam2real.geometry import Intrinsics
from real2sam2real.perceive.camera.options import FOV_RANGE_DEGREES

FocalSource = Literal["given", "model", "assumed"]

WORKING_SIDE = 1536  # pixels along the longer side of what an estimator sees: Depth Pro's own input size
FAR_METRES = 250.0  # farther, an estimate says "far away" and no more: sky and hills are no surfaces to stand on
EDGE_STEP = 0.05  # of the depth: where neighbours differ by more, depth is not interpolated between them


@dataclass(frozen=True, kw_only=True, eq=False)
class DepthEstimate:
    """One photo's depth as a model gives it, at the size of the picture that it was shown."""

    depth: Float32  # `(H, W)` float32, distance along the camera's −Z; NaN where there is no surface or it is not known
    focal_px: float  # the focal length in pixels that the depth belongs to; pixels are square, the lens is centred
    focal_source: FocalSource  # whether it was given, is the model's own, or was assumed because the model has none
    model_focal_px: float | None  # what the model itself takes the focal length for, where it says so
    # `(H, W, 3)` float32 unit normals in our camera frame, NaN where there is none; None where the model gives none
    normals_camera: Float32 | None
    metric: bool  # whether the depth is in metres


class DepthEstimator(Protocol):
    """A model that is loaded once and asked for one photo after another."""

    name: str  # how people call it
    model: str  # the id or path of its weights
    licence: str  # under which terms its default weights are published, in a few words

    def estimate(self, pixels: UInt8, *, known_focal: float | None, assumed_focal: float) -> DepthEstimate:
        """Depth of `pixels` `(H, W, 3)` uint8 sRGB.

        Args:
            pixels: the picture.
            known_focal: focal length in pixels of this picture; where given, the depth is made for it.
            assumed_focal: the same for a model that cannot tell it.
        """


def chosen_focal(
    width: int, *, known: float | None, model: float | None, assumed: float
) -> tuple[float, FocalSource, float | None]:
    """Which focal length counts, where it is from, and the model's own where it makes sense (1…150° across `width`)."""
    low, high = (width / (2 * np.tan(np.radians(fov) / 2)) for fov in reversed(FOV_RANGE_DEGREES))
    sensible = model if model is not None and low <= model <= high else None
    if known is not None:
        return known, "given", sensible
    if sensible is not None:
        return sensible, "model", sensible
    return assumed, "assumed", None


def with_unknown(depth: Float32, *, metric: bool) -> Float32:
    """The depth with NaN for what is no surface: not finite, not in front, or (in metres) beyond `FAR_METRES`."""
    farthest = FAR_METRES if metric else np.inf
    with np.errstate(invalid="ignore"):
        known = np.isfinite(depth) & (depth > 0) & (depth <= farthest)
    return np.where(known, depth, np.float32(np.nan)).astype(np.float32)


def resized_depth(depth: Float32, width: int, height: int) -> Float32:
    """Depth `(h, w)` sampled at `(height, width)`.

    Inverse depth is interpolated within a surface (it is linear in the picture on a plane); across an edge, and beside
    unknown pixels, the nearest pixel's depth is taken, so that no points float between two surfaces.
    """
    if depth.shape == (height, width):
        return depth
    inverse = 1.0 / depth.astype(np.float64)
    nearest = cv2.resize(inverse, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
    linear = cv2.resize(inverse, (width, height), interpolation=cv2.INTER_LINEAR)
    with np.errstate(invalid="ignore"):
        smooth = np.abs(linear / nearest - 1.0) < EDGE_STEP  # False beside NaN
    return (1.0 / np.where(smooth, linear, nearest)).astype(np.float32)


def pointmap(depth: Float32, intrinsics: Intrinsics) -> Float32:
    """Camera-space points `(H, W, 3)` float32 at the pixel centres of `depth` `(H, W)`; NaN where it is."""
    return intrinsics.unproject(pixel_centres(intrinsics.width, intrinsics.height), depth).astype(np.float32)


def pixel_centres(width: int, height: int) -> Float:
    """`(height, width, 2)` pixel coordinates, x first."""
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    return np.stack([x, y], axis=-1)
