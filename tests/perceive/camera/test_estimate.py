"""Where the lens comes from, sizes, what is said without an estimator, the cache and the picture."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from real2sam2real.errors import UserError
from real2sam2real.geometry import Intrinsics
from real2sam2real.perceive.camera.depth import DepthEstimate, pixel_centres, pointmap, resized_depth
from real2sam2real.perceive.camera.estimate import estimate_camera
from real2sam2real.perceive.camera.gravity import up_of
from real2sam2real.perceive.camera.options import ViewOptions
from real2sam2real.perceive.camera.picture import GRID_COLOR, HORIZON_COLOR, picture_view
from real2sam2real.perceive.photo import Photo
from real2sam2real.perceive.view import PhotoView, load_view, save_view

LENS = Intrinsics.from_fov(160, 120, horizontal_degrees=60.0)


def blank(width: int = 160, height: int = 120, focal: float | None = None) -> Photo:
    return Photo(pixels=np.full((height, width, 3), 90, np.uint8), focal_px=focal)


@pytest.fixture
def scene(cast_scene: Any, make_box: Any) -> Any:
    return cast_scene(LENS, up_of(20, 4), 1.6, [make_box(foot=(0.3, 0, -3.5), size=(0.8, 1.2, 0.8), turn=0.4)])


@pytest.fixture
def view(scene: Any) -> PhotoView:
    return estimate_camera(
        blank(), {"box": scene.ids == 3}, estimator=scene.estimate(np.random.default_rng(0), noise=0.01)
    )


@pytest.mark.parametrize(
    ("fov", "exif", "source", "expected"),
    [
        (35.0, 300.0, "user", Intrinsics.from_fov(160, 120, horizontal_degrees=35.0).fx),
        (None, 300.0, "exif", 300.0),
        (None, None, "stand-in", LENS.fx),
    ],
    ids=["the user's", "the file's", "the estimator's"],
)
def test_order_of_the_sources(scene: Any, fov: float | None, exif: float | None, source: str, expected: float) -> None:
    estimator = scene.estimate(np.random.default_rng(0))
    view = estimate_camera(blank(focal=exif), {}, ViewOptions(fov=fov), estimator=estimator)
    assert view.intrinsics.fx == expected
    assert view.provenance["lens"]["source"] == source  # type: ignore[index]
    told = any("alone would say a field of view of 60°" in note for note in view.notes)
    assert told == (source != "stand-in")


def test_the_last_source_is_the_default() -> None:
    view = estimate_camera(blank(), {})
    assert view.intrinsics.horizontal_fov_degrees == pytest.approx(55)
    assert view.provenance["lens"]["source"] == "default"  # type: ignore[index]
    assert (view.points_camera, view.up_camera, view.ground, view.unit) == (None, None, None, "unit")
    assert any("--pitch" in note for note in view.notes)


def test_pitch_and_roll_alone_give_up() -> None:
    view = estimate_camera(blank(), {}, ViewOptions(pitch=30, roll=5))
    assert view.up_camera == pytest.approx(up_of(30, 5))
    assert view.ground is None


def test_sizes_of_objects_give_the_horizon() -> None:
    """Objects 1.2 high on a floor 1.6 below a level-headed camera that looks down by 8°, lens known."""
    lens = Intrinsics.from_fov(1600, 1200, horizontal_degrees=60.0)
    up = up_of(8, 0)
    forward = np.array([0.0, up[2], -up[1]])
    masks = {}
    for k, distance in enumerate((4.0, 5.0, 6.5, 9.0, 13.0)):
        foot = distance * forward - 1.6 * up
        (_, bottom), (_, top) = lens.project(np.stack([foot, foot + 1.2 * up]))[0]
        masks[str(k)] = np.zeros((1200, 1600), bool)
        masks[str(k)][round(top) : round(bottom), 300 * k + 10 : 300 * k + 80] = True
    view = estimate_camera(blank(1600, 1200), masks, ViewOptions(fov=60.0))
    assert view.up_camera is not None
    assert np.degrees(np.arccos(view.up_camera @ up)) < 1.5


@pytest.mark.parametrize(("width", "height"), [(2400, 1800), (1536, 2048)])
def test_large_photos_are_shown_small_and_come_back_large(width: int, height: int) -> None:
    class Watching:
        name, model, licence = "watching", "none", "free"

        def estimate(self, pixels: NDArray[np.uint8], *, known_focal: float | None, assumed_focal: float) -> Any:
            self.shape, self.known = pixels.shape, known_focal
            depth = np.full(pixels.shape[:2], 3.0, np.float32)
            lens = {"focal_px": 900.0, "focal_source": "model", "model_focal_px": 900.0}
            return DepthEstimate(depth=depth, normals_camera=None, metric=True, **lens)

    estimator = Watching()
    view = estimate_camera(blank(width, height), {}, estimator=estimator)
    zoom = 1536 / max(width, height)
    assert estimator.shape[:2] == (round(height * zoom), round(width * zoom))
    assert view.intrinsics.fx == pytest.approx(900 / zoom)
    assert view.points_camera is not None
    assert view.points_camera.shape == (height, width, 3)
    landed, _ = view.intrinsics.project(view.points_camera)
    # float32 holds seven digits of a coordinate, so a far corner of a large photo is off by some 1e-7 of its side.
    assert np.abs(landed - pixel_centres(width, height)).max() < 1.5e-7 * max(width, height)
    estimate_camera(blank(width, height, focal=1234.0), {}, estimator=estimator)
    assert estimator.known == pytest.approx(1234.0 * zoom)


def test_depth_is_smooth_on_surfaces_and_sharp_at_edges() -> None:
    lens = Intrinsics.from_fov(60, 40, horizontal_degrees=60.0)
    plane = np.array([0.1, 0.3, -0.4])  # m · p = 1
    rays = lens.unproject(pixel_centres(60, 40), np.ones((40, 60)))
    depth = (1 / (rays @ plane)).astype(np.float32)
    depth[:, 30:] = 20.0
    depth[5:8, 5:8] = np.nan
    large = resized_depth(depth, 240, 160)
    points = pointmap(large, lens.resized(240, 160))
    known = np.isfinite(large)
    left = known & (np.arange(240) < 112)[None]
    left[:, :4] = left[:4] = left[-4:] = False
    left[14:40, 14:40] = False
    assert np.abs(points[left] @ plane - 1).max() < 1e-5
    assert np.isnan(large[22:30, 22:30]).all()
    nearest, farthest = np.nanmin(depth[:, :30]), np.nanmax(depth[:, :30])
    between = known & (large > farthest * 1.001) & (large < 19.9)
    assert not between.any()
    assert np.nanmin(large) >= nearest * 0.999


@pytest.mark.parametrize(
    "wrong",
    [{"depth": "eyes"}, {"fov": 0.5}, {"fov": float("nan")}, {"pitch": 90.0}, {"roll": -61.0}],
    ids=["estimator", "fov", "no number", "pitch", "roll"],
)
def test_options_are_checked(wrong: Any) -> None:
    with pytest.raises(UserError):
        ViewOptions(**wrong)


def test_masks_of_another_size_are_an_error() -> None:
    with pytest.raises(ValueError, match="the mask 'car'"):
        estimate_camera(blank(), {"car": np.zeros((10, 10), bool)})


def test_a_view_comes_back_bit_for_bit(tmp_path: Path, view: PhotoView) -> None:
    save_view(tmp_path / "view", view)
    back = load_view(tmp_path / "view")
    assert back.intrinsics == view.intrinsics
    np.testing.assert_array_equal(back.points_camera, view.points_camera)  # type: ignore[arg-type]
    assert (back.up_camera == view.up_camera).all()  # type: ignore[union-attr]
    assert view.ground is not None
    assert back.ground is not None
    assert (back.ground.normal == view.ground.normal).all()
    assert (back.ground.offset, back.unit, back.notes) == (view.ground.offset, view.unit, view.notes)
    assert back.provenance == view.provenance


def test_a_bare_view_replaces_a_full_one(tmp_path: Path, view: PhotoView) -> None:
    save_view(tmp_path / "view", view)
    save_view(tmp_path / "view", estimate_camera(blank(), {}))
    assert load_view(tmp_path / "view").points_camera is None
    assert [path.name for path in (tmp_path / "view").iterdir()] == ["view.json"]


def test_a_failed_save_leaves_the_old_one(tmp_path: Path, view: PhotoView) -> None:
    save_view(tmp_path / "view", view)
    with pytest.raises(TypeError):
        save_view(tmp_path / "view", replace(view, provenance={"bad": object()}))
    assert load_view(tmp_path / "view").provenance == view.provenance
    assert [path.name for path in tmp_path.iterdir()] == ["view"]


@pytest.mark.parametrize("damage", ["missing", "no json", "version", "other", "cut points", "size", "lens"])
def test_a_damaged_view_is_named(tmp_path: Path, view: PhotoView, damage: str) -> None:
    folder = tmp_path / "view"
    save_view(folder, view)
    text, described = folder / "view.json", json.loads((folder / "view.json").read_text())
    if damage == "missing":
        folder = tmp_path / "none"
    elif damage == "no json":
        text.write_text("{")
    elif damage == "cut points":
        points = (folder / "points.npy").read_bytes()
        (folder / "points.npy").write_bytes(points[: len(points) // 2])
    elif damage == "size":
        np.save(folder / "points.npy", np.zeros((3, 4, 3), np.float32))
    else:
        change = {"version": {"version": 2}, "other": {"format": "recipe"}, "lens": {"intrinsics": {"width": 3}}}
        text.write_text(json.dumps(described | change[damage]))
    with pytest.raises(UserError, match="view"):
        load_view(folder)


def test_the_picture_shows_horizon_and_ground_where_they_are(scene: Any, view: PhotoView) -> None:
    photo = blank().pixels
    picture = picture_view(photo, view)
    assert picture.shape == (120, 320, 3)
    left = picture[:, :160].astype(int)

    def where(color: tuple[int, int, int]) -> NDArray[np.bool_]:
        """Where the colour covers more than half a pixel of the grey photo."""
        return np.abs(left - color).sum(axis=-1) < 0.5 * np.abs(90 - np.array(color)).sum()

    rays = LENS.unproject(pixel_centres(160, 120), np.ones((120, 160)))
    below_horizon = np.degrees(np.arcsin(-(rays @ scene.up_camera) / np.linalg.norm(rays, axis=-1)))
    horizon, grid = where(HORIZON_COLOR), where(GRID_COLOR)
    assert horizon.any(axis=0).mean() > 0.9
    assert np.abs(below_horizon[horizon]).max() < 1
    assert grid.sum() > 200
    assert below_horizon[grid].min() > -0.5
    inside_box = (scene.ids == 3) & np.roll(scene.ids == 3, 3, 0) & np.roll(scene.ids == 3, -3, 0)
    assert grid[inside_box].mean() < 0.02
    sky = ~np.isfinite(view.points_camera[..., 2])  # type: ignore[index]
    assert (picture[:, 160:][sky & (np.arange(120) < 20)[:, None]] == 40).mean() > 0.9


def test_the_picture_of_a_bare_view_is_the_photo() -> None:
    photo = np.random.default_rng(0).integers(0, 256, (2000, 1000, 3), np.uint8)
    assert picture_view(photo, estimate_camera(Photo(pixels=photo), {})).shape == (960, 480, 3)
