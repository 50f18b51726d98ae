"""Easing, motions, camera paths, scenes: the values everything else is made of."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from real2sam2real.geometry import Intrinsics, quaternions, transforms
from real2sam2real.scene import CameraPath, Keyframe, Motion, Scene
from real2sam2real.scene.retime import sampled_camera, sampled_motion
from real2sam2real.scene.shot import camera_inside, winding_number
from real2sam2real.scene.timing import EASINGS, ease

seeds = st.integers(0, 2**32 - 1)


def some_motion(seed: int, frames: int = 5) -> Motion:
    random = np.random.default_rng(seed)
    return Motion(
        translation=random.normal(size=(frames, 3)),
        rotation_wxyz=random.normal(size=(frames, 4)),
        scale=random.uniform(0.5, 2, size=(frames, 3)),
        visible=random.uniform(size=frames) > 0.5,
        vertices_object=random.normal(size=(frames, 7, 3)).astype(np.float32),
    )


@pytest.mark.parametrize("easing", EASINGS)
def test_easings_run_from_0_to_1_and_never_back(easing):
    f = np.linspace(-0.5, 1.5, 201)
    eased = ease(f, easing)
    assert eased[0] == 0
    assert eased[-1] == 1
    assert np.all(np.diff(eased) >= 0)
    assert ease(1.0, easing) == 1


def test_easings_start_and_end_at_rest_where_they_say_so():
    step = 1e-6
    speeds = {name: (ease(step, name) / step, (1 - ease(1 - step, name)) / step) for name in EASINGS}
    at_rest = {name: tuple(bool(speed < 1e-3) for speed in pair) for name, pair in speeds.items() if name != "hold"}
    assert at_rest == {
        "linear": (False, False), "ease": (True, True), "ease-in": (True, False), "ease-out": (False, True)
    }  # fmt: skip
    assert ease(0.999, "hold") == 0
    with pytest.raises(ValueError, match="unknown easing 'bounce'"):
        ease(0.5, "bounce")


@given(seeds)
@settings(max_examples=20)
def test_a_motion_from_matrices_gives_them_back(seed):
    matrices = some_motion(seed).matrices()
    np.testing.assert_allclose(Motion.from_matrices(matrices).matrices(), matrices, atol=1e-12)


def test_keyframes_hold_before_and_after_and_pass_through():
    turn = tuple(quaternions.from_axis_angle([0, 1, 0], np.pi / 2))
    keys = [
        Keyframe(frame=6, translation=(4, 0, 0), rotation_wxyz=turn, scale=(2, 1, 1)),
        Keyframe(frame=2, translation=(0, 0, 0), easing="ease"),
    ]
    motion = Motion.from_keyframes(keys, 9)
    np.testing.assert_array_equal(motion.translation[:3], 0)
    np.testing.assert_array_equal(motion.translation[6:], np.broadcast_to([4, 0, 0], (3, 3)))
    np.testing.assert_allclose(motion.translation[4], [2, 0, 0])
    np.testing.assert_allclose(motion.translation[3], [4 * (0.25**2) * 2.5, 0, 0])  # smoothstep at a quarter
    half = quaternions.from_axis_angle([0, 1, 0], np.pi / 4)
    np.testing.assert_allclose(quaternions.angle_between(motion.rotation_wxyz[4], half), 0, atol=1e-7)
    np.testing.assert_allclose(motion.scale[4], [1.5, 1, 1])


def test_one_keyframe_is_a_still_pose_and_none_is_an_error():
    motion = Motion.from_keyframes([Keyframe(frame=3, translation=(1, 2, 3))], 5)
    np.testing.assert_array_equal(motion.translation, np.broadcast_to([1, 2, 3], (5, 3)))
    with pytest.raises(ValueError, match="at least one keyframe"):
        Motion.from_keyframes([], 5)
    with pytest.raises(ValueError, match="same frame"):
        Motion.from_keyframes([Keyframe(frame=3), Keyframe(frame=3)], 5)


def test_hidden_frames_are_inclusive_and_add_up():
    motion = Motion.still(6, np.eye(4)).hidden(1, 2).hidden(5, 9)
    np.testing.assert_array_equal(motion.visible, [True, False, False, True, True, False])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"translation": np.full((5, 3), np.nan)}, "not finite"),
        ({"scale": np.zeros((5, 3))}, "scale is zero"),
        ({"scale": np.ones((4, 3))}, r"scale has shape \(4, 3\)"),
        ({"rotation_wxyz": np.zeros((5, 4))}, "zero length"),
        ({"visible": np.ones(4, bool)}, "visible has shape"),
        ({"vertices_object": np.zeros((4, 7, 3))}, "deformed vertices have shape"),
        ({"vertices_object": np.full((5, 7, 3), np.inf)}, "deformed vertices are not finite"),
    ],
)
def test_what_is_no_motion(change, message):
    with pytest.raises(ValueError, match=message):
        replace(some_motion(1), **change)


@given(seeds, st.integers(1, 4))
@settings(max_examples=20)
def test_stretching_keeps_the_ends_and_every_old_frame(seed, times):
    motion = some_motion(seed)
    longer = sampled_motion(motion, np.linspace(0, motion.frames - 1, 4 * times + 1))
    assert longer.frames == 4 * times + 1
    np.testing.assert_allclose(longer.matrices()[::times], motion.matrices(), atol=1e-12)
    np.testing.assert_array_equal(longer.visible[::times], motion.visible)
    np.testing.assert_allclose(longer.vertices_object[::times], motion.vertices_object, atol=1e-6)


@given(seeds)
@settings(max_examples=20)
def test_stretching_a_camera(seed):
    random = np.random.default_rng(seed)
    path = CameraPath(
        world_from_camera=transforms.compose(random.normal(size=(3, 3)), random.normal(size=(3, 4))),
        intrinsics=Intrinsics.from_fov(64, 48, horizontal_degrees=50), zoom=np.array([1.0, 4.0, 2.0]),
    )  # fmt: skip
    longer = sampled_camera(path, np.linspace(0, 2, 5))
    np.testing.assert_array_equal(longer.world_from_camera[::2], path.world_from_camera)
    np.testing.assert_allclose(longer.zoom, [1, 2, 4, np.sqrt(8), 2])
    np.testing.assert_allclose(longer.world_from_camera[1, :3, 3], path.world_from_camera[:2, :3, 3].mean(axis=0))
    np.testing.assert_array_equal(sampled_camera(path, np.array([2.0])).world_from_camera[0], path.world_from_camera[2])
    np.testing.assert_array_equal(
        sampled_camera(path, np.linspace(0, 2, 1)).world_from_camera[0], path.world_from_camera[0]
    )


@pytest.mark.parametrize(
    ("poses", "zoom", "message"),
    [
        (np.eye(4), [1], "expected .T, 4, 4."),
        (np.zeros((0, 4, 4)), [], "T >= 1"),
        (np.eye(4)[None], [1, 1], "zoom has shape"),
        (np.eye(4)[None], [0], "not a positive number"),
        (np.eye(4)[None] * np.nan, [1], "not finite"),
        (np.diag([2.0, 1, 1, 1])[None], [1], "scales, shears or mirrors"),
        (np.diag([-1.0, 1, 1, 1])[None], [1], "scales, shears or mirrors"),
    ],
)
def test_what_is_no_camera_path(poses, zoom, message):
    lens = Intrinsics.from_fov(64, 48, horizontal_degrees=50)
    with pytest.raises(ValueError, match=message):
        CameraPath(world_from_camera=poses, intrinsics=lens, zoom=np.array(zoom, float))


def test_camera_path_views():
    lens = Intrinsics.from_fov(64, 48, horizontal_degrees=50)
    pose = transforms.compose([1, 2, 3], quaternions.from_axis_angle([1, 2, 3], 0.5))
    path = replace(CameraPath.still(3, lens, pose), zoom=np.array([1.0, 2, 4]))
    np.testing.assert_allclose(
        path.camera_from_world() @ path.world_from_camera, np.broadcast_to(np.eye(4), (3, 4, 4)), atol=1e-12
    )
    assert path.intrinsics_at(2).fx == 4 * lens.fx
    assert path.resized(128, 96).intrinsics_at(1).fx == 4 * lens.fx
    np.testing.assert_array_equal(CameraPath.still(2, lens).world_from_camera, np.broadcast_to(np.eye(4), (2, 4, 4)))


def test_editing_a_scene(scene):
    assert scene.names == ["car", "man"]
    assert scene.frames == 41
    gone = scene.without("man")
    assert gone.names == ["car"]
    assert [entity.name for entity in gone.removed] == ["man"]
    copied = scene.duplicated("car", "car2", [1, 0, 0])
    np.testing.assert_allclose(copied.entity("car2").rest_world_from_object[:3, 3], [1.5, -1, -5])
    moved = copied.entity("car2").vertices_world(3) - scene.entity("car").vertices_world(3)
    np.testing.assert_allclose(moved, np.broadcast_to([1, 0, 0], moved.shape))
    assert copied.without("car2").removed == ()  # never covered photo pixels
    assert scene.names == ["car", "man"]  # edits make new scenes
    with pytest.raises(KeyError, match="did you mean 'car'"):
        scene.entity("cra")
    with pytest.raises(KeyError, match="the scene is empty"):
        Scene(entities=(), camera=scene.camera).entity("car")
    with pytest.raises(ValueError, match="already in the scene"):
        scene.duplicated("car", "man", [0, 0, 0])


def test_deformed_vertices_in_the_world(scene):
    car = scene.entity("car")
    shape = np.stack([car.mesh.vertices * (1 + k) for k in range(41)]).astype(np.float32)
    waving = replace(car, motion=replace(car.motion, vertices_object=shape))
    np.testing.assert_allclose(waving.vertices_world(2), 3 * car.mesh.vertices + [0.5, -1, -5])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "cannot be an entity's name"),
        ("-a", "start with"),
        ("a/b", "contains /"),
        ("../x", "cannot be"),
        ("a\nb", "contains"),
    ],
)
def test_names_that_would_hurt(scene, name, message):
    with pytest.raises(ValueError, match=message):
        replace(scene.entity("car"), name=name)


def test_what_is_no_scene(scene):
    car = scene.entity("car")
    with pytest.raises(ValueError, match="used twice: car"):
        replace(scene, entities=(car, car))
    with pytest.raises(ValueError, match="'car' moves over 3 frames but the camera over 41"):
        replace(scene, entities=(replace(car, motion=Motion.still(3, np.eye(4))),))
    with pytest.raises(ValueError, match="at most 255 entities"):
        replace(scene, entities=tuple(replace(car, name=f"car{k}") for k in range(256)))
    with pytest.raises(ValueError, match="fps is 0"):
        replace(scene, fps=0)
    with pytest.raises(ValueError, match="deforms 3 vertices"):
        replace(car, motion=replace(car.motion, vertices_object=np.zeros((41, 3, 3))))


@given(st.tuples(*[st.floats(-1.5, 1.5)] * 3))
@settings(max_examples=50)
def test_winding_numbers_tell_inside_from_outside(box, point):
    mesh = box(2, 1, 1)
    distance = np.array([1 - abs(point[0]), 0.5 - abs(point[1] - 0.5), 0.5 - abs(point[2])])
    if np.abs(distance).min() > 1e-6:
        expected = 1 if distance.min() > 0 else 0
        assert winding_number(mesh.vertices, mesh.faces, np.array(point)) == pytest.approx(expected, abs=1e-6)


def test_the_first_entity_around_the_camera_is_named(scene):
    assert camera_inside(scene) is None
    car = scene.entity("car")
    drive = car.motion.translation - np.linspace(0, 1, 41)[:, None] * [0.5, -0.5, -5]
    arriving = scene.with_motion("car", replace(car.motion, translation=drive))
    assert camera_inside(arriving) == (37, "car")
    grown = np.repeat(car.mesh.vertices[None] * 20, 41, axis=0).astype(np.float32)
    assert camera_inside(scene.with_motion("car", replace(car.motion, vertices_object=grown))) == (0, "car")
