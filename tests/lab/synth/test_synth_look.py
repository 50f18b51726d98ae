from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from real2sam2real.lab.synth import SynthClip, WorldConfig, changed_region, sample_clip
from real2sam2real.lab.synth.background import Painter, compose
from real2sam2real.lab.synth.layout import REFERENCE_ASPECT, sample_layout
from real2sam2real.lab.synth.lighting import contact_shadows
from real2sam2real.lab.synth.materials import Domain, SolidTexture, sample_material, sample_palette, value_noise
from real2sam2real.lab.synth.motions import ObjectMove, camera_from_world
from real2sam2real.lab.synth.seeds import generator
from real2sam2real.lab.synth.world import _sample_surroundings

PLANE = Domain(low=(-1.0, -1.0, 0.0), high=(1.0, 1.0, 0.0), detail=0.1)
SOLID = Domain(low=(-1.0, -1.0, -1.0), high=(1.0, 1.0, 1.0), detail=0.1)


@pytest.fixture(scope="module")
def layouts() -> list:  # type: ignore[type-arg]
    return [sample_layout(generator(seed, 0), WorldConfig(), held_out=False) for seed in range(250)]


def test_moves_are_as_often_as_the_config_says(layouts: list) -> None:  # type: ignore[type-arg]
    rests = np.mean([not layout.camera_moves for layout in layouts])
    assert 0.35 < rests < 0.55
    assert 0.5 < np.mean([layout.view.ground_y is not None for layout in layouts]) < 0.8
    counts = [len(layout.objects) for layout in layouts]
    assert {1, 2, 3, 4} == set(counts)
    kinds = {move.kind for layout in layouts for move in layout.camera_moves}
    assert kinds == {"orbit", "pan", "tilt", "roll", "truck", "pedestal", "dolly", "zoom"}
    nothing = [
        not layout.camera_moves and all(plan.move == ObjectMove() for plan in layout.objects) for layout in layouts
    ]
    assert np.mean(nothing) < 0.08
    for layout in layouts:
        for move in layout.camera_moves:
            assert move.kind != "orbit" or abs(move.amount) <= np.radians(35)
            assert move.kind != "pan" or abs(move.amount) <= np.radians(15)
        assert all(abs(plan.move.radians) <= np.radians(120) for plan in layout.objects)


def test_objects_start_apart_from_each_other_and_in_view(layouts: list) -> None:  # type: ignore[type-arg]
    for layout in layouts:
        pose = layout.view.pose()[None]
        for i, plan in enumerate(layout.objects):
            x, y, z = camera_from_world(pose, (plan.position + plan.middle)[None])[0]
            assert abs(x / z) < 0.5 * REFERENCE_ASPECT * layout.view.span
            assert abs(y / z) < 0.5 * layout.view.span
            if layout.view.ground_y is not None:
                assert plan.position[1] == pytest.approx(layout.view.ground_y)
            for other in layout.objects[:i]:
                assert (
                    np.linalg.norm(plan.position - other.position) > 0.2 * (plan.extent.max() + other.extent.max()) / 2
                )


def test_clips_are_neither_empty_nor_filled_nor_dark(small_clips: list[SynthClip]) -> None:
    for clip in small_clips:
        assert 0.01 < (clip.ids[0] > 0).mean() < 0.6
        assert 15 < clip.video.mean() < 245
        assert clip.video.std() > 4
    assert np.mean([changed_region(clip)[-1].mean() for clip in small_clips]) > 0.1


def test_finer_detail_has_more_edges() -> None:
    def roughness(detail: float) -> float:
        domain = replace(PLANE, detail=detail)
        at = np.linspace(-1, 1, 60)
        points = np.stack([*np.meshgrid(at, at), np.zeros((60, 60))], axis=-1)
        steps = []
        for seed in range(30):
            colors = sample_material(generator(seed), domain, plain=0.0).colors(points, 0.01).reshape(60, 60, 3)
            steps.append(np.abs(np.diff(colors, axis=1)).mean())
        return float(np.mean(steps))

    assert roughness(0.05) > 1.3 * roughness(0.2)


# Materials ------------------------------------------------------------------------------------------------------------


def flat_material(**changes: object) -> SolidTexture:
    material = sample_material(generator(1), PLANE, plain=1.0)
    numbers = material.numbers.copy()
    numbers[5] = 0.0  # no grain
    return replace(material, numbers=numbers, **changes)  # type: ignore[arg-type]


