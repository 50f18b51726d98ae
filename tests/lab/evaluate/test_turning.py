"""Turns of a camera from matches, against turns that are known; a camera that travels is told from one that turns."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from real2sam2real.lab.evaluate.turning import MatchedPair, find_turning

PIXEL = 1 / 400


def filmed(centres: np.ndarray, turns: np.ndarray, noise: float = 0.3, wrong: float = 0.0) -> list[MatchedPair]:
    """Matches of all pairs of frames of points 3 to 6 units away; `noise` in pixels."""
    random = np.random.default_rng(0)
    points = random.uniform([-2, -1, 3], [2, 1, 6], size=(120, 3))
    rays = []
    for centre, turn in zip(centres, turns, strict=True):
        seen = (points - centre) @ turn
        seen = seen / seen[:, 2:] + random.normal(size=seen.shape) * noise * PIXEL
        rays.append(seen / np.linalg.norm(seen, axis=1, keepdims=True))
    pairs = []
    for a in range(len(centres)):
        for b in range(a + 1, len(centres)):
            order = np.arange(len(points))
            order[: int(wrong * len(order))] = np.roll(order[: int(wrong * len(order))], 1)
            pairs.append(MatchedPair(first=a, second=b, rays_first=rays[a], rays_second=rays[b][order], pixel=PIXEL))
    return pairs


def panned(frames: int = 6) -> np.ndarray:
    along = np.linspace(0, 1, frames)[:, None]
    return Rotation.from_rotvec(along * [0.1, 0.3, 0.05]).as_matrix()


@pytest.mark.parametrize("wrong", [0.0, 0.08])
def test_turns_come_back(wrong: float) -> None:
    turns = panned()
    found = find_turning(filmed(np.zeros((6, 3)), turns, wrong=wrong), 6)
    assert found is not None
    assert found.found.all()
    apart = Rotation.from_matrix(found.world_from_camera[0].T @ found.world_from_camera).inv() * Rotation.from_matrix(
        turns[0].T @ turns
    )
    assert np.degrees(apart.magnitude()).max() < 0.08  # half a pixel


def test_a_camera_that_travels_does_not_turn_only() -> None:
    centres = np.linspace(0, 1, 6)[:, None] * [0.3, 0.0, 0.0]
    assert find_turning(filmed(centres, panned()), 6) is None


def test_frames_without_matches_are_not_found() -> None:
    pairs = [pair for pair in filmed(np.zeros((6, 3)), panned()) if pair.first < 4 and pair.second < 4]
    found = find_turning(pairs, 6)
    assert found is not None
    assert found.found.tolist() == [True] * 4 + [False] * 2


def test_nothing_to_hold_on_to_tells_nothing() -> None:
    assert find_turning([], 6) is None
