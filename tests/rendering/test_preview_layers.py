import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from real2sam2real.geometry import Intrinsics, quaternions, transforms
from real2sam2real.rendering.backdrop import BoundlessPicture, GroundAndWall, Margins
from real2sam2real.rendering.plate import Plate, find_object_areas, outline, with_shadow
from real2sam2real.rendering.preview import contact_shadow

INTRINSICS = Intrinsics.from_fov(40, 24, horizontal_degrees=50)
POSE = transforms.look_at((0, 2, 0), (0, 0, -6))
GROUND_AND_WALL = GroundAndWall(world_from_camera=POSE, intrinsics=INTRINSICS, ground_y=0.0, wall_distance=12.0)


def rotation(axis, degrees):
    return transforms.compose((0, 0, 0), quaternions.from_axis_angle(axis, np.radians(degrees)))


def test_the_photos_own_camera_looks_up_its_own_pixels():
    y, x = np.mgrid[:24, :40] + 0.5
    np.testing.assert_allclose(GROUND_AND_WALL.lookup(POSE, INTRINSICS), np.stack([x, y], axis=-1), atol=1e-4)


@settings(max_examples=30, deadline=None)
@given(*[st.floats(-1.5, 1.5)] * 3, st.floats(-25, 25), st.floats(-12, 12))
def test_rays_meet_the_ground_or_the_wall(dx, dy, dz, yaw, pitch):
    """Against a slow reference: intersect each ray with both planes, take the nearer one, project the point."""
    pose = transforms.compose((dx, dy, dz), quaternions.IDENTITY) @ POSE @ rotation((0, 1, 0), yaw)
    pose = pose @ rotation((1, 0, 0), pitch)
    found = GROUND_AND_WALL.lookup(pose, INTRINSICS)
    eye, start = pose[:3, 3], POSE[:3, 3]
    forward = -POSE[:3, 2] * (1, 0, 1)
    forward /= np.linalg.norm(forward)
    for row in range(0, 24, 5):
        for column in range(0, 40, 7):
            ray = pose[:3, :3] @ INTRINSICS.unproject((column + 0.5, row + 0.5), 1.0)
            steps = []
            if ray[1] < -1e-9:
                steps.append(-eye[1] / ray[1])
            if ray @ forward > 1e-9:
                steps.append((12.0 - (eye - start) @ forward) / (ray @ forward))
            steps = [step for step in steps if step > 0]
            assert steps  # at these poses every ray meets the shape
            point = eye + min(steps) * ray
            camera = transforms.apply(transforms.invert_rigid(POSE), point[None])[0]
            if -camera[2] > 0.1 and abs(camera[0] / camera[2]) < 1.4 and abs(camera[1] / camera[2]) < 1.4:
                expected, _ = INTRINSICS.project(camera)
                np.testing.assert_allclose(found[row, column], expected, atol=1e-2, rtol=1e-4)


@pytest.mark.parametrize("shape", [GROUND_AND_WALL, GroundAndWall(world_from_camera=POSE, intrinsics=INTRINSICS)])
def test_neighbouring_pixels_look_up_neighbours_all_the_way_round(shape):
    for yaw in (0, 30, 60, 90, 120, 150):
        found = shape.lookup(POSE @ rotation((0, 1, 0), yaw), INTRINSICS)
        assert np.isfinite(found).all()
        assert np.abs(np.diff(found, axis=0)).max() < 12
        assert np.abs(np.diff(found, axis=1)).max() < 12


def test_zooming_looks_up_a_smaller_window():
    found = GROUND_AND_WALL.lookup(POSE, INTRINSICS.zoomed(2))
    y, x = np.mgrid[:24, :40] + 0.5
    np.testing.assert_allclose(found, np.stack([10 + x / 2, 6 + y / 2], axis=-1), atol=1e-4)


