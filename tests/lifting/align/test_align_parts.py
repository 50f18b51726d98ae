"""The pieces of alignment against slow, plain ones."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from real2sam2real.geometry import Intrinsics
from real2sam2real.lifting.align.drawing import inverse_depth
from real2sam2real.lifting.align.fitting import FittedMesh, Freedom, _Basis
from real2sam2real.lifting.align.pose import MeshPose, rotation_matrix
from real2sam2real.lifting.align.target import ObjectObservation, edge_pixels, signed_distance, target_of

LENS = Intrinsics(width=24, height=18, fx=22.0, fy=20.0, cx=11.3, cy=9.4)


def reference(points: np.ndarray, faces: np.ndarray, lens: Intrinsics) -> np.ndarray:
    """1 / depth at every pixel centre, by meeting its ray with every triangle."""
    rays = lens.unproject(np.stack(np.meshgrid(np.arange(lens.width), np.arange(lens.height)), -1) + 0.5, 1.0)
    drawn = np.zeros(rays.shape[:2])
    for a, b, c in points[faces]:
        normal = np.cross(b - a, c - a)
        with np.errstate(divide="ignore", invalid="ignore"):
            t = (normal @ a) / (rays @ normal)
        hit = rays * t[..., None]
        inside = np.ones(t.shape, bool)
        for p, q in ((a, b), (b, c), (c, a)):
            inside &= np.cross(q - p, hit - p) @ normal >= 0
        drawn = np.where(inside & (t > 0), np.maximum(drawn, 1 / t), drawn)
    return drawn


@given(st.integers(0, 10_000))
def test_drawing_equals_meeting_rays_with_triangles(seed: int) -> None:
    rng = np.random.default_rng(seed)
    points = rng.uniform([-2, -1.5, -6], [2, 1.5, -2], (9, 3))
    faces = rng.integers(0, 9, (5, 3)).astype(np.int32)
    faces = faces[[len(set(face)) == 3 for face in faces.tolist()]]
    drawn, expected = inverse_depth(points, faces, LENS), reference(points, faces, LENS)
    differ = ~np.isclose(drawn, expected, rtol=1e-6)
    assert differ.sum() <= 1  # a pixel's centre on an edge


def test_faces_at_the_camera_are_left_out() -> None:
    points = np.array([[-1.0, -1, -2], [1, -1, -2], [0, 1, -2], [0, 0, 0.5]])
    faces = np.array([[0, 1, 2], [0, 1, 3]], np.int32)
    np.testing.assert_array_equal(inverse_depth(points, faces, LENS), inverse_depth(points, faces[:1], LENS))


def window() -> tuple[ObjectObservation, np.ndarray]:
    mask = np.zeros((60, 80), bool)
    mask[20:40, 30:55] = True
    hidden = np.zeros_like(mask)
    hidden[20:40, 50:62] = True
    lens = Intrinsics(width=80, height=60, fx=90.0, fy=90.0, cx=40, cy=30)
    return ObjectObservation(mask=mask, intrinsics=lens, hidden=hidden), mask


def test_derivatives_are_those_of_the_projection() -> None:
    observation, _ = window()
    target = target_of(observation, 96)
    rng = np.random.default_rng(0)
    shape = FittedMesh.of(rng.normal(size=(20, 3)), np.arange(18, dtype=np.int32).reshape(-1, 3))
    matrix = np.eye(4)
    matrix[:3, :3] = 1.3 * rotation_matrix(np.array([0.3, -0.2, 0.5]))
    matrix[:3, 3] = [0.2, 0.1, -9.0]
    pose = MeshPose(camera_from_object=matrix, focal=1.2)
    basis = _Basis.at(shape, pose, target, Freedom(focal=True))
    points = pose.points_camera(shape.vertices)
    analytic = basis.pixel_velocities(points)
    for k in range(basis.size):
        change = np.zeros(basis.size)
        change[k] = 1e-5
        pixels = []
        for sign in (1, -1):
            moved = basis.moved(pose, sign * change)
            pixels.append(moved.intrinsics(target.intrinsics).project(moved.points_camera(shape.vertices))[0])
        np.testing.assert_allclose(analytic[:, k], (pixels[0] - pixels[1]) / 2e-5, rtol=1e-4, atol=1e-4)


def test_nearer_looks_the_same() -> None:
    rng = np.random.default_rng(1)
    vertices = rng.normal(size=(10, 3))
    matrix = np.eye(4)
    matrix[:3, :3] = 0.7 * rotation_matrix(rng.normal(size=3))
    matrix[:3, 3] = [0.3, -0.4, -6]
    pose = MeshPose(camera_from_object=matrix)
    before, after = (LENS.project(p.points_camera(vertices))[0] for p in (pose, pose.nearer(2.7)))
    np.testing.assert_allclose(before, after, atol=1e-9)
    assert pose.nearer(2.7).size() == pytest.approx(0.7 * 2.7)


def test_agreement_counts_what_is_not_hidden() -> None:
    observation, mask = window()
    target = target_of(observation, 1000)
    assert target.agreement(target.mask) == 1
    longer = np.zeros_like(mask)
    longer[20:40, 30:62] = True  # sticks out where something may be in front
    lens = target.intrinsics
    left, top = round(observation.intrinsics.cx - lens.cx), round(observation.intrinsics.cy - lens.cy)
    cut = np.zeros_like(target.mask)
    cut[20 - top : 40 - top, 30 - left : 62 - left] = True
    assert target.agreement(cut) == 1
    cut[40 - top : 44 - top, 30 - left : 50 - left] = True  # and where nothing is
    assert target.agreement(cut) == pytest.approx(500 / 580)


def test_the_masks_edge_beside_what_hides_it_is_not_the_objects() -> None:
    observation, _ = window()
    target = target_of(observation, 1000)
    left = round(observation.intrinsics.cx - target.intrinsics.cx)
    assert target.edge[:, 0].max() + left < 54
    assert target.edge[:, 0].min() + left == 30


def test_distances_are_measured_from_between_the_pixels() -> None:
    mask = np.zeros((9, 9), bool)
    mask[:, 4:] = True
    np.testing.assert_allclose(signed_distance(mask)[4], [3.5, 2.5, 1.5, 0.5, -0.5, -1.5, -2.5, -3.5, -4.5], atol=1e-4)
    assert set(edge_pixels(mask)[:, 0]) == {4}


def test_leaving_the_initial_pose_costs_less_the_better_the_fit() -> None:
    initial = MeshPose(camera_from_object=np.eye(4))
    far = initial.changed(np.zeros(3), np.array([0, 0.5, 0]), np.zeros(3), 0.0)
    freedom = Freedom(initial=initial)
    assert freedom.worth(initial, 0.7) == 0.7
    assert freedom.worth(far, 0.7) == pytest.approx(0.65, abs=1e-3)
    assert freedom.worth(far, 0.999) > 0.998
    assert Freedom().worth(far, 0.7) == 0.7
