"""What stands behind the objects: a far-away surrounding and, in most worlds, a ground plane with soft shadows.

The surrounding depends on the viewing direction only, so between two frames it moves by the homography of the camera's
rotation and zoom. It is painted once per clip on a cylinder of (longitude, slope) around the world's +Y, as fine as the
video's own pixels. The ground is a plane with parallax; its texture is kept at several blurs so that it does not
flicker where it recedes, and it fades into haze towards the horizon.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from real2sam2real.arrays import Float, Float32, UInt8
from real2sam2real.lab.synth.materials import SolidTexture
from real2sam2real.mesh.compiled import kernel
from real2sam2real.scene import CameraPath

_BLURS = (1, 3, 7, 15)
"""Sides, in texels, of the box blurs of the ground texture."""


@dataclass(frozen=True, kw_only=True, eq=False)
class GroundPlane:
    """The plane y = `y`."""

    y: float  # height in world units
    material: SolidTexture  # looked at in world (x, z) divided by `unit`
    unit: float  # world units per material unit
    # `(2,)` world x, z of the middle of the textured square; beyond it the texture is mirrored
    centre: tuple[float, float]
    half: float  # half of the square's side in material units
    haze_color: Float32  # `(3,)` float32 that the ground fades into
    haze_distance: float  # world distance at which half of the colour is haze


@dataclass(frozen=True, kw_only=True, eq=False)
class Background:
    """Everything behind the objects."""

    # looked at in (longitude, slope, 0): longitude grows to the right of −Z, slope is height over horizontal distance
    far: SolidTexture
    ground: GroundPlane | None  # or None
    shadow: float  # darkening under an object that touches the ground, 0…1
    shadow_shift: tuple[float, float]  # `(2,)` world x, z offset of shadows per unit of the object's height


class Painter:
    """A background baked for one camera path and size."""

    def __init__(self, background: Background, camera: CameraPath, width: int, height: int) -> None:
        self.camera = camera.resized(width, height)
        self.ground = background.ground
        self.shadow = background.shadow
        focal = self.camera.intrinsics.fy * float(self.camera.zoom.max())
        longitude, slope = _view_range(self.camera)
        if self.ground is not None:
            slope = (max(slope[0], -0.1), max(slope[1], 0.1))
        self.pitch = 1.0 / focal
        self.origin = (longitude[0] - 2 * self.pitch, slope[1] + 2 * self.pitch)
        columns = int(np.ceil((longitude[1] - longitude[0]) / self.pitch)) + 4
        rows = int(np.ceil((slope[1] - slope[0]) / self.pitch)) + 4
        longitudes = self.origin[0] + (np.arange(columns, dtype=np.float64) + 0.5) * self.pitch
        slopes = self.origin[1] - (np.arange(rows, dtype=np.float64) + 0.5) * self.pitch
        self.far = _painted(background.far, longitudes, slopes, 0.7 * self.pitch)
        self.tiles = _ground_tiles(self.ground, height)
        self._shape = (height, width)
        self._last: tuple[bytes, Float32, Float32] | None = None

    def view(self, frame: int) -> tuple[Float32, Float32]:
        """Colours `(H, W, 3)` in 0…1 without shadows, and ground points `(H, W, 3)` world x, z and share of ground."""
        pose = self.camera.world_from_camera[frame]
        intrinsics = self.camera.intrinsics_at(frame)
        key = pose.tobytes() + np.float64(intrinsics.fy).tobytes()
        if self._last is None or self._last[0] != key:
            color = np.empty((*self._shape, 3), np.float32)
            hits = np.zeros((*self._shape, 3), np.float32)
            _cast(
                pose, np.array([intrinsics.fx, intrinsics.fy, intrinsics.cx, intrinsics.cy]), self.far,
                np.array([self.origin[0], self.origin[1], self.pitch]), self.tiles, _ground_numbers(self.ground),
                color, hits,
            )  # fmt: skip
            self._last = (key, color, hits)
        return self._last[1], self._last[2]


def _view_range(camera: CameraPath) -> tuple[tuple[float, float], tuple[float, float]]:
    """Smallest and largest longitude and slope that any frame sees, from points along the image border."""
    intrinsics = camera.intrinsics
    along = np.linspace(0.0, 1.0, 9)
    sides = np.stack(np.meshgrid([0.0, 1.0], along), axis=-1).reshape(-1, 2)  # left and right
    border = np.concatenate([sides, sides[:, ::-1]]) * (intrinsics.width, intrinsics.height)
    middle = np.array([intrinsics.cx, intrinsics.cy])
    focal = np.array([intrinsics.fx, -intrinsics.fy])
    plane = (border - middle) / focal / camera.zoom[:, None, None]
    ways = np.concatenate([plane, -np.ones_like(plane[..., :1])], axis=-1)
    ways = ways @ np.swapaxes(camera.world_from_camera[:, :3, :3], 1, 2)
    longitude = np.arctan2(ways[..., 0], -ways[..., 2])
    slope = ways[..., 1] / np.hypot(ways[..., 0], ways[..., 2])
    return (float(longitude.min()), float(longitude.max())), (float(slope.min()), float(slope.max()))


def _painted(material: SolidTexture, x: Float, y: Float, softness: float) -> Float32:
    """A picture `(rows, columns, 3)` of the material at `x` `(columns,)` and `y` `(rows,)` in the plane z = 0."""
    points = np.zeros((len(y), len(x), 3), np.float32)
    points[..., 0], points[..., 1] = x, y[:, None]
    return material.colors(points, softness).reshape(points.shape)


def _ground_tiles(ground: GroundPlane | None, height: int) -> Float32:
    """The ground's texture `(blurs, S, S, 3)`."""
    if ground is None:
        return np.zeros((1, 1, 1, 3), np.float32)
    size = int(np.clip(1.5 * height, 64, 512))
    step = 2 * ground.half / size
    at = -ground.half + (np.arange(size, dtype=np.float64) + 0.5) * step
    sharp = _painted(ground.material, at, at, 0.7 * step)
    return np.stack([sharp if side == 1 else cv2.blur(sharp, (side, side)) for side in _BLURS])


