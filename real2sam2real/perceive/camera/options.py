"""What a user may say about the camera of a photo, and which estimator looks at it. Light: no image is touched here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from real2sam2real.errors import UserError

Estimator = Literal["none", "depth-pro", "moge"]
ESTIMATORS: tuple[Estimator, ...] = ("none", "depth-pro", "moge")

FOV_RANGE_DEGREES = (1.0, 150.0)
PITCH_RANGE_DEGREES = (-80.0, 85.0)
ROLL_RANGE_DEGREES = (-60.0, 60.0)


@dataclass(frozen=True, kw_only=True)
class ViewOptions:
    """How to find lens, depth, gravity and ground of one photo. What is given wins over what is estimated.

    Attributes:
        estimator: "depth-pro" or "moge" give depth in metres; "none" uses the photo's EXIF data and the masks alone.
        model: the estimator's weights, an id on the hub or a path here; its default where None.
        offline: never download.
        fov: horizontal field of view in degrees.
        pitch: how far the camera looks down, in degrees.
        roll: how far the camera is turned clockwise, seen from behind it, in degrees; the picture then leans left.

    Raises:
        UserError: a value is out of range.
    """

    estimator: Estimator = "none"
    model: str | None = None
    offline: bool = False
    fov: float | None = None
    pitch: float | None = None
    roll: float | None = None

    def __post_init__(self) -> None:
        if self.estimator not in ESTIMATORS:
            raise UserError(f"there is no estimator '{self.estimator}'; choose one of {', '.join(ESTIMATORS)}")
        _require_inside("a horizontal field of view", self.fov, FOV_RANGE_DEGREES, "phones have 50…75°")
        _require_inside("a pitch", self.pitch, PITCH_RANGE_DEGREES, "positive looks down")
        _require_inside("a roll", self.roll, ROLL_RANGE_DEGREES, "turn the photo upright first")


def _require_inside(what: str, value: float | None, bounds: tuple[float, float], hint: str) -> None:
    low, high = bounds
    if value is not None and not low <= value <= high:
        raise UserError(f"{what} of {value:g}° is outside {low:g}…{high:g}°; {hint}")
