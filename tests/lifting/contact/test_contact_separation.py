"""What touches keeps touching, and nothing interpenetrates."""

from dataclasses import replace

import numpy as np
import pytest

from real2sam2real.geometry import transforms
from real2sam2real.geometry.quaternions import from_axis_angle
from real2sam2real.lifting.contact import ContactOptions, resolve_contacts
from real2sam2real.mesh import Mesh

FREE = 1e-6


def pixels_stay(worlds, before, after):
    return all(np.abs(worlds.pixels(after, n) - worlds.pixels(before, n)).max() <= 1e-6 for n in before.names)


def behind_a_wall(worlds, tilt=15):
    """A ball in full view before a wall-like box whose foot the ball and another box hide."""
    return worlds.scene(
        {
            "front": (worlds.box(1.5, 0.4, 0.3), worlds.ahead(tilt, 0, 2.5)),
            "rear": (worlds.box(1.0, 1.0, 0.6), worlds.ahead(tilt, 0, 3.2)),
        },
        tilt,
    )


@pytest.mark.parametrize("factor", [0.9, 0.84, 0.78])
def test_what_hides_its_lower_edge_goes_behind_what_stands_before_it(worlds, factor):
    truth = behind_a_wall(worlds)
    wrong = replace(worlds.farther(truth, rear=factor), ground_y=None)
    options = ContactOptions(ground="off")
    before = worlds.common(wrong, "front", "rear")
    resolved, report = resolve_contacts(wrong, options)
    assert worlds.common(resolved, "front", "rear") <= FREE
    assert pixels_stay(worlds, wrong, resolved)
    (pair,) = report.pairs
    assert (pair.front, pair.behind) == ("front", "rear")
    assert pair.penetration_before == pytest.approx(100 * before)
    assert pair.outcome == ("separated" if before else "apart")
    assert report.entity("rear").penetration_after <= 100 * FREE


def test_ground_contact_and_separation_together(worlds):
    """The rear box is guessed too near; the front one stands in view. Both end on the ground, as they truly are."""
    truth = behind_a_wall(worlds)
    wrong = worlds.farther(truth, rear=0.8)
    assert worlds.common(wrong, "front", "rear") > 0.05
    resolved, _ = resolve_contacts(wrong)
    for name in truth.names:
        found, truly = resolved.entity(name).vertices_world(0), truth.entity(name).vertices_world(0)
        assert np.abs(found - truly).max() < 1e-6


def test_minimal_change_ends_in_contact(worlds):
    wrong = worlds.farther(behind_a_wall(worlds), rear=0.8)
    resolved, _ = resolve_contacts(wrong, ContactOptions(ground="off"))
    assert worlds.gap(resolved, "front", "rear") < 2e-3
    shift = (
        np.log(np.array([resolved.entity(n).mesh.volume() / wrong.entity(n).mesh.volume() for n in wrong.names])) / 3
    )
    assert shift[1] == pytest.approx(-shift[0], rel=1e-6)  # nothing tells which one is wrong, so both share it


@pytest.mark.parametrize("factor", [0.74, 0.77, 0.8])
def test_an_edge_between_the_rays_is_found_by_the_meshes(worlds, factor):
    truth = worlds.scene(
        {
            "wall": (worlds.box(1.5, 0.8, 0.3), worlds.ahead(15, 0.1, 2.5)),
            "wedge": (worlds.wedge(0.5, 1.3, 0.6), worlds.ahead(15, 0.0, 3.4)),
        },
        15,
    )
    wrong = worlds.farther(truth, wedge=factor)
    assert worlds.common(wrong, "wall", "wedge") > 1e-4
    resolved, report = resolve_contacts(wrong, ContactOptions(ground="off"))
    assert worlds.common(resolved, "wall", "wedge") <= FREE
    assert report.pairs[0].front == "wall"
    assert worlds.gap(resolved, "wall", "wedge") < 1e-3


@pytest.mark.parametrize("factor", [0.72, 0.85, 1.3])
def test_the_masks_order_is_kept(worlds, factor):
    """A ball is seen before a post, wherever the lifter had put it; the lesser way would often be behind it."""
    truth = worlds.scene(
        {
            "ball": (worlds.ball(0.3), worlds.ahead(20, 0.05, 3.0)),
            "post": (worlds.cylinder(0.15, 1.4), worlds.ahead(20, 0.0, 3.9)),
        },
        20,
    )
    wrong = worlds.farther(truth, post=factor * 0.9)
    resolved, report = resolve_contacts(wrong, ContactOptions(ground="off"))
    assert worlds.common(resolved, "ball", "post") <= FREE
    (pair,) = report.pairs
    assert (pair.front, pair.behind) == ("ball", "post")
    distance = {
        n: np.linalg.norm(worlds.center(resolved, n) - resolved.photo_world_from_camera[:3, 3]) for n in truth.names
    }
    assert distance["ball"] < distance["post"]


