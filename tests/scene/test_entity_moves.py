"""Entity moves: where they end, what stays fixed, how they add up."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from real2sam2real.errors import UserError
from real2sam2real.geometry import quaternions, transforms
from real2sam2real.scene import Motion, Scene
from real2sam2real.scene.entity_animation import animate_entity, catmull_rom
from real2sam2real.scene.entity_moves import ENTITY_MOVES, parse_entity_flag
from real2sam2real.scene.shot import Shot

REST = np.array([0.5, -1.0, -5.0])
EXAMPLES = {
    "move": "move (1, 0, -2)",
    "turn": "turn right 30 deg",
    "pitch": "pitch up 10 deg",
    "tumble": "tumble forward 1 turn about middle frames 0-30",
    "roll": "roll right 10 deg",
    "scale": "scale 1.5x",
    "follow": "follow ((1, 0, 0), (2, 0, -1))",
    "keyframes": "keyframes (frame 10 by (1, 0, 0) turn 20 deg; frame 40 by (1, 1, 0) scale 2x)",
}


def moved(scene: Scene, text: str, name: str = "car") -> Motion:
    return animate_entity(parse_entity_flag(f"{name}: {text}")[1], scene.entity(name), scene)


def turned(axis, degrees: float) -> np.ndarray:
    return quaternions.to_matrix(quaternions.from_axis_angle(axis, np.radians(degrees)))


def rotation(motion: Motion) -> np.ndarray:
    return quaternions.to_matrix(motion.rotation_wxyz)


def at(x: float, y: float, z: float) -> np.ndarray:
    """A place relative to the car's."""
    return REST + np.array([x, y, z])


def test_every_timed_move_has_an_example_here():
    assert set(EXAMPLES) == set(ENTITY_MOVES.names) - {
        "bend",
        "facing",
        "hide",
        "remove",
        "duplicate",
        "on",
        "with",
        "floating",
    }


@pytest.mark.parametrize("text", EXAMPLES.values(), ids=EXAMPLES.keys())
def test_the_first_frame_is_the_photo(scene, text):
    motion = moved(scene, text)
    np.testing.assert_allclose(motion.matrices()[0], scene.entity("car").rest_world_from_object, atol=1e-15)
    assert np.abs(motion.matrices()[20] - motion.matrices()[0]).max() > 0.01


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        ("move (1, 2, 3)", (1, 2, 3)),
        ("move 100%, 0, 0", None),
        ("move (100%, 0, 0)", (2, 0, 0)),  # percent are of the longest side, which is 2
        ("move by (1, 0, 0)", (1, 0, 0)),
        ("forward 2", (0, 0, 2)),  # +Z is an object's front
        ("back 2", (0, 0, -2)),
        ("right 1", (1, 0, 0)),  # the camera's right
        ("right 1 axes entity", (-1, 0, 0)),  # the car faces the camera, so its right is the other way
        ("left 1, up 0.5", (-1, 0.5, 0)),
        ("move right 1 up 0.5 down 0.25", (1, 0.25, 0)),
        ("towards 1", (0, 0, 1)),
        ("away 1", (0, 0, -1)),
        ("forward 1 axes camera", (0, 0, -1)),
        ("forward 1 in world", (0, 0, -1)),
        ("facing right, forward 2", (2, 0, 0)),
        ("facing left, forward 2", (-2, 0, 0)),
        ("facing away, forward 2, right 1 in entity", (1, 0, -2)),
        ("facing 45 deg, forward 2", (np.sqrt(2), 0, -np.sqrt(2))),
        ("forward 1, forward 2, back 0.5", (0, 0, 2.5)),
        ("move 0, 0, 0", None),
        ("move (0, 0, 0)", (0, 0, 0)),
    ],
)
def test_where_moves_end(scene, text, offset):
    if offset is None:  # in a flag, commas outside brackets separate moves
        with pytest.raises(UserError):
            moved(scene, text)
        return
    motion = moved(scene, text)
    np.testing.assert_allclose(motion.translation[-1], REST + offset, atol=1e-12)
    np.testing.assert_allclose(rotation(motion), np.broadcast_to(np.eye(3), (41, 3, 3)), atol=1e-12)


def test_camera_directions_lie_on_the_ground(stage):
    """The camera looks down and to the side; its right and its away are level."""
    turn = quaternions.multiply(
        quaternions.from_axis_angle([0.0, 1.0, 0.0], np.radians(90)),
        quaternions.from_axis_angle([1.0, 0.0, 0.0], np.radians(-40)),
    )
    scene = stage(photo_camera=transforms.compose([0.0, 0.0, 0.0], turn))
    np.testing.assert_allclose(moved(scene, "away 1").translation[-1], at(-1, 0, 0), atol=1e-12)
    np.testing.assert_allclose(moved(scene, "right 1").translation[-1], at(0, 0, -1), atol=1e-12)


