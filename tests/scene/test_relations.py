"""What belongs together: entities that stand on others or belong to them go where these go."""

from dataclasses import replace

import numpy as np
import pytest

from real2sam2real.errors import UserError
from real2sam2real.scene import Scene
from real2sam2real.scene.carrying import carry, release
from real2sam2real.scene.folder import load_scene, read_scene, save_scene
from real2sam2real.scene.gltf import load_glb, parents, save_glb
from real2sam2real.scene.relation import Relation
from real2sam2real.scene.shot import Shot, parse_shot

pytestmark = pytest.mark.fast

FRAMES = 9


@pytest.fixture(name="room")
def room_fixture(stage, standing) -> Scene:
    """A car with a man on it and a hat with the man."""
    scene = stage(FRAMES)
    hat = standing("hat", scene.entity("man").mesh, (-1.5, 0.9, -6), FRAMES, scale=0.2)
    scene = scene.with_entity(hat)
    on, with_ = Relation(word="on", to="car"), Relation(word="with", to="man")
    scene = scene.with_entity(replace(scene.entity("man"), relation=on))
    return scene.with_entity(replace(scene.entity("hat"), relation=with_))


def directed(scene: Scene, *moves: str, **more) -> Scene:
    return Shot.from_flags(move=list(moves), **more).apply(scene)


def from_car(scene: Scene, name: str) -> np.ndarray:
    return np.linalg.inv(scene.entity("car").motion.matrices()) @ scene.entity(name).motion.matrices()


def test_what_is_carried_keeps_its_place_on_its_carrier(room) -> None:
    after = directed(room, "car: forward 2, turn right 40deg, scale 1.5x, tumble 20deg")
    for name in ("man", "hat"):
        relative = from_car(after, name)
        np.testing.assert_allclose(relative, np.broadcast_to(relative[0], relative.shape), atol=1e-9)
        assert np.linalg.norm(np.ptp(after.entity(name).motion.translation, axis=0)) > 0.5


def test_a_carried_entity_moves_by_itself_too_and_twice_is_once(room) -> None:
    shot = Shot.from_flags(move=["car: right 2", "man: up 1", "hat: turn 90deg"])
    once = shot.apply(room)
    np.testing.assert_allclose(np.diff(once.entity("man").motion.translation[[0, -1]], axis=0)[0], [2, 1, 0], atol=1e-9)
    twice = shot.apply(once)
    for a, b in zip(once.entities, twice.entities, strict=True):
        np.testing.assert_allclose(a.motion.matrices(), b.motion.matrices(), atol=1e-9)
    only = directed(once, "car: left 1")  # the man keeps what he did by himself
    np.testing.assert_allclose(
        only.entity("man").motion.translation[-1], once.entity("man").motion.translation[0] + [-1, 1, 0], atol=1e-9
    )


def test_carry_undoes_release(room) -> None:
    scene = directed(room, "car: right 2, turn 70deg", "man: up 1, hide frames 2-3")
    again = carry(release(scene))
    for a, b in zip(scene.entities, again.entities, strict=True):
        np.testing.assert_allclose(a.motion.matrices(), b.motion.matrices(), atol=1e-9)
        np.testing.assert_array_equal(a.motion.visible, b.motion.visible)


def test_removing_hiding_and_copying_take_along_what_is_carried(room) -> None:
    assert directed(room, remove=["car"]).names == []
    assert directed(room, "man: floating", remove=["car"]).names == ["man", "hat"]
    hidden = directed(room, "car: hide frames 2-4")
    assert [not entity.motion.visible[3] for entity in hidden.entities] == [True] * 3
    shot = Shot.from_flags(move=["car: duplicate second by right 4", "second: up 1"])
    copied = shot.apply(shot.apply(room))
    assert copied.names == ["car", "man", "hat", "second", "second man", "second hat"]
    assert copied.entity("second hat").relation == Relation(word="with", to="second man")
    way = copied.entity("second hat").motion.translation - copied.entity("hat").motion.translation
    np.testing.assert_allclose(way[[0, -1]], [[4, 0, 0], [4, 1, 0]], atol=1e-9)


def test_words_of_a_shot_file_and_back(stage) -> None:
    text = "entities:\n  man:\n    - on: car\n    - up: 1\n  car: floating\n"
    shot = parse_shot(text)
    assert parse_shot(shot.to_yaml()) == shot
    after = shot.apply(stage(FRAMES))
    assert [str(after.entity(name).relation) for name in ("man", "car")] == ["stands on car", "floats"]
    with pytest.raises(UserError, match=r"shot:3: no entity called 'cart'.*'car'"):
        parse_shot(text.replace("on: car", "on: cart")).apply(stage(FRAMES))
    with pytest.raises(UserError, match="would carry each other"):
        parse_shot("entities: {man: {on: car}, car: {with: man}}").apply(stage(FRAMES))
    assert directed(stage(FRAMES), "man: on ground").carrier_of("man") is None


def test_a_scene_folder_keeps_relations_and_nests_nodes(room, tmp_path) -> None:
    scene = directed(room, "car: forward 2, turn right 140deg", "hat: up 0.1, hide frames 3-4")
    assert parents(scene) == {"man": "car", "hat": "man"}
    save_scene(scene, tmp_path / "scene")
    back, notes = read_scene(tmp_path / "scene")
    assert notes == []
    read = load_glb(tmp_path / "scene" / "scene.glb", frames=FRAMES)
    assert read.parents == parents(scene)
    for entity in scene.entities:
        other = back.entity(entity.name)
        assert other.relation == entity.relation
        np.testing.assert_allclose(other.motion.matrices(), entity.motion.matrices(), atol=2e-6)
        np.testing.assert_array_equal(other.motion.visible, entity.motion.visible)


def test_what_cannot_hang_below_its_carrier_stands_by_itself(room, tmp_path) -> None:
    assert parents(directed(room, "car: hide frames 2-3")) == {}
    scene = directed(room, "car: scale (1, 2, 1)")
    assert parents(scene) == {}  # the man grows unequally too
    save_scene(scene, tmp_path / "scene")
    back = load_scene(tmp_path / "scene")
    assert back.entity("man").relation == Relation(word="on", to="car")
    np.testing.assert_allclose(back.entity("man").motion.matrices(), scene.entity("man").motion.matrices(), atol=2e-6)


def test_an_edited_file_says_anew_who_belongs_to_whom(room, tmp_path) -> None:
    save_scene(room, tmp_path / "scene")
    loose = room.with_entity(replace(room.entity("hat"), relation=None))
    loose = loose.with_entity(replace(loose.entity("car"), relation=Relation(word="on", to="hat")))
    loose = loose.with_entity(replace(loose.entity("man"), relation=None))
    save_glb(loose, tmp_path / "scene" / "scene.glb")
    back, notes = read_scene(tmp_path / "scene")
    assert [back.entity(name).relation for name in ("man", "hat")] == [None, None]
    assert back.entity("car").relation == Relation(word="with", to="hat")
    assert len([note for note in notes if "belongs to" in note]) == 3
