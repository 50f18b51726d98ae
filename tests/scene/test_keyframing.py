"""Keys that are solved for: whatever else moves, the pose is the one that was asked for, and other keys stay."""

import numpy as np
import pytest

from real2sam2real.errors import UserError
from real2sam2real.geometry import quaternions, transforms
from real2sam2real.scene.entity_moves import EntityKeyframes
from real2sam2real.scene.kept_motions import KeptMotions
from real2sam2real.scene.keyframing import with_camera_key, with_entity_key
from real2sam2real.scene.shot import Shot, parse_shot

FRAMES = 17


def pose(position, axis=(0, 1, 0), degrees=0.0, scale=(1, 1, 1)):
    return transforms.compose(position, quaternions.from_axis_angle(axis, np.radians(degrees)), scale)


def some_pose(seed: int, *, scaled: bool, degrees: float = 179):
    random = np.random.default_rng(seed)
    place = random.uniform([-2, -1, -6], [2, 1, -4])
    scale = random.uniform(0.3, 3, 3) if scaled else np.ones(3)
    return pose(place, random.normal(size=3), random.uniform(-degrees, degrees), scale)


OTHERS = [
    [],
    ["car: right 1, turn 40deg"],
    ["car: forward 2, turn 30deg frames 0-12, pitch 20deg about middle, scale (1, 2, 1) about middle"],
    ["car: facing right, tumble 30deg, follow ((1, 0, 0), (1, 0, -2)) face no"],
    ["man: right 1, turn 90deg", "car: on man, up 0.5"],
    ["car: keyframes (frame 8 by (1, 0, 0) turn 20deg easing hold; frame 12 position (0, 1, -4); at 100% turn 90deg)"],
]


@pytest.mark.parametrize("moves", OTHERS, ids=lambda moves: "; ".join(moves) or "nothing else")
@pytest.mark.parametrize(("seed", "frame"), [(0, 0), (1, 7), (2, 12), (3, 16)])
def test_an_entity_is_where_it_was_put(stage, moves, seed, frame):
    wanted = some_pose(seed, scaled=True)
    scene, shot, kept = stage(FRAMES), Shot.from_flags(frames=FRAMES, move=moves), KeptMotions()
    found = with_entity_key(shot, scene, "car", frame, wanted, kept)
    again = parse_shot(found.to_yaml())
    assert again == found
    made = again.apply(scene).entity("car").motion.matrices()[frame]
    np.testing.assert_allclose(made, wanted, atol=2e-5)


CAMERAS = [
    [],
    ["orbit 20deg around car; dolly in 0.5"],
    ["pan 10deg; tilt 5deg frames 0-10; roll 5deg; zoom 1.5x"],
    ["handheld; truck 0.3"],
    ["keyframes (frame 8 by (0.2, 0, 0) easing linear; frame 12 position (0, 0.5, 0) look-at car zoom 1.3x)"],
]


@pytest.mark.parametrize("moves", CAMERAS, ids=lambda moves: "; ".join(moves) or "nothing else")
@pytest.mark.parametrize(("seed", "frame", "zoom"), [(0, 0, None), (1, 7, 0.5), (2, 12, 2.0), (3, 16, None)])
def test_the_camera_is_where_it_was_put(stage, moves, seed, frame, zoom):
    scene, shot = stage(FRAMES), Shot.from_flags(frames=FRAMES, camera=moves)
    before = shot.apply(scene).camera
    wanted = some_pose(seed, scaled=False, degrees=70)
    wanted[:3, 3] += [0, 1.5, 5]  # clear of what stands there
    found = parse_shot(with_camera_key(shot, scene, frame, wanted, zoom).to_yaml())
    made = found.apply(scene).camera
    np.testing.assert_allclose(made.world_from_camera[frame], wanted, atol=2e-5)
    assert made.zoom[frame] == pytest.approx(before.zoom[frame] if zoom is None else zoom, rel=1e-5)


