"""What a user may say about the camera of a photo, and which estimator looks at it. Light: no image is touched here."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, get_args

from tyro.conf import arg

from real2sam2real.errors import UserError
from real2sam2real.options import Hidden

DepthModel = Literal["none", "moge", "depth-pro"]
DepthKind = Literal["auto", "metric", "relative", "disparity", "inverse"]
DEPTH_FILE_SUFFIXES = (".png", ".tif", ".tiff", ".pfm", ".exr", ".npy", ".npz")

FOV_RANGE_DEGREES = (1.0, 150.0)
PITCH_RANGE_DEGREES = (-80.0, 85.0)
ROLL_RANGE_DEGREES = (-60.0, 60.0)


@dataclass(frozen=True, kw_only=True)
class ViewOptions:
    """What is known of the photo's camera; docs/camera.md says what happens otherwise.

    Raises:
        UserError: a value is out of range.
    """

    fov: Annotated[float | None, arg(metavar="DEGREES", help_behavior_hint="(default: from EXIF, else 55)")] = None
    """Horizontal field of view."""
    focal: Annotated[float | None, arg(metavar="PIXELS", help_behavior_hint="")] = None
    """The same as a focal length in pixels of the photo's file."""
    pitch: Annotated[float | None, arg(metavar="DEGREES", help_behavior_hint="(default: estimated)")] = None
    """How far the camera looks down; tells the lifter how the ground lies."""
    roll: Hidden[float | None] = None
    """How far the camera is turned clockwise, seen from behind it, in degrees; the picture then leans left."""
    depth: Annotated[str, arg(metavar="{none,moge,depth-pro}|FILE")] = "none"
    """Depth, gravity and ground from MoGe-2 (MIT), Depth Pro (for research only), or a depth map of your own: PNG,
    TIFF, PFM, EXR, NPY, NPZ."""
    depth_kind: Annotated[DepthKind, arg(metavar="{auto,metric,relative,disparity,inverse}")] = "auto"
    """What a depth map's numbers are: metres (16 bits: millimetres), depths or disparities of any scale, or inverse
    depths of any scale and shift."""
    depth_model: Annotated[str | None, arg(metavar="FOLDER|ID", help_behavior_hint="(default: the published one)")] = (
        None
    )
    """Weights of the depth estimator."""
    offline: Hidden[bool] = False
    """Never download."""

    def __post_init__(self) -> None:
        if self.depth not in get_args(DepthModel) and self.depth_file is None:
            raise UserError(
                f"there is no estimator '{self.depth}'; choose one of {', '.join(get_args(DepthModel))}, or give a "
                f"depth map ({', '.join(DEPTH_FILE_SUFFIXES)})"
            )
        if self.depth_kind != "auto" and self.depth_file is None:
            raise UserError(f"--depth-kind {self.depth_kind} is for a depth map; give one by --depth FILE")
        if self.fov is not None and self.focal is not None:
            raise UserError("--fov and --focal say the same; give one of them")
        if self.focal is not None and not 1 <= self.focal < 1e6:
            raise UserError(f"--focal {self.focal:g} is not a focal length in pixels; a photo's is about its width")
        _require_inside("a horizontal field of view", self.fov, FOV_RANGE_DEGREES, "phones have 50…75°")
        _require_inside("a pitch", self.pitch, PITCH_RANGE_DEGREES, "positive looks down")
        _require_inside("a roll", self.roll, ROLL_RANGE_DEGREES, "turn the photo upright first")

    @property
    def depth_file(self) -> Path | None:
        """The depth map, where `depth` names one."""
        path = Path(self.depth)
        return path if path.suffix.lower() in DEPTH_FILE_SUFFIXES else None

    def horizontal_fov(self, width: int) -> float | None:
        """Degrees across a photo of `width` pixels, where they are given; `focal` counts in pixels of that photo."""
        if self.focal is None:
            return self.fov
        return math.degrees(2 * math.atan(width / (2 * self.focal)))


def _require_inside(what: str, value: float | None, bounds: tuple[float, float], hint: str) -> None:
    low, high = bounds
    if value is not None and not low <= value <= high:
        raise UserError(f"{what} of {value:g}° is outside {low:g}…{high:g}°; {hint}")
