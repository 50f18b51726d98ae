"""What stands keeps standing."""

from dataclasses import replace

import numpy as np
import pytest

from real2sam2real.geometry import transforms
from real2sam2real.geometry.quaternions import from_axis_angle, multiply
from real2sam2real.geometry.transforms import about_x
from real2sam2real.lifting.contact import ContactOptions, resolve_contacts
from real2sam2real.scene import Motion


def three(worlds, tilt):
    away = 1.6 / np.tan(np.radians(max(tilt, 22)))
    return worlds.scene(
        {
            "ball": (worlds.ball(0.25), worlds.ahead(tilt, -0.8, away)),
            "box": (worlds.box(0.5, 0.4, 0.3), worlds.ahead(tilt, 0.0, away)),
            "can": (worlds.cylinder(0.2, 0.5), worlds.ahead(tilt, 0.75, away)),
        },
        tilt,
        fov=80.0,
    )


@pytest.mark.parametrize("tilt", [0, 20, 40, 60])
def test_what_stands_in_view_is_brought_to_the_ground_and_no_pixel_moves(worlds, tilt):
    truth = three(worlds, tilt)
    wrong = worlds.farther(truth, ball=0.75, box=1.2, can=1.31)
    resolved, report = resolve_contacts(wrong)
    for name in truth.names:
        assert abs(worlds.above_ground(wrong, name)) > 0.1
        assert abs(worlds.above_ground(resolved, name)) <= 1e-3
        assert np.abs(worlds.pixels(resolved, name) - worlds.pixels(wrong, name)).max() <= 1e-6
        truly, found = truth.entity(name).vertices_world(0), resolved.entity(name).vertices_world(0)
        assert np.abs(found - truly).max() < 1e-6
        assert report.entity(name).supported_by == "ground"
        assert report.entity(name).iou == 1.0
    assert report.entity("can").factor == pytest.approx(1 / 1.31)
    assert any("can: 23.7% nearer" in note for note in report.notes)


@pytest.mark.parametrize("tilt", [0, 20, 40, 60])
def test_a_scene_in_order_comes_back_itself(worlds, tilt):
    scene = three(worlds, tilt)
    resolved, report = resolve_contacts(scene)
    assert resolved is scene
    assert report.notes == ()


def test_entities_that_stay_are_the_same_objects(worlds):
    scene = worlds.farther(three(worlds, 20), ball=1.1)
    resolved, _ = resolve_contacts(scene)
    assert resolved.entity("box") is scene.entity("box")
    assert resolved.entity("ball") is not scene.entity("ball")


def test_off_leaves_heights_as_they_are(worlds):
    scene = worlds.farther(three(worlds, 20), ball=0.8, box=1.2)
    assert resolve_contacts(scene, ContactOptions(ground="off"))[0] is scene


def test_a_balloon_above_the_horizon_is_left(worlds):
    scene = worlds.scene(
        {
            "balloon": (worlds.ball(0.3), worlds.ahead(0, 0.3, 4.0, 1.9)),
            "box": (worlds.box(1, 1, 1), worlds.ahead(0, -1, 4.0)),
        },
        0,
    )
    resolved, report = resolve_contacts(scene)
    assert resolved is scene
    assert report.entity("balloon").supported_by is None


def test_a_balloon_below_the_horizon_is_left_if_its_owner_says_so(worlds):
    scene = worlds.scene({"balloon": (worlds.ball(0.2), worlds.ahead(30, 0.0, 2.2, 0.3))}, 30)
    assert resolve_contacts(scene, ContactOptions(floating=("balloon",)))[0] is scene
    assert abs(worlds.above_ground(resolve_contacts(scene)[0], "balloon")) < 1e-3


def test_what_would_have_to_go_too_far_is_left_and_noted(worlds):
    scene = worlds.scene({"shelf": (worlds.box(0.6, 0.2, 0.2), worlds.ahead(10, 0.0, 2.5, 0.9))}, 10)
    resolved, report = resolve_contacts(scene)
    assert resolved is scene
    assert any("shelf: left above the ground" in note for note in report.notes)


def test_what_the_border_cuts_is_not_drawn_down_but_never_stays_below(worlds):
    truth = worlds.scene({"post": (worlds.cylinder(0.2, 1.4), worlds.ahead(0, 0.1, 1.6))}, 0)
    assert truth.entity("post").mask[-1].any()
    near, far = worlds.farther(truth, post=0.9), worlds.farther(truth, post=1.1)
    assert resolve_contacts(near)[0] is near
    assert abs(worlds.above_ground(resolve_contacts(far)[0], "post")) < 1e-3


def test_what_hides_its_lower_edge_stands_rather_than_floats(worlds):
    truth = worlds.scene(
        {
            "wall": (worlds.box(1.6, 0.5, 0.1), worlds.ahead(15, 0, 2.5)),
            "man": (worlds.box(0.4, 1.3, 0.3), worlds.ahead(15, 0, 3.3)),
        },
        15,
    )
    resolved, report = resolve_contacts(worlds.farther(truth, man=0.93))
    assert abs(worlds.above_ground(resolved, "man")) < 1e-3
    assert report.entity("man").factor == pytest.approx(1 / 0.93)