def test_a_key_keeps_what_was_not_changed(stage):
    scene = stage(41)
    shot = Shot.from_flags(
        frames=41,
        move=["car: keyframes (frame 8 by (1, 0, 0) turn 20deg easing hold; at 0.75 s turn 30deg; at 100% turn 90deg)"],
    )
    there = shot.apply(scene).entity("car").motion.matrices()
    assert with_entity_key(shot, scene, "car", 8, there[8]) == shot
    moved = there[8].copy()
    moved[:3, 3] += [0, 0.25, 0]
    key = keys_of(with_entity_key(shot, scene, "car", 8, moved))[0]
    assert (str(key.time), key.easing, key.turn, key.scale) == ("8 frames", "hold", 20.0, keys_of(shot)[0].scale)
    assert [part.value for part in key.by] == [1, 0.25, 0]
    added = keys_of(with_entity_key(shot, scene, "car", 20, there[20]))
    assert [str(key.time) for key in added] == ["8 frames", "0.75 s", "20 frames", "100%"]
    assert added[2].easing == "ease"  # that of the way that it parts
    timed = keys_of(with_entity_key(shot, scene, "car", 12, moved))
    assert [str(key.time) for key in timed] == ["8 frames", "0.75 s", "100%"]


def keys_of(shot: Shot):
    return next(move.keys for move in shot.entities["car"] if isinstance(move, EntityKeyframes))


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (pose([0, 0, -5]) + np.eye(4, k=1) * [[0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]], "sheared"),
        (pose([0, 0, -5], scale=(-1, 1, 1)), "mirrored"),
        (pose([0, 0, -5], scale=(0, 1, 1)), "flat"),
        (pose([0, 0, -5]) * np.nan, "no 4×4 matrix"),
        (pose([0, 0, -5], scale=(1e5, 1, 1)), "the scale of 'car' would be .*x, which is outside"),
    ],
)  # fmt: skip
def test_a_pose_that_no_shot_can_say(stage, matrix, message):
    with pytest.raises(UserError, match=message):
        with_entity_key(Shot(frames=41), stage(41), "car", 8, matrix)


def test_what_turns_a_key_away_is_named(stage):
    """A whole turn about one axis leaves nothing of a turn about another that happens meanwhile."""
    shot = Shot.from_flags(frames=FRAMES, move=["car: facing right, tumble 1 turn"])
    with pytest.raises(UserError, match=r"no keyframe leads 'car' to that pose at frame 16 .*\(tumble\)"):
        with_entity_key(shot, stage(FRAMES), "car", 16, some_pose(3, scaled=True))


def test_what_holds_the_camera_is_named(stage, tmp_path):
    scene = stage(41)
    with pytest.raises(UserError, match=r"no keyframe leads the camera to that pose at frame 20 .*look-at"):
        with_camera_key(
            Shot.from_flags(frames=41, camera=["look-at car frames 0-10"]), scene, 20, pose([0, 1, 0], degrees=70)
        )
    (tmp_path / "a.tum").write_text("0 0 0 0 0 0 0 1\n1 0 0 1 0 0 0 1\n")
    path = Shot.from_flags(frames=41, camera=[f"path {tmp_path / 'a.tum'}"])
    with pytest.raises(UserError, match="take the path out first"):
        with_camera_key(path, scene, 20, pose([0, 1, 0]))
    with pytest.raises(UserError, match="a camera's pose has no scale"):
        with_camera_key(Shot(frames=41), scene, 20, pose([0, 1, 0], scale=(2, 2, 2)))
    with pytest.raises(UserError, match="frame 41 is outside the shot's frames 0…40"):
        with_camera_key(Shot(frames=41), scene, 41, pose([0, 1, 0]))
    with pytest.raises(UserError, match="no entity called 'cra'; did you mean 'car'"):
        with_entity_key(Shot(frames=41), scene, "cra", 3, pose([0, 1, 0]))


def test_kept_motions_are_those_that_are_computed(stage):
    kept, scene = KeptMotions(), stage(1)
    for move in ("car: right 1", "car: right 2", "car: right 1", "man: on car", "car: right 1, facing left, forward 2"):
        for camera in ("track car", "orbit 20deg", "keyframes (frame 8 look-at car)"):
            for frames in (9, 13):
                shot = Shot.from_flags(frames=frames, camera=[camera], move=[move])
                with_, without = shot.apply(scene, kept), shot.apply(scene)
                np.testing.assert_array_equal(with_.camera.world_from_camera, without.camera.world_from_camera)
                for name in scene.names:
                    a, b = (each.entity(name).motion for each in (with_, without))
                    np.testing.assert_array_equal(a.matrices(), b.matrices())