def table_with_cup(worlds, tilt=35):
    return worlds.scene(
        {
            "table": (worlds.box(1.4, 0.5, 0.9), worlds.ahead(tilt, 0, 2.4)),
            "cup": (worlds.cylinder(0.1, 0.22), worlds.ahead(tilt, 0.1, 2.35, 0.5)),
            "ball": (worlds.ball(0.12), worlds.ahead(tilt, -0.3, 2.2, 0.5)),
        },
        tilt,
    )


@pytest.mark.parametrize(
    "factors", [{"cup": 1.25}, {"cup": 0.85}, {"table": 1.15, "cup": 1.3, "ball": 0.9}, {"table": 0.8}]
)
def test_what_stands_on_another_thing_stays_on_it(worlds, factors):
    truth = table_with_cup(worlds)
    wrong = worlds.farther(truth, **factors)
    resolved, report = resolve_contacts(wrong)
    assert pixels_stay(worlds, wrong, resolved)
    for name in ("cup", "ball"):
        assert report.entity(name).supported_by == "table"
        assert worlds.gap(resolved, name, "table") < 2e-3
        assert worlds.common(resolved, name, "table") <= FREE
    assert report.entity("table").supported_by == "ground"
    for name in truth.names:
        off = np.linalg.norm(worlds.center(resolved, name) - worlds.center(truth, name))
        assert off < 5e-3


def test_a_stack_in_order_comes_back_itself(worlds):
    scene = table_with_cup(worlds)
    resolved, report = resolve_contacts(scene)
    assert resolved is scene
    assert {pair.outcome for pair in report.pairs if "table" in (pair.front, pair.behind)} == {"touching"}


def test_separation_off_leaves_what_interpenetrates(worlds):
    wrong = worlds.farther(behind_a_wall(worlds), rear=0.8)
    assert resolve_contacts(wrong, ContactOptions(ground="off", separation="off"))[0] is wrong
    stood, report = resolve_contacts(worlds.farther(behind_a_wall(worlds), front=1.1), ContactOptions(separation="off"))
    assert abs(worlds.above_ground(stood, "front")) < 1e-3
    assert report.entity("rear").factor == 1


def test_what_goes_through_a_ring_is_free_there(worlds):
    """Between the near and the far side of the ring is room for the post: nothing needs to move."""
    scene = worlds.scene(
        {
            "ring": (worlds.ring(0.6, 0.08), worlds.ahead(35, 0, 2.8)),
            "post": (worlds.cylinder(0.1, 0.9), worlds.ahead(35, 0, 2.8)),
        },
        35,
    )
    assert resolve_contacts(scene)[0] is scene
    wrong = worlds.farther(scene, ring=0.84)
    assert worlds.common(wrong, "ring", "post") > 0.01
    resolved, _ = resolve_contacts(wrong, ContactOptions(ground="off"))
    assert worlds.common(resolved, "ring", "post") <= FREE
    inside = np.linalg.norm((worlds.center(resolved, "ring") - worlds.center(resolved, "post"))[[0, 2]])
    assert inside < 0.6


def test_two_that_stand_in_view_are_separated_on_the_ground(worlds):
    truth = worlds.scene(
        {
            "left": (worlds.box(0.8, 0.8, 0.8), worlds.ahead(25, -0.41, 3.0)),
            "right": (worlds.box(0.8, 0.8, 0.8), worlds.ahead(25, 0.41, 3.0)),
        },
        25,
    )
    wrong = worlds.moved(truth, "left", np.array([0.026, 0, 0]))
    assert worlds.common(wrong, "left", "right") > 1e-3
    resolved, report = resolve_contacts(wrong)
    assert worlds.common(resolved, "left", "right") <= FREE
    for name in truth.names:
        line = report.entity(name)
        assert abs(worlds.above_ground(resolved, name)) < 1e-3
        assert line.iou >= 0.98
        assert 0 < line.translated < 0.01
        assert any(f"{name}: moved by" in note for note in report.notes)


def test_what_cannot_be_separated_is_left_and_noted(worlds):
    truth = worlds.scene(
        {
            "left": (worlds.box(0.8, 0.8, 0.8), worlds.ahead(25, -0.41, 3.0)),
            "right": (worlds.box(0.8, 0.8, 0.8), worlds.ahead(25, 0.41, 3.0)),
        },
        25,
    )
    wrong = worlds.moved(truth, "left", np.array([0.3, 0, 0]))
    resolved, report = resolve_contacts(wrong)
    assert resolved is wrong
    (pair,) = report.pairs
    assert pair.outcome == "penetrating"
    assert any("still interpenetrate" in note for note in report.notes)


