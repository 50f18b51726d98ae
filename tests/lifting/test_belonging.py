"""What belongs together is lifted at one depth, in touch, and kept as a relation."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from real2sam2real.errors import UserError
from real2sam2real.geometry import Intrinsics
from real2sam2real.lifting.contact import resolve_contacts
from real2sam2real.lifting.embedded import lift_photo
from real2sam2real.lifting.options import LiftOptions
from real2sam2real.lifting.outlying import outlying_depths
from real2sam2real.scene import Entity, Scene
from real2sam2real.scene.relation import Relation

DISTANCE = 3.0  # of what stands on the ground
Lift = Callable[..., Scene]


@pytest.fixture(name="lift", scope="module")
def lift_fixture(photo, intrinsics: Intrinsics) -> Lift:
    """Masks in front of a camera that looks down by 20°, lifted and brought into contact under what is said."""

    def lift(masks: dict[str, np.ndarray], said: dict[str, Relation]) -> Scene:
        scene, _ = lift_photo(photo, masks, intrinsics, frames=1, pitch_degrees=20.0, relations=said)
        return resolve_contacts(scene)[0]

    return lift


@pytest.fixture(name="stacked", scope="module")
def stacked_fixture(drawing) -> dict[str, np.ndarray]:
    """A small box on the middle of a large one: the top half of what is seen of it has no box behind it."""
    low = drawing.box(0, -DISTANCE, (1.0, 0.5, 0.6), 0.2)
    high = drawing.box(0.1, -DISTANCE - 0.1, (0.25, 0.4, 0.25), 0.2, base=0.5)
    return {"thing": high, "block": low & ~high}


def away(entity: Entity) -> float:
    points = entity.vertices_world(0)
    return -float((points.min(axis=0) + points.max(axis=0))[2] / 2)


def test_what_was_said_to_stand_on_a_thing_is_in_touch_with_it(photo, intrinsics: Intrinsics, stacked) -> None:
    said = {"thing": Relation(word="on", to="block")}
    lifted, _ = lift_photo(photo, stacked, intrinsics, frames=1, pitch_degrees=20.0, relations=said)
    scene, report = resolve_contacts(lifted)
    assert scene.entity("thing").relation == said["thing"]
    assert report.entity("thing").supported_by == "block"
    truth = (DISTANCE + 0.1) / DISTANCE
    assert away(lifted.entity("thing")) / away(lifted.entity("block")) == pytest.approx(truth, rel=0.1)
    assert away(scene.entity("thing")) / away(scene.entity("block")) == pytest.approx(truth, rel=0.2)


def test_on_ground_unties_what_the_masks_suggest(lift: Lift, stacked) -> None:
    grounded = lift({"cup": stacked["thing"], "block": stacked["block"]}, {"cup": Relation(word="on", to="ground")})
    cup = grounded.entity("cup")
    assert grounded.ground_y is not None
    assert cup.vertices_world(0)[:, 1].min() == pytest.approx(grounded.ground_y, abs=1e-3)
    assert away(cup) > 1.3 * away(grounded.entity("block"))


@pytest.fixture(name="hanging", scope="module")
def hanging_fixture(lift: Lift, drawing) -> Callable[[Relation | None], Scene]:
    """A post and a bag beside it, nothing of which is near the ground."""
    post = drawing.box(0, -DISTANCE, (0.4, 1.2, 0.4))
    bag = drawing.box(0.4, -DISTANCE, (0.4, 0.4, 0.3), base=0.5) & ~post
    return lambda said: lift({"hanging": bag, "post": post}, {} if said is None else {"hanging": said})


def test_what_belongs_to_another_thing_or_floats_is_as_far_away(hanging: Callable[[Relation | None], Scene]) -> None:
    for relation in (Relation(word="with", to="post"), Relation(word="floating")):
        tied = hanging(relation)
        assert tied.entity("hanging").relation == relation
        assert away(tied.entity("hanging")) == pytest.approx(away(tied.entity("post")), rel=0.15)


def test_a_depth_far_from_its_neighbours_is_told_with_the_flag_that_mends_it(
    hanging: Callable[[Relation | None], Scene],
) -> None:
    scene = hanging(None)
    post = scene.entity("post")
    assert post.mask is not None
    assert outlying_depths(scene.without("hanging")) == {}
    rows, columns = np.mgrid[: post.mask.shape[0], : post.mask.shape[1]]
    pose = post.rest_world_from_object.copy()
    pose[:3, 3] *= 8
    away_mask = np.hypot(rows - 12, columns - 40) < 10
    bird = replace(post, name="bird", mask=away_mask, rest_world_from_object=pose)
    assert "--floating bird=post" in outlying_depths(scene.without("hanging").with_entity(bird))["bird"]
    touching = replace(bird, mask=scene.entity("hanging").mask)
    assert "--with bird=" in outlying_depths(scene.without("hanging").with_entity(touching))["bird"]
    said = replace(bird, relation=Relation(word="floating"))
    assert outlying_depths(scene.without("hanging").with_entity(said)) == {}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"on": ("cup",)}, "--on 'cup' is not NAME=OTHER"),
        ({"with_": ("cup=tabel",)}, "--with cup=tabel: there is no object 'tabel'; the objects are cup, table"),
        ({"with_": ("cup=ground",)}, "there is no object 'ground'"),
        ({"on": ("cup=table",), "floating": ("cup",)}, "it was said already that 'cup' stands on table"),
        ({"on": ("cup=table",), "with_": ("table=cup",)}, "would carry each other"),
    ],
)
def test_what_cannot_be_is_refused(flags: dict[str, tuple[str, ...]], message: str) -> None:
    with pytest.raises(UserError, match=message):
        LiftOptions(**flags).relations(["cup", "table"])


def test_flags_become_relations() -> None:
    options = LiftOptions(on=("cup=table", "chair=ground"), with_=("man=chair",), floating=("kite", "bird = man"))
    said = options.relations(["cup", "table", "chair", "man", "kite", "bird"])
    assert [str(relation) for relation in said.values()] == [
        "stands on table",
        "stands on ground",
        "moves with chair",
        "floats",
        "floats, as far away as man",
    ]