def _ground_numbers(ground: GroundPlane | None) -> Float:
    """`(9,)` for the kernel; the unit is 0 where there is no ground."""
    if ground is None:
        return np.zeros(9)
    return np.array(
        [ground.unit, ground.y, *ground.centre, ground.half, ground.haze_distance, *ground.haze_color], np.float64
    )


@kernel
def _add_bilinear(image: Float32, x: float, y: float, weight: float, out: Float) -> None:
    """Add `weight` × the colour at texel coordinates (centres at whole numbers), clamped at the border."""
    height, width = image.shape[0], image.shape[1]
    x = min(max(x, 0.0), width - 1.0)
    y = min(max(y, 0.0), height - 1.0)
    i, j = min(int(x), max(width - 2, 0)), min(int(y), max(height - 2, 0))
    s, t = x - i, y - j
    i1, j1 = min(i + 1, width - 1), min(j + 1, height - 1)
    for k in range(3):
        upper = image[j, i, k] * (1 - s) + image[j, i1, k] * s
        lower = image[j1, i, k] * (1 - s) + image[j1, i1, k] * s
        out[k] += weight * (upper * (1 - t) + lower * t)


@kernel
def _mirror(x: float, half: float) -> float:
    """Fold a coordinate into −half…half by mirroring, as a triangle wave."""
    folded = (x + half) / (4 * half)
    folded = (folded - np.floor(folded)) * 4 * half
    return (folded if folded <= 2 * half else 4 * half - folded) - half


@kernel
def _add_ground(x: float, z: float, footprint: float, tiles: Float32, ground: Float, weight: float, out: Float) -> None:
    """Add `weight` × the ground's colour at a world point, at the blur that suits a `footprint` (world units)."""
    unit, half = ground[0], ground[4]
    size = tiles.shape[1]
    step = 2 * half / size
    column = (_mirror((x - ground[2]) / unit, half) + half) / step - 0.5
    row = (_mirror((z - ground[3]) / unit, half) + half) / step - 0.5
    texels = footprint / unit / step
    if texels <= 1.0:  # log2(texels), piecewise linear
        level = 0.0
    elif texels <= 2.0:
        level = texels - 1.0
    elif texels <= 4.0:
        level = texels / 2
    else:
        level = min(1.0 + texels / 4, tiles.shape[0] - 1.0)
    i = min(int(level), tiles.shape[0] - 2)
    share = level - i
    _add_bilinear(tiles[i], column, row, weight * (1 - share), out)
    if share > 0.0:
        _add_bilinear(tiles[i + 1], column, row, weight * share, out)


