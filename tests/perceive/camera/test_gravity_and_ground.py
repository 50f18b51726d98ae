"""Up and ground against scenes whose truth is known."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from real2sam2real.geometry import Intrinsics
from real2sam2real.perceive.camera.estimate import estimate_camera
from real2sam2real.perceive.camera.gravity import pitch_roll_of, up_of
from real2sam2real.perceive.camera.options import ViewOptions
from real2sam2real.perceive.photo import Photo
from real2sam2real.perceive.view import PhotoView

LENS = Intrinsics.from_fov(240, 180, horizontal_degrees=60.0)


def blank(lens: Intrinsics, focal: float | None = None) -> Photo:
    return Photo(pixels=np.zeros((lens.height, lens.width, 3), np.uint8), focal_px=focal)


def degrees_between(a: Any, b: Any) -> float:
    return float(np.degrees(np.arccos(np.clip(np.dot(a, b), -1, 1))))


def seen(
    scene: Any, options: ViewOptions | None = None, *, entities: tuple[int, ...] = (), **errors: float
) -> PhotoView:
    """Look at a scene; the boxes numbered `entities` have masks."""
    masks = {f"box {k}": scene.ids == k + 3 for k in entities}
    estimator = scene.estimate(np.random.default_rng(1), **errors)
    return estimate_camera(blank(scene.lens), masks, options, estimator=estimator)


@given(st.floats(-80, 85), st.floats(-60, 60))
def test_pitch_and_roll_come_back(pitch: float, roll: float) -> None:
    assert pitch_roll_of(up_of(pitch, roll)) == pytest.approx((pitch, roll), abs=1e-6)


def test_signs_of_pitch_and_roll() -> None:
    """Looking down, up leans towards the viewer (+Z); turned clockwise, the world's up leans to the picture's left."""
    assert up_of(30, 0) == pytest.approx([0, np.cos(np.pi / 6), 0.5])
    assert up_of(0, 30) == pytest.approx([-0.5, np.cos(np.pi / 6), 0])


def random_scene(rng: np.random.Generator, cast: Any, box: Any, kind: str) -> Any:
    width, height = ((240, 180), (180, 240), (256, 144))[rng.integers(3)]
    lens = Intrinsics.from_fov(width, height, horizontal_degrees=rng.uniform(45, 80))
    above = rng.uniform(0.4, 3.0)
    pitch = rng.uniform(*{"street": (-2, 25), "room": (8, 40), "from above": (35, 60)}[kind])
    ahead = above / np.tan(np.radians(max(pitch, 8)))
    boxes = []
    for _ in range(rng.integers(1, 5)):
        z = -rng.uniform(0.7, 2) * ahead
        foot = (rng.uniform(-0.4, 0.4) * abs(z), 0, z)
        boxes.append(box(foot=foot, size=tuple(rng.uniform(0.1, 0.4, 3) * above), turn=rng.uniform(0, 3)))
    turn = rng.uniform(-0.7, 0.7)
    walls = [(turn, 4 * above), (turn + np.pi / 2, 3 * above), (turn - np.pi / 2, 3 * above)]
    ceiling = 2 * above if rng.random() < 0.5 else None
    up = up_of(pitch, rng.normal(0, 4))
    if kind == "street":
        return cast(lens, up, above, boxes, walls=[(turn, 9 * above)] if rng.random() < 0.5 else [])
    return cast(lens, up, above, boxes, walls=walls, ceiling=ceiling)


@pytest.mark.parametrize("kind", ["street", "room", "from above"])
@pytest.mark.parametrize(
    ("errors", "up_limit", "offset_limit"),
    [
        ({}, 0.05, 0.002),
        ({"noise": 0.02, "outliers": 0.02, "missing": 0.1}, 0.5, 0.01),
        ({"noise": 0.05, "outliers": 0.1, "missing": 0.3}, 1.0, 0.02),
        ({"warp": 0.02}, 1.0, 0.02),
    ],
    ids=["exact", "noisy", "very noisy", "warped"],
)
def test_known_scenes(
    cast_scene: Callable[..., Any],
    make_box: Any,
    kind: str,
    errors: dict[str, float],
    up_limit: float,
    offset_limit: float,
) -> None:
    off_up, off_ground = [], []
    for seed in range(9):
        rng = np.random.default_rng(seed)
        scene = random_scene(rng, cast_scene, make_box, kind)
        masks = {str(k): scene.ids == k for k in range(3, scene.ids.max() + 1) if (scene.ids == k).sum() > 40}
        view = estimate_camera(blank(scene.lens), masks, estimator=scene.estimate(rng, **errors))
        assert view.up_camera is not None
        off_up.append(degrees_between(view.up_camera, scene.up_camera))
        if view.ground is not None:
            assert (view.ground.normal == view.up_camera).all()
            off_ground.append(abs(-view.ground.offset / scene.height - 1))
    assert np.median(off_up) <= up_limit
    assert len(off_ground) >= 7
    assert np.median(off_ground) <= offset_limit


@pytest.mark.parametrize("pitch", [-10.0, 0.0, 45.0, 60.0])
def test_steep_and_level_cameras(cast_scene: Callable[..., Any], make_box: Any, pitch: float) -> None:
    boxes = [make_box(foot=(0.2, 0, -2.0), size=(0.4, 0.5, 0.4), turn=0.4)]
    scene = cast_scene(LENS, up_of(pitch, 3.0), 1.4, boxes, walls=[(0.3, 15.0)])
    view = seen(scene, entities=(0,), noise=0.01)
    assert view.up_camera is not None
    assert degrees_between(view.up_camera, scene.up_camera) < 0.5
    assert view.ground is not None
    assert view.ground.offset == pytest.approx(-1.4, rel=0.01)
    assert view.unit == "metre"


def table_scene(cast: Any, box: Any) -> Any:
    """A table 0.75 high with a cup on it, and a crate on the floor beside it."""
    boxes = [
        box(foot=(0.0, 0, -1.6), size=(1.4, 0.75, 0.9)),
        box(foot=(0.1, 0.75, -1.5), size=(0.12, 0.15, 0.12), turn=0.3),
        box(foot=(1.15, 0, -2.0), size=(0.3, 0.3, 0.3), turn=0.5),
    ]
    return cast(LENS, up_of(32, -2), 1.6, boxes, walls=[(0.1, 4.0)])


@pytest.mark.parametrize(
    ("entities", "height"),
    [((1,), 0.85), ((2,), 1.6), ((1, 2), 1.6), ((), 1.6)],
    ids=["cup on the table", "crate on the floor", "one on each", "nothing named"],
)
def test_the_ground_is_what_the_entities_stand_on(
    cast_scene: Callable[..., Any], make_box: Any, entities: tuple[int, ...], height: float
) -> None:
    view = seen(table_scene(cast_scene, make_box), entities=entities, noise=0.01)
    assert view.ground is not None
    assert view.ground.offset == pytest.approx(-height, rel=0.02)


def test_an_entity_is_no_ground(cast_scene: Callable[..., Any], make_box: Any) -> None:
    """A flat crate fills most of the picture's floor; named, it does not count, though little floor is left."""
    crate = make_box(foot=(0, 0, -2.2), size=(2.0, 0.4, 2.4))
    scene = cast_scene(LENS, up_of(35, 0), 1.6, [crate])
    view = seen(scene, entities=(0,), noise=0.01)
    assert view.ground is not None
    assert view.ground.offset == pytest.approx(-1.6, rel=0.02)


