"""Camera moves: where they end, what they keep still, how they add up."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from real2sam2real.errors import UserError
from real2sam2real.geometry import quaternions, transforms
from real2sam2real.scene import CameraPath, Motion, Scene
from real2sam2real.scene.camera_animation import animate_camera
from real2sam2real.scene.camera_moves import CAMERA_MOVES, FocalLength, Zoom, parse_camera_flag

CAR = np.array([0.5, -0.5, -5.0])
TILTED = transforms.compose(
    [1.0, 1.5, 2.0],
    quaternions.multiply(
        quaternions.from_axis_angle([0.0, 1.0, 0.0], 0.3), quaternions.from_axis_angle([1.0, 0.0, 0.0], -0.2)
    ),
)
EXAMPLES = {
    "static": "static",
    "orbit": "orbit 30 deg around car elevation up 10 deg",
    "spiral": "spiral 90 deg around car radius 60% height 0.5",
    "crane": "crane up 1 of car",
    "dolly": "dolly in 25%",
    "truck": "truck right 1",
    "pedestal": "pedestal up 0.5",
    "pan": "pan right 10 deg",
    "tilt": "tilt up 5 deg",
    "roll": "roll clockwise 5 deg",
    "zoom": "zoom 1.5x",
    "dolly-zoom": "dolly-zoom in 30% on car",
    "look-at": "look-at man",
    "track": "track car",
    "handheld": "handheld 2 seed 4",
    "keyframes": "keyframes (frame 20 by (0.5, 0, 1) pan 5 deg; frame 40 by (1, 0, 0) zoom 2x)",
}


def filmed(scene: Scene, text: str) -> CameraPath:
    return animate_camera(parse_camera_flag(text), scene)


def seen(path: CameraPath, points_world) -> np.ndarray:
    """Pixels `(T, 2)` of a point, or of one point per frame."""
    points = np.broadcast_to(points_world, (path.frames, 3))
    camera = transforms.apply(path.camera_from_world(), points[:, None])[:, 0]
    return np.array([path.intrinsics_at(t).project(camera[t])[0] for t in range(path.frames)])


def eyes(path: CameraPath) -> np.ndarray:
    return path.world_from_camera[:, :3, 3]


def views(path: CameraPath) -> np.ndarray:
    return -path.world_from_camera[:, :3, 2]


def test_every_move_has_an_example_here():
    assert set(EXAMPLES) == set(CAMERA_MOVES.names) - {"path"}


@pytest.mark.parametrize("text", EXAMPLES.values(), ids=EXAMPLES.keys())
def test_the_first_frame_is_the_photo(stage, text):
    scene = stage(photo_camera=TILTED)
    path = filmed(scene, text)
    np.testing.assert_array_equal(path.world_from_camera[0], TILTED)
    assert path.zoom[0] == 1
    assert path.frames == scene.frames


@pytest.mark.parametrize("text", [text for name, text in EXAMPLES.items() if name not in ("static", "track")])
def test_every_move_does_something_and_starts_gently(scene, text):
    path = filmed(scene, text)
    steps = np.abs(np.diff(path.world_from_camera, axis=0)).max(axis=(1, 2)) + np.abs(np.diff(path.zoom))
    assert steps.max() > 1e-3
    assert steps[0] < 0.5 * steps.max()


def test_no_move_is_a_resting_camera(scene):
    np.testing.assert_array_equal(animate_camera([], scene).world_from_camera, np.broadcast_to(np.eye(4), (41, 4, 4)))
    np.testing.assert_array_equal(filmed(scene, "static").zoom, np.ones(41))


@pytest.mark.parametrize(
    ("text", "shift"),
    [
        ("pan right 10 deg", (-1, 0)),
        ("pan left 10 deg", (1, 0)),
        ("tilt up 10 deg", (0, 1)),
        ("tilt down 10 deg", (0, -1)),
        ("truck right 1", (-1, 0)),
        ("truck left 1", (1, 0)),
        ("pedestal up 1", (0, 1)),
        ("pedestal down 1", (0, -1)),
    ],
)
@pytest.mark.parametrize("camera", [np.eye(4), TILTED], ids=["level", "tilted"])
def test_signs_on_the_picture(stage, text, shift, camera):
    """A point straight ahead goes the other way in the picture (pixels count rightwards and downwards)."""
    ahead = camera[:3, 3] - 5 * camera[:3, 2]
    pixels = seen(filmed(stage(photo_camera=camera), text), ahead)
    moved = pixels[-1] - pixels[0]
    for axis in (0, 1):
        if shift[axis]:
            assert np.sign(moved[axis]) == shift[axis]
            assert abs(moved[axis]) > 30
        else:
            assert abs(moved[axis]) < 8


def test_roll_clockwise_turns_the_picture_counterclockwise(scene):
    right_of_centre = np.array([1.0, 0.0, -5.0])
    pixels = seen(filmed(scene, "roll clockwise 10 deg"), right_of_centre)
    assert pixels[-1][1] < pixels[0][1]
    np.testing.assert_allclose(np.linalg.norm(pixels - [320, 180], axis=1), np.linalg.norm(pixels[0] - [320, 180]))


@given(degrees=st.floats(-170, 170))
@settings(max_examples=8, deadline=None)
def test_pan_and_tilt_are_exact(stage, degrees):
    angle = np.radians(degrees)
    pan = filmed(stage(5), f"pan {degrees} deg").world_from_camera[-1][:3, :3]
    np.testing.assert_allclose(pan, quaternions.to_matrix(quaternions.from_axis_angle([0, -1, 0], angle)), atol=1e-12)
    tilt = filmed(stage(5), f"tilt {degrees} deg").world_from_camera[-1][:3, :3]
    np.testing.assert_allclose(tilt, quaternions.to_matrix(quaternions.from_axis_angle([1, 0, 0], angle)), atol=1e-12)


def test_orbit_is_a_rigid_turn_about_the_middle_of_the_bounds(scene):
    path = filmed(scene, "orbit 30 deg around car")
    turn = np.eye(4)
    turn[:3, :3] = quaternions.to_matrix(quaternions.from_axis_angle([0, 1, 0], np.radians(30)))
    turn[:3, 3] = CAR - turn[:3, :3] @ CAR
    np.testing.assert_allclose(path.world_from_camera[-1], turn, atol=1e-12)
    assert eyes(path)[-1][0] > 0.5  # to its right
    np.testing.assert_allclose(np.linalg.norm(eyes(path) - CAR, axis=1), np.linalg.norm(CAR))
    np.testing.assert_allclose(seen(path, CAR), np.broadcast_to(seen(path, CAR)[0], (41, 2)))


def test_a_full_circle_comes_home(scene):
    path = filmed(scene, "orbit 1 turn around car")
    np.testing.assert_allclose(path.world_from_camera[-1], np.eye(4), atol=1e-12)
    assert eyes(path)[:, 2].min() < -9.9  # it was behind the car


def test_orbit_up_raises_the_camera_and_keeps_the_target_in_place(scene):
    path = filmed(scene, "orbit left 20 deg around car elevation up 30 deg")
    offset = eyes(path) - CAR
    elevation = np.degrees(np.arctan2(offset[:, 1], np.hypot(offset[:, 0], offset[:, 2])))
    assert elevation[-1] - elevation[0] == pytest.approx(30)
    heading = np.degrees(np.arctan2(offset[:, 0], offset[:, 2]))
    assert heading[-1] - heading[0] == pytest.approx(-20)
    np.testing.assert_allclose(seen(path, CAR), np.broadcast_to(seen(path, CAR)[0], (41, 2)))


def test_orbit_around_a_point(scene):
    path = filmed(scene, "orbit 90 deg around (0, 0, -4)")
    np.testing.assert_allclose(eyes(path)[-1], [4, 0, -4], atol=1e-12)
    np.testing.assert_allclose(views(path)[-1], [-1, 0, 0], atol=1e-12)


def test_without_a_target_moves_refer_to_the_largest_entity(scene):
    default, named = filmed(scene, "orbit 30 deg"), filmed(scene, "orbit 30 deg around car")
    np.testing.assert_array_equal(default.world_from_camera, named.world_from_camera)


def test_dolly_goes_along_the_view_or_to_its_target(scene):
    np.testing.assert_allclose(eyes(filmed(scene, "dolly in 2"))[-1], [0, 0, -2], atol=1e-12)
    np.testing.assert_allclose(eyes(filmed(scene, "dolly out 2"))[-1], [0, 0, 2], atol=1e-12)
    np.testing.assert_allclose(eyes(filmed(scene, "dolly in 25% towards car"))[-1], CAR / 4, atol=1e-12)
    np.testing.assert_allclose(eyes(filmed(scene, "dolly in 25%"))[-1], [0, 0, -np.linalg.norm(CAR) / 4], atol=1e-12)


def test_percentages_are_of_the_distance_when_the_move_starts(scene):
    path = filmed(scene, "dolly in 50% towards car frames 0-20; dolly in 50% towards car frames 20-40")
    np.testing.assert_allclose(eyes(path)[-1], CAR * 0.75, atol=1e-12)


def test_truck_and_pedestal(stage):
    path = filmed(stage(photo_camera=TILTED), "truck right 2; pedestal up 1")
    np.testing.assert_allclose(eyes(path)[-1], TILTED[:3, 3] + 2 * TILTED[:3, 0] + [0, 1, 0], atol=1e-12)
    np.testing.assert_allclose(path.world_from_camera[:, :3, :3], np.broadcast_to(TILTED[:3, :3], (41, 3, 3)))


@pytest.mark.parametrize(
    ("text", "focal"),
    [
        ("zoom 2x", 2 * 554.2562584220408),
        ("zoom in 200%", 2 * 554.2562584220408),
        ("zoom out 2x", 554.2562584220408 / 2),
        ("zoom to 36 mm", 640),
        ("zoom to 90 deg", 320),
        ("zoom 2x; zoom 1.5x", 3 * 554.2562584220408),
        ("zoom 2x frames 0-10; zoom to 36 mm frames 20-40", 640),
    ],
)
def test_zoom(scene, text, focal):
    assert filmed(scene, text).intrinsics_at(40).fx == pytest.approx(focal)


def test_zoom_runs_at_equal_factors(scene):
    zoom = filmed(scene, "zoom 4x linear").zoom
    np.testing.assert_allclose(zoom[1:] / zoom[:-1], 4 ** (1 / 40))


@pytest.mark.parametrize("text", ["dolly-zoom in 50% on car", "dolly-zoom out 3 on car", "vertigo in 1 of (0, 0, -4)"])
def test_dolly_zoom_keeps_the_targets_size_and_place(scene, text):
    path = filmed(scene, text)
    middle = np.array([0.0, 0.0, -4.0]) if "(" in text else CAR
    for offset in ([0.4, 0, 0], [0, 0.3, 0], [-0.2, -0.1, 0]):
        pixels = seen(path, middle + offset)
        np.testing.assert_allclose(pixels, np.broadcast_to(pixels[0], pixels.shape))
    behind = seen(path, middle + np.array([0.5, 0.0, -3.0]))
    assert np.abs(behind[-1] - behind[0]).max() > 4


def test_crane_rises_and_keeps_the_target_in_place(scene):
    path = filmed(scene, "crane up 2 of car")
    assert eyes(path)[-1][1] == pytest.approx(2)
    np.testing.assert_allclose(eyes(path)[:, [0, 2]], 0, atol=1e-12)
    np.testing.assert_allclose(seen(path, CAR), np.broadcast_to(seen(path, CAR)[0], (41, 2)))
    assert views(path)[-1][1] < -0.3


def test_spiral(scene):
    path = filmed(scene, "spiral 180 deg around car radius 50% height up 1")
    offset = eyes(path) - CAR
    flat = np.hypot(offset[:, 0], offset[:, 2])
    assert flat[-1] / flat[0] == pytest.approx(0.5)
    assert offset[-1][1] - offset[0][1] == pytest.approx(1)
    np.testing.assert_allclose(offset[-1][[0, 2]], -offset[0][[0, 2]] / 2, atol=1e-12)
    np.testing.assert_allclose(seen(path, CAR), np.broadcast_to(seen(path, CAR)[0], (41, 2)))


def driving(scene: Scene) -> tuple[Scene, np.ndarray]:
    """The car drives to the left and away; returns the middle of its bounds in every frame."""
    car = scene.entity("car")
    offset = np.linspace(0, 1, scene.frames)[:, None] * [-3.0, 0.5, -2.0]
    motion = replace(car.motion, translation=car.motion.translation + offset)
    return scene.with_motion("car", motion), CAR + offset


def test_look_at_ends_with_the_target_in_the_middle_and_keeps_it_there(scene):
    moving, middle = driving(scene)
    path = filmed(moving, "look-at car frames 5-20; truck right 1; roll 10 deg")
    pixels = seen(path, middle)
    np.testing.assert_allclose(pixels[20:], np.broadcast_to([320, 180], (21, 2)), atol=1e-6)
    rolled = np.degrees(np.arctan2(path.world_from_camera[-1][1, 0], path.world_from_camera[-1][1, 1]))
    assert rolled == pytest.approx(-10, abs=1e-6)


def test_track_keeps_a_moving_target_where_it_is_in_the_picture(stage):
    moving, middle = driving(stage(photo_camera=np.eye(4)))
    path = filmed(moving, "track car; pedestal up 0.5")
    pixels = seen(path, middle)
    np.testing.assert_allclose(pixels, np.broadcast_to(pixels[0], pixels.shape), atol=1e-6)
    np.testing.assert_allclose(path.world_from_camera[:, 1, 0], 0, atol=1e-12)  # and the horizon level


def test_track_lets_go_when_its_span_ends(scene):
    moving, _ = driving(scene)
    path = filmed(moving, "track car frames 0-20")
    np.testing.assert_allclose(path.world_from_camera[20:], np.broadcast_to(path.world_from_camera[20], (21, 4, 4)))
    assert np.abs(path.world_from_camera[20] - path.world_from_camera[10]).max() > 0.01


def test_looking_around_a_circling_target_never_flips(scene):
    """The target runs a full circle around the camera: the turn goes on past 180 degrees."""
    angles = np.linspace(0, 2.5 * np.pi, 41)
    car = scene.entity("car")
    place = np.stack([5 * np.sin(angles), np.zeros(41), -5 * np.cos(angles)], axis=1)
    moving = scene.with_motion("car", replace(car.motion, translation=place))
    path = filmed(moving, "look-at car frames 0-40 linear")
    turned = quaternions.angle_between(
        quaternions.from_matrix(path.world_from_camera[1:, :3, :3]),
        quaternions.from_matrix(path.world_from_camera[:-1, :3, :3]),
    )
    assert np.degrees(turned).max() < 40


def test_keyframes_pass_through_their_poses(scene):
    text = "keyframes (frame 10 by (1, 0.5, 2) pan right 20 deg; at 100% position (0, 1, 0) look-at car zoom 2x)"
    path = filmed(scene, text)
    np.testing.assert_allclose(eyes(path)[10], [1, 0.5, -2], atol=1e-9)
    expected = [np.sin(np.radians(20)), 0, -np.cos(np.radians(20))]
    np.testing.assert_allclose(views(path)[10], expected, atol=1e-9)
    np.testing.assert_allclose(eyes(path)[40], [0, 1, 0], atol=1e-9)
    np.testing.assert_allclose(seen(path, CAR)[40], [320, 180], atol=1e-6)
    assert path.zoom[40] == pytest.approx(2)


def test_a_keyframe_on_frame_0_may_leave_the_photo(scene):
    path = filmed(scene, "keyframes (frame 0 position (0, 0, 3))")
    np.testing.assert_allclose(eyes(path), np.broadcast_to([0, 0, 3], (41, 3)))


def test_other_moves_add_to_keyframes(scene):
    path = filmed(scene, "keyframes (frame 40 by (1, 0, 0)); pan 90 deg frames 0-20; pedestal up 1")
    np.testing.assert_allclose(eyes(path)[-1], [1, 1, 0], atol=1e-9)
    np.testing.assert_allclose(views(path)[-1], [1, 0, 0], atol=1e-9)


def test_nothing_happens_before_the_span_and_nothing_after(scene):
    path = filmed(scene, "pan 30 deg frames 10-20; dolly in 1 seconds 0.625-1.25")
    poses = path.world_from_camera
    np.testing.assert_array_equal(poses[:11], np.broadcast_to(np.eye(4), (11, 4, 4)))
    np.testing.assert_array_equal(poses[20:], np.broadcast_to(poses[20], (21, 4, 4)))


@pytest.mark.parametrize("easing", ["linear", "ease", "ease-in", "ease-out", "hold"])
def test_easing_shapes_the_way_and_not_the_end(scene, easing):
    heading = np.degrees(np.arcsin(views(filmed(scene, f"pan 30 deg frames 0-40 {easing}"))[:, 0]))
    assert heading[40] == pytest.approx(30)
    middle = {"linear": 15, "ease": 15, "ease-in": 7.5, "ease-out": 22.5, "hold": 0}[easing]
    assert heading[20] == pytest.approx(middle, abs=1e-9)
    assert np.all(np.diff(heading) >= -1e-12)


def test_a_dolly_after_a_pan_goes_where_the_camera_looks(scene):
    path = filmed(scene, "dolly in 2 frames 20-40; pan right 90 deg frames 0-20; pan left 90 deg frames 30-40")
    np.testing.assert_allclose(eyes(path)[-1], [2, 0, 0], atol=1e-12)


def test_a_dolly_during_an_orbit_becomes_a_spiral(scene):
    path = filmed(scene, "orbit 40 deg around car; dolly in 50% towards car")
    offset = eyes(path) - CAR
    assert np.linalg.norm(offset[-1]) == pytest.approx(np.linalg.norm(CAR) / 2)
    turn = np.arctan2(offset[-1][0], offset[-1][2]) - np.arctan2(offset[0][0], offset[0][2])
    assert np.degrees(turn) == pytest.approx(40)
    np.testing.assert_allclose(seen(path, CAR), np.broadcast_to(seen(path, CAR)[0], (41, 2)))


@given(angles=st.lists(st.floats(-40, 40), min_size=2, max_size=4))
@settings(max_examples=6, deadline=None)
def test_moves_of_one_kind_add_up(stage, angles):
    for kind in ("pan", "tilt", "roll", "orbit"):
        apart = filmed(stage(5), "; ".join(f"{kind} {angle} deg" for angle in angles))
        joined = filmed(stage(5), f"{kind} {sum(angles)} deg")
        np.testing.assert_allclose(apart.world_from_camera, joined.world_from_camera, atol=1e-9)


def test_the_order_in_the_shot_does_not_matter(stage):
    scene = stage(21)
    parts = ["orbit 40 deg around car elevation 10 deg", "dolly in 1", "pan 20 deg frames 5-15", "crane up 1 of man"]
    orders = list(itertools.permutations(parts))[::5]
    results = [filmed(scene, "; ".join(order)).world_from_camera for order in orders]
    for result in results[1:]:
        np.testing.assert_allclose(result, results[0], atol=2e-5)


def test_moves_do_not_depend_on_the_number_of_frames(stage):
    text = "orbit 40 deg around car; truck right 1; pan left 20 deg from 20% to 80%; track man; zoom 1.5x"
    coarse, fine = filmed(stage(11), text), filmed(stage(41), text)
    np.testing.assert_allclose(coarse.world_from_camera, fine.world_from_camera[::4], atol=2e-4)
    np.testing.assert_allclose(coarse.zoom, fine.zoom[::4])


def shaken(scene: Scene, text: str) -> np.ndarray:
    """Yaw per frame, in degrees."""
    return np.degrees(np.arcsin(views(filmed(scene, text))[:, 0]))


def test_handheld_is_seeded_smooth_and_of_the_stated_size(stage):
    scene = replace(stage(801), fps=16.0)
    yaw = shaken(scene, "handheld 2 seed 7 rotation 0.5 deg frequency 2 Hz")
    np.testing.assert_array_equal(yaw, shaken(scene, "handheld 2 seed 7 rotation 0.5 deg frequency 2 Hz"))
    assert np.abs(yaw - shaken(scene, "handheld 2 seed 8 rotation 0.5 deg frequency 2 Hz")).max() > 0.5
    assert np.std(yaw) == pytest.approx(1, rel=0.3)
    power = np.abs(np.fft.rfft(yaw * np.hanning(801))) ** 2
    frequency = np.fft.rfftfreq(801, 1 / 16)
    assert power[frequency > 2.2].sum() < 1e-3 * power.sum()


def test_handheld_uses_the_shots_seed_and_settles_at_the_ends_of_its_span(scene):
    moves = parse_camera_flag("handheld frames 8-32")
    first, second = (animate_camera(moves, scene, seed=seed).world_from_camera for seed in (1, 2))
    assert np.abs(first - second).max() > 1e-3
    for frame in (0, 8, 32, 40):
        np.testing.assert_array_equal(first[frame], np.eye(4))
    assert np.abs(first[9] - np.eye(4)).max() < 0.3 * np.abs(first - np.eye(4)).max()


def test_handheld_is_the_same_at_another_frame_rate(stage):
    slow = shaken(replace(stage(17), fps=8.0), "handheld seed 1")
    fast = shaken(replace(stage(33), fps=16.0), "handheld seed 1")
    np.testing.assert_allclose(slow, fast[::2], atol=1e-9)


@pytest.mark.parametrize(
    "text", ["dolly 0", "orbit 0 deg", "pan 0", "zoom 1x", "truck 0%", "handheld 0.0001x", "crane 0"]
)
def test_moves_of_no_size_do_nothing(scene, text):
    np.testing.assert_allclose(filmed(scene, text).world_from_camera, np.broadcast_to(np.eye(4), (41, 4, 4)), atol=1e-5)


def test_a_shot_of_one_frame_is_the_photo(stage):
    path = filmed(stage(1), "orbit 30 deg; dolly in 1; look-at man; handheld; zoom 2x")
    np.testing.assert_array_equal(path.world_from_camera, np.eye(4)[None])


def test_metres_need_a_scene_in_metres(stage):
    with pytest.raises(UserError, match=r"'2 m' needs a scene in metres.*'2 units'"):
        filmed(stage(), "dolly in 2 m")
    np.testing.assert_allclose(eyes(filmed(stage(unit="metre"), "dolly in 200 cm"))[-1], [0, 0, -2])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("pan 10 deg frames 20-20", "takes no time"),
        ("pan 10 deg frames 30-20", "ends before it starts"),
        ("pan 10 deg 50%-1 s", "does not know the word|takes no time|not an angle"),
        ("pan 10 deg span 50%-1 s", "takes no time"),
        ("pan 10 deg frames 20-41", r"'41 frames' lies outside the shot, which ends at frame 40 \(2.5 s at 16 fps\)"),
        ("orbit 10 deg around cat", "no entity called 'cat'; did you mean 'car'"),
        ("look-at cat", "no entity called 'cat'; did you mean 'car'"),
        ("orbit 5 deg around car elevation 100 deg", "over its target's top"),
        ("orbit 5 deg around car elevation -100 deg", "over its target's bottom"),
        ("orbit 5 deg around (0, 0, 0)", "stands on the point"),
        ("dolly in 5% towards (0, 0, 0)", "stands on its target"),
        ("dolly-zoom in 100% on car", "its target is only 5 units deep"),
        ("dolly-zoom in 1 on (0, 0, 3)", "behind the camera"),
        ("dolly in 1; keyframes (frame 3); keyframes (frame 4)", "one list of camera keyframes"),
        ("keyframes (frame 3; frame 3 pan 10 deg)", "two keyframes stand on frame 3"),
        ("keyframes (frame 50)", "lies outside the shot"),
        ("keyframes (frame 20) frames 1-2", "has no setting|takes no value|does not know|'1-2'"),
        ("static frames 1-2", "takes no value"),
        ("keyframes (frame 10 position (0, 0, 1) by (1, 0, 0))", "not both"),
        ("keyframes (frame 10 look-at car pan 3 deg)", "not both"),
        ("keyframes (pan 3 deg)", "needs a time"),
        ("keyframes ()", "needs a list of keyframes|empty"),
        ("zoom 1000x; zoom 1000x", "zoom by 1e"),
    ],
)
def test_moves_that_cannot_be_performed(scene, text, message):
    with pytest.raises(UserError, match=message) as error:
        filmed(scene, text)
    assert "--camera" in str(error.value) or "zoom by" in str(error.value)


def test_an_empty_scene_needs_points_and_units(stage):
    empty = Scene(entities=(), camera=stage().camera)
    np.testing.assert_allclose(eyes(filmed(empty, "dolly in 1; handheld"))[-1], [0, 0, -1], atol=0.1)
    for text in ("orbit 10 deg", "dolly in 25%"):
        with pytest.raises(UserError, match="no entity stands in front of the camera"):
            filmed(empty, text)
    with pytest.raises(UserError, match="the scene has no entities"):
        filmed(empty, "look-at car")


def test_entities_behind_the_camera_are_no_default_target(stage, standing, box):
    scene = stage()
    behind = standing("wall", box(50, 50, 1), (0, -20, 30), scene.frames)
    path = filmed(scene.with_entity(behind), "orbit 30 deg")
    np.testing.assert_array_equal(path.world_from_camera, filmed(scene, "orbit 30 deg around car").world_from_camera)


def test_targets_are_followed_with_their_scale_and_turn(scene):
    """The middle of the bounds is carried along by the whole pose, not by the translation alone."""
    car = scene.entity("car")
    turn = quaternions.from_axis_angle([0.0, 0.0, 1.0], np.linspace(0, np.pi / 2, 41))
    motion = Motion(
        translation=car.motion.translation, rotation_wxyz=turn, scale=np.full((41, 3), 1.0), visible=np.ones(41, bool)
    )
    path = filmed(scene.with_motion("car", motion), "look-at car frames 0-20")
    tipped = np.array([0.0, -1.0, -5.0])
    np.testing.assert_allclose(seen(path, tipped)[-1], [320, 180], atol=1e-6)


def test_moves_are_values():
    assert parse_camera_flag("zoom to 35 mm")[0] == Zoom(end=FocalLength(35, "mm"))
    assert parse_camera_flag("pan 10")[0] == parse_camera_flag("PAN right 10deg")[0] != parse_camera_flag("pan 11")[0]
