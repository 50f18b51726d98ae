"""A post and a car-like box that nobody masked, seen from elsewhere: held against the true picture from there."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import trimesh

from real2sam2real.geometry import Intrinsics, quaternions, transforms
from real2sam2real.lifting.billboards import with_billboards
from real2sam2real.mesh import Mesh
from real2sam2real.perceive.segment.detections import Detection
from real2sam2real.perceive.segment.posts import find_posts
from real2sam2real.perceive.segment.shafts import find_shafts
from real2sam2real.rendering import render_frames
from real2sam2real.rendering.preview import preview_frames
from real2sam2real.scene import CameraPath, Entity, Motion, Scene

WIDTH, HEIGHT = 480, 320
LENS = Intrinsics.from_fov(WIDTH, HEIGHT, horizontal_degrees=30)
EYE, PITCH = np.array([0.0, 9.0, 0.0]), 15.0
POST, CAR = (0.5, -22.0), (-3.0, -30.0)  # x and z of their feet
RED = (200, 30, 30)


def pose(right=0.0, turned=0.0):
    """A camera that looks down, moved to the right and turned to the left by so many degrees."""
    down = quaternions.from_axis_angle((1, 0, 0), np.radians(-PITCH))
    around = transforms.compose((0, 0, 0), quaternions.from_axis_angle((0, 1, 0), np.radians(turned)))
    return (
        transforms.compose(EYE + np.array([right, 0, 0]), (1, 0, 0, 0)) @ around @ transforms.compose((0, 0, 0), down)
    )


def box(x, y, z, color):
    """Within the ranges `x`, `y` and `z`, of one colour."""
    made = trimesh.creation.box(bounds=np.transpose([x, y, z]))
    return Mesh(
        vertices=made.vertices, faces=made.faces.astype(np.int32), vertex_colors=np.full((8, 3), color, np.uint8)
    )


def entity(name, mesh):
    return Entity(name=name, mesh=mesh, rest_world_from_object=np.eye(4), motion=Motion.still(1, np.eye(4)))


def world():
    """A lamp post with its lantern, and a car of two boxes with a darker cabin."""
    (px, pz), (cx, cz) = POST, CAR
    post = box((px - 0.12, px + 0.12), (0, 4.6), (pz - 0.12, pz + 0.12), (40, 34, 30))
    lantern = box((px - 0.5, px + 0.5), (4.4, 5.6), (pz - 0.5, pz + 0.5), (70, 58, 44))
    body = box((cx - 0.9, cx + 0.9), (0, 0.9), (cz - 2, cz + 2), RED)
    cabin = box((cx - 0.8, cx + 0.8), (0.85, 1.5), (cz - 1.2, cz + 0.8), (150, 20, 20))
    return [entity("post", post), entity("lantern", lantern), entity("body", body), entity("cabin", cabin)]


def ground(camera):
    """`(H, W, 3)` float: paving stones, in the true perspective."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH] + 0.5
    rays = LENS.unproject(np.stack([columns, rows], axis=-1), np.ones((HEIGHT, WIDTH))) @ camera[:3, :3].T
    places = EYE[1] / np.maximum(-rays[..., 1], 1e-3)
    x, z = camera[0, 3] + rays[..., 0] * places, camera[2, 3] + rays[..., 2] * places
    noise = cv2.GaussianBlur(np.random.default_rng(3).normal(0, 60, (256, 256)).astype(np.float32), (0, 0), 1.5)
    stones = noise[(x * 4).astype(int) % 256, (z * 4).astype(int) % 256]
    return np.repeat(np.clip(140 + stones, 0, 255)[..., None], 3, axis=-1) * (0.95, 1.0, 1.05)


def picture(camera):
    """The true picture, and which of the `world` each pixel shows."""
    path = CameraPath.still(1, LENS, camera)
    scene = Scene(entities=tuple(world()), camera=path, ground_y=0.0)
    frame = next(render_frames(scene, width=WIDTH, height=HEIGHT, color=True, antialias=True))
    share = np.asarray(frame.coverage, np.float64)[..., None]
    shown = ground(camera) * (1 - share) + np.asarray(frame.color) * share
    return np.clip(np.rint(shown), 0, 255).astype(np.uint8), np.asarray(frame.ids)


