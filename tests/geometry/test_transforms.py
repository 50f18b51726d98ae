"""4×4 transforms: composing, taking apart, inverting, looking."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from real2sam2real.geometry import quaternions, transforms

shapes = st.sampled_from([(), (4,), (2, 3), (0,)])
seeds = st.integers(0, 2**32 - 1)


def parts(seed: int, shape: tuple[int, ...]):
    random = np.random.default_rng(seed)
    rotation = quaternions.normalize(random.normal(size=(*shape, 4)))
    return random.normal(size=(*shape, 3)) * 10, rotation, random.uniform(0.1, 5, size=(*shape, 3))


@given(seeds, shapes)
@settings(max_examples=30)
def test_compose_scales_then_rotates_then_translates(seed, shape):
    translation, rotation, scale = parts(seed, shape)
    matrix = transforms.compose(translation, rotation, scale)
    points = np.random.default_rng(seed).normal(size=(*shape, 6, 3))
    turned = np.einsum("...ij,...nj->...ni", quaternions.to_matrix(rotation), points * scale[..., None, :])
    np.testing.assert_allclose(transforms.apply(matrix, points), turned + translation[..., None, :], atol=1e-12)


@given(seeds, shapes)
@settings(max_examples=30)
def test_decompose_undoes_compose(seed, shape):
    translation, rotation, scale = parts(seed, shape)
    t, r, s = transforms.decompose(transforms.compose(translation, rotation, scale))
    np.testing.assert_allclose(t, translation)
    np.testing.assert_allclose(s, scale)
    np.testing.assert_allclose(quaternions.angle_between(r, rotation), 0, atol=1e-7)


@given(seeds, st.integers(0, 2))
@settings(max_examples=20)
def test_mirrors_come_back_as_a_mirror(seed, axis):
    translation, rotation, scale = parts(seed, ())
    scale[axis] *= -1
    matrix = transforms.compose(translation, rotation, scale)
    t, r, s = transforms.decompose(matrix)
    np.testing.assert_allclose(transforms.compose(t, r, s), matrix, atol=1e-12)
    assert s[0] < 0 < min(s[1:])


def test_compose_takes_one_scale_and_broadcasts():
    matrix = transforms.compose(np.zeros((3, 3)), quaternions.IDENTITY, 2.0)
    np.testing.assert_array_equal(matrix, np.broadcast_to(np.diag([2.0, 2, 2, 1]), (3, 4, 4)))
    assert transforms.compose([0, 0, 0], np.tile(quaternions.IDENTITY, (5, 1)), np.ones(3)).shape == (5, 4, 4)


@given(seeds, shapes)
@settings(max_examples=30)
def test_rigid_inverse(seed, shape):
    translation, rotation, _ = parts(seed, shape)
    matrix = transforms.compose(translation, rotation)
    np.testing.assert_allclose(
        transforms.invert_rigid(matrix) @ matrix, np.broadcast_to(np.eye(4), matrix.shape), atol=1e-12
    )
    if matrix.size:
        np.testing.assert_allclose(transforms.invert_rigid(matrix), np.linalg.inv(matrix), atol=1e-10)


@given(seeds, shapes)
@settings(max_examples=30)
def test_look_at_points_minus_z_at_the_target(seed, shape):
    random = np.random.default_rng(seed)
    eye, target = random.normal(size=(*shape, 3)), random.normal(size=(*shape, 3)) * 5
    pose = transforms.look_at(eye, target)
    camera = transforms.apply(transforms.invert_rigid(pose), target[..., None, :])[..., 0, :]
    np.testing.assert_allclose(camera[..., :2], 0, atol=1e-10)
    np.testing.assert_allclose(-camera[..., 2], np.linalg.norm(target - eye, axis=-1))
    assert np.all(pose[..., 1, 1] >= 0)  # upright
    np.testing.assert_allclose(pose[..., 1, 0], 0, atol=1e-12)  # level
    np.testing.assert_allclose(np.linalg.det(pose[..., :3, :3]), 1)


@pytest.mark.parametrize("target", [[0, 5, 0], [0, -5, 0]])
def test_looking_straight_up_or_down_is_a_rotation(target):
    pose = transforms.look_at([0, 0, 0], target)
    np.testing.assert_allclose(-pose[:3, 2] * 5, target)
    np.testing.assert_allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-12)
    assert np.linalg.det(pose[:3, :3]) == pytest.approx(1)


def test_what_cannot_be_is_an_error():
    with pytest.raises(ValueError, match="stands exactly on the point"):
        transforms.look_at([1, 2, 3], [1, 2, 3])
    with pytest.raises(ValueError, match="flattens space"):
        transforms.decompose(np.diag([1.0, 0, 1, 1]))
    with pytest.raises(ValueError, match="not finite"):
        transforms.decompose(np.full((4, 4), np.nan))


@pytest.mark.parametrize(
    ("axis", "about"), list(enumerate((transforms.about_x, transforms.about_y, transforms.about_z)))
)
def test_turns_about_the_axes_agree_with_quaternions(axis, about):
    for angle in (0.0, 0.3, -2.0, np.pi):
        expected = quaternions.to_matrix(quaternions.from_axis_angle(np.eye(3)[axis], angle))
        np.testing.assert_allclose(about(angle), expected, atol=1e-15)
    np.testing.assert_array_equal(about(0.0), np.eye(3))
