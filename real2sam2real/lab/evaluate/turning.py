"""Cameras that turn in one place: matches between frames then agree with rotations alone, and say nothing of positions.

Structure from motion needs parallax. Without it there is nothing to triangulate, and what it finds is chance; rotations
are known all the better.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from real2sam2real.arrays import Bool, Float

_LEAST = 30  # matches of a pair that says something
_ROUNDS = 10  # of reweighting


@dataclass(frozen=True, kw_only=True, eq=False)
class MatchedPair:
    """Matches between two frames, as directions from their cameras (OpenCV's: +Z forwards, +Y down).

    Attributes:
        first: number of the frame.
        second: of the other.
        rays_first: `(N, 3)` float64 of unit length.
        rays_second: `(N, 3)` likewise.
        pixel: the angle of a pixel in the middle of the picture, in radians.
    """

    first: int
    second: int
    rays_first: Float
    rays_second: Float
    pixel: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Turning:
    """Rotations of a camera that stays in one place.

    Attributes:
        world_from_camera: `(T, 3, 3)` float64 rotations of OpenCV's camera, from the first found frame's.
        found: `(T,)` bool.
    """

    world_from_camera: Float
    found: Bool


def find_turning(
    pairs: Sequence[MatchedPair], frames: int, *, within: float = 1.5, matches: float = 0.9, least_pairs: float = 0.9
) -> Turning | None:
    """The rotations of a camera that only turns, or rests.

    Args:
        pairs: matches of a video's frames, wrong ones mostly sorted out; both near frames and far ones.
        frames: of the video.
        within: pixels by which a match may be off the pair's rotation.
        matches: share of a pair's matches that must not be off by more.
        least_pairs: share of the pairs of which that must hold.

    Returns:
        None where more pairs have parallax, so that structure from motion can tell positions, or no pair says anything.
    """
    telling = [pair for pair in pairs if len(pair.rays_first) >= _LEAST]
    fits = [_rotation(pair) for pair in telling]
    agree = [float((apart < within * pair.pixel).mean()) for pair, (_, apart) in zip(telling, fits, strict=True)]
    turning = np.array(agree) >= matches
    if not len(turning) or turning.mean() < least_pairs:
        return None
    kept = [(pair.first, pair.second, fit[0]) for pair, fit, good in zip(telling, fits, turning, strict=True) if good]
    poses, found = _chained(kept, frames)
    linked = [link for link in kept if found[link[0]] and found[link[1]]]
    return Turning(world_from_camera=_averaged(poses, linked), found=found)


def _rotation(pair: MatchedPair) -> tuple[Float, Float]:
    """The rotation `(3, 3)` that takes the first frame's rays to the second's, and by how much each is off in radians.

    Kabsch's, again and again with the weights of Cauchy's loss, so that a tenth of other matches does not pull it.
    """
    weights = np.ones(len(pair.rays_first))
    rotation, apart = np.eye(3), np.zeros(len(weights))
    for _ in range(_ROUNDS):
        u, _, vt = np.linalg.svd(pair.rays_second.T @ (weights[:, None] * pair.rays_first))
        rotation = u @ np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ vt))]) @ vt
        apart = np.linalg.norm(pair.rays_second - pair.rays_first @ rotation.T, axis=1)
        scale = max(float(np.median(apart)), 0.1 * pair.pixel)
        weights = 1 / (1 + (apart / scale) ** 2)
    return rotation, apart


def _chained(links: Sequence[tuple[int, int, Float]], frames: int) -> tuple[Float, Bool]:
    """Rotations `(T, 3, 3)` of the largest set of frames that hang together, from pair to pair."""
    neighbours: list[list[tuple[int, Float]]] = [[] for _ in range(frames)]
    for first, second, rotation in links:
        neighbours[first].append((second, rotation.T))
        neighbours[second].append((first, rotation))
    best = np.tile(np.eye(3), (frames, 1, 1)), np.zeros(frames, bool)
    for start in range(frames):
        if best[1][start] or not neighbours[start]:
            continue
        poses, found, waiting = np.tile(np.eye(3), (frames, 1, 1)), np.zeros(frames, bool), deque([start])
        found[start] = True
        while waiting:
            at = waiting.popleft()
            for other, step in neighbours[at]:
                if not found[other]:
                    poses[other], found[other] = poses[at] @ step, True
                    waiting.append(other)
        if found.sum() > best[1].sum():
            best = poses, found
    return best


def _averaged(poses: Float, links: Sequence[tuple[int, int, Float]], rounds: int = 5) -> Float:
    """Rotations that agree best with those of all pairs (least squares of the angles)."""
    if not links:
        return poses
    first, second = np.array([link[0] for link in links]), np.array([link[1] for link in links])
    measured = np.stack([link[2] for link in links])
    rows = np.arange(len(links))
    design = np.zeros((len(links), len(poses)))
    design[rows, first], design[rows, second] = 1.0, -1.0
    for _ in range(rounds):
        predicted = np.swapaxes(poses[second], 1, 2) @ poses[first]
        off = Rotation.from_matrix(np.swapaxes(measured, 1, 2) @ predicted).as_rotvec()
        wanted = -np.einsum("nij,nj->ni", poses[first], off)
        turn = np.linalg.lstsq(design, wanted, rcond=None)[0]
        poses = Rotation.from_rotvec(turn).as_matrix() @ poses
    return poses
