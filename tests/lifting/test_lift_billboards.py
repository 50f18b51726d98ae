"""Bystanders become billboards where their feet meet the ground."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from real2sam2real.geometry import Intrinsics, quaternions, transforms
from real2sam2real.lifting.billboards import standing_distance, with_billboards
from real2sam2real.perceive.segment.detections import Detection
from real2sam2real.scene import CameraPath, Scene

WIDTH, HEIGHT = 160, 90
INTRINSICS = Intrinsics.from_fov(WIDTH, HEIGHT, horizontal_degrees=60)


def scene(pitch_degrees=10.0, ground_y=-1.5):
    pose = transforms.compose((0, 0, 0), quaternions.from_axis_angle((1, 0, 0), np.radians(-pitch_degrees)))
    return Scene(
        entities=(),
        camera=CameraPath.still(1, INTRINSICS, pose),
        photo=np.zeros((HEIGHT, WIDTH, 3), np.uint8),
        photo_world_from_camera=pose,
        ground_y=ground_y,
    )


def mask_at(x, foot, height=20):
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[max(0, foot - height) : foot, max(0, x - 3) : x + 4] = True
    return mask


@given(st.floats(2.5, 9.0), st.floats(-1.0, 1.0), st.floats(5.0, 25.0))
def test_the_distance_is_that_of_the_ground_at_the_foot(distance, sideways, pitch):
    placed = scene(pitch)
    from_world = transforms.invert_rigid(placed.photo_world_from_camera)
    (pixel,), (depth,) = INTRINSICS.project(transforms.apply(from_world, np.array([[sideways, -1.5, -distance]])))
    x, foot = round(pixel[0]), round(pixel[1])
    if depth <= 0 or not (10 < x < WIDTH - 10 and 25 < foot < HEIGHT):
        return
    found = standing_distance(placed, mask_at(x, foot))
    one_row = distance * distance / (1.5 * INTRINSICS.fy)
    assert found == pytest.approx(distance, abs=2 * one_row + 0.02)


def test_what_has_no_foot_on_the_ground_stays_in_the_backdrop():
    above = mask_at(80, 20)  # its foot is above the horizon
    assert standing_distance(scene(), above) is None
    assert standing_distance(replace(scene(), ground_y=None), mask_at(80, 70)) is None


def test_the_scene_has_them_and_people_are_told():
    masks = [mask_at(40, 70), mask_at(80, 75), mask_at(120, 70), mask_at(80, 20)]
    words = ["person", "person", "car", "bus"]
    found = [Detection(word=word, mask=mask, score=0.9) for word, mask in zip(words, masks, strict=True)]
    placed, (note,) = with_billboards(scene(), found)
    assert [each.name for each in placed.billboards] == ["person", "person", "car"]
    assert placed.billboards[1].distance < placed.billboards[0].distance
    assert "2 × person, car (" in note
    assert with_billboards(scene(), [])[1] == []