def test_a_wall_alone_gives_up_but_no_ground(cast_scene: Callable[..., Any]) -> None:
    scene = cast_scene(LENS, up_of(12, 0), 1.6, walls=[(0.2, 3.0)], floor=False)
    view = seen(scene, noise=0.01)
    assert view.up_camera is not None
    assert degrees_between(view.up_camera, scene.up_camera) < 2
    assert view.ground is None
    assert any("no ground" in note for note in view.notes)


def test_no_surface_at_all(stand_in: Any) -> None:
    empty = stand_in(np.full((180, 240), np.nan, np.float32), LENS.fx)
    view = estimate_camera(blank(LENS), {}, estimator=empty)
    assert view.up_camera is None
    assert view.ground is None
    assert any("0.0% of the photo" in note for note in view.notes)


def test_a_shapeless_heap_says_nothing_of_gravity(stand_in: Any) -> None:
    """Bumps in all directions: no level and no upright surface dominates."""
    rng = np.random.default_rng(2)
    coarse = rng.uniform(0.6, 1.8, (9, 12)).astype(np.float32)
    bumps = np.kron(coarse, np.ones((20, 20), np.float32))
    view = estimate_camera(blank(LENS), {}, estimator=stand_in(bumps * rng.uniform(0.7, 1.4, bumps.shape), LENS.fx))
    assert view.ground is None