def test_the_front_leaf_hides_the_others() -> None:
    leaves = np.array([[0, 0, 0, 0.5], [0.2, 0, 0, 0.6]], np.float32)
    colors = np.array([[1, 0, 0], [0, 1, 0]], np.float32)
    material = flat_material(leaves=leaves, leaf_colors=colors)
    seen = material.colors([[0, 0, 0], [0.7, 0, 0], [0.5, 0, 0]], 0.01)
    assert np.allclose(seen[0], [1, 0, 0], atol=1e-6)
    assert np.allclose(seen[1], [0, 1, 0], atol=1e-6)
    assert np.allclose(seen[2], [0.5, 0.5, 0], atol=1e-3)  # on the front leaf's edge


def reference_leaves(material: SolidTexture, points: np.ndarray, under: np.ndarray, softness: float) -> np.ndarray:
    """Painter's algorithm: from the back to the front."""
    out = under.astype(np.float64)
    for leaf, color in zip(material.leaves[::-1], material.leaf_colors[::-1], strict=True):
        distance = np.linalg.norm(points - leaf[:3], axis=1)
        share = np.clip((leaf[3] + softness - distance) / (2 * softness), 0, 1)[:, None]
        out = out * (1 - share) + color * share
    return out


@pytest.mark.parametrize("seed", range(4))
def test_leaves_agree_with_the_painters_algorithm(seed: int) -> None:
    material = sample_material(generator(seed), SOLID, plain=0.0)
    numbers = material.numbers.copy()
    numbers[5] = 0.0
    material = replace(material, numbers=numbers)
    bare = replace(material, leaves=material.leaves[:0], leaf_colors=material.leaf_colors[:0])
    points = generator(seed, 1).uniform(-1, 1, (400, 3)).astype(np.float32)
    expected = reference_leaves(material, points, bare.colors(points, 0.02), 0.02)
    # The kernel stops when less than 0.4 % shows through.
    assert np.abs(material.colors(points, 0.02) - expected).max() < 0.01


def test_noise_is_smooth_and_uses_its_range() -> None:
    points = generator(2).uniform(-50, 50, (2000, 3))
    values = np.array([value_noise(*point) for point in points])
    near = np.array([value_noise(*(point + 1e-4)) for point in points])
    assert values.min() < 0.15
    assert values.max() > 0.85
    assert abs(values.mean() - 0.5) < 0.03
    assert np.abs(values - near).max() < 2e-3


@pytest.mark.parametrize("seed", range(20))
def test_materials_stay_within_colours_and_differ(seed: int) -> None:
    material = sample_material(generator(seed), SOLID)
    points = generator(seed, 1).uniform(-1, 1, (500, 3))
    colors = material.colors(points, 0.02)
    assert colors.min() >= 0
    assert colors.max() <= 1
    assert not np.array_equal(colors, sample_material(generator(seed + 100), SOLID).colors(points, 0.02))


def test_palettes_are_grey_without_vividness() -> None:
    palette = sample_palette(generator(0), 5, vivid=0.0)
    assert np.ptp(palette, axis=1).max() < 0.25


# Background -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=[0.0, 1.0], ids=["far", "ground"])
def baked(request: pytest.FixtureRequest):  # type: ignore[no-untyped-def]
    """A moving camera's clip, its background, and the painter that bakes it."""
    config = WorldConfig(ground=request.param, static_camera=0.0)
    seed = 5
    clip = sample_clip(seed, width=160, height=100, frames=3, config=config)
    layout = sample_layout(generator(seed, 0), config, held_out=False)
    background, _ = _sample_surroundings(generator(seed, 2), config, layout)
    return clip, background, Painter(background, clip.scene.camera, 160, 100)


