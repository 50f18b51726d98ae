"""Camera frames and poses of the lifters, against what their sources define."""

import numpy as np
import pytest

from real2sam2real.geometry import quaternions, transforms
from real2sam2real.lifting.workers.conventions import (
    body_camera_from_object,
    body_object_vertices,
    pytorch3d_pointmap,
    sam3d_camera_from_object,
)


def test_an_upright_object_before_sam3ds_camera_is_upright_and_before_ours() -> None:
    # In PyTorch3D's camera up is +Y, left is +X, forward is +Z. Its native frame has +Z up, so a pose without rotation
    # would lay an object on its back; this one, for row vectors, brings native +Z to camera +Y.
    stand_up = quaternions.from_matrix(np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]))
    matrix = sam3d_camera_from_object(stand_up, [1.0, 0.0, 5.0], [2.0, 2.0, 2.0])
    assert transforms.apply(matrix, [[0.0, 0, 0]]) == pytest.approx(np.array([[-1.0, 0, -5]]))  # left, and before us
    up = transforms.apply(matrix, [[0.0, 1, 0]]) - transforms.apply(matrix, [[0.0, 0, 0]])
    assert up == pytest.approx(np.array([[0.0, 2, 0]]))


@pytest.mark.parametrize("seed", range(5))
def test_sam3ds_pose_there_and_back(sam3d_pose, seed: int) -> None:
    rng = np.random.default_rng(seed)
    matrix = transforms.compose(rng.normal(size=3), quaternions.normalize(rng.normal(size=4)), rng.uniform(0.1, 3))
    assert sam3d_camera_from_object(*sam3d_pose(matrix)) == pytest.approx(matrix)


def test_a_body_stands_upright_where_opencv_has_it() -> None:
    head, feet = [0.1, -1.6, 0.0], [0.1, 0.1, 0.0]  # +Y is down
    vertices = body_object_vertices([head, feet])
    assert vertices[0, 1] > vertices[1, 1]
    placed = transforms.apply(body_camera_from_object([1.0, 0.5, 4.0]), vertices)
    assert placed == pytest.approx(np.array([[1.1, 1.1, -4.0], [1.1, -0.6, -4.0]]))


def test_no_conversion_mirrors() -> None:
    assert np.linalg.det(sam3d_camera_from_object([1, 0, 0, 0], np.zeros(3), np.ones(3))[:3, :3]) == pytest.approx(1)
    triangle = body_object_vertices(np.eye(3))
    assert np.linalg.det(triangle) == pytest.approx(1)


def test_points_that_are_not_finite_become_nan_as_a_whole() -> None:
    points = pytorch3d_pointmap([[[1.0, 2.0, -3.0], [np.inf, 0.0, -1.0], [0.0, np.nan, -1.0]]])
    assert points.dtype == np.float32
    assert points[0, 0].tolist() == [-1.0, 2.0, 3.0]
    assert np.isnan(points[0, 1:]).all()
