"""The photo's background seen from another camera: a ground plane in front of a far wall.

Nothing is known of the background's shape, so it is taken for the simplest shape: below, the ground plane (where the
scene has one); behind, an upright wall facing the photo's camera. Without a ground the wall is infinitely far away,
so that only turning and zooming move it. A camera that only turns sees the exact picture whatever that shape, because
all rays still start at the photo's centre of projection. What the photo does not show is made up near its border, and
farther out it is mirrored, growing blurred.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import cv2
import numba
import numpy as np

from real2sam2real.arrays import Float, Float32, Int, UInt8
from real2sam2real.geometry import Intrinsics, transforms
from real2sam2real.rendering.inpaint import Inpainter, inpaint

# Beyond this angle from the photo's axis the picture plane's tangent is continued by a straight line: it would run to
# infinity at a right angle, and the mirrored photo has to go round the whole turn.
_STRAIGHT_FROM = np.radians(55.0)
_BLUR_GROWTH = 0.35  # standard deviation of the blur beyond the picture's border, as a share of the distance from it
_BLUR_LIMIT = 0.08  # the strongest blur, as a share of the picture's width: shapes gone, colours kept
_WIDEN_LIMIT = 0.3  # at most this share of the picture's width and height is made up at each side


@dataclass(frozen=True, kw_only=True, eq=False)
class GroundAndWall:
    """Where the background stands."""

    world_from_camera: Float  # `(4, 4)` pose of the photo's camera
    intrinsics: Intrinsics  # of the photo, at the size of the pictures to be warped
    ground_y: float | None = None  # height of the ground plane in world units, or None
    # from the photo's camera to the wall along its level line of sight, in world units; infinite for a background that
    # is far away
    wall_distance: float = np.inf

    def lookup(
        self, world_from_camera: Float, intrinsics: Intrinsics, origin: tuple[float, float] = (0.0, 0.0)
    ) -> Float32:
        """`(H, W, 2)` float32: where the pixels of another camera with this pose `(4, 4)` and size lie in the photo.

        Pixel coordinates x, y, centres at +0.5, also outside its borders; `origin` is where the photo's corner is.
        """
        photo_from_world = transforms.invert_rigid(self.world_from_camera)
        pose = photo_from_world @ world_from_camera  # everything in the photo's camera frame from here on
        up = photo_from_world[:3, 1]
        eye_height = np.inf if self.ground_y is None else float(self.world_from_camera[1, 3]) - self.ground_y
        forward = np.array([0.0, 0.0, -1.0])
        level = forward - up * (forward @ up)
        length = float(np.linalg.norm(level))
        wall = level / length if length > 1e-3 else forward  # a camera that looks straight down faces its floor
        other = np.array([intrinsics.fx, intrinsics.fy, intrinsics.cx, intrinsics.cy])
        mine = self.intrinsics
        photo = np.array([mine.fx, mine.fy, mine.cx + origin[0], mine.cy + origin[1]])
        found = np.empty((intrinsics.height, intrinsics.width, 2), np.float32)
        # A ground above the photo's eye is no ground to it.
        _trace(pose, other, photo, up, eye_height if eye_height > 0 else np.inf, wall, self.wall_distance, found)
        return found


@dataclass(frozen=True, kw_only=True)
class Margins:
    """Pixels around a picture that some frame of a shot looks at."""

    left: int = 0
    top: int = 0
    right: int = 0
    bottom: int = 0

    @classmethod
    def of(cls, lookups: Iterable[Float32], width: int, height: int) -> Margins:
        """What all `lookups` need of a `width × height` picture's outside, up to a limit."""
        low, high = np.zeros(2), np.zeros(2)
        for lookup in lookups:
            flat = lookup.reshape(-1, 2)
            low = np.minimum(low, flat.min(axis=0))
            high = np.maximum(high, flat.max(axis=0) - (width, height))
        limit = (_WIDEN_LIMIT * width, _WIDEN_LIMIT * height)
        left, top = (int(np.ceil(min(-low[k], limit[k]))) for k in range(2))
        right, bottom = (int(np.ceil(min(high[k], limit[k]))) for k in range(2))
        return cls(left=left, top=top, right=right, bottom=bottom)

    def widened(self, picture: UInt8, inpainter: Inpainter = inpaint) -> UInt8:
        """The picture with made-up surroundings, `(H + top + bottom, W + left + right, 3)` uint8."""
        sides = ((self.top, self.bottom), (self.left, self.right))
        outside = np.pad(np.zeros(picture.shape[:2], bool), sides, constant_values=True)
        return inpainter(np.pad(picture, (*sides, (0, 0)), mode="edge"), outside, draft=True)

    def paste(self, picture: UInt8, widened: UInt8) -> UInt8:
        """`widened` with another picture in its middle."""
        result = widened.copy()
        result[self.top : self.top + picture.shape[0], self.left : self.left + picture.shape[1]] = picture
        return result

    def shift(self, lookup: Float32) -> Float32:
        """Coordinates in the picture as coordinates in the widened picture."""
        return lookup + np.array([self.left, self.top], np.float32)