def test_the_painted_background_is_the_material_along_every_ray(baked) -> None:  # type: ignore[no-untyped-def]
    clip, background, painter = baked
    camera = clip.scene.camera
    for t in range(3):
        color, hits = painter.view(t)
        lens, pose = camera.intrinsics_at(t), camera.world_from_camera[t]
        columns, rows = np.meshgrid(np.arange(160) + 0.5, np.arange(100) + 0.5)
        rays = lens.unproject(np.stack([columns, rows], axis=-1), np.ones((100, 160))) @ pose[:3, :3].T
        flat = np.hypot(rays[..., 0], rays[..., 2])
        slope = rays[..., 1] / flat
        far = np.stack([np.arctan2(rays[..., 0], -rays[..., 2]), slope, np.zeros_like(flat)], axis=-1)
        expected = background.far.colors(far, 0.7 * painter.pitch).reshape(100, 160, 3)
        sky = hits[..., 2] == 0
        assert np.abs(color - expected)[sky].mean() < 0.02 if sky.any() else True
        if background.ground is None:
            assert sky.all()
            continue
        below = hits[..., 2] == 1
        assert below.mean() > 0.2
        distance = (pose[1, 3] - background.ground.y) / -slope[below]
        world = pose[:3, 3] + rays[below] / flat[below][:, None] * distance[:, None]
        assert np.allclose(world[:, 1], background.ground.y, atol=1e-4)
        assert np.allclose(world[:, [0, 2]], hits[below][:, :2], rtol=1e-4, atol=1e-3)


def test_ground_near_the_middle_wears_its_material(baked) -> None:  # type: ignore[no-untyped-def]
    _, background, painter = baked
    ground = background.ground
    if ground is None:
        return
    color, hits = painter.view(0)
    offset = (hits[..., :2] - ground.centre) / ground.unit
    near = (hits[..., 2] == 1) & (np.abs(offset).max(axis=-1) < 0.5 * ground.half)
    points = np.concatenate([offset[near], np.zeros((near.sum(), 1))], axis=1)
    expected = ground.material.colors(points, 0.01)
    assert near.sum() > 300
    assert np.corrcoef(color[near].ravel(), expected.ravel())[0, 1] > 0.8


def reference_compose(color, hits, front, coverage, shadows, strengths) -> np.ndarray:  # type: ignore[no-untyped-def]
    light = np.ones(coverage.shape)
    place = np.concatenate([hits[..., :2], np.ones((*coverage.shape, 1))], axis=-1)
    for rows, strength in zip(shadows, strengths, strict=True):
        square = np.sum((place @ rows.T) ** 2, axis=-1)
        light *= 1 - strength * hits[..., 2] * np.clip(1 - square / 3, 0, None) ** 3
    mixed = 255 * color * light[..., None] * (1 - coverage[..., None]) + front * coverage[..., None]
    return np.clip(mixed + 0.5, 0, 255).astype(np.uint8)


def test_compose_agrees_with_its_reference() -> None:
    rng = generator(9)
    color = rng.random((20, 30, 3)).astype(np.float32)
    hits = rng.uniform(-1, 1, (20, 30, 3)).astype(np.float32)
    hits[..., 2] = rng.choice([0.0, 0.4, 1.0], (20, 30))
    front = rng.integers(0, 256, (20, 30, 3)).astype(np.uint8)
    coverage = rng.choice([0.0, 0.25, 1.0], (20, 30)).astype(np.float32)
    shadows, strengths = rng.normal(size=(3, 2, 3)).astype(np.float32), rng.random(3).astype(np.float32)
    out = np.empty((20, 30, 3), np.uint8)
    compose(color, hits, front, coverage, shadows, strengths, out)
    difference = np.abs(out.astype(int) - reference_compose(color, hits, front, coverage, shadows, strengths))
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.01


def test_shadows_lie_under_standing_objects_and_fade_above_ground() -> None:
    config = WorldConfig(ground=1.0)
    scene = sample_clip(2, width=32, height=24, frames=3, config=config).scene
    shadows, strengths = contact_shadows(scene, 0.5, (0.0, 0.0))
    for n, entity in enumerate(scene.entities):
        assert strengths[0, n] == pytest.approx(0.5, abs=0.01)
        vertices = entity.vertices_world(0)
        place = np.concatenate([vertices[:, [0, 2]], np.ones((len(vertices), 1))], axis=1)
        assert np.all(np.sum((place @ shadows[0, n].T) ** 2, axis=1) < 3)
    lifted = replace(scene, ground_y=(scene.ground_y or 0.0) - 5.0)
    assert contact_shadows(lifted, 0.5, (0.0, 0.0))[1].max() < 0.3
    assert contact_shadows(replace(scene, ground_y=None), 0.5, (0.0, 0.0))[0].shape == (3, 0, 2, 3)
