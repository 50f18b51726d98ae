"""What kinds of worlds are drawn."""

from __future__ import annotations

from dataclasses import dataclass

_PROBABILITIES = (
    "ground", "static_camera", "still_objects", "vivid", "deforming", "varied_light", "cast_shadows", "glossy",
    "rich_camera", "handheld", "occluder",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class WorldConfig:
    """The distribution of worlds. The defaults are what `mini` is trained on.

    Raises:
        ValueError: a value is out of its range.
    """

    # typical size of the smallest texture features as a share of the image height. A codec with blocks of b pixels sees
    # most of the texture when it is at least b / height.
    detail: float = 0.1
    max_objects: int = 4  # most objects in a clip, 1…8
    # range of an object's size at rest as a share of the image height: the geometric mean of its two longest extents,
    # so that thin bodies cover enough pixels too
    object_size: tuple[float, float] = (0.24, 0.58)
    fov_degrees: tuple[float, float] = (35.0, 65.0)  # range of the horizontal field of view (of an 8:5 image)
    ground: float = 0.65  # probability of a ground plane; otherwise objects float before a far background
    static_camera: float = 0.45  # probability that the camera rests
    still_objects: float = 0.5  # probability that no object moves while the camera does
    max_orbit_degrees: float = 35.0  # largest orbit
    max_pan_degrees: float = 15.0  # largest pan
    shadows: bool = True  # soft contact shadows on the ground
    vivid: float = 0.85  # saturation of the most colourful palettes, 0…1
    deforming: float = 0.0  # probability per object that it bends, twists, stretches or waves
    varied_light: float = 0.0  # probability of coloured light from dim to bright that may turn or change its strength
    cast_shadows: float = 0.0  # probability, in worlds with ground, of shadows thrown along the light
    glossy: float = 0.0  # probability that a ground mirrors the objects
    # probability that a moving camera takes a longer path, of up to three moves, than one or two of the plain ones
    rich_camera: float = 0.0
    handheld: float = 0.0  # probability that the camera shakes as if held by hand, on top of its path
    occluder: float = 0.0  # probability that one more object stands or passes in front of another

    def __post_init__(self) -> None:
        for name in _PROBABILITIES:
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


def varied_world() -> WorldConfig:
    """Worlds with everything on: bodies that deform, all kinds of light, camera paths, occlusion, mirroring ground."""
    return WorldConfig(
        max_objects=6,
        static_camera=0.35,
        max_orbit_degrees=60.0,
        deforming=0.3,
        varied_light=0.75,
        cast_shadows=0.6,
        glossy=0.15,
        rich_camera=0.5,
        handheld=0.25,
        occluder=0.3,
    )
