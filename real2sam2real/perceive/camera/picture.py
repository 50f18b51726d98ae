"""A picture of a view for people: the horizon and a grid on the ground over the photo, and beside it the depth."""

from __future__ import annotations

import cv2
import numpy as np

from real2sam2real.arrays import Bool, Float, Float32, UInt8
from real2sam2real.geometry import Intrinsics
from real2sam2real.perceive.view import PhotoView, Plane

PICTURE_SIDE = 960  # pixels along the longer side of each half, at most
HORIZON_COLOR, GRID_COLOR, TEXT_COLOR = (255, 210, 40), (60, 230, 140), (255, 255, 255)
GRID_LINES, GRID_SAMPLES = 41, 800
HIDDEN_BEHIND = 1.04  # times the depth of what the photo shows there
UNKNOWN_COLOR = (40, 40, 40)


def picture_view(photo_pixels: UInt8, view: PhotoView) -> UInt8:
    """Draw what is known of a photo's camera.

    The horizon is yellow. The grid on the ground is green, a line each camera height (or metre, where that is near
    it), and hidden by what stands before it. Near is bright in the depth, and grey is unknown.

    Args:
        photo_pixels: `(H, W, 3)` uint8 sRGB, of the size of the view's intrinsics.
        view: of this photo.

    Returns:
        `(h, w, 3)` uint8 sRGB: the photo, and to its right the depth if there is one; each at most 960 pixels wide or
        high.
    """
    intrinsics = view.intrinsics
    scale = min(1.0, PICTURE_SIDE / max(intrinsics.width, intrinsics.height))
    small = intrinsics.resized(max(1, round(intrinsics.width * scale)), max(1, round(intrinsics.height * scale)))
    left = cv2.resize(photo_pixels, (small.width, small.height), interpolation=cv2.INTER_AREA)
    depth = None
    if view.points_camera is not None:
        depth = cv2.resize(-view.points_camera[..., 2], (small.width, small.height), interpolation=cv2.INTER_NEAREST)
    if view.ground is not None:
        _draw_ground(left, small, view.ground, depth)
    if view.up_camera is not None:
        _draw_horizon(left, small, view.up_camera)
    if depth is None:
        return left
    return np.hstack([left, _colored(depth, "m" if view.unit == "metre" else "units")])


def _draw_horizon(image: UInt8, intrinsics: Intrinsics, up_camera: Float) -> None:
    """The pixels whose rays are at right angles to up: a straight line."""
    x, y, z = up_camera
    # A pixel's ray is ((u - cx) / fx, (cy - v) / fy, -1), so `up · ray = 0` is a u + b v + c = 0.
    fx, fy, cx, cy = intrinsics.fx, intrinsics.fy, intrinsics.cx, intrinsics.cy
    a, b, c = x / fx, -y / fy, cy * y / fy - cx * x / fx - z
    norm = float(np.hypot(a, b))
    if norm < 1e-9:
        return  # the camera looks straight down or up
    foot = np.array([-a * c, -b * c]) / norm**2
    along = np.array([-b, a]) / norm * 4 * (intrinsics.width + intrinsics.height)
    if np.abs(foot).max() < 1e5:
        _line(image, np.stack([foot - along, foot + along]), HORIZON_COLOR)


def _draw_ground(image: UInt8, intrinsics: Intrinsics, ground: Plane, depth: Float32 | None) -> None:
    """Lines on the ground, along and across the view, where the photo shows nothing nearer."""
    up = ground.normal
    forward = np.array([0.0, 0.0, -1.0]) - up * -up[2]
    if np.linalg.norm(forward) < 0.2:  # looking steeply down: "forward" is the picture's upper edge
        forward = np.array([0.0, 1.0, 0.0]) - up * up[1]
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, up)
    foot, step = ground.offset * up, abs(ground.offset)
    step = 1.0 if 0.5 <= step <= 2.5 else step
    places = (np.arange(GRID_LINES) - GRID_LINES // 2) * step
    reach = np.linspace(places[0], places[-1], GRID_SAMPLES)
    for first, second in ((forward, right), (right, forward)):
        for place in places:
            points = foot + place * first + reach[:, None] * second
            pixels, along = intrinsics.project(points)
            _line(image, np.where(_visible(pixels, along, depth)[:, None], pixels, np.nan), GRID_COLOR)


def _visible(pixels: Float, along: Float, depth: Float32 | None) -> Bool:
    """Which points `(N, 2)` at depths `(N,)` are in front of the camera and not behind the photo's surfaces."""
    front = along > 1e-6
    if depth is None:
        return front
    height, width = depth.shape
    safe = np.where(front[:, None], pixels, -1.0)
    x, y = np.floor(np.clip(safe, -1, 1e6)).astype(int).T
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    seen = np.full(len(pixels), np.nan)
    seen[inside] = depth[y[inside], x[inside]]
    with np.errstate(invalid="ignore"):
        return inside & ~(along > seen * HIDDEN_BEHIND)


def _line(image: UInt8, pixels: Float, color: tuple[int, int, int]) -> None:
    """A line through `(N, 2)` pixels, broken where they are NaN."""
    known: Bool = np.asarray(np.isfinite(pixels).all(axis=1))
    fixed = np.round(np.clip(np.nan_to_num(pixels), -1e4, 1e4) * 16 - 8).astype(np.int32)  # pixel centres at +0.5
    for start in range(len(pixels) - 1):
        if known[start] and known[start + 1]:
            first, second = (tuple(int(value) for value in fixed[start + k]) for k in (0, 1))
            cv2.line(image, first, second, color, 1, cv2.LINE_AA, 4)


def _colored(depth: Float32, unit: str) -> UInt8:
    """Depth `(H, W)` as colours by its inverse, with a few depths named."""
    known: Bool = np.asarray(np.isfinite(depth))
    image = np.full((*depth.shape, 3), UNKNOWN_COLOR, np.uint8)
    if not known.any():
        return image
    inverse = np.zeros(depth.shape)
    inverse[known] = 1.0 / depth[known]
    low, high = np.percentile(inverse[known], [1, 99])
    level = np.clip((inverse - low) / max(high - low, 1e-12), 0, 1)
    colors = cv2.applyColorMap((level * 255).astype(np.uint8), cv2.COLORMAP_TURBO)[..., ::-1]
    image[known] = colors[known]
    size = max(0.4, min(depth.shape) / 900)
    for share_y, share_x in ((0.25, 0.25), (0.25, 0.75), (0.5, 0.5), (0.75, 0.25), (0.75, 0.75), (0.95, 0.5)):
        y, x = int(share_y * (depth.shape[0] - 1)), int(share_x * (depth.shape[1] - 1))
        if known[y, x]:
            label = f"{depth[y, x]:.3g} {unit}"
            for offset, color in ((1, (0, 0, 0)), (0, TEXT_COLOR)):
                place = (max(0, x - 20) + offset, y + offset)
                cv2.putText(image, label, place, cv2.FONT_HERSHEY_SIMPLEX, size, color, 1, cv2.LINE_AA)
    return image
