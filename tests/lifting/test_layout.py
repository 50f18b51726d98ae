"""Ground and walls from the straight edges of synthetic rooms and streets whose planes are known."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import pytest

from real2sam2real.geometry import Intrinsics, quaternions, transforms
from real2sam2real.lifting.layout import find_walls, stands_upright, with_walls
from real2sam2real.mesh import Mesh
from real2sam2real.perceive.camera.depth import pixel_centres
from real2sam2real.perceive.camera.vanishing import StraightEdges, pitch_of_edges
from real2sam2real.rendering.preview import preview_frames
from real2sam2real.scene import CameraPath, Entity, Motion, Scene

WIDTH, HEIGHT = 480, 320
LENS = Intrinsics.from_fov(WIDTH, HEIGHT, horizontal_degrees=65)
NOTHING = np.zeros((HEIGHT, WIDTH), bool)
NOBODY = np.zeros((0, 3))


class Room(NamedTuple):
    photo: np.ndarray
    pose: np.ndarray  # of a camera a unit above the ground
    planes: list[tuple[np.ndarray, float]]  # normals in the world and distances, the ground's first
    inverse: np.ndarray


def pitched(degrees: float) -> np.ndarray:
    return transforms.compose([0, 0, 0], quaternions.from_axis_angle([1, 0, 0], -np.radians(degrees)))


def room(seed: int, yaw: float, pitch: float, *walls: float) -> Room:
    """A tiled floor and papered walls with windows: ahead, to the right and to the left, turned by a yaw."""
    rng = np.random.default_rng(seed)
    pose = pitched(pitch)
    rays = LENS.unproject(pixel_centres(WIDTH, HEIGHT), np.ones(())) @ pose[:3, :3].T
    cos, sin = np.cos(np.radians(yaw)), np.sin(np.radians(yaw))
    ahead, right = np.array([sin, 0, -cos]), np.array([cos, 0, sin])
    planes = [(np.array([0, -1.0, 0]), 1.0), *zip((ahead, right, -right), walls, strict=False)]
    inverses = np.stack([np.maximum(rays @ normal / distance, 0) for normal, distance in planes])
    shown, inverse = inverses.argmax(axis=0), np.maximum(inverses.max(axis=0), 1e-6)
    points = rays / inverse[..., None]
    along, deep, up = points @ right, points @ ahead, points[..., 1] + 1
    picture = np.full((HEIGHT, WIDTH, 3), 230.0)
    for number, across in enumerate((along, along, deep, deep)[: len(planes)]):
        if number == 0:
            pattern = (np.floor(along / 0.8) + np.floor(deep / 0.8)) % 2 * 18
        else:
            window = (np.abs(across % 1.7 - 0.8) < 0.35) & (up > 1.0) & (up < 1.9)
            pattern = np.floor(across / 0.9) % 2 * 14 - 45 * window
        flat = rng.uniform(70, 200, 3) + pattern[..., None]
        picture = np.where((shown == number)[..., None] & (inverse > 1e-3)[..., None], flat, picture)
    noisy = cv2.GaussianBlur(picture + rng.normal(0, 3, picture.shape), (0, 0), 0.7)
    return Room(np.clip(noisy, 0, 255).astype(np.uint8), pose, planes, inverse)


ROOMS = [
    (1, 31, 10, 5.4, 2.0, 1.6),
    (6, 34, 5, 5.7, 2.3, 1.4),
    (11, -24, 7, 4.8, 2.5, 2.1),
    (5, 0, 4, 40.0, 2.2, 2.4),  # a street
]


@pytest.mark.parametrize("made", ROOMS)
def test_walls_are_where_they_are_or_are_not_claimed(made: tuple[float, ...]) -> None:
    truth = room(int(made[0]), *made[1:])
    walls = find_walls(truth.photo, truth.pose, LENS, NOTHING, NOBODY)
    assert walls
    for wall in walls:
        normal = truth.pose[:3, :3] @ wall.normal
        true_normal, distance = max(truth.planes[1:], key=lambda plane: float(normal @ plane[0]))
        assert normal @ true_normal > np.cos(np.radians(1.5))
        assert wall.distance == pytest.approx(distance, rel=0.05)


def test_no_wall_stands_before_an_object() -> None:
    truth = room(*ROOMS[1])
    outside = np.array([[30.0, 0.0, -30.0], [-30.0, 0.0, -30.0], [0.0, 0.0, -60.0]])
    assert not find_walls(truth.photo, truth.pose, LENS, NOTHING, outside)


def test_the_pitch_is_read_from_upright_and_level_edges() -> None:
    truth = room(*ROOMS[0])
    found = pitch_of_edges(StraightEdges.of_photo(truth.photo, NOTHING, LENS)[0])
    assert found == pytest.approx(np.radians(10), abs=np.radians(1.5))
    assert pitch_of_edges(StraightEdges.of_photo(field(upright=False), NOTHING, LENS)[0]) is None


def field(*, upright: bool) -> np.ndarray:
    """Noise that lies on the ground of a camera that looks down by 6°, or blades that stand."""
    noise = np.random.default_rng(2).uniform(0, 255, (600, 600)).astype(np.float32)
    rays = LENS.unproject(pixel_centres(WIDTH, HEIGHT), np.ones(())) @ pitched(6)[:3, :3].T
    if upright:
        at = np.stack([rays[..., 0] * 500 + 300, rays[..., 1] * 40 + 300], axis=-1)
    else:
        depth = 1 / np.maximum(-rays[..., 1], 0.02)
        at = np.stack([rays[..., 0] * depth * 12 + 300, -rays[..., 2] * depth * 12], axis=-1)
    picture = cv2.remap(noise, at.astype(np.float32), None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    return np.repeat(picture[..., None], 3, axis=2).astype(np.uint8)


@pytest.mark.parametrize("upright", [True, False])
def test_blades_do_not_lie_on_a_ground(upright: bool) -> None:
    photo = field(upright=upright)
    assert stands_upright(photo, pitched(6), LENS, NOTHING) == upright
    scene, notes = with_walls(furnished(photo, pitched(6)), NOTHING)
    assert (scene.background is not None) == upright
    assert (scene.ground_y is None) == upright
    assert bool(notes) == upright


def furnished(photo: np.ndarray, pose: np.ndarray, frames: int = 2) -> Scene:
    """A photo before which a tetrahedron stands."""
    vertices = np.array([[0, 0, 0], [0.3, 0, 0], [0, 0.3, 0], [0, 0, 0.3]])
    mesh = Mesh(vertices=vertices, faces=np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [2, 0, 3]], np.int32))
    place = transforms.compose([0.0, -1.0, -2.5], quaternions.IDENTITY)
    thing = Entity(name="thing", mesh=mesh, rest_world_from_object=place, motion=Motion.still(frames, place))
    path = CameraPath.still(frames, LENS, pose)
    return Scene(entities=(thing,), camera=path, photo=photo, photo_world_from_camera=pose, ground_y=-1.0)


def test_the_first_frame_stays_the_photo_and_the_relief_is_the_rooms() -> None:
    truth = room(*ROOMS[1])
    scene, (note,) = with_walls(furnished(truth.photo, truth.pose), NOTHING)
    assert "walls found in the photo" in note
    assert scene.background is not None
    error = np.abs(scene.background.inverse_depth / truth.inverse - 1)
    assert np.median(error) < 0.02
    moved = scene.camera.world_from_camera.copy()
    moved[1, 0, 3] += 0.3
    path = CameraPath(world_from_camera=moved, intrinsics=LENS, zoom=np.ones(2))
    shot = Scene(**{**vars(scene), "camera": path})
    first, second = preview_frames(shot, width=WIDTH, height=HEIGHT)
    np.testing.assert_array_equal(first, truth.photo)
    assert (second != first).any()