def test_a_nearly_level_base_is_levelled(worlds):
    place = transforms.compose(worlds.ahead(25, 0, 3.0), from_axis_angle([0.3, 0, 1.0], np.radians(0.8)))
    scene = worlds.scene({"table": (worlds.box(1.0, 0.6, 0.7), place)}, 25)
    resolved, report = resolve_contacts(scene)
    line = report.entity("table")
    assert line.levelled_degrees == pytest.approx(0.8, abs=0.01)
    up = resolved.entity("table").rest_world_from_object[:3, 1]
    assert up == pytest.approx([0, 1, 0], abs=1e-9)
    assert 0.98 <= line.iou < 1
    assert abs(worlds.above_ground(resolved, "table")) < 1e-3
    unturned, _ = resolve_contacts(scene, ContactOptions(level="off"))
    assert unturned.entity("table").rest_world_from_object[:3, :3] == pytest.approx(place[:3, :3], abs=1e-12)


@pytest.mark.parametrize(("degrees", "loss"), [(6.0, 0.2), (2.5, 0.02)])
def test_a_slope_and_what_the_photo_would_show_are_not_levelled(worlds, degrees, loss):
    place = transforms.compose(worlds.ahead(25, 0, 3.0), from_axis_angle([0, 0, 1.0], np.radians(degrees)))
    scene = worlds.scene({"ramp": (worlds.box(1.0, 0.6, 0.7), place)}, 25)
    assert resolve_contacts(scene, ContactOptions(max_iou_loss=loss))[1].entity("ramp").levelled_degrees == 0


def test_an_unknown_ground_is_derived_from_what_stands(worlds):
    scene = replace(worlds.farther(three(worlds, 30), can=1.04), ground_y=None)
    resolved, report = resolve_contacts(scene)
    assert resolved.ground_y == pytest.approx(worlds.ground_y, abs=1e-9)
    assert report.ground_y == resolved.ground_y
    assert abs(worlds.above_ground(resolved, "can")) < 1e-3
    assert "ground was not known" in report.notes[0]


def test_no_ground_is_made_up_where_heights_disagree(worlds):
    scene = replace(worlds.farther(three(worlds, 30), ball=0.6, can=1.7), ground_y=None)
    resolved, report = resolve_contacts(scene)
    assert resolved is scene
    assert report.ground_y is None
    assert report.entity("ball").ground_gap_after is None


def test_motions_follow_their_entity(worlds):
    """A file's own animation, turned, stretched and deformed, is scaled about the camera in every frame."""
    scene = three(worlds, 20)
    entity = scene.entity("box")
    rng = np.random.default_rng(0)
    base = entity.rest_world_from_object[:3, 3]
    turns = multiply(from_axis_angle([0, 1.0, 0], np.array([0, 0.3, 0.6])[:, None]).reshape(3, 4), [1.0, 0, 0, 0])
    deformed = np.stack([entity.mesh.vertices] * 3).astype(np.float32)
    deformed[1:] += rng.normal(0, 0.02, deformed[1:].shape).astype(np.float32)
    motion = Motion(
        translation=base + np.array([[0, 0, 0], [0.1, 0, 0], [0.2, 0.1, 0]]),
        rotation_wxyz=turns,
        scale=np.array([[1, 1, 1], [1, 1.1, 1], [1.2, 1, 1]]),
        visible=np.ones(3, bool),
        vertices_object=deformed,
    )
    camera = type(scene.camera).still(3, scene.camera.intrinsics, scene.photo_world_from_camera)
    others = tuple(replace(e, motion=Motion.still(3, e.rest_world_from_object)) for e in scene.entities)
    scene = replace(scene, camera=camera, entities=others).with_entity(replace(entity, motion=motion))
    scene = worlds.farther(scene, box=1.25)
    resolved, report = resolve_contacts(scene)
    factor = report.entity("box").factor
    assert factor == pytest.approx(0.8, abs=1e-5)
    eye = scene.photo_world_from_camera[:3, 3]
    for frame in range(3):
        before, after = (s.entity("box").vertices_world(frame) for s in (scene, resolved))
        assert after == pytest.approx(eye + factor * (before - eye), abs=1e-6)
    assert resolved.entity("box").motion.scale == pytest.approx(motion.scale)


def test_turned_motions_follow_too(worlds):
    place = transforms.compose(worlds.ahead(25, 0, 3.0), from_axis_angle([0, 0, 1.0], np.radians(0.9)))
    scene = worlds.farther(worlds.scene({"table": (worlds.box(1.0, 0.6, 0.7), place)}, 25), table=1.1)
    resolved, report = resolve_contacts(scene)
    assert report.entity("table").levelled_degrees == pytest.approx(0.9, abs=0.01)
    entity = resolved.entity("table")
    assert entity.motion.matrices()[0] == pytest.approx(entity.rest_world_from_object, abs=1e-9)
    assert np.linalg.det(entity.rest_world_from_object[:3, :3]) == pytest.approx(1)


def test_a_camera_that_looks_straight_up_resolves_nothing(worlds):
    scene = three(worlds, 20)
    pose = scene.photo_world_from_camera.copy()
    pose[:3, :3] = about_x(np.pi / 2)
    pose[:3, 3] = [0, -3, 0]  # below the ground
    turned = replace(scene, photo_world_from_camera=pose)
    assert resolve_contacts(turned)[0] is turned


@pytest.mark.parametrize(("field", "value"), [("reach", 0.5), ("max_level_degrees", 40.0), ("max_iou_loss", -0.1)])
def test_options_out_of_range_say_so(field, value):
    with pytest.raises(ValueError, match=field):
        ContactOptions(**{field: value})
