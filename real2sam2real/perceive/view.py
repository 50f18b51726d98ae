"""What the photo says about its camera and the world in front of it: lens, depth, gravity, unit and ground."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from real2sam2real.arrays import Float, Float32
from real2sam2real.geometry import Intrinsics

Unit = Literal["metre", "unit"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Plane:
    """The points p with `normal · p = offset`, in the photo's camera frame (+X right, +Y up, looking along −Z).

    Attributes:
        normal: `(3,)` float64 unit vector; of a ground plane, it points up, to the camera's side.
        offset: in the view's unit; negative where the camera stands above the plane.
    """

    normal: Float
    offset: float


@dataclass(frozen=True, kw_only=True, eq=False)
class PhotoView:
    """The photo's camera and what is known of the world that it sees. Frames as in docs/conventions.md.

    Attributes:
        intrinsics: of the photo at its working size.
        points_camera: `(H, W, 3)` float32, what each pixel shows, in the camera frame and in `unit`; NaN where that is
            unknown (sky). None without a depth estimator.
        up_camera: `(3,)` float64 unit vector against gravity, in the camera frame; None when it is not known.
        ground: the plane that things stand on, in the camera frame; None when none is seen. Its normal is `up_camera`
            or close to it.
        unit: "metre" where a metric estimator says so.
        provenance: how each of them was found: JSON values, kept in scene.json.
        notes: the same in words, for people.
    """

    intrinsics: Intrinsics
    points_camera: Float32 | None = None
    up_camera: Float | None = None
    ground: Plane | None = None
    unit: Unit = "unit"
    provenance: dict[str, object] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
