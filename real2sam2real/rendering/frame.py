"""What the renderer gives back, and the light it may shade colour with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from real2sam2real.arrays import Float, Float32, UInt8


@dataclass(frozen=True, kw_only=True, eq=False)
class Frame:
    """One rendered frame of H×W pixels. The arrays belong to the caller.

    Under anti-aliasing `normals`, `color` and `coverage` are soft, `ids` and `depth` stay crisp: a pixel's id is the
    one that most of its four samples show, on a tie that of the nearest sample, and its depth is the mean over the
    samples of that id.
    """

    # `(H, W, 3)` float32, camera space, unit length; zero where no sample hits a surface, and where they were declined
    normals: Float32
    ids: UInt8  # `(H, W)` uint8; entity k of the scene is k + 1, 0 is none
    depth: Float32  # `(H, W)` float32, distance along the camera's −Z in scene units, infinite where the id is 0
    # `(H, W, 3)` uint8 sRGB of what was hit, not darkened by partial coverage and black where nothing was hit; None
    # unless asked for. To lay it over a background, mix by `coverage`
    color: UInt8 | None = None
    # `(H, W)` float32 in 0…1, the share of samples that hit a surface; None unless anti-aliased
    coverage: Float32 | None = None


@dataclass(frozen=True, kw_only=True)
class Light:
    """A far-away light: colour × (ambient + diffuse · max(0, n·l)) + white · specular · max(0, n·h)^shininess.

    The sum is taken on sRGB values, as a picture's shading and not as a physical simulation, and clipped at white.

    Raises:
        ValueError: the direction has no length, or a share is negative or not finite.
    """

    # from the scene towards the light, in world space; any length but zero
    direction_world: tuple[float, float, float] = (0.3, 0.8, 0.5)
    ambient: float = 0.45  # share of the colour that needs no light
    diffuse: float = 0.55  # share that a surface facing the light adds (Lambert)
    specular: float = 0.0  # brightness of the highlight, 0 for none (Blinn-Phong)
    shininess: float = 24.0  # exponent of the highlight; larger is smaller and sharper

    def __post_init__(self) -> None:
        direction = np.asarray(self.direction_world, np.float64)
        if direction.shape != (3,) or not np.isfinite(direction).all() or not np.linalg.norm(direction) > 1e-12:
            raise ValueError(f"the light's direction {self.direction_world} is not a finite vector with a length")
        for name in ("ambient", "diffuse", "specular", "shininess"):
            value = getattr(self, name)
            if not np.isfinite(value) or value < 0:
                raise ValueError(f"the light's {name} is {value}; it must be a finite number, 0 or more")

    def in_camera(self, world_from_camera: Float) -> Float:
        """`(7,)` float64: unit direction in camera space, ambient, diffuse, specular, shininess."""
        direction = np.asarray(self.direction_world, np.float64) @ world_from_camera[:3, :3]
        direction = direction / np.linalg.norm(direction)
        return np.array([*direction, self.ambient, self.diffuse, self.specular, self.shininess])
