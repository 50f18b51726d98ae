"""Linear blend skinning."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from real2sam2real.geometry import quaternions
from real2sam2real.mesh.skin import Skin

pytestmark = pytest.mark.fast
ARM = ("shoulder", "elbow", "wrist")


def arm() -> tuple[np.ndarray, Skin]:
    """Points along an arm, each on one bone."""
    points = np.stack([np.linspace(0, 2.9, 30), np.sin(np.arange(30)), np.cos(np.arange(30))], axis=1)
    weights = np.eye(3, dtype=np.float32)[np.minimum(points[:, 0].astype(int), 2)]
    heads = np.array([[0.0, 0, 0], [1.0, 0, 0], [2.0, 0, 0]])
    return points, Skin(bones=ARM, parents=(-1, 0, 1), heads=heads, weights=weights, axes=np.tile(np.eye(3), (3, 1, 1)))


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(-3, 3), min_size=3, max_size=3), st.sampled_from(ARM))
def test_a_bone_takes_along_what_hangs_on_it_rigidly(vector: list[float], name: str) -> None:
    points, skin = arm()
    angle = float(np.linalg.norm(vector))
    axis = np.array(vector) / angle if angle > 1e-6 else np.array([1.0, 0, 0])
    turn = quaternions.to_matrix(quaternions.from_axis_angle(axis, angle))
    bone = ARM.index(name)
    moved = skin.deformed(points, skin.bone_matrices({name: turn}))
    hangs = points[:, 0].astype(int) >= bone
    np.testing.assert_allclose(moved[~hangs], points[~hangs], atol=1e-6)
    joint = skin.heads[bone]
    np.testing.assert_allclose(moved[hangs], (points[hangs] - joint) @ turn.T + joint, atol=1e-5)


def test_turns_add_up_along_the_arm() -> None:
    points, skin = arm()
    quarter = quaternions.to_matrix(quaternions.from_axis_angle([0.0, 0, 1], np.pi / 2))
    both = skin.bone_matrices({"shoulder": quarter, "elbow": quarter})
    np.testing.assert_allclose(both[2][:3, :3] @ [1.0, 0, 0] + both[2][:3, 3], [0, 1, 0], atol=1e-12)
    np.testing.assert_allclose(both[2][:3, :3] @ [2.0, 0, 0] + both[2][:3, 3], [-1, 1, 0], atol=1e-12)
    assert skin.deformed(points, skin.bone_matrices({})).shape == points.shape


def test_a_child_before_its_parent_is_refused() -> None:
    with pytest.raises(ValueError, match="parents before children"):
        Skin(bones=("a", "b"), parents=(-1, 1), heads=np.zeros((2, 3)), weights=np.ones((1, 2), np.float32),
             axes=np.zeros((2, 3, 3)))  # fmt: skip
