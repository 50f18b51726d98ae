"""What kinds of worlds are drawn."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class WorldConfig:
    """The distribution of worlds. The defaults are what `mini` is trained on.

    Attributes:
        detail: typical size of the smallest texture features as a share of the image height. A codec with blocks of
            b pixels sees most of the texture when it is at least b / height.
        max_objects: most objects in a clip, 1…8.
        object_size: range of an object's size at rest as a share of the image height: the geometric mean of its two
            longest extents, so that thin bodies cover enough pixels too.
        fov_degrees: range of the horizontal field of view (of an 8:5 image).
        ground: probability of a ground plane; otherwise objects float before a far background.
        static_camera: probability that the camera rests.
        still_objects: probability that no object moves while the camera does.
        max_orbit_degrees: largest orbit.
        max_pan_degrees: largest pan.
        shadows: soft contact shadows on the ground.
        vivid: saturation of the most colourful palettes, 0…1.

    Raises:
        ValueError: a value is out of its range.
    """

    detail: float = 0.1
    max_objects: int = 4
    object_size: tuple[float, float] = (0.24, 0.58)
    fov_degrees: tuple[float, float] = (35.0, 65.0)
    ground: float = 0.65
    static_camera: float = 0.45
    still_objects: float = 0.5
    max_orbit_degrees: float = 35.0
    max_pan_degrees: float = 15.0
    shadows: bool = True
    vivid: float = 0.85

    def __post_init__(self) -> None:
        for name in ("ground", "static_camera", "still_objects", "vivid"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must lie in 0…1")
        if not 0.005 <= self.detail <= 0.5:
            raise ValueError(f"detail is {self.detail}; it is a share of the image height and must lie in 0.005…0.5")
        if not 1 <= self.max_objects <= 8:
            raise ValueError(f"max_objects is {self.max_objects}; it must be 1…8")
        if not 0.1 < self.object_size[0] <= self.object_size[1] <= 0.7:
            raise ValueError(f"object_size is {self.object_size}; it must be a rising range within 0.1…0.7")
        if not 10 <= self.fov_degrees[0] <= self.fov_degrees[1] <= 100:
            raise ValueError(f"fov_degrees is {self.fov_degrees}; it must be a rising range within 10…100")
        for name in ("max_orbit_degrees", "max_pan_degrees"):
            if not 0 <= getattr(self, name) <= 60:
                raise ValueError(f"{name} is {getattr(self, name)}; it must lie in 0…60")
