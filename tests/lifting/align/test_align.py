"""Meshes at known poses, hidden in part, given wrongly, found again."""

from dataclasses import replace

import numpy as np
import pytest

from real2sam2real.errors import UserError
from real2sam2real.geometry import Intrinsics, transforms
from real2sam2real.lifting.align import ObjectObservation, align
from real2sam2real.lifting.align.drawing import inverse_depth
from real2sam2real.lifting.align.pose import MeshPose, rotation_of
from real2sam2real.mesh import Mesh

CASES = 9


@pytest.fixture(scope="module")
def cases(known_truth):
    """Half as wide and high as the benchmark's, which tells as much."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(known_truth, "WIDTH", 320)
        patch.setattr(known_truth, "HEIGHT", 240)
        return [known_truth.random_case(seed) for seed in range(CASES)]


@pytest.fixture(scope="module")
def scores(known_truth, cases):
    return [known_truth.scored(case) for case in cases]


def test_silhouettes_and_rotations_are_found_again(scores) -> None:
    assert np.median([score.before for score in scores]) < 0.6
    assert np.median([score.after for score in scores]) >= 0.99
    assert min(score.after for score in scores) >= 0.9
    assert np.median([score.degrees for score in scores]) <= 0.5


def test_it_never_ends_worse_than_it_began_and_tells_the_truth(scores, cases, known_truth) -> None:
    for case, score in zip(cases, scores, strict=True):
        found, observation = score.alignment, case.observation
        assert found.iou_after >= found.iou_before
        drawn = known_truth.silhouette(case.mesh, found.camera_from_object, found.intrinsics)
        whole = known_truth.iou(drawn, observation.mask)
        counted = known_truth.iou(drawn & (~observation.hidden | observation.mask), observation.mask)
        assert found.iou_whole == pytest.approx(whole, abs=0.01)  # another renderer
        assert found.iou_after == pytest.approx(counted, abs=0.01)


@pytest.mark.parametrize("seed", [3, 8])
def test_parts_that_the_mask_just_misses_do_not_pull(known_truth, seed: int) -> None:
    score = known_truth.scored(known_truth.random_case(seed, unknown=True))
    assert score.degrees < 3
    assert score.after > 0.97


def test_a_ragged_mask_is_met_in_the_middle(known_truth) -> None:
    score = known_truth.scored(known_truth.random_case(1, ragged=True))
    assert score.degrees < 3
    assert score.after > 0.97


def test_a_perfect_initial_pose_stays(known_truth) -> None:
    case = known_truth.random_case(5)
    found = align(case.mesh, case.observation, initial_pose=case.truth)
    assert found.turned_degrees < 0.5
    np.testing.assert_allclose(found.camera_from_object, case.truth, atol=0.02)


def bent(length: float = 1.0) -> Mesh:
    """An L of two boxes, which looks different from every side."""
    import manifold3d

    solid = manifold3d.Manifold.cube((length, 0.3, 0.3)) + manifold3d.Manifold.cube((0.3, 0.8, 0.2))
    solid = solid + manifold3d.Manifold.cube((0.2, 0.2, 0.7))
    result = solid.to_mesh()
    return Mesh(vertices=np.asarray(result.vert_properties, np.float64)[:, :3], faces=result.tri_verts)


LENS = Intrinsics.from_fov(320, 240, horizontal_degrees=60)


def placed(turn_degrees: float, at=(0.2, -0.1, -3.0), size: float = 1.0) -> np.ndarray:
    half = np.radians(turn_degrees) / 2
    return transforms.compose(at, [np.cos(half), 0, np.sin(half), 0], size)


def seen(known_truth, mesh: Mesh, pose: np.ndarray, lens: Intrinsics = LENS, **more) -> ObjectObservation:
    mask = known_truth.silhouette(mesh, pose, lens)
    return ObjectObservation(mask=mask, intrinsics=lens, hidden=np.zeros_like(mask), **more)


@pytest.mark.parametrize("turn", [0.0, 100.0, 215.0])
def test_without_an_initial_pose_upright_poses_are_tried_all_round(known_truth, turn: float) -> None:
    found = align(bent(), seen(known_truth, bent(), placed(turn)))
    assert found.iou_before is None
    assert found.iou_after > 0.97
    truth, got = (MeshPose(camera_from_object=matrix) for matrix in (placed(turn), found.camera_from_object))
    assert got.angle_to(truth) < 8


def test_depths_decide_how_far_away_it_is(known_truth) -> None:
    pose = placed(30)
    inverse = inverse_depth(transforms.apply(pose, bent().vertices), bent().faces, LENS)
    depth = np.where(inverse > 0, 1 / np.maximum(inverse, 1e-9), np.nan)
    depth[::3] = np.nan
    observation = seen(known_truth, bent(), pose, depth=depth)
    small_and_near = np.diag([0.4, 0.4, 0.4, 1.0]) @ placed(20)
    found = align(bent(), observation, initial_pose=small_and_near)
    np.testing.assert_allclose(found.camera_from_object, pose, atol=0.03)
    assert found.nearer == pytest.approx(1 / 0.4, rel=0.05)


def test_depths_see_turns_that_the_silhouette_hides(known_truth) -> None:
    """A ball looks the same however it is turned; a dent in it shows in the depths."""
    import manifold3d

    solid = manifold3d.Manifold.sphere(1.0, 60) - manifold3d.Manifold.sphere(0.6, 40).translate((0.0, 0.3, 0.9))
    result = solid.to_mesh()
    ball = Mesh(vertices=np.asarray(result.vert_properties, np.float64)[:, :3], faces=result.tri_verts)
    pose = placed(0, at=(0, 0, -4))
    inverse = inverse_depth(transforms.apply(pose, ball.vertices), ball.faces, LENS)
    depth = np.where(inverse > 0, 1 / np.maximum(inverse, 1e-9), np.nan)
    initial_pose = placed(14, at=(0, 0, -4))
    without = align(ball, seen(known_truth, ball, pose), initial_pose=initial_pose)
    found = align(ball, seen(known_truth, ball, pose, depth=depth), initial_pose=initial_pose)
    dent = np.array([0.0, 0.3, 0.9]) / np.linalg.norm([0.3, 0.9])  # the ball may turn about this
    off = [np.degrees(np.arccos(rotation_of(f.camera_from_object)[:3, :3] @ dent @ dent)) for f in (without, found)]
    assert off[1] < 2 < off[0]


def test_a_focal_length_that_was_wrong_is_found_where_it_may_change(known_truth) -> None:
    mesh, lens = bent(2.5), Intrinsics.from_fov(320, 240, horizontal_degrees=75)
    pose = placed(60, at=(-0.3, -0.2, -2.2))
    observation = replace(seen(known_truth, mesh, pose, lens), intrinsics=LENS)
    fixed, free = (
        align(mesh, observation, initial_pose=placed(52, at=(-0.3, -0.2, -2.2)), optimize_focal=free)
        for free in (False, True)
    )
    assert fixed.intrinsics == LENS
    assert free.iou_after >= fixed.iou_after - 0.005
    assert abs(np.log(free.intrinsics.fx / lens.fx)) < abs(np.log(LENS.fx / lens.fx))


def test_what_cannot_be_aligned_is_said(known_truth) -> None:
    observation = seen(known_truth, bent(), placed(0))
    with pytest.raises(UserError, match="the mask is empty"):
        align(bent(), replace(observation, mask=np.zeros_like(observation.mask)))
    with pytest.raises(UserError, match="no faces"):
        align(Mesh(vertices=np.zeros((3, 3)), faces=np.zeros((0, 3), np.int32)), observation)
    with pytest.raises(UserError, match="mirrors or flattens"):
        align(bent(), observation, initial_pose=np.diag([-1.0, 1, 1, 1]))
    with pytest.raises(ValueError, match=r"hidden has shape \(2, 2\)"):
        align(bent(), replace(observation, hidden=np.zeros((2, 2), bool)))


def test_an_initial_pose_behind_the_camera_is_brought_in_front(known_truth) -> None:
    observation = seen(known_truth, bent(), placed(10))
    found = align(bent(), observation, initial_pose=placed(0, at=(0, 0, 3)))
    assert found.iou_after > 0.95