def test_a_camera_that_looks_straight_down_knows_away(stage):
    down = transforms.compose([0.0, 5.0, 0.0], quaternions.from_axis_angle([1.0, 0.0, 0.0], np.radians(-90)))
    motion = moved(stage(photo_camera=down), "away 1")
    np.testing.assert_allclose(motion.translation[-1], at(0, 0, -1), atol=1e-12)


@pytest.mark.parametrize(
    ("text", "axis", "degrees"),
    [
        ("turn right 30 deg", (0, -1, 0), 30),  # clockwise seen from above
        ("turn -30 deg", (0, 1, 0), 30),
        ("pitch up 30 deg", (-1, 0, 0), 30),  # facing the camera its right is −X; the front rises
        ("roll right 30 deg", (0, 0, 1), 30),
        ("tumble forward 30 deg about footprint", (1, 0, 0), 30),
        ("facing right, pitch up 30 deg", (0, 0, 1), 30),
        ("turn 0.5 turns", (0, 1, 0), 180),
    ],
)
def test_turns_stand_on_the_footprint(scene, text, axis, degrees):
    motion = moved(scene, text)
    np.testing.assert_allclose(rotation(motion)[-1], turned(axis, degrees), atol=1e-12)
    np.testing.assert_allclose(motion.translation, np.broadcast_to(REST, (41, 3)), atol=1e-12)


def test_forward_follows_a_guessed_front(scene):
    looking = replace(scene.entity("car"), facing=90.0)  # +X of the object, whose +Z faced the camera
    ahead = moved(scene.with_entity(looking), "forward 1").translation[-1]
    plain = moved(scene, "right 1 axes entity").translation[-1]
    assert ahead - looking.rest_world_from_object[:3, 3] == pytest.approx(
        -(plain - looking.rest_world_from_object[:3, 3]), abs=1e-9
    )
    told = moved(scene.with_entity(looking), "facing away, forward 1").translation[-1]
    assert told == pytest.approx(moved(scene, "facing away, forward 1").translation[-1])  # what a person says counts


def test_signs_seen_by_eye(scene):
    """The front of a car that faces the camera: turning to its right shows up on the left of the picture."""
    front = np.array([0.0, 0.0, 1.0])
    assert (rotation(moved(scene, "turn right 30 deg"))[-1] @ front)[0] < -0.4
    assert (rotation(moved(scene, "pitch up 30 deg"))[-1] @ front)[1] > 0.4
    assert (rotation(moved(scene, "tumble forward 30 deg"))[-1] @ front)[1] < -0.4
    up = np.array([0.0, 1.0, 0.0])
    assert (rotation(moved(scene, "roll right 30 deg"))[-1] @ up)[0] < -0.4  # its right is the picture's left


def test_tumbling_turns_about_the_middle(scene):
    motion = moved(scene, "tumble 1 turn")
    middle = transforms.apply(motion.matrices(), np.array([[[0.0, 0.5, 0.0]]]))[:, 0]
    np.testing.assert_allclose(middle, np.broadcast_to([0.5, -0.5, -5], (41, 3)), atol=1e-12)
    np.testing.assert_allclose(motion.matrices()[-1], scene.entity("car").rest_world_from_object, atol=1e-9)


@pytest.mark.parametrize(
    ("text", "low", "size"),
    [
        ("scale 2x", -1.0, (4, 2, 2)),
        ("scale 50%", -1.0, (1, 0.5, 0.5)),
        ("scale (1, 2, 1)", -1.0, (2, 2, 1)),
        ("scale 2x about middle", -1.5, (4, 2, 2)),
        ("scale 2x frames 0-20; scale 0.5x frames 20-40", -1.0, (2, 1, 1)),
    ],
)
def test_growing_keeps_it_standing(scene, text, low, size):
    filmed = scene.with_motion("car", moved(scene, text))
    bounds = filmed.entity("car").vertices_world(40)
    np.testing.assert_allclose(bounds.max(0) - bounds.min(0), size, atol=1e-9)
    assert bounds.min(0)[1] == pytest.approx(low)


@given(degrees=st.floats(-200, 200).filter(lambda d: abs(d) > 1), distance=st.floats(-5, 5))
@settings(max_examples=10, deadline=None)
def test_going_forward_while_turning_drives_a_circle(stage, degrees, distance):
    motion = moved(stage(21), f"forward {distance:.6f}, turn left {degrees:.6f} deg")
    radius, angle = round(distance, 6) / np.radians(round(degrees, 6)), np.radians(round(degrees, 6))
    end = REST + radius * np.array([1 - np.cos(angle), 0, np.sin(angle)])
    np.testing.assert_allclose(motion.translation[-1], end, atol=2e-3 * abs(distance) + 1e-9)


