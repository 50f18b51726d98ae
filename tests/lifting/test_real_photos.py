"""Real photos, lifted and directed: one object driven and turned, one removed, the camera orbiting 30°."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from skimage import data

from real2sam2real.lifting.embedded import lift_photo
from real2sam2real.perceive.grabcut import mask_from_box
from real2sam2real.perceive.intrinsics import estimate_intrinsics
from real2sam2real.perceive.masks import load_masks
from real2sam2real.perceive.photo import load_photo
from real2sam2real.rendering import render_frames
from real2sam2real.rendering.preview import preview_frames
from real2sam2real.scene import Scene
from real2sam2real.scene.shot import Shot

SHARED = Path(__file__).parents[3] / "shared" / "data"


@dataclass(frozen=True)
class Case:
    """A photo whose objects are directed; `gone` is taken out where the photo has several."""

    pixels: np.ndarray
    masks: dict[str, np.ndarray]
    driven: str
    gone: str | None


def street() -> Case:
    folder = SHARED / "street"
    if not folder.is_dir():
        pytest.skip("the real photos are not beside this checkout")
    photo = load_photo(folder / "photo.png")
    masks = load_masks([folder / f"mask_{k}.png" for k in (1, 4, 6, 8, 11, 18)], photo.width, photo.height)
    return Case(photo.pixels, masks, driven="mask_6", gone="mask_4")


def coffee() -> Case:
    pixels = data.coffee()
    return Case(pixels, {"cup": mask_from_box(pixels, [90, 20, 520, 385])}, driven="cup", gone=None)


def rocket() -> Case:
    pixels = data.rocket()
    return Case(pixels, {"rocket": mask_from_box(pixels, [290, 80, 360, 400])}, driven="rocket", gone=None)


@functools.cache  # several tests look at each
def directed(make: Callable[[], Case]) -> tuple[Case, Scene, Scene]:
    """What is directed, the scene at rest and the scene of the shot."""
    case = make()
    height, width = case.pixels.shape[:2]
    photo_lens, _ = estimate_intrinsics(_photo(case.pixels), masks=case.masks)
    assert (photo_lens.width, photo_lens.height) == (width, height)
    rest, _ = lift_photo(case.pixels, case.masks, photo_lens, frames=1)
    shot = Shot.from_flags(
        camera=[f"orbit 30deg around {case.driven}"],
        move=[f"{case.driven}: forward 0.6, turn right 25deg"],
        remove=[case.gone] if case.gone else [],
        frames=9,
    )
    return case, rest, shot.apply(rest)


def _photo(pixels: np.ndarray):
    from real2sam2real.perceive.photo import Photo

    return Photo(pixels=pixels, focal_px=None, notes=[])


@pytest.mark.parametrize("make", [street, coffee, rocket])
def test_it_is_lifted(make, check) -> None:
    _, rest, _ = directed(make)
    check(rest)
    if make is street:
        depth = {e.name: -e.rest_world_from_object[2, 3] for e in rest.entities}
        order = ["mask_18", "mask_6", "mask_11", "mask_1", "mask_4", "mask_8"]
        assert sorted(depth, key=lambda name: depth[name]) == order
        heights = [e.mesh.bounds()[1, 1] for e in rest.entities if e.name != "mask_18"]
        assert max(heights) < 1.6 * min(heights)


@pytest.mark.parametrize("make", [street, coffee, rocket])
def test_the_shot_is_what_was_asked_for(make) -> None:
    case, _, scene = directed(make)
    height, width = case.pixels.shape[:2]
    frames = list(render_frames(scene, width=width, height=height, frames=[0, 4, 8]))

    driven_id = scene.names.index(case.driven) + 1
    seen, mask = frames[0].ids == driven_id, case.masks[case.driven]
    assert (seen & mask).sum() / (seen | mask).sum() >= 0.95

    moved = scene.entity(case.driven).motion.matrices()
    turned = np.degrees(np.arccos((np.trace(moved[0, :3, :3].T @ moved[8, :3, :3]) - 1) / 2))
    assert turned == pytest.approx(25, abs=0.01)
    half_turn = np.radians(25) / 2  # driving forward while turning runs along an arc, whose chord is shorter
    chord = 0.6 * np.sin(half_turn) / half_turn
    assert np.linalg.norm(moved[8, :3, 3] - moved[0, :3, 3]) == pytest.approx(chord, rel=1e-3)
    orbit = scene.camera.world_from_camera
    swung = np.degrees(np.arccos((np.trace(orbit[0, :3, :3].T @ orbit[8, :3, :3]) - 1) / 2))
    assert swung == pytest.approx(30, abs=0.01)

    for index, frame in zip([0, 4, 8], frames, strict=True):
        check_occlusion_order(scene, index, frame, width, height)


def check_occlusion_order(scene: Scene, index: int, frame, width: int, height: int) -> None:
    """What is seen at every pixel is the nearest of the entities, each drawn alone; its normal is that one's."""
    nearest = np.full((height, width), np.inf, np.float32)
    ids = np.zeros((height, width), np.uint8)
    normals = np.zeros((height, width, 3), np.float32)
    for k, entity in enumerate(scene.entities):
        alone = Scene(entities=(entity,), camera=scene.camera)
        (drawn,) = render_frames(alone, width=width, height=height, frames=[index])
        nearer = drawn.depth < nearest
        nearest[nearer], ids[nearer], normals[nearer] = drawn.depth[nearer], k + 1, drawn.normals[nearer]
    assert np.mean(ids != frame.ids) < 1e-5
    agree = ids == frame.ids
    np.testing.assert_allclose(normals[agree], frame.normals[agree], atol=1e-5)


def test_the_removed_car_is_gone_from_ids_and_preview() -> None:
    case, rest, scene = directed(street)
    assert case.gone not in scene.names
    size = {"width": 640, "height": 360}
    still = Shot.from_flags(remove=[case.gone], frames=1).apply(rest)
    (preview,) = preview_frames(still, **size)
    (untouched,) = preview_frames(Shot.from_flags(frames=1).apply(rest), **size)
    place = case.masks[case.gone][::2, ::2]
    difference = np.abs(preview.astype(int) - untouched).mean(axis=-1)
    assert difference[place].mean() > 20  # a white car became street
    around = ~dilated(place)
    assert difference[around].mean() < 0.5


def dilated(mask: np.ndarray, pixels: int = 40) -> np.ndarray:
    import cv2

    return cv2.dilate(mask.astype(np.uint8), np.ones((2 * pixels + 1,) * 2, np.uint8)) > 0