class BoundlessPicture:
    """A picture `(H, W, 3)` uint8 that goes on beyond its border as its mirror image, growing blurred."""

    def __init__(self, picture: UInt8) -> None:
        self._picture = picture

    def sample(self, lookup: Float32) -> UInt8:
        """Its colours `(H', W', 3)` uint8 at pixel coordinates `(H', W', 2)` float32, centres at +0.5.

        Exactly the picture where coordinates are its pixel centres.
        """
        height, width = self._picture.shape[:2]
        inside = np.empty_like(lookup)
        outside = np.empty(lookup.shape[:2], np.float32)
        anything_outside = _fold(lookup, width, height, inside, outside)
        sampled = cv2.remap(self._picture, inside, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
        sampled = sampled.astype(np.uint8, copy=False)
        if anything_outside and len(self._ever_more_blurred[0]):
            table, texels = self._ever_more_blurred
            _soften(sampled, inside, outside, width, height, table, texels)
        return sampled

    @cached_property
    def _ever_more_blurred(self) -> tuple[Int, UInt8]:
        """The picture with a blur of 1, 2, 4 … pixels' standard deviation, on few pixels where few are smooth enough.

        Returns:
            `(L, 3)` int64, where each level starts, its height and its width; and their colours `(N, 3)` in one array.
        """
        limit = _BLUR_LIMIT * self._picture.shape[1]
        levels: list[UInt8] = []
        sigma, known, small = 1.0, 0.0, self._picture
        while sigma <= limit:
            scale = small.shape[1] / self._picture.shape[1]
            deviation = np.sqrt(sigma**2 - known**2) * scale
            small = cv2.GaussianBlur(small, (0, 0), deviation, borderType=cv2.BORDER_REFLECT).astype(
                np.uint8, copy=False
            )
            levels.append(small)
            known = sigma
            sigma *= 2
            if known * scale >= 4 and min(small.shape[:2]) >= 16:  # four pixels a deviation draw it smoothly enough
                size = ((small.shape[1] + 1) // 2, (small.shape[0] + 1) // 2)
                small = cv2.resize(small, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
        starts = np.cumsum([0, *(level.shape[0] * level.shape[1] for level in levels)])
        table = [(start, *level.shape[:2]) for start, level in zip(starts[:-1], levels, strict=True)]
        texels = [level.reshape(-1, 3) for level in levels]
        return np.array(table, np.int64).reshape(-1, 3), np.concatenate([np.zeros((0, 3), np.uint8), *texels])


@numba.njit(cache=True, nogil=True)
def _tangent(angle):  # type: ignore[no-untyped-def]
    """tan, continued by its own tangent line beyond the limit."""
    if abs(angle) <= _STRAIGHT_FROM:
        return np.tan(angle)
    slope = 1 / np.cos(_STRAIGHT_FROM) ** 2
    line = np.tan(_STRAIGHT_FROM) + (abs(angle) - _STRAIGHT_FROM) * slope
    return line if angle > 0 else -line


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _trace(pose, other, photo, up, eye_height, wall, wall_distance, found):  # type: ignore[no-untyped-def]
    """Follow each pixel's ray to ground and wall, and the point it meets back to the photo's picture plane."""
    limit = np.tan(_STRAIGHT_FROM)
    ox, oy, oz = pose[0, 3], pose[1, 3], pose[2, 3]
    height_above = eye_height + up[0] * ox + up[1] * oy + up[2] * oz  # of this camera above the ground
    before_wall = wall_distance - (wall[0] * ox + wall[1] * oy + wall[2] * oz)
    moved = ox != 0 or oy != 0 or oz != 0
    for row in range(found.shape[0]):
        vy = (other[3] - row - 0.5) / other[1]
        for column in range(found.shape[1]):
            vx = (column + 0.5 - other[2]) / other[0]
            x = pose[0, 0] * vx + pose[0, 1] * vy - pose[0, 2]
            y = pose[1, 0] * vx + pose[1, 1] * vy - pose[1, 2]
            z = pose[2, 0] * vx + pose[2, 1] * vy - pose[2, 2]
            if moved:
                distance = np.inf
                falling = -(up[0] * x + up[1] * y + up[2] * z)
                if falling > 1e-12 and 0 < height_above < np.inf:
                    distance = height_above / falling
                approaching = wall[0] * x + wall[1] * y + wall[2] * z
                if approaching > 1e-12 and 0 < before_wall < np.inf:
                    distance = min(distance, before_wall / approaching)
                if distance < np.inf:
                    x, y, z = ox + distance * x, oy + distance * y, oz + distance * z
            # Within the limit this is the plain division x / depth and y / depth.
            depth = -z
            if depth > 0 and abs(x) <= limit * depth:
                u, secant = x / depth, 1 / depth
                v = y * secant
                if abs(v) > limit:
                    v = _tangent(np.arctan(v))
            else:
                u = _tangent(np.arctan2(x, depth))
                across = np.sqrt(x * x + z * z) * np.cos(_STRAIGHT_FROM)
                v = _tangent(np.arctan2(y, across))
            found[row, column, 0] = photo[2] + photo[0] * u
            found[row, column, 1] = photo[3] - photo[1] * v


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _fold(lookup, width, height, inside, outside):  # type: ignore[no-untyped-def]
    """Mirror coordinates into the picture as OpenCV counts them (centres at 0); how far outside they were. Any?"""
    anything = False
    for row in range(lookup.shape[0]):
        for column in range(lookup.shape[1]):
            x, y = lookup[row, column, 0], lookup[row, column, 1]
            beyond = max(max(-x, x - width), max(-y, y - height))
            outside[row, column] = max(beyond, 0)
            if beyond > 0:
                anything = True
                x = abs(x) % (2 * width)
                y = abs(y) % (2 * height)
                x = min(x, 2 * width - x)
                y = min(y, 2 * height - y)
            inside[row, column, 0] = x - 0.5
            inside[row, column, 1] = y - 0.5
    return anything


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _soften(sampled, inside, outside, width, height, table, texels):  # type: ignore[no-untyped-def]
    """Blur, in place, what lies `outside` by so many pixels: between two levels, each twice as blurred as the last."""
    lower, upper = np.empty(3, np.float32), np.empty(3, np.float32)
    for row in range(outside.shape[0]):
        for column in range(outside.shape[1]):
            wanted = np.float32(2 * _BLUR_GROWTH) * outside[row, column]  # twice the blur, which the next level has
            if wanted <= 1:
                continue
            level = min(int(np.log2(wanted)), len(table) - 1)
            share = min(wanted / np.float32(2**level) - 1, np.float32(1))
            x, y = inside[row, column, 0] + np.float32(0.5), inside[row, column, 1] + np.float32(0.5)
            _texel(texels, table[level], x / width, y / height, upper)
            if level > 0:
                _texel(texels, table[level - 1], x / width, y / height, lower)
            else:
                lower[:] = sampled[row, column]
            for channel in range(3):
                mixed = lower[channel] + share * (upper[channel] - lower[channel])
                sampled[row, column, channel] = np.uint8(mixed + np.float32(0.5))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _texel(texels, level, s, t, found):  # type: ignore[no-untyped-def]
    """Bilinear colour of a level at a share `s, t` of its width and height."""
    start, height, width = level
    x = min(max(s * width - np.float32(0.5), np.float32(0)), np.float32(width - 1))
    y = min(max(t * height - np.float32(0.5), np.float32(0)), np.float32(height - 1))
    column, row = int(x), int(y)
    fx, fy = x - np.float32(column), y - np.float32(row)
    here = start + row * width + column
    right = 1 if column + 1 < width else 0
    below = width if row + 1 < height else 0
    for channel in range(3):
        top = texels[here, channel] * (1 - fx) + texels[here + right, channel] * fx
        bottom = texels[here + below, channel] * (1 - fx) + texels[here + below + right, channel] * fx
        found[channel] = top * (1 - fy) + bottom * fy
