"""Where the joints of a person are in a photo: BlazePose (Bazarevsky et al., 2020) through OpenCV.

Its weights come with the package. The network looks at a square of 256 × 256 pixels around one person and gives 33
landmarks, in the order of MediaPipe: 0 nose, 11/12 shoulders, 13/14 elbows, 15/16 wrists, 23/24 hips, 25/26 knees,
27/28 ankles (left first, the person's own).
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from typing import Any

import cv2
import numpy as np

from real2sam2real.arrays import Float, Mask, UInt8

SIDE = 256  # pixels of the picture that the network looks at
COUNT = 33
MARGIN = 1.25  # of a person's extent: how much the picture shows around it
ROUNDS = 3  # each looks where the one before found the person
SURROUNDINGS = 0.5  # how much of what is beside the person is kept: it shows the ground, and misleads in crowds
LONGER = (1.5, 2.2)  # times its visible extent: what a person may measure whom the photo's lower border cuts
LEAST_SPAN = 0.35  # of a mask's area: the convex hull of the visible landmarks of a body
_OUTPUTS = ("landmarks", "presence", "world_landmarks")


@dataclass(frozen=True, kw_only=True, eq=False)
class BodyLandmarks:
    """The joints of one person."""

    pixels: Float  # `(33, 2)` in the photo, which may lie beyond it
    visibility: Float  # `(33,)` 0…1: inside the picture and not covered
    # `(33, 3)` metres in the photo's camera frame (+X right, +Y up, looking along −Z), about the middle of the hips
    points_camera: Float
    presence: float  # 0…1, how sure the network is that there is a person


@dataclass(frozen=True, kw_only=True, eq=False)
class _Square:
    """A turned square of the photo."""

    center: Float  # `(2,)` pixel
    side: float  # pixels
    turn: float  # radians, clockwise in the picture: its upward axis is the person's

    def photo_from_square(self) -> Float:
        """`(2, 3)` from pixels of the network's picture to those of the photo."""
        c, s = np.cos(self.turn), np.sin(self.turn)
        linear = np.array([[c, -s], [s, c]]) * self.side / SIDE
        return np.column_stack([linear, self.center - linear @ [SIDE / 2, SIDE / 2]])


@dataclass(frozen=True, eq=False)
class BodyLandmarkNet:
    """The network, loaded."""

    net: Any  # of cv2.dnn

    @classmethod
    def load(cls) -> BodyLandmarkNet:
        """From the package."""
        weights = (
            resources.files("real2sam2real").joinpath("assets", "pose_landmark", "pose_landmark.onnx").read_bytes()
        )
        return cls(cv2.dnn.readNetFromONNX(np.frombuffer(weights, np.uint8)))

    def find(self, pixels: UInt8, mask: Mask) -> BodyLandmarks:
        """The landmarks of the person that `mask` `(H, W)` shows in `pixels` `(H, W, 3)` uint8 sRGB."""
        dimmed = _dimmed(pixels, mask)
        tries = [self._followed(dimmed, square) for square in _first_squares(mask)]
        return max(tries, key=lambda found: found.presence * _agreement(found, mask))

    def _followed(self, pixels: UInt8, square: _Square) -> BodyLandmarks:
        """What is found from a square on, each time where the time before saw the person."""
        found, following = self._look(pixels, square)
        for _ in range(ROUNDS - 1):
            closer, after = self._look(pixels, following)
            if closer.presence < 0.8 * found.presence:
                break
            found, following = closer, after
        return found

    def _look(self, pixels: UInt8, square: _Square) -> tuple[BodyLandmarks, _Square]:
        """The landmarks within a square, and the square around the person that they tell."""
        matrix = square.photo_from_square()
        flags = cv2.INTER_AREA | cv2.WARP_INVERSE_MAP
        blurred = cv2.GaussianBlur(pixels, (0, 0), 0.4 * square.side / SIDE) if square.side > 1.5 * SIDE else pixels
        picture = cv2.warpAffine(blurred, matrix, (SIDE, SIDE), flags=flags).astype(np.float32) / 255
        self.net.setInput(np.ascontiguousarray(picture.transpose(2, 0, 1)[None]))
        landmarks, presence, world = (np.asarray(out, np.float64) for out in self.net.forward(list(_OUTPUTS)))
        points = landmarks.reshape(-1, 5)
        at = points[:, :2] @ matrix[:, :2].T + matrix[:, 2]
        turned = world.reshape(-1, 3)[:COUNT]
        c, s = np.cos(square.turn), np.sin(square.turn)
        metres = np.stack(
            [c * turned[:, 0] - s * turned[:, 1], -(s * turned[:, 0] + c * turned[:, 1]), -turned[:, 2]], 1
        )
        found = BodyLandmarks(
            pixels=at[:COUNT],
            visibility=1 / (1 + np.exp(-np.minimum(points[:COUNT, 3], points[:COUNT, 4]))),
            points_camera=metres,
            presence=float(presence.ravel()[0]),
        )
        # Two more landmarks span the person's circle: the middle of the hips, and a point of it above the head.
        middle, top = at[COUNT], at[COUNT + 1]
        way = top - middle
        around = _Square(
            center=middle, side=2 * MARGIN * float(np.hypot(*way)), turn=float(np.arctan2(way[0], -way[1]))
        )
        return found, around


def _first_squares(mask: Mask) -> list[_Square]:
    """Around the mask; and, where the photo's border cuts it, around what may go on below."""
    rows, columns = np.nonzero(mask)
    low, high = np.array([columns.min(), rows.min()]), np.array([columns.max(), rows.max()]) + 1
    side = MARGIN * float((high - low).max())
    squares = [_Square(center=(low + high) / 2, side=side, turn=0.0)]
    if high[1] >= mask.shape[0] - 1:
        for factor in LONGER:
            longer = factor * side
            center = np.array([(low[0] + high[0]) / 2, low[1] + longer * (0.5 - (MARGIN - 1) / 2)])
            squares.append(_Square(center=center, side=longer, turn=0.0))
    return squares


def _agreement(found: BodyLandmarks, mask: Mask) -> float:
    """0…1: whether what is visible lies in the mask, and spans as much of it as a body does."""
    height, width = mask.shape
    inside = ((found.pixels >= 0) & (found.pixels < [width, height])).all(axis=1) & (found.visibility > 0.5)
    if inside.sum() < 3:
        return 0.0
    at = found.pixels[inside]
    x, y = at.astype(int).T
    hull = cv2.convexHull(at.astype(np.float32))
    return float(mask[y, x].mean() * min(1.0, cv2.contourArea(hull) / (LEAST_SPAN * mask.sum())))


def _dimmed(pixels: UInt8, mask: Mask) -> UInt8:
    """The photo with what is beside the person blended into its mean, so that the one who is meant stands out."""
    width = max(3.0, 0.02 * float(np.sqrt(mask.sum())))
    near = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8), iterations=round(2 * width)).astype(np.float32)
    keep = SURROUNDINGS + (1 - SURROUNDINGS) * cv2.GaussianBlur(near, (0, 0), width)[..., None]
    return np.round(pixels * keep + pixels.mean(axis=(0, 1)) * (1 - keep)).astype(np.uint8)
