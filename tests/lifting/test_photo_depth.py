"""What a photo's depth says about objects that were lifted from their silhouettes, and about what is behind them."""

from dataclasses import replace

import numpy as np
import pytest

from real2sam2real.geometry import Intrinsics, transforms
from real2sam2real.lifting.align.drawing import inverse_depth
from real2sam2real.lifting.background import taken_pixels, with_relief
from real2sam2real.lifting.embedded import lift_photo
from real2sam2real.lifting.photo_depth import depth_for, in_metres, with_fronts
from real2sam2real.perceive.camera.depth import pixel_centres, pointmap
from real2sam2real.perceive.view import PhotoView, Plane

LENS = Intrinsics.from_fov(240, 160, horizontal_degrees=50)
HEIGHT, WALL, PITCH = 1.5, 8.0, 9.0
TILT = np.radians(35)


def truth():
    """A slab with a ridge, turned by 35°, before a wall: depth in metres with and without it, and its mask."""
    pitch = np.radians(PITCH)
    up = np.array([0.0, np.cos(pitch), np.sin(pitch)])
    forward = np.array([0.0, np.sin(pitch), -np.cos(pitch)])
    rays = LENS.unproject(pixel_centres(LENS.width, LENS.height), np.ones(()))
    with np.errstate(divide="ignore"):
        floor = np.where(rays @ up < 0, -HEIGHT / np.minimum(rays @ up, -1e-9), np.inf)
        background = np.minimum(floor, WALL / np.maximum(rays @ forward, 1e-9))
    side = np.cross(forward, up)
    normal = np.cos(TILT) * -forward + np.sin(TILT) * side
    middle = 4.0 * forward
    slab = (middle @ normal) / (rays @ normal)
    at = rays * slab[..., None]
    across = (at - middle) @ np.cross(up, normal)
    height = at @ up + HEIGHT
    mask = (np.abs(across) < 0.6) & (height > 0) & (height < 1.7)
    slab = slab - np.where(mask, 0.12 * np.cos(np.pi * across / 1.2) ** 2, 0)
    return np.where(mask, slab, background), background, mask


@pytest.fixture(scope="module")
def lifted():
    depth, _, mask = truth()
    photo = np.random.default_rng(0).integers(60, 200, (LENS.height, LENS.width, 3), dtype=np.uint8)
    scene, _ = lift_photo(photo, {"statue": mask}, LENS, frames=1, pitch_degrees=PITCH)
    pitch = np.radians(PITCH)
    view = PhotoView(
        intrinsics=LENS,
        points_camera=pointmap(depth.astype(np.float32), LENS),
        up_camera=np.array([0.0, np.cos(pitch), np.sin(pitch)]),
        ground=Plane(normal=np.array([0.0, np.cos(pitch), np.sin(pitch)]), offset=-HEIGHT),
        unit="metre",
    )
    return scene, view


def drawn(scene, *, farthest=False):
    (entity,) = scene.entities
    matrix = transforms.invert_rigid(scene.photo_world_from_camera) @ entity.rest_world_from_object
    found = inverse_depth(transforms.apply(matrix, entity.mesh.vertices), entity.mesh.faces, LENS, farthest=farthest)
    return np.divide(1, found, where=found > 0, out=np.full_like(found, np.nan))


def test_a_metric_map_gives_the_scene_its_metres(lifted):
    scene, view = lifted
    metres = in_metres(scene, view)
    assert metres.unit == "metre"
    assert metres.ground_y == pytest.approx(-HEIGHT)
    assert np.nanmax(np.abs(drawn(metres) / drawn(scene) * scene.ground_y / metres.ground_y - 1)) < 1e-9
    assert depth_for(metres, view).depth == pytest.approx(truth()[0], rel=1e-5)
    assert in_metres(scene, replace(view, unit="unit")) is scene


def test_the_front_takes_on_the_relief_and_the_back_stays(lifted):
    scene, view = lifted
    scene = in_metres(scene, view)
    shaped, notes = with_fronts(scene, view, ["statue"])
    depth, _, mask = truth()
    inner = mask & np.isfinite(drawn(scene)) & np.isfinite(drawn(shaped))

    def error(each):
        off = (drawn(each) - depth)[inner]
        return np.sqrt(np.mean((off - np.median(off)) ** 2))

    assert error(shaped) < 0.3 * error(scene)
    assert (np.isfinite(drawn(shaped)) == np.isfinite(drawn(scene))).mean() > 0.999
    (before,), (after,) = scene.entities, shaped.entities
    assert after.mesh.is_closed()
    assert after.mesh.volume() > 0.3 * before.mesh.volume()
    thickness = (drawn(shaped, farthest=True) - drawn(shaped))[inner]
    assert thickness.min() > -1e-6
    assert after.mesh.vertices.shape == before.mesh.vertices.shape
    assert any("front surfaces from the depth map: statue" in note for note in notes)


def test_what_stands_on_nothing_goes_where_the_map_has_it_and_what_stands_does_not(lifted):
    scene, view = lifted
    scene = in_metres(scene, view)
    depth, _, mask = truth()
    farther = replace(view, points_camera=pointmap(np.where(mask, 1.4 * depth, depth).astype(np.float32), LENS))
    gone, notes = with_fronts(scene, farther, [])
    assert np.nanmedian((drawn(gone) / depth)[mask]) == pytest.approx(1.4, rel=0.03)
    assert any("as far away as the depth map" in note for note in notes)
    stayed, notes = with_fronts(scene, farther, ["statue"])
    assert np.nanmedian((drawn(stayed) / depth)[mask]) == pytest.approx(
        np.nanmedian((drawn(scene) / depth)[mask]), rel=0.05
    )
    assert any("the ground is believed" in note for note in notes)


def test_the_background_is_filled_behind_objects(lifted):
    scene, view = lifted
    scene = in_metres(scene, view)
    behind, notes = with_relief(scene, view, taken_pixels(scene, []))
    _, background, mask = truth()
    error = np.abs(1 / behind.background.inverse_depth / background - 1)
    assert error[~mask].max() < 0.15  # the ring that is filled with the object's place
    assert np.median(error[mask]) < 0.1
    assert np.quantile(error[mask], 0.95) < 0.35
    assert notes == ["the background has the depth map's relief"]
    assert with_relief(scene, replace(view, points_camera=None), mask) == (scene, [])


def test_what_is_unknown_is_sky_only_where_it_is_far(lifted):
    scene, view = lifted
    scene = in_metres(scene, view)
    _, background, mask = truth()
    for distance, is_sky in ((1.0, False), (30.0, True)):
        depth = background.copy()
        depth[:50] *= distance
        depth[:40] = np.nan
        view = replace(view, points_camera=pointmap(depth.astype(np.float32), LENS))
        behind, _ = with_relief(scene, view, mask)
        assert (behind.background.inverse_depth[:30, :40] == 0).all() == is_sky  # beside the object
