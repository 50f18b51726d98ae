"""Billboards: what stands in the photo without being an entity."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from real2sam2real.geometry import Intrinsics, quaternions, transforms
from real2sam2real.rendering import render_frames
from real2sam2real.rendering.billboards import FADE_DEGREES, billboard_entities, billboard_opacity, billboard_warnings
from real2sam2real.rendering.preview import preview_frames
from real2sam2real.scene import Billboard, CameraPath, Scene
from real2sam2real.scene.folder import load_scene, save_scene

WIDTH, HEIGHT, FRAMES = 96, 54, 3
INTRINSICS = Intrinsics.from_fov(WIDTH, HEIGHT, horizontal_degrees=60)
POSE = transforms.look_at((0, 1.4, 0), (0, 0.3, -5))


@pytest.fixture
def mask():
    """A ring with something in its hole, as a wheel before the ground."""
    shape = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.circle(shape, (48, 24), 14, 1, -1)
    cv2.circle(shape, (48, 24), 8, 0, -1)
    cv2.circle(shape, (48, 24), 3, 1, -1)
    return shape > 0


@pytest.fixture
def scene(mask):
    photo = np.full((HEIGHT, WIDTH, 3), 120, np.uint8) + np.random.default_rng(0).integers(
        0, 10, (HEIGHT, WIDTH, 3), np.uint8
    )
    photo[mask] = (220, 30, 30)
    return Scene(
        entities=(),
        camera=CameraPath.still(FRAMES, INTRINSICS, POSE),
        photo=photo,
        photo_world_from_camera=POSE,
        ground_y=0.0,
        billboards=(Billboard(name="wheel", mask=mask, distance=4.0),),
    )


def from_elsewhere(scene, *, right=0.0, degrees=0.0):
    turn = transforms.compose((right, 0, 0), quaternions.from_axis_angle((0, 1, 0), np.radians(degrees)))
    poses = np.stack([POSE, turn @ POSE, turn @ POSE])
    return replace(scene, camera=replace(scene.camera, world_from_camera=poses))


def is_red(picture):
    return (picture[..., 0] > 160) & (picture[..., 1] < 90)


def test_it_is_a_closed_slab_that_covers_its_mask(scene, mask):
    (entity,) = billboard_entities(scene)
    assert entity.mesh.is_closed()
    assert entity.mesh.volume() > 0
    plane = (entity.mesh.vertices + entity.rest_world_from_object[:3, 3] - POSE[:3, 3]) @ scene.photo_level_forward
    assert plane == pytest.approx(np.where(np.arange(len(plane)) < len(plane) // 2, 4.0, 4.002))
    drawn = next(render_frames(replace(scene, entities=(entity,)), width=WIDTH, height=HEIGHT)).ids == 1
    assert (drawn & mask).sum() / (drawn | mask).sum() > 0.8  # the outline runs through its outer pixels' centres


def test_a_camera_that_rests_sees_the_photo(scene):
    for frame in preview_frames(scene, width=WIDTH, height=HEIGHT):
        np.testing.assert_array_equal(frame, scene.photo)


def test_a_camera_that_moves_sees_it_upright_and_nothing_where_it_was(scene):
    first, *_, last = preview_frames(from_elsewhere(scene, right=0.6), width=WIDTH, height=HEIGHT)
    np.testing.assert_array_equal(first, scene.photo)
    before, after = (cv2.moments(is_red(frame).astype(np.uint8)) for frame in (first, last))
    shift = before["m10"] / before["m00"] - after["m10"] / after["m00"]
    assert shift == pytest.approx(INTRINSICS.fx * 0.6 / 4.0, rel=0.1)
    assert after["m00"] == pytest.approx(before["m00"], rel=0.2)
    assert after["mu02"] / after["mu20"] == pytest.approx(before["mu02"] / before["mu20"], rel=0.15)


def test_it_fades_as_the_camera_comes_round(scene):
    entities = billboard_entities(scene)
    opacity = [billboard_opacity(from_elsewhere(scene, right=right), entities, 2)[0] for right in (0, 2, 4, 5, 9)]
    assert opacity[:2] == [1, 1]  # 0°, 27°, 45°, 51°, 66°
    assert 1 > opacity[2] > opacity[3] > opacity[4] == 0
    assert FADE_DEGREES == (35, 60)
    gone = from_elsewhere(scene, right=9, degrees=60)
    assert not is_red(list(preview_frames(gone, width=WIDTH, height=HEIGHT))[-1]).any()


def test_it_is_kept_in_the_scene_folder(scene, tmp_path: Path):
    save_scene(scene, tmp_path / "scene")
    (read,) = load_scene(tmp_path / "scene").billboards
    assert (read.name, read.distance) == ("wheel", 4.0)
    np.testing.assert_array_equal(read.mask, scene.billboards[0].mask)


def test_one_that_shows_nothing_is_refused(mask):
    with pytest.raises(ValueError, match="'a' shows nothing"):
        Billboard(name="a", mask=np.zeros_like(mask), distance=1.0)
    with pytest.raises(ValueError, match="'a' stands -1"):
        Billboard(name="a", mask=mask, distance=-1.0)


def test_the_page_is_told_in_which_frames_it_fades(scene):
    assert billboard_warnings(scene) == []
    assert billboard_warnings(replace(scene, billboards=())) == []
    (warning,) = billboard_warnings(from_elsewhere(scene, right=4.0))
    assert "wheel" in warning
    assert "frames 2–3" in warning
    assert "45° to their side" in warning