def test_the_smaller_error_is_left(worlds):
    """Both stand in view and the man's back is in the bench: better that he floats by a finger's breadth."""
    truth = worlds.scene(
        {
            "bench": (worlds.box(1.6, 0.5, 0.5), worlds.ahead(20, 0, 3.0)),
            "man": (worlds.box(0.4, 1.4, 0.3), worlds.ahead(20, 0, 2.55)),
        },
        20,
    )
    wrong = worlds.moved(truth, "man", np.array([0, 0, -0.14]))
    assert worlds.common(wrong, "bench", "man") > 0.05
    resolved, report = resolve_contacts(wrong, ContactOptions(max_iou_loss=0.01))
    assert worlds.common(resolved, "bench", "man") <= FREE
    off = [abs(worlds.above_ground(resolved, name)) for name in resolved.names]
    assert 1e-3 < max(off) < worlds.common(wrong, "bench", "man")
    assert min(off) == pytest.approx(0, abs=1e-9)
    assert any("which leaves it" in note for note in report.notes)


def test_a_sitting_one_keeps_its_seat_when_the_ground_is_at_odds_with_it(worlds):
    """Somebody sits on a bench with dangling feet: the ground draws him back into it, but the bench holds him off."""
    man = worlds.box(0.4, 0.9, 0.3)
    truth = worlds.scene(
        {"bench": (worlds.box(1.6, 0.5, 0.5), worlds.ahead(20, 0, 3.0)), "man": (man, worlds.ahead(20, 0, 2.58, 0.1))},
        20,
    )
    resolved, report = resolve_contacts(truth)
    assert worlds.common(resolved, "bench", "man") <= FREE
    assert worlds.gap(resolved, "bench", "man") < 2e-2
    assert report.entity("bench").factor == 1
    assert 0 < worlds.above_ground(resolved, "man") < worlds.above_ground(truth, "man")


def test_added_entities_stay_and_do_not_push(worlds):
    scene = behind_a_wall(worlds)
    copy = scene.duplicated("front", "copy", [0, 0, -0.1])
    resolved, report = resolve_contacts(copy)
    assert resolved is copy
    with pytest.raises(KeyError):
        report.entity("copy")


def test_a_mesh_that_is_no_solid_is_noted(worlds):
    scene = behind_a_wall(worlds)
    entity = scene.entity("rear")
    torn = replace(entity, mesh=Mesh(vertices=entity.mesh.vertices, faces=entity.mesh.faces[:-3]))
    _, report = resolve_contacts(scene.with_entity(torn))
    assert any("rear: no closed solid" in note for note in report.notes)


def test_the_same_scene_gives_the_same_result(worlds):
    wrong = worlds.farther(table_with_cup(worlds), table=1.1, cup=0.9)
    first, second = resolve_contacts(wrong)[0], resolve_contacts(wrong)[0]
    for name in wrong.names:
        a, b = first.entity(name), second.entity(name)
        assert np.array_equal(a.rest_world_from_object, b.rest_world_from_object)
        assert np.array_equal(a.mesh.vertices, b.mesh.vertices)


def test_an_empty_scene(worlds):
    scene = replace(behind_a_wall(worlds), entities=())
    resolved, report = resolve_contacts(scene)
    assert resolved is scene
    assert report.entities == () == report.pairs


@pytest.mark.parametrize("seed", range(12))
def test_nothing_gets_worse_in_random_worlds(worlds, seed):
    """Solids strewn about, put out of their places: all that stand in view stand, nobody runs into anybody."""
    rng = np.random.default_rng(seed)
    tilt = float(rng.uniform(0, 60))
    things = {}
    for _ in range(40):
        kind, size = rng.integers(3), rng.uniform(0.15, 0.35, 3)
        mesh = [worlds.ball(size[0]), worlds.box(*(2 * size)), worlds.cylinder(size[0], 3 * size[1])][kind]
        away = 1.6 / np.tan(np.radians(np.clip(tilt, 25, 60))) * rng.uniform(0.9, 1.9)
        place = transforms.compose(
            worlds.ahead(tilt, rng.uniform(-0.4, 0.4) * away, away), from_axis_angle([0, 1.0, 0], rng.uniform(0, 6))
        )
        if len(things) < 5 and all(np.linalg.norm((place - p)[:3, 3]) > 0.75 for _, p in things.values()):
            things[f"thing{len(things)}"] = mesh, place
    truth = worlds.scene(things, tilt, fov=75)
    assert len(truth.entities) > 1
    wrong = worlds.farther(truth, **{name: float(np.exp(rng.uniform(-0.25, 0.25))) for name in truth.names})
    resolved, report = resolve_contacts(wrong)
    for line in report.entities:
        assert line.penetration_after <= 100 * FREE
        assert abs(line.ground_gap_after) <= abs(line.ground_gap_before) + 0.1
        if line.translated == 0 and line.levelled_degrees == 0:
            assert np.abs(worlds.pixels(resolved, line.name) - worlds.pixels(wrong, line.name)).max() <= 1e-6
        else:
            assert line.iou >= 0.98