@pytest.fixture(scope="module")
def photo():
    return picture(pose())


@pytest.fixture(scope="module")
def scene(photo):
    """What the lifter knows of the photo: its ground."""
    path = CameraPath.still(2, LENS, pose())
    return Scene(entities=(), camera=path, photo=photo[0], photo_world_from_camera=pose(), ground_y=0.0)


def seen_from(scene, camera):
    """The preview's last frame; its first is the photo."""
    moved = replace(scene, camera=replace(scene.camera, world_from_camera=np.stack([pose(), camera])))
    first, last = preview_frames(moved, width=WIDTH, height=HEIGHT)
    np.testing.assert_array_equal(first, scene.photo)
    return last


def lean_and_middle(shown):
    """Of a thing's pixels `(H, W)`: degrees of the line through the middles of its rows, and its x half-way up."""
    rows = np.flatnonzero(shown.sum(axis=1) >= 3)
    middles = [np.flatnonzero(shown[row]).mean() for row in rows]
    slope, _ = np.polyfit(rows, middles, 1)
    return float(np.degrees(np.arctan(slope))), float(np.mean(middles))


def is_dark(shown):
    return cv2.morphologyEx((shown.max(axis=-1) < 85).astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)) > 0


def test_a_post_is_found_by_its_edges_and_cut_out_with_its_head(photo):
    shown, ids = photo
    up = pose()[1, :3]
    taken = np.zeros(ids.shape, bool)
    ((shaft, *_), *others) = find_shafts(shown, taken, LENS, up)
    assert not others
    assert shaft.middle == pytest.approx(np.nonzero(ids == 1)[1].mean(), abs=2)
    (found,) = find_posts(shown, taken, LENS, up)
    truth = (ids == 1) | (ids == 2)
    assert (found.mask & truth).sum() / (found.mask | truth).sum() > 0.75
    assert found.word == "post"


def test_a_bar_of_a_window_and_the_edge_of_a_wall_are_no_posts():
    wall = np.full((HEIGHT, WIDTH, 3), 170, np.uint8)
    wall[:, 300:] = 90  # an edge: left and right of it differ
    cv2.rectangle(wall, (100, 60), (220, 240), (40, 60, 90), -1)
    cv2.rectangle(wall, (156, 60), (164, 240), (220, 220, 220), -1)  # a bar that ends on the frame
    assert find_posts(wall, np.zeros((HEIGHT, WIDTH), bool), LENS, pose()[1, :3]) == []


@pytest.mark.parametrize(("right", "turned"), [(3.0, 6.0), (-3.0, -6.0), (0.0, 8.0)])
def test_the_post_stands_where_it_truly_would(scene, photo, right, turned):
    found = find_posts(photo[0], np.zeros((HEIGHT, WIDTH), bool), LENS, pose()[1, :3])
    placed, (note,) = with_billboards(scene, found)
    assert "post" in note
    assert placed.billboards[0].distance == pytest.approx(-POST[1], rel=0.05)
    camera = pose(right, turned)
    true_lean, true_middle = lean_and_middle(is_dark(picture(camera)[0]))
    lean, middle = lean_and_middle(is_dark(seen_from(placed, camera)))
    assert lean == pytest.approx(true_lean, abs=3.0)
    assert middle == pytest.approx(true_middle, abs=6.0)


def is_red(shown):
    return (shown[..., 0] > 110) & (shown[..., 0] > shown[..., 1] * 2.0)


@pytest.mark.parametrize("right", [4.0, -4.0])
def test_a_car_that_nobody_named_does_not_smear(scene, photo, right):
    mask = np.isin(photo[1], (3, 4))
    placed, _ = with_billboards(scene, [Detection(word="car", mask=mask, score=0.9)])
    camera = pose(right, right)
    truth, shown = is_red(picture(camera)[0]), is_red(seen_from(placed, camera))
    assert (truth & shown).sum() / (truth | shown).sum() > 0.7
    beyond = cv2.dilate(truth.astype(np.uint8), np.ones((13, 13), np.uint8)) == 0
    assert (shown & beyond).sum() < 0.05 * truth.sum()
