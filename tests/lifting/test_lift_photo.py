from pathlib import Path

import cv2
import numpy as np
import pytest

from real2sam2real.errors import UserError
from real2sam2real.geometry import Intrinsics
from real2sam2real.lifting.embedded import lift_photo
from real2sam2real.perceive.intrinsics import estimate_intrinsics
from real2sam2real.perceive.masks import load_masks
from real2sam2real.perceive.photo import load_photo
from real2sam2real.scene import Scene


@pytest.fixture(scope="session")
def street_masks(drawing) -> dict[str, np.ndarray]:
    """A post before a cylinder before a box, and a boxy row behind."""
    near = drawing.cylinder(-0.3, -2.0, 0.25, 0.45)
    far = drawing.box(0.05, -2.9, (0.5, 0.4, 0.9), 0.4) & ~near
    post = drawing.box(0.75, -2.2, (0.06, 0.9, 0.06))
    return {"far": far, "near": near, "post": post}


@pytest.fixture(scope="session")
def lifted(photo: np.ndarray, intrinsics: Intrinsics, street_masks: dict[str, np.ndarray]) -> Scene:
    return lift_photo(photo, street_masks, intrinsics, frames=5, fps=12.0, prompt="a row", pitch_degrees=20.0)[0]


def test_objects_cover_their_masks_closed_and_on_the_ground(lifted: Scene, check) -> None:
    check(lifted, 0.97)
    assert lifted.names == ["far", "near", "post"]
    assert (lifted.frames, lifted.fps, lifted.prompt, lifted.unit) == (5, 12.0, "a row", "unit")
    for entity in lifted.entities:
        assert entity.vertices_world(0)[:, 1].min() == pytest.approx(lifted.ground_y, abs=1e-6)
        assert np.array_equal(entity.motion.matrices()[4], entity.motion.matrices()[0])


def test_the_world_is_upright_with_the_camera_at_its_origin(lifted: Scene) -> None:
    pose = lifted.photo_world_from_camera
    assert np.array_equal(pose, lifted.camera.world_from_camera[0])
    assert np.allclose(pose[:3, 3], 0)
    assert np.degrees(np.arcsin(pose[1, 2])) == pytest.approx(20)  # the optical axis −z points down
    assert np.median([e.mesh.bounds()[1, 1] for e in lifted.entities]) == pytest.approx(1.6)


def test_depths_are_those_of_the_world(lifted: Scene) -> None:
    depth = {e.name: -e.rest_world_from_object[2, 3] for e in lifted.entities}
    assert depth["far"] / depth["near"] == pytest.approx(2.9 / 2.0, rel=0.15)
    assert depth["post"] / depth["near"] == pytest.approx(2.2 / 2.0, rel=0.15)


def test_solids_have_depth_and_the_hidden_part_is_there(lifted: Scene, street_masks, frame_of) -> None:
    near, far, post = (lifted.entity(name).mesh.bounds() for name in ("near", "far", "post"))
    for low, high in (near, far):
        size = high - low
        assert min(size[0], size[2]) > 0.3 * max(size[0], size[2])
    assert (post[1] - post[0])[2] < 0.3 * (post[1] - post[0])[1]
    alone = frame_of(lifted, ["far"]).ids > 0
    behind = alone & street_masks["near"]
    assert behind.sum() > 0.05 * street_masks["near"].sum()
    assert (alone & ~street_masks["near"] & ~street_masks["far"]).sum() < 0.03 * alone.sum()


def test_the_texture_shows_the_photo(photo: np.ndarray, intrinsics: Intrinsics, drawing, frame_of) -> None:
    from real2sam2real.rendering import render_frames

    smooth = cv2.GaussianBlur(photo, (0, 0), 4)
    mask = drawing.box(0.0, -2.2, (0.5, 0.4, 0.5), 0.3)
    painted = np.where(mask[..., None], smooth, np.array([255, 0, 255], np.uint8))
    scene, _ = lift_photo(painted, {"box": mask}, intrinsics, frames=1, pitch_degrees=20.0)
    (frame,) = render_frames(scene, width=320, height=200, color=True)
    inner = cv2.erode(mask.astype(np.uint8), np.ones((9, 9), np.uint8)).astype(bool)
    assert frame.color is not None
    assert np.abs(frame.color[inner].astype(int) - painted[inner]).mean() < 3
    texture = scene.entity("box").mesh.texture
    assert texture is not None
    magenta = (texture[..., 0] > 230) & (texture[..., 1] < 30) & (texture[..., 2] > 230)
    assert not magenta.any()  # nothing of the background