def test_forward_after_a_turn_goes_the_new_way(scene):
    motion = moved(scene, "turn left 90 deg frames 0-20; forward 2 frames 20-40")
    np.testing.assert_allclose(motion.translation[-1], at(2, 0, 0), atol=1e-9)


def test_moves_start_from_a_turned_and_scaled_pose(stage, standing, box):
    turn = quaternions.from_axis_angle([0.0, 1.0, 0.0], np.radians(90))  # faces +X
    scene = stage().with_entity(standing("van", box(1, 1, 2), (0, 0, -8), 41, turn, (1.0, 2.0, 1.5)))
    motion = moved(scene, "forward 2, scale 2x", name="van")
    np.testing.assert_allclose(motion.translation[-1], [2, 0, -8], atol=1e-9)
    np.testing.assert_allclose(motion.scale[-1], [2, 4, 3], atol=1e-9)
    np.testing.assert_allclose(motion.rotation_wxyz[-1], turn, atol=1e-12)
    assert moved(scene, "right 100%", name="van").translation[-1][0] == pytest.approx(3)  # longest side 2 · 1.5


def test_keyframes(scene):
    motion = moved(scene, EXAMPLES["keyframes"] + ", up 1")
    np.testing.assert_allclose(motion.translation[40], at(1, 2, 0), atol=1e-9)
    np.testing.assert_allclose(rotation(motion)[10], turned((0, -1, 0), 20), atol=1e-9)
    np.testing.assert_allclose(motion.scale[40], [2, 2, 2], atol=1e-9)
    placed = moved(scene, "keyframes (frame 0 position (3, 0, 0) roll 10 deg)")
    np.testing.assert_allclose(placed.translation, np.broadcast_to([3, 0, 0], (41, 3)), atol=1e-12)


def test_following_a_curve(scene):
    motion = moved(scene, "follow ((2, 0, 0), (2, 0, -2), (4, 0, -2)) linear")
    offsets = motion.translation - REST
    for point in ((2, 0, 0), (2, 0, -2)):
        assert np.linalg.norm(offsets - point, axis=1).min() < 0.1
    np.testing.assert_allclose(offsets[-1], [4, 0, -2], atol=1e-9)
    speed = np.linalg.norm(np.diff(offsets, axis=0), axis=1)
    np.testing.assert_allclose(speed, speed.mean(), rtol=0.02)
    heading = np.diff(offsets[:, [0, 2]], axis=0)
    front = rotation(motion)[:, :, 2]
    course = np.unwrap(np.arctan2(heading[:, 0], heading[:, 1]))
    facing = np.unwrap(np.arctan2(front[:, 0], front[:, 2]))
    np.testing.assert_allclose(facing[20] - facing[0], course[20] - course[0], atol=0.15)
    still = moved(scene, "follow ((2, 0, 0), (2, 0, -2)) face no")
    np.testing.assert_allclose(still.rotation_wxyz, np.broadcast_to([1, 0, 0, 0], (41, 4)), atol=1e-12)


def test_catmull_rom_passes_through_its_points_and_is_straight_where_they_are():
    points = np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [4, 1, 2]])
    curve = catmull_rom(points, 16)
    np.testing.assert_allclose(curve[::16], points)
    line = catmull_rom(np.array([[0.0, 0, 0], [1, 2, 3]]), 8)
    np.testing.assert_allclose(np.cross(line, [1.0, 2.0, 3.0]), 0, atol=1e-12)


def test_the_order_in_the_shot_does_not_matter(stage):
    scene = stage(21)
    parts = ["forward 2", "turn 60 deg", "pitch up 20 deg about middle", "scale 1.5x about middle frames 5-15"]
    orders = list(itertools.permutations(parts))[::5]
    results = [moved(scene, "; ".join(order)).matrices() for order in orders]
    for result in results[1:]:
        np.testing.assert_allclose(result, results[0], atol=1e-4)


def test_hiding(scene):
    motion = moved(scene, "hide frames 10-20; forward 1; hide seconds 2-2.25")
    hidden = set(np.flatnonzero(~motion.visible))
    assert hidden == set(range(10, 21)) | set(range(32, 37))
    assert not moved(scene, "hide").visible.any()
    assert moved(scene, "hide frames 7-7").visible.sum() == 40


def directed(scene: Scene, *moves: str, **options) -> Scene:
    return Shot.from_flags(move=moves, **options).apply(scene)


def test_removing(scene):
    after = directed(scene, "man: forward 1", remove=["man"])
    assert after.names == ["car"]
    assert [entity.name for entity in after.removed] == ["man"]