def test_warping_copies_where_it_can_and_has_an_answer_everywhere():
    picture = np.random.default_rng(0).integers(50, 200, (24, 40, 3), np.uint8)
    y, x = (np.mgrid[:24, :40] + 0.5).astype(np.float32)
    np.testing.assert_array_equal(BoundlessPicture(picture).sample(np.stack([x, y], axis=-1)), picture)
    shifted = BoundlessPicture(picture).sample(np.stack([x - 3, y + 2], axis=-1))
    np.testing.assert_array_equal(shifted[:22, 3:], picture[2:, :-3])
    far = BoundlessPicture(picture).sample(np.stack([x * 1e6, y - 1e7], axis=-1))
    assert far.min() > 30


def test_outside_it_is_its_mirror_image_growing_blurred():
    """Against whole pictures blurred at full size, mixed pixel by pixel."""
    noise = np.random.default_rng(1).integers(0, 256, (96, 160, 3), np.uint8)
    picture = cv2.GaussianBlur(noise, (0, 0), 1.5)
    y, x = np.mgrid[0:96:5, -100:260:7] + 0.5
    found = BoundlessPicture(picture).sample(np.stack([x, y], axis=-1).astype(np.float32))
    blurred = [cv2.GaussianBlur(picture, (0, 0), sigma, borderType=cv2.BORDER_REFLECT) for sigma in (1, 2, 4, 8)]
    for row, column in np.ndindex(x.shape):
        outside = max(-x[row, column], x[row, column] - 160, 0)
        mirrored = min(abs(x[row, column]) % 320, 320 - abs(x[row, column]) % 320)
        here = (int(y[row, column]), int(mirrored))
        color = picture[here].astype(float)
        for sigma, picture_blurred in zip((1, 2, 4, 8), blurred, strict=True):
            share = np.clip(0.7 * outside / sigma - 1, 0, 1)
            color += share * (picture_blurred[here] - color)
        assert np.abs(found[row, column] - color).max() < 5


def test_margins_are_what_the_frames_look_at():
    y, x = (np.mgrid[:24, :40] + 0.5).astype(np.float32)
    looks = [np.stack([x - 3.2, y], axis=-1), np.stack([x, y + 500], axis=-1)]
    margins = Margins.of(looks, 40, 24)
    assert (margins.left, margins.top, margins.right) == (3, 0, 0)
    assert 0 < margins.bottom < 24
    picture = np.random.default_rng(0).integers(50, 200, (24, 40, 3), np.uint8)
    wide = margins.widened(picture)
    assert wide.shape == (24 + margins.bottom, 43, 3)
    np.testing.assert_array_equal(wide[:24, 3:], picture)
    assert wide.min() > 45
    other = np.zeros_like(picture)
    assert (margins.paste(other, wide)[:24, 3:] == 0).all()
    assert Margins.of([], 40, 24) == Margins()
    np.testing.assert_array_equal(Margins().widened(picture), picture)


def test_a_shadow_belongs_to_the_object_and_a_dark_patch_elsewhere_does_not():
    photo = np.full((60, 80, 3), 150, np.uint8)
    mask = np.zeros((60, 80), bool)
    mask[15:40, 30:55] = True
    photo[mask] = 240
    shadow = np.zeros_like(mask)
    shadow[40:45, 28:60] = True
    photo[shadow] = 40
    patch = np.zeros_like(mask)
    patch[5:10, 5:12] = True
    photo[patch] = 40
    found = with_shadow(photo, mask, mask)
    assert found[mask].all()
    assert found[shadow].mean() > 0.85
    assert not found[patch].any()
    assert found.sum() < 1.35 * (mask | shadow).sum()


def test_another_object_is_never_taken_for_a_shadow():
    photo = np.full((60, 80, 3), 150, np.uint8)
    mask, black = np.zeros((60, 80), bool), np.zeros((60, 80), bool)
    mask[15:40, 30:55] = True
    black[30:50, 56:75] = True
    photo[black] = 10
    assert not (with_shadow(photo, mask, mask | black) & black).any()
    assert not with_shadow(photo, np.zeros_like(mask), black).any()


