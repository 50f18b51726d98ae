"""Bodies inflated to masks."""

import numpy as np
import pytest

from real2sam2real.geometry import Intrinsics
from real2sam2real.lifting.align.drawing import inverse_depth
from real2sam2real.lifting.people.clothing import ClothTarget, clothed
from real2sam2real.mesh.mesh import is_closed

pytestmark = pytest.mark.fast
CAMERA = Intrinsics.from_fov(160, 160, horizontal_degrees=40)


def ball(radii: tuple[float, float, float], count: int = 24) -> tuple[np.ndarray, np.ndarray]:
    """An ellipsoid 3 m in front of the camera."""
    v, u = np.meshgrid(
        np.linspace(0, np.pi, count)[1:-1], np.linspace(0, 2 * np.pi, 2 * count, endpoint=False), indexing="ij"
    )
    rings = np.stack([np.sin(v) * np.cos(u), np.cos(v), -np.sin(v) * np.sin(u)], axis=-1)
    points = np.concatenate([rings.reshape(-1, 3), [[0, 1.0, 0], [0, -1.0, 0]]]) * radii + [0, 0, -3]
    number = np.arange(rings.shape[0] * rings.shape[1]).reshape(rings.shape[:2])
    right = np.roll(number, -1, axis=1)
    quads = [(number[:-1], number[1:], right[1:]), (number[:-1], right[1:], right[:-1])]
    top, bottom = np.full_like(number[0], len(points) - 2), np.full_like(number[0], len(points) - 1)
    ends = [(top, number[0], right[0]), (bottom, right[-1], number[-1])]
    faces = np.concatenate([np.stack(part, axis=-1).reshape(-1, 3) for part in quads + ends])
    return points, faces.astype(np.int32)


def iou(vertices: np.ndarray, faces: np.ndarray, mask: np.ndarray) -> float:
    drawn = inverse_depth(vertices, faces, CAMERA) > 0
    return float((drawn & mask).sum() / (drawn | mask).sum())


def test_a_body_fills_its_coat() -> None:
    thin, faces = ball((0.3, 0.7, 0.3))
    mask = inverse_depth(ball((0.45, 0.8, 0.3))[0], faces, CAMERA) > 0
    assert is_closed(faces)
    assert iou(thin, faces, mask) < 0.65
    bare = np.zeros(len(thin), bool)
    hidden = np.zeros_like(mask)
    coat = clothed(thin, faces, bare, ClothTarget.of(mask, hidden, CAMERA, thin))
    assert iou(coat, faces, mask) > 0.95
    assert np.ptp(coat[:, 2]) > 1.2 * np.ptp(thin[:, 2]), "a coat is thick in depth too"


def test_bare_vertices_stay_and_hidden_outlines_count_for_nothing() -> None:
    thin, faces = ball((0.3, 0.7, 0.3))
    wide = inverse_depth(ball((0.45, 0.8, 0.3))[0], faces, CAMERA) > 0
    hidden = np.zeros_like(wide)
    hidden[:, 80:] = True  # something stands in front of its right half
    bare = thin[:, 1] > 0.6
    coat = clothed(thin, faces, bare, ClothTarget.of(wide & ~hidden, hidden, CAMERA, thin))
    assert iou(coat, faces, wide & ~hidden) < iou(coat, faces, wide)
    assert coat[:, 0].max() < 0.5, "where it is hidden the mask's end is not its outline"
    assert np.linalg.norm(coat - thin, axis=1)[bare].mean() < 0.04
