"""Straight edges of a photo, and the horizontal directions of the world that they run along (Manhattan world)."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from real2sam2real.arrays import Bool, Float, UInt8
from real2sam2real.geometry import Intrinsics
from real2sam2real.perceive.camera.gravity import up_of

LONGEST_SIDE = 640  # pixels of the picture in which edges are sought
BESIDE = 7  # pixels about what is taken: its outline is no edge of the background
SHORTEST = 0.03  # of the picture's longer side
MOST = 400  # edges, the longest
ALONG_DEGREES = 2.5  # between an edge and the line from its middle to the vanishing point
UPRIGHT_DEGREES = 4.0
WITHIN_DEGREES = 1.0  # standard deviation of what still fits while the pitch is sought
PITCHES_DEGREES = np.arange(-14.0, 46.0)
LEAST_UPRIGHT, LEAST_LEVEL = 0.15, 0.06  # shares of all edges, upright and along each of two directions, that tell it
LEAST_SHARE = 0.2  # of the length of all edges that are not upright: so much must run along the two directions


@dataclass(frozen=True, kw_only=True, eq=False)
class StraightEdges:
    """Straight edges of a picture, N of them."""

    ends: Float  # `(N, 2, 2)` pixels x, y
    intrinsics: Intrinsics  # of the picture

    @classmethod
    def of(cls, gray: UInt8, taken: Bool, intrinsics: Intrinsics) -> StraightEdges:
        """The longest of a picture `(H, W)` uint8 whose middle lies on none of the pixels `taken` `(H, W)` bool."""
        found = cv2.createLineSegmentDetector().detect(gray)[0]
        ends = np.zeros((0, 2, 2)) if found is None else found.reshape(-1, 2, 2).astype(np.float64) + 0.5
        ends = ends[np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1) > SHORTEST * max(gray.shape)]
        x, y = np.clip(ends.mean(axis=1).astype(int), 0, [gray.shape[1] - 1, gray.shape[0] - 1]).T
        ends = ends[~taken[y, x]]
        longest = np.argsort(-np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1), kind="stable")[:MOST]
        return cls(ends=ends[longest], intrinsics=intrinsics)

    @classmethod
    def of_photo(cls, photo: UInt8, taken: Bool, intrinsics: Intrinsics) -> tuple[StraightEdges, UInt8, Bool]:
        """Those of a photo `(H, W, 3)` uint8 at a working size, its grey picture there, and what is taken of it."""
        scale = min(1.0, LONGEST_SIDE / max(photo.shape[:2]))
        size = (round(photo.shape[1] * scale), round(photo.shape[0] * scale))
        gray = cv2.cvtColor(cv2.resize(photo, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
        hole = cv2.resize(taken.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
        hole = cv2.dilate(hole, np.ones((BESIDE, BESIDE), np.uint8)) > 0
        picture = gray.astype(np.uint8, copy=False)
        return cls.of(picture, hole, intrinsics.resized(*size)), picture, hole

    @property
    def lengths(self) -> Float:
        """`(N,)` pixels."""
        return np.asarray(np.linalg.norm(self.ends[:, 1] - self.ends[:, 0], axis=1))

    def deviations(self, directions_camera: Float) -> Float:
        """`(N, D)` degrees between each edge and where lines along directions `(D, 3)` run at its middle."""
        lens, d = self.intrinsics, directions_camera
        vanishing = np.stack([lens.fx * d[:, 0] - lens.cx * d[:, 2], -lens.fy * d[:, 1] - lens.cy * d[:, 2]], axis=-1)
        middle = self.ends.mean(axis=1)
        towards = vanishing[None] + middle[:, None] * d[None, :, 2:]
        along = self.ends[:, 1] - self.ends[:, 0]
        cosine = np.abs((towards * along[:, None]).sum(axis=-1))
        cosine /= np.maximum(np.linalg.norm(towards, axis=-1) * np.linalg.norm(along, axis=-1)[:, None], 1e-9)
        return np.asarray(np.degrees(np.arccos(np.clip(cosine, 0, 1))))


def level_forward(up_camera: Float) -> Float:
    """`(3,)` unit vector: where the camera looks, made horizontal."""
    forward = np.array([0.0, 0.0, -1.0])
    level = forward - up_camera * (forward @ up_camera)
    return np.asarray(level / max(float(np.linalg.norm(level)), 1e-9))


def pitch_of_edges(edges: StraightEdges) -> float | None:
    """How far a camera without roll looks down, in radians, where upright and level edges agree about it, else None.

    Upright ones alone would be fooled by a cropped photo, level ones by the horizon.
    """
    total = max(float(edges.lengths.sum()), 1e-9)
    best = (0.0, 0.0, 0.0, 0.0, 0.0)
    for pitch in PITCHES_DEGREES:
        up = up_of(pitch, 0.0)
        level = level_forward(up)
        off = edges.deviations(up[None])[:, 0]
        upright = off < UPRIGHT_DEGREES
        share = float(edges.lengths @ (np.exp(-0.5 * (off / WITHIN_DEGREES) ** 2) * upright)) / total
        score = _level_scores(edges, np.cross(level, up), level, upright)
        pair = int((score[:90] + score[90:]).argmax())
        one, other = float(score[pair]) / total, float(score[pair + 90]) / total
        best = max(best, (share + one + other, share, one, other, float(np.radians(pitch))))
    _, share, one, other, radians = best
    return radians if share >= LEAST_UPRIGHT and min(one, other) >= LEAST_LEVEL else None


def horizontal_directions(
    edges: StraightEdges, right_camera: Float, level_camera: Float, upright: Bool
) -> Float | None:
    """Two horizontal unit vectors `(2, 3)` at a right angle that most edges run along; None where too few do.

    `right_camera` and `level_camera` `(3,)` span the horizontal plane; `upright` `(N,)` are edges that do not count.
    """
    score = _level_scores(edges, right_camera, level_camera, upright)
    pair = score[:90] + score[90:]
    best = int(np.convolve(np.r_[pair[-1:], pair, pair[:1]], [0.25, 0.5, 0.25], mode="valid").argmax())
    if pair[best] < LEAST_SHARE * max(float(edges.lengths[~upright].sum()), 1e-9):
        return None
    return _level_directions(right_camera, level_camera)[[best, best + 90]]


def _level_directions(right_camera: Float, level_camera: Float) -> Float:
    """`(180, 3)` horizontal unit vectors, a degree apart."""
    angles = np.radians(np.arange(180.0))[:, None]
    return np.asarray(np.cos(angles) * right_camera + np.sin(angles) * level_camera)


def _level_scores(edges: StraightEdges, right_camera: Float, level_camera: Float, upright: Bool) -> Float:
    """`(180,)` length of the edges along each horizontal direction.

    An edge that would fit many, as the horizon itself, counts for little.
    """
    off = edges.deviations(_level_directions(right_camera, level_camera))
    fits = np.exp(-0.5 * (off / WITHIN_DEGREES) ** 2) * ~upright[:, None]
    weight = edges.lengths * (1 - (off < ALONG_DEGREES).mean(axis=1)) ** 2
    return np.asarray(weight @ fits)
