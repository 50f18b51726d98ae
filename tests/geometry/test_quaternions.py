"""Quaternions against rotation matrices, over batch shapes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from real2sam2real.geometry import quaternions as q

SHAPES = [(), (1,), (5,), (2, 3), (0,)]
shapes = st.sampled_from(SHAPES)
seeds = st.integers(0, 2**32 - 1)


def random_quaternions(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    return q.normalize(np.random.default_rng(seed).normal(size=(*shape, 4)))


def same_rotation(a, b) -> None:
    np.testing.assert_allclose(q.angle_between(a, b), 0, atol=1e-7)


@given(seeds, shapes)
@settings(max_examples=30)
def test_matrices_agree_with_scipy(seed, shape):
    quaternion = random_quaternions(seed, shape)
    flat = quaternion.reshape(-1, 4)
    if len(flat):
        expected = Rotation.from_quat(flat[:, [1, 2, 3, 0]]).as_matrix().reshape(*shape, 3, 3)
        np.testing.assert_allclose(q.to_matrix(quaternion), expected, atol=1e-14)
    assert q.to_matrix(quaternion).shape == (*shape, 3, 3)


@given(seeds, shapes)
@settings(max_examples=30)
def test_matrix_round_trip(seed, shape):
    quaternion = random_quaternions(seed, shape)
    back = q.from_matrix(q.to_matrix(quaternion))
    assert back.shape == quaternion.shape
    assert np.all(back[..., 0] >= 0)
    same_rotation(back, quaternion)


@given(seeds, st.sampled_from([0.0, 1e-9, 1e-4]))
@settings(max_examples=30)
def test_half_turns_survive_the_matrix(seed, short):
    """Near 180 degrees the trace formula alone would divide by nothing."""
    random = np.random.default_rng(seed)
    axis = np.concatenate([np.eye(3), random.normal(size=(4, 3))])
    quaternion = q.from_axis_angle(axis, np.full(7, np.pi - short))
    np.testing.assert_allclose(q.to_matrix(q.from_matrix(q.to_matrix(quaternion))), q.to_matrix(quaternion), atol=1e-12)


@given(seeds, shapes)
@settings(max_examples=30)
def test_products_are_matrix_products(seed, shape):
    a, b = random_quaternions(seed, shape), random_quaternions(seed + 1, shape)
    np.testing.assert_allclose(q.to_matrix(q.multiply(a, b)), q.to_matrix(a) @ q.to_matrix(b), atol=1e-14)
    same_rotation(q.multiply(a, a * [1, -1, -1, -1]), np.broadcast_to(q.IDENTITY, a.shape))


def test_products_broadcast():
    many = random_quaternions(1, (5,))
    np.testing.assert_allclose(q.multiply(q.IDENTITY, many), many)


@given(seeds, st.floats(-7, 7))
@settings(max_examples=30)
def test_axis_and_angle_are_right_handed(seed, angle):
    axis = np.random.default_rng(seed).normal(size=3)
    rotation = q.to_matrix(q.from_axis_angle(axis, angle))
    np.testing.assert_allclose(
        rotation, Rotation.from_rotvec(angle * axis / np.linalg.norm(axis)).as_matrix(), atol=1e-12
    )
    np.testing.assert_allclose(q.to_matrix(q.from_axis_angle([0, 0, 1], np.pi / 2)) @ [1, 0, 0], [0, 1, 0], atol=1e-15)


def test_one_axis_takes_many_angles_and_many_axes_one():
    assert q.from_axis_angle([0, 1, 0], np.zeros((2, 3))).shape == (2, 3, 4)
    assert q.from_axis_angle(np.eye(3), 0.3).shape == (3, 4)


@given(seeds, shapes, st.floats(0, 1))
@settings(max_examples=30)
def test_slerp_turns_at_constant_speed_along_the_shorter_arc(seed, shape, fraction):
    a, b = random_quaternions(seed, shape), random_quaternions(seed + 1, shape)
    between = q.slerp(a, b, np.full(shape, fraction))
    whole = q.angle_between(a, b)
    assert np.all(whole <= np.pi)
    np.testing.assert_allclose(q.angle_between(a, between), fraction * whole, atol=1e-6)
    np.testing.assert_allclose(q.angle_between(between, b), (1 - fraction) * whole, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(between, axis=-1), 1)
    same_rotation(q.slerp(a, -b, fraction), q.slerp(a, b, fraction))


def test_slerp_of_almost_equal_rotations_is_finite():
    a = np.array(q.IDENTITY)
    for angle in (0.0, 1e-12, 1e-7):
        assert np.isfinite(q.slerp(a, q.from_axis_angle([1, 0, 0], angle), 0.5)).all()
    same_rotation(q.slerp(a, q.from_axis_angle([1, 0, 0], 1e-4), 0.5), q.from_axis_angle([1, 0, 0], 5e-5))


@given(seeds, st.floats(0, np.pi))
@settings(max_examples=30)
def test_angles(seed, angle):
    start = random_quaternions(seed, ())
    axis = np.random.default_rng(seed).normal(size=3)
    end = q.multiply(start, q.from_axis_angle(axis, angle))
    np.testing.assert_allclose(q.angle_between(start, end), angle, atol=1e-12)
    np.testing.assert_allclose(q.angle_between(start, -end), angle, atol=1e-12)


@pytest.mark.parametrize("bad", [[0, 0, 0, 0], [np.nan, 0, 0, 1], [np.inf, 0, 0, 0]])
def test_no_rotation_is_an_error(bad):
    with pytest.raises(ValueError, match="zero length or is not finite"):
        q.normalize(bad)
    with pytest.raises(ValueError, match="zero length or is not finite"):
        q.to_matrix([q.IDENTITY, bad])


def test_no_axis_is_an_error():
    with pytest.raises(ValueError, match="axis has zero length"):
        q.from_axis_angle([0, 0, 0], 1.0)