def test_the_same_input_gives_the_same_scene(photo, intrinsics, street_masks, lifted: Scene) -> None:
    again, _ = lift_photo(photo, street_masks, intrinsics, frames=5, pitch_degrees=20.0)
    for a, b in zip(lifted.entities, again.entities, strict=True):
        assert np.array_equal(a.mesh.vertices, b.mesh.vertices)
        assert np.array_equal(a.mesh.texture, b.mesh.texture)


def shapes() -> dict[str, np.ndarray]:
    """Silhouettes that are hard to lift, in 200×320 pixels."""
    blank = np.zeros((200, 320), np.uint8)
    ring = cv2.circle(cv2.circle(blank.copy(), (160, 120), 60, 1, -1), (160, 120), 45, 0, -1)
    wire = cv2.polylines(blank.copy(), [np.array([[60, 60], [120, 170], [180, 60], [260, 180]])], False, 1, 2)
    parts = cv2.rectangle(blank.copy(), (60, 60), (240, 150), 1, -1)
    parts[:, 140:152] = 0
    figure = cv2.circle(blank.copy(), (160, 50), 16, 1, -1)
    for a, b in (((160, 60), (160, 120)), ((160, 80), (100, 60)), ((160, 80), (220, 100))):
        cv2.line(figure, a, b, 1, 14)
    for foot in ((130, 190), (200, 180)):
        cv2.line(figure, (160, 120), foot, 1, 14)
    cut = cv2.rectangle(blank.copy(), (120, 90), (200, 199), 1, -1)
    corner = cv2.rectangle(blank.copy(), (0, 100), (70, 199), 1, -1)
    top = cv2.rectangle(blank.copy(), (100, 0), (180, 30), 1, -1)
    speck = cv2.rectangle(blank.copy(), (100, 100), (108, 108), 1, -1)
    wide = cv2.rectangle(blank.copy(), (2, 150), (317, 160), 1, -1)
    named = {"ring": ring, "parts": parts, "figure": figure, "cut": cut, "corner": corner, "top": top}
    named |= {"wire": wire_or(wire), "speck": speck, "wide": wide}
    return {name: mask.astype(bool) for name, mask in named.items()}


def wire_or(wire: np.ndarray) -> np.ndarray:
    return cv2.dilate(wire, np.ones((2, 2), np.uint8))


@pytest.mark.parametrize("name", shapes())
def test_hard_silhouettes(name: str, photo: np.ndarray, intrinsics: Intrinsics, check) -> None:
    scene, _ = lift_photo(photo, {name: shapes()[name]}, intrinsics, frames=1)
    check(scene, 0.9 if name in ("wire", "speck") else 0.95)
    if name in ("cut", "corner"):
        assert any("border" in note for note in scene.entities[0].provenance["notes"])


@pytest.mark.parametrize("pitch", [-15.0, 0.0, 45.0, 75.0])
def test_any_allowed_pitch(pitch: float, photo, intrinsics, drawing, check) -> None:
    mask = drawing.box(0.0, -2.2, (0.5, 0.4, 0.5), 0.3)
    check(lift_photo(photo, {"box": mask}, intrinsics, frames=1, pitch_degrees=pitch)[0])


def test_misuse_is_said(photo, intrinsics: Intrinsics) -> None:
    with pytest.raises(ValueError, match="do not fit"):
        lift_photo(photo[:100], {"a": np.ones((100, 320), bool)}, intrinsics)
    with pytest.raises(ValueError, match="'a'"):
        lift_photo(photo, {"a": np.ones((50, 60), bool)}, intrinsics)
    with pytest.raises(UserError, match="empty"):
        lift_photo(photo, {"a": np.zeros(photo.shape[:2], bool)}, intrinsics)
    with pytest.raises(UserError, match="no mask"):
        lift_photo(photo, {}, intrinsics)


def test_the_dancer(shared_data: Path, check) -> None:
    photo = load_photo(shared_data / "dancer" / "photo.png")
    masks = load_masks(sorted((shared_data / "dancer").glob("mask_*.png")), photo.width, photo.height)
    check(lift_photo(photo.pixels, masks, estimate_intrinsics(photo)[0], frames=1)[0])