def test_duplicating(scene):
    after = directed(
        scene, "car: duplicate car2 by right 150%, forward 1", "car2: up 1", "car: duplicate car3 by (0, 0, 1)"
    )
    assert after.names == ["car", "man", "car2", "car3"]
    copy = after.entity("car2")
    np.testing.assert_allclose(copy.motion.translation[[0, -1]], [at(3, 0, 0), at(3, 1, 0)], atol=1e-12)
    assert not copy.in_photo
    assert after.entity("car3").motion.translation[-1] == pytest.approx(at(0, 0, 1))


def test_a_copy_keeps_the_deformation_but_not_the_motion(scene):
    car = scene.entity("car")
    shape = np.repeat(car.mesh.vertices[None].astype(np.float32), 41, axis=0) * np.linspace(1, 2, 41)[:, None, None]
    waving = replace(car.motion, vertices_object=shape.astype(np.float32), translation=car.motion.translation + 1)
    after = directed(scene.with_motion("car", waving), "car: duplicate car2 by (2, 0, 0), forward 1")
    for name in ("car", "car2"):
        np.testing.assert_array_equal(after.entity(name).motion.vertices_object, shape.astype(np.float32))
    np.testing.assert_allclose(after.entity("car2").motion.translation[-1], at(2, 0, 0))


def test_applying_a_shot_twice_is_applying_it_once(scene):
    shot = Shot.from_flags(
        camera=["orbit 30 deg around car"],
        move=["car: forward 2, turn 30 deg, duplicate car2 by right 3, hide frames 1-4", "car2: up 1"],
        remove=["man"],
        frames=21,
    )
    once = shot.apply(scene)
    twice = shot.apply(once)
    assert once.names == twice.names == ["car", "car2"]
    assert len(twice.removed) == 1
    np.testing.assert_array_equal(once.camera.world_from_camera, twice.camera.world_from_camera)
    for name in once.names:
        np.testing.assert_array_equal(once.entity(name).motion.matrices(), twice.entity(name).motion.matrices())
        np.testing.assert_array_equal(once.entity(name).motion.visible, twice.entity(name).motion.visible)


def test_the_camera_may_not_get_inside_an_entity(scene):
    with pytest.raises(UserError, match=r"in frame \d+ the camera is inside 'car'"):
        directed(scene, "car: towards 4.8, left 0.5, up 0.2")
    assert directed(scene, "car: towards 4.8, left 0.5, up 0.2, hide").names == ["car", "man"]
    with pytest.raises(UserError, match="inside 'man'"):
        directed(scene, camera=["dolly in 100% towards man"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cra: forward 1", "no entity called 'cra'; did you mean 'car'"),
        ("car: forwrd 1", "unknown entity move 'forwrd'; did you mean 'forward'"),
        ("car: move sideways 1", "unknown direction 'sideways'"),
        ("car: move 2 forward", "starts with '2'"),
        ("car: forward", "'forward' is|'' is not a distance"),
        ("car: forward 2 m", "needs a scene in metres"),
        ("car: turn 10 dge", "'dge' is not a unit of an angle.*'deg'"),
        ("car: scale 0", "not positive"),
        ("car: scale -1", "not positive"),
        ("car: scale (1, 2)", "has 2 parts"),
        ("car: scale 10000x, scale 10000x", "too much"),
        ("car: forward 1 frames 10-10", "takes no time"),
        ("car: hide frames 10-50", "lies outside the shot"),
        ("car: hide 50%-1 s", "ends before it starts"),
        ("car: follow ((0, 0, 0))", "two neighbouring points"),
        ("car: follow ()", "list of points is empty|needs"),
        ("car: keyframes (frame 3; frame 3)", "two keyframes stand on frame 3"),
        ("car: keyframes (frame 3), keyframes (frame 4)", "two lists of keyframes"),
        ("car: facing left, facing right, forward 1", "told twice"),
        ("car: facing up", "unknown facing 'up'"),
        ("car: forward 1 axes entitty", "unknown axes 'entitty'; did you mean 'entity'"),
        ("car: pitch 5 about foot", "unknown pivot 'foot'; did you mean 'footprint'"),
        ("car: duplicate man by right 1", "'man' is already in the scene"),
        ("car: duplicate b/d by right 1", "contains /"),
        ("car: duplicate", "needs a name"),
        ("car: remove 5", "'remove' takes no value"),
        ("car forward 1", "a colon"),
        ("car:", "there is no move"),
        ("car: (", "not closed"),
    ],
)
def test_moves_that_cannot_be_performed(scene, text, message):
    with pytest.raises(UserError, match=message) as error:
        directed(scene, text)
    assert "--move" in str(error.value) or "too much" in str(error.value)


def test_forward_of_something_that_points_up_is_an_error(scene):
    with pytest.raises(UserError, match="no direction on the ground"):
        moved(scene, "pitch up 90 deg frames 0-20; forward 1 frames 21-40")
