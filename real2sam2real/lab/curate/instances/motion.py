"""What moves in a clip: flow between neighbouring frames, and what differs from the background behind it.

The background of a frame is the median of other frames, each brought over it by a homography, which is exact for a
camera that turns and near for one that moves a little. Where it is not near, everything differs from it, and those
who use the difference weigh it by how it told the instance from its surroundings so far.

Shape legend: T frames, h w work size in pixels.
"""

from __future__ import annotations

from functools import cached_property
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from real2sam2real.arrays import Float, Float32, UInt8
from real2sam2real.media import resized

WORK_SIDE = 512
_REACH = 80  # frames before and after, of which the background is made
_SAMPLES = 16
_FEATURES = 500


class ClipMotion:
    """The frames of a clip `(T, H, W, 3)` at work size, and what moves in them, computed when it is first asked for."""

    def __init__(self, video: UInt8) -> None:
        height, width = video.shape[1:3]
        scale = min(1.0, WORK_SIDE / max(height, width))
        self.width, self.height = max(1, round(width * scale)), max(1, round(height * scale))
        self.frames: UInt8 = np.stack([resized(frame, self.width, self.height) for frame in video])
        self._gray = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in self.frames]
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        rows, columns = np.mgrid[: self.height, : self.width].astype(np.float32)
        self._grid: tuple[Float32, Float32] = (columns, rows)
        self._flows: dict[tuple[int, int], NDArray[np.float16]] = {}
        self._difference: dict[int, UInt8] = {}

    def warped(self, picture: Float32, before: int, after: int) -> tuple[Float32, Float32]:
        """A picture `(h, w)` float32 of frame `before`, carried to its neighbour `after` by the flow between them.

        Returns:
            The picture on frame `after`, and how far the flow is to be trusted there, 0…1: there and back again should
            end where it began. Both `(h, w)` float32.
        """
        back, forth = self._flow_between(after, before), self._flow_between(before, after)
        columns, rows = self._grid[0] + back[..., 0], self._grid[1] + back[..., 1]
        carried = cv2.remap(picture, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        returned = back + cv2.remap(forth, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        error = np.linalg.norm(returned, axis=2)
        length = np.linalg.norm(back, axis=2)
        trust = np.exp(-((error / (1.0 + 0.1 * length)) ** 2))
        return np.asarray(carried, np.float32), np.asarray(trust, np.float32)

    def _flow_between(self, source: int, target: int) -> Float32:
        """`(h, w, 2)` float32: where each pixel of a frame is on its neighbour, less where it was."""
        if (source, target) not in self._flows:
            flow = self._flow.calc(self._gray[source], self._gray[target], None)
            self._flows[source, target] = flow.astype(np.float16)  # half the memory; exact to 1/32 pixel up to 64
        return self._flows[source, target].astype(np.float32)

    def difference(self, frame: int) -> UInt8:
        """How much a frame differs from the background behind it, `(h, w)` uint8."""
        if frame not in self._difference:
            self._difference[frame] = self._compute_difference(frame)
        return self._difference[frame]

    def _compute_difference(self, frame: int) -> UInt8:
        first, last = max(0, frame - _REACH), min(len(self.frames) - 1, frame + _REACH)
        others = np.unique(np.linspace(first, last, _SAMPLES + 1).round().astype(int))
        stack = [self._brought(int(other), frame) for other in others if abs(other - frame) > 1]
        if len(stack) < 3:
            return np.zeros(self.frames.shape[1:3], np.uint8)
        background = np.asarray(np.median(np.stack(stack), axis=0), np.uint8)
        picture = self.frames[frame]
        kernel = np.ones((3, 3), np.uint8)
        over = cv2.subtract(picture, cv2.dilate(background, kernel))
        under = cv2.subtract(cv2.erode(background, kernel), picture)
        return np.asarray(cv2.max(over, under).max(axis=2), np.uint8)

    def _brought(self, other: int, frame: int) -> UInt8:
        """Another frame as the camera of `frame` would see it; beyond its border, `frame` itself."""
        matrix = np.linalg.inv(self._to_first[frame]) @ self._to_first[other]
        result = self.frames[frame].copy()
        size = (self.width, self.height)
        cv2.warpPerspective(self.frames[other], matrix, size, dst=result, borderMode=cv2.BORDER_TRANSPARENT)
        return np.asarray(result, np.uint8)

    @cached_property
    def _to_first(self) -> Float:
        """`(T, 3, 3)` float64: homographies from each frame's pixels to the first one's."""
        chain = [np.eye(3)]
        for before, after in pairwise(self._gray):
            chain.append(chain[-1] @ _homography(after, before))
        return np.stack(chain)


def _homography(source: UInt8, target: UInt8) -> Float:
    """`(3, 3)` float64 from one frame's pixels to the next one's, by points that most of the picture agrees on.

    The identity where too few points can be followed, as on a blank wall.
    """
    points = cv2.goodFeaturesToTrack(source, _FEATURES, 0.005, 6)
    if points is None or len(points) < 12:
        return np.eye(3)
    moved, found, _ = cv2.calcOpticalFlowPyrLK(source, target, points, points.copy())
    good = found.ravel() > 0
    if good.sum() < 12:
        return np.eye(3)
    cv2.setRNGSeed(0)
    matrix, _ = cv2.findHomography(points[good], moved[good], cv2.RANSAC, 1.5)
    return np.eye(3) if matrix is None else np.asarray(matrix, np.float64)
