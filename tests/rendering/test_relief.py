"""A background whose depth is known, seen from elsewhere: parallax as it should be, nothing smeared."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from real2sam2real.errors import UserError
from real2sam2real.geometry import Intrinsics, quaternions, transforms
from real2sam2real.rendering.preview import preview_frames
from real2sam2real.scene import BackgroundRelief, CameraPath, Scene
from real2sam2real.scene.folder import load_scene, save_scene

WIDTH, HEIGHT = 240, 136
LENS = Intrinsics.from_fov(WIDTH, HEIGHT, horizontal_degrees=60)
FLOOR, WALL, CARD = -1.4, 9.0, 4.0


def cast(pose: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What a camera sees of a floor, a wall and a card before it: colours, depth, and where the card is."""
    x, y = np.meshgrid(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5)
    rays = LENS.unproject(np.stack([x, y], -1), np.ones((HEIGHT, WIDTH))) @ pose[:3, :3].T
    eye = pose[:3, 3]
    with np.errstate(divide="ignore", invalid="ignore"):
        floor = np.where(rays[..., 1] < 0, (FLOOR - eye[1]) / rays[..., 1], np.inf)
        wall = (-WALL - eye[2]) / rays[..., 2]
        card = (-CARD - eye[2]) / rays[..., 2]
    at = eye + rays * card[..., None]
    on_card = (np.abs(at[..., 0]) < 0.7) & (at[..., 1] > FLOOR) & (at[..., 1] < 0.6)
    depth = np.minimum(floor, wall)
    depth = np.where(on_card & (card < depth), card, depth)
    points = eye + rays * depth[..., None]
    waves = 0.5 + 0.25 * np.sin(3 * points[..., 0]) + 0.25 * np.sin(3 * (points[..., 1] + points[..., 2]))
    tint = np.where((depth < floor)[..., None], [90, 150, 90], [150, 120, 90])
    tint = np.where((depth == card)[..., None], [220, 40, 40], tint)
    colors = np.rint(tint * (0.7 + 0.3 * waves[..., None])).astype(np.uint8)
    return colors, depth, depth == card


def seen_from(*poses: np.ndarray) -> Scene:
    colors, depth, _ = cast(np.eye(4))
    path = CameraPath(world_from_camera=np.stack(poses), intrinsics=LENS, zoom=np.ones(len(poses)))
    relief = BackgroundRelief(inverse_depth=(1 / depth).astype(np.float32), source="a test")
    return Scene(entities=(), camera=path, photo=colors, ground_y=FLOOR, background=relief)


def moved(x: float = 0, y: float = 0, z: float = 0, degrees: float = 0) -> np.ndarray:
    return transforms.compose((x, y, z), quaternions.from_axis_angle((0, 1, 0), np.radians(degrees)))


def frames_of(scene: Scene) -> list[np.ndarray]:
    return list(preview_frames(scene, width=WIDTH, height=HEIGHT))


def inner(picture: np.ndarray) -> np.ndarray:
    return picture[8:-8, 24:-24].astype(np.float64)


@pytest.mark.fast
@pytest.mark.parametrize("move", [{"x": 0.5}, {"x": -0.4, "degrees": -4}, {"z": -0.8}, {"y": 0.3, "degrees": 2}])
def test_a_moving_camera_sees_what_is_there(move: dict[str, float]) -> None:
    scene = seen_from(np.eye(4), moved(**move))
    first, last = frames_of(scene)
    np.testing.assert_array_equal(first, scene.photo)
    truth, _, on_card = cast(moved(**move))
    flat = frames_of(replace(scene, background=None))[1]
    error, flat_error = (np.abs(inner(each) - inner(truth)).mean() for each in (last, flat))
    assert error < 0.45 * flat_error
    assert error < 4.5
    red = (last[..., 0] > 140) & (last[..., 1] < 70)
    assert (red & on_card).sum() / (red | on_card).sum() > 0.93
    # Between the card and what is behind it lies an edge, and no sheet: hardly a pixel is neither.
    between = (last[..., 0] > 110) & (last[..., 1] > 55) & (last[..., 1] < 80)
    assert between.mean() < 0.006


@pytest.mark.fast
def test_what_the_card_hid_is_the_wall(workshop: object) -> None:
    scene = seen_from(np.eye(4), moved(x=0.6))
    _, last = frames_of(scene)
    truth, _, _ = cast(moved(x=0.6))
    _, _, before = cast(np.eye(4))
    upper = slice(30, 60)
    revealed = np.zeros((HEIGHT, WIDTH), bool)
    start, shift = int(np.flatnonzero(before[40])[-1]), LENS.fx * 0.6
    revealed[upper, round(start - shift / CARD) + 2 : round(start - shift / WALL) - 1] = True
    assert revealed.sum() > 300
    assert np.abs(last[revealed].astype(int) - truth[revealed]).mean() < 30  # green, not red: the card is 90 away
    assert (last[revealed][:, 1].astype(int) > last[revealed][:, 0]).mean() > 0.97


@pytest.mark.fast
def test_a_camera_that_turns_needs_no_depth() -> None:
    scene = seen_from(np.eye(4), moved(degrees=5))
    _, turned = frames_of(scene)
    _, flat = frames_of(replace(scene, background=None))
    assert np.abs(inner(turned) - inner(flat)).mean() < 1.0


@pytest.mark.fast
def test_it_is_kept_in_the_scene_folder(tmp_path: Path) -> None:
    scene = seen_from(np.eye(4))
    save_scene(scene, tmp_path / "scene")
    back = load_scene(tmp_path / "scene").background
    assert back is not None
    assert scene.background is not None
    np.testing.assert_array_equal(back.inverse_depth, scene.background.inverse_depth)
    assert back.source == "a test"
    (tmp_path / "scene" / "background.npy").write_bytes(b"broken")
    with pytest.raises(UserError, match=r"background\.npy"):
        load_scene(tmp_path / "scene")
    with pytest.raises(ValueError, match="nowhere negative"):
        BackgroundRelief(inverse_depth=np.full((4, 4), -1, np.float32), source="")