def test_what_is_given_is_kept(cast_scene: Callable[..., Any], make_box: Any) -> None:
    scene = table_scene(cast_scene, make_box)
    pitch_alone = seen(scene, ViewOptions(pitch=30.0), noise=0.01)
    assert pitch_roll_of(pitch_alone.up_camera) == pytest.approx((30.0, -2.0), abs=0.4)  # type: ignore[arg-type]
    assert pitch_roll_of(pitch_alone.up_camera)[0] == pytest.approx(30.0, abs=1e-9)  # type: ignore[arg-type]
    both = seen(scene, ViewOptions(pitch=32.0, roll=-2.0), entities=(2,), noise=0.01)
    assert both.up_camera == pytest.approx(scene.up_camera, abs=1e-12)
    assert both.ground is not None
    assert both.ground.offset == pytest.approx(-1.6, rel=0.01)


def test_scale_changes_distances_alone(cast_scene: Callable[..., Any], make_box: Any) -> None:
    scene = table_scene(cast_scene, make_box)
    one = seen(scene, entities=(2,))
    other = seen(replace(scene, depth=scene.depth * 7.0), entities=(2,))
    assert one.ground is not None
    assert other.ground is not None
    assert other.up_camera == pytest.approx(one.up_camera, abs=1e-6)
    assert other.ground.offset == pytest.approx(7 * one.ground.offset, rel=1e-5)


def test_the_same_photo_gives_the_same_view(cast_scene: Callable[..., Any], make_box: Any) -> None:
    scene = table_scene(cast_scene, make_box)
    views = [seen(scene, noise=0.03, outliers=0.05) for _ in range(2)]
    assert (views[0].up_camera == views[1].up_camera).all()  # type: ignore[union-attr]
    assert views[0].provenance == views[1].provenance


def test_normals_of_the_estimator_count(cast_scene: Callable[..., Any], stand_in: Any) -> None:
    """Depth alone is too wild for a direction; the estimator's own normals tell it."""
    scene = cast_scene(LENS, up_of(25, 4), 1.5)
    rng = np.random.default_rng(0)
    depth = (scene.depth * rng.uniform(0.5, 2.0, scene.depth.shape)).astype(np.float32)
    depth[~np.isfinite(depth)] = np.nan

    class WithNormals(stand_in):  # type: ignore[misc]
        def estimate(self, pixels: Any, *, known_focal: float | None, assumed_focal: float) -> Any:
            plain = super().estimate(pixels, known_focal=known_focal, assumed_focal=assumed_focal)
            normals = np.broadcast_to(scene.up_camera, (*depth.shape, 3)).astype(np.float32)
            return replace(plain, normals_camera=normals)

    view = estimate_camera(blank(LENS), {}, ViewOptions(), estimator=WithNormals(depth, LENS.fx))
    assert view.up_camera is not None
    assert degrees_between(view.up_camera, scene.up_camera) < 3