@kernel
def _cast(
    pose: Float, intrinsics: Float, far: Float32, panorama: Float, tiles: Float32, ground: Float, color: Float32,
    hits: Float32,
) -> None:  # fmt: skip
    """Fill one view; see `Painter.view`."""
    fx, fy, cx, cy = intrinsics[0], intrinsics[1], intrinsics[2], intrinsics[3]
    height, width = color.shape[0], color.shape[1]
    soft = 1.0 / fy  # a pixel's angle: the horizon's edge is blurred over it
    mixed = np.empty(3)
    for row in range(height):
        for column in range(width):
            a, b = (column + 0.5 - cx) / fx, (cy - row - 0.5) / fy
            x = pose[0, 0] * a + pose[0, 1] * b - pose[0, 2]
            y = pose[1, 0] * a + pose[1, 1] * b - pose[1, 2]
            z = pose[2, 0] * a + pose[2, 1] * b - pose[2, 2]
            flat = np.sqrt(x * x + z * z)
            slope = y / flat
            share = 0.0
            if ground[0] > 0.0:
                share = min(max(0.5 - slope / soft, 0.0), 1.0)
            mixed[:] = 0.0
            if share < 1.0:
                longitude = np.arctan2(x, -z)
                _add_bilinear(
                    far, (longitude - panorama[0]) / panorama[2] - 0.5, (panorama[1] - slope) / panorama[2] - 0.5,
                    1.0 - share, mixed,
                )  # fmt: skip
            if share > 0.0:
                drop = pose[1, 3] - ground[1]
                distance = drop / max(-slope, 0.25 * soft)  # along the ground
                hits[row, column, 0] = pose[0, 3] + x / flat * distance
                hits[row, column, 1] = pose[2, 3] + z / flat * distance
                hits[row, column, 2] = share
                far_off = (distance / ground[5]) ** 4
                haze = far_off / (1.0 + far_off)
                # A pixel covers soft · distance across and about 1 / slope times that along the view.
                footprint = soft * distance * np.sqrt(distance / drop)
                if haze < 0.98:
                    _add_ground(
                        hits[row, column, 0], hits[row, column, 1], footprint, tiles, ground, share * (1 - haze), mixed
                    )
                else:
                    haze = 1.0
                for k in range(3):
                    mixed[k] += share * haze * ground[6 + k]
            color[row, column, :] = mixed


@kernel
def compose(
    color: Float32, hits: Float32, front: UInt8, coverage: Float32, shadows: Float32, strengths: Float32, out: UInt8
) -> None:
    """Darken the ground by shadows, lay the objects over it, and round to 8 bits.

    Args:
        color: `(H, W, 3)` background in 0…1.
        hits: `(H, W, 3)` ground point x, z and share of ground.
        front: `(H, W, 3)` the objects.
        coverage: `(H, W)` share of the pixel that objects cover.
        shadows: `(N, 2, 3)` rows that map (x, z, 1) to a shadow's own axes, where it fades at distance √3.
        strengths: `(N,)` darkening in the middle of each.
        out: `(H, W, 3)` uint8.
    """
    height, width = coverage.shape
    for row in range(height):
        for column in range(width):
            cover = coverage[row, column]
            light = 1.0
            ground = hits[row, column, 2]
            if ground > 0.0 and cover < 1.0:
                x, z = hits[row, column, 0], hits[row, column, 1]
                for n in range(len(strengths)):
                    a = shadows[n, 0, 0] * x + shadows[n, 0, 1] * z + shadows[n, 0, 2]
                    b = shadows[n, 1, 0] * x + shadows[n, 1, 1] * z + shadows[n, 1, 2]
                    square = a * a + b * b
                    if square < 3.0:
                        fade = 1.0 - square / 3.0
                        light *= 1.0 - strengths[n] * ground * fade * fade * fade
            for k in range(3):
                value = 255.0 * color[row, column, k] * light * (1 - cover) + front[row, column, k] * cover
                out[row, column, k] = np.uint8(min(max(value + 0.5, 0.0), 255.0))
