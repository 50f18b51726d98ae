"""Rooms: the same in every process, things apart from each other and from walls, films of the commanded camera."""

from __future__ import annotations

import numpy as np
import pytest

from real2sam2real.lab.synth import HELD_OUT_SEEDS
from real2sam2real.lab.synth.rooms import Room, sample_room
from real2sam2real.scene.shot import Shot


@pytest.fixture(scope="module")
def room() -> Room:
    return sample_room(HELD_OUT_SEEDS[1], width=160, height=90)


def test_a_seed_makes_one_room(room: Room) -> None:
    again = sample_room(HELD_OUT_SEEDS[1], width=160, height=90)
    other = sample_room(HELD_OUT_SEEDS[2], width=160, height=90)
    assert room.objects.photo is not None
    assert again.objects.photo is not None
    assert np.array_equal(room.objects.photo, again.objects.photo)
    assert not np.array_equal(room.objects.photo, other.objects.photo)


def test_the_photo_shows_each_thing_where_its_mask_is(room: Room) -> None:
    for entity in room.objects.entities:
        assert entity.mask is not None
        assert entity.mask.shape == (90, 160)
    assert sum(entity.mask.sum() for entity in room.objects.entities if entity.mask is not None) > 200


def test_things_stand_on_the_floor_inside_the_walls_and_apart(room: Room) -> None:
    half = np.abs(room.shell.mesh.vertices).max(axis=0)
    boxes = []
    for entity in room.objects.entities:
        points = entity.vertices_world(0)
        assert points[:, 1].min() == pytest.approx(-half[1], abs=1e-6)
        assert (np.abs(points) <= half + 1e-6).all()
        boxes.append((points.min(axis=0), points.max(axis=0)))
    for a, (low_a, high_a) in enumerate(boxes):
        for low_b, high_b in boxes[a + 1 :]:
            assert (low_a > high_b).any() or (low_b > high_a).any()


def test_the_camera_sees_walls_in_every_pixel(room: Room) -> None:
    shot = Shot.from_flags(camera=["orbit 30deg"], frames=5).apply(room.objects)
    frames = list(room.film(shot))
    assert len(frames) == 5
    assert np.array_equal(frames[0], room.objects.photo)
    for frame in frames:
        assert frame.any(axis=-1).all()  # nothing is black: no view past a wall
    assert np.abs(frames[4].astype(int) - frames[0]).mean() > 5