def test_outlines_grow():
    mask = np.zeros((21, 21), bool)
    mask[10, 10] = True
    grown = outline(mask, 3)
    y, x = np.mgrid[-10:11, -10:11]
    assert grown[np.hypot(x, y) <= 2].all()
    assert not grown[np.hypot(x, y) > 4].any()


def test_a_plate_paints_only_the_places_that_are_left():
    photo = np.full((40, 60, 3), 100, np.uint8)
    bodies = [np.zeros((40, 60), bool) for _ in range(2)]
    bodies[0][10:20, 10:20] = True
    bodies[1][10:20, 22:32] = True  # so near that the outlines meet
    photo[bodies[0]], photo[bodies[1]] = (255, 0, 0), (0, 0, 255)
    plate = Plate(photo, find_object_areas(photo, bodies), [True, True], [None, None])
    at_rest, painted = plate.at([(0.0, 0.0), (0.0, 0.0)])
    np.testing.assert_array_equal(at_rest, photo)
    assert not painted.any()
    first_left, painted = plate.at([(1.0, 1.0), (0.0, 0.0)])
    assert (np.abs(first_left[bodies[0]].astype(int) - 100) < 8).all()
    np.testing.assert_array_equal(first_left[bodies[1]], photo[bodies[1]])
    assert not painted[bodies[1]].any()
    both_left, _ = plate.at([(1.0, 1.0), (1.0, 1.0)])
    assert (np.abs(both_left.astype(int) - 100) < 8).all()


def test_the_shadow_of_what_stands_forever_goes_on_under_it_without_its_rim():
    photo = np.full((80, 120, 3), 160, np.uint8)
    body, found = np.zeros((80, 120), bool), np.zeros((80, 120), bool)
    body[20:50, 40:80] = True
    found[20:49, 41:79] = True  # as a network cuts it out: the rim is missing
    photo[46:56, 42:78] = 40  # its shadow
    photo[body] = (250, 20, 20)
    places = find_object_areas(photo, [found], rough=[True])
    plate, _ = Plate(photo, places, [True], [None], forever=[True]).at([(1.0, 0.0)])
    assert (plate[..., 0].astype(int) - plate[..., 1] < 60).all()  # nothing red is left
    np.testing.assert_array_equal(plate[53:56, 50:70], photo[53:56, 50:70])
    assert plate[48, 60].mean() < 100  # where it stood
    assert plate[22, 60].mean() > 130  # above
    assert np.abs(np.diff(plate[25:53, 60].astype(int).mean(axis=-1))).max() < 25  # it ends smoothly


BOX = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (0.0, 1.0) for z in (-5.5, -4.5)])


def shadow_of_box(offset):
    return contact_shadow(BOX + np.array(offset), 0.0, POSE, INTRINSICS)


def test_the_shadow_lies_under_the_object_and_fades_as_it_rises():
    stands = shadow_of_box((0, 0, 0))
    below, _ = INTRINSICS.project(transforms.apply(transforms.invert_rigid(POSE), np.array([[0, 0, -5.0]])))
    column, row = below[0].astype(int)
    assert stands[row, column] == pytest.approx(0.55, abs=0.08)
    assert stands[0].max() == stands[:, 0].max() == 0
    rises = shadow_of_box((0, 0.5, 0))
    assert 0 < rises.max() < 0.7 * stands.max()


def test_no_shadow_where_there_is_none_to_see():
    assert shadow_of_box((0, 5, 0)) is None  # high above
    assert shadow_of_box((0, -2, 0)) is None  # below the ground
    assert shadow_of_box((0, 0, 12)) is None  # behind the camera
    assert shadow_of_box((50, 0, 0)) is None  # beside the picture
    assert contact_shadow(BOX, 3.0, POSE, INTRINSICS) is None  # seen from below the ground
