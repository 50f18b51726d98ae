from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from real2sam2real.geometry import transforms
from real2sam2real.lab.synth import HELD_OUT_SEEDS, SynthClip, WorldConfig, lifted_scene, sample_clip, varied_world
from real2sam2real.lab.synth.deform import Deformation, Kind, sample_deformation
from real2sam2real.lab.synth.layout import sample_layout
from real2sam2real.lab.synth.lighting import FrameShader, Lighting, cast_shadows, mirrored, sample_lighting
from real2sam2real.lab.synth.seeds import generator
from real2sam2real.lab.synth.shapes import TRAIN_SHAPES, base_shape
from real2sam2real.lab.synth.variety import hides, vary_camera, vary_objects
from real2sam2real.rendering import Light, render_frames

_HASH = """
import hashlib
from real2sam2real.lab.synth import sample_clip, varied_world
clip = sample_clip(9, width=64, height=48, frames=5, config=varied_world())
arrays = (clip.video, clip.normals, clip.ids, clip.depth)
print(hashlib.sha256(b"".join(a.tobytes() for a in arrays)).hexdigest())
"""

PLAIN_LIGHT = Lighting(
    light=Light(specular=0.3), key=np.ones(3), ambient=np.ones(3), turn=0.0, gains=(1.0, 1.0), shadow=0.0,
    hardness=1.0, gloss=0.0,
)  # fmt: skip


def small(seed: int, config: WorldConfig, frames: int = 3) -> SynthClip:
    return sample_clip(seed, width=64, height=48, frames=frames, config=config)


@pytest.fixture(scope="module")
def varied_clips() -> list[SynthClip]:
    return [small(seed, varied_world(), frames=5) for seed in [*range(14), *HELD_OUT_SEEDS[:2]]]


def volumes(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Signed volumes `(T,)` of deformed vertices `(T, V, 3)`, positive when wound outward."""
    a, b, c = (vertices[:, faces[:, k]] for k in range(3))
    return np.einsum("tfi,tfi->t", a, np.cross(b, c)) / 6


# Promises -------------------------------------------------------------------------------------------------------------


def test_a_varied_seed_gives_the_same_bits_in_another_process_on_one_thread() -> None:
    names = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    environment = {**os.environ, **dict.fromkeys(names, "1"), "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", _HASH]
    other = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.strip()
    clip = small(9, varied_world(), frames=5)
    arrays = (clip.video, clip.normals, clip.ids, clip.depth)
    assert other == hashlib.sha256(b"".join(a.tobytes() for a in arrays)).hexdigest()


def test_arrays_of_varied_clips_agree_with_each_other_and_with_the_scene(varied_clips: list[SynthClip]) -> None:
    deforming = 0
    for clip in varied_clips:
        seen = clip.ids > 0
        lengths = np.linalg.norm(clip.normals, axis=-1)
        assert np.allclose(lengths[seen], 1, atol=1e-3)
        assert not lengths[~seen].any()
        assert np.array_equal(np.isfinite(clip.depth), seen)
        assert clip.scene.photo is not None
        assert np.array_equal(clip.scene.photo, clip.video[0])
        assert np.array_equal(clip.scene.photo_world_from_camera, clip.scene.camera.world_from_camera[0])
        assert seen[0].any()
        assert 8 < clip.video.mean() < 240
        assert (clip.video == 255).mean() < 0.3
        for k, entity in enumerate(clip.scene.entities):
            mask = np.zeros_like(seen[0]) if entity.mask is None else entity.mask
            assert np.array_equal(mask, clip.ids[0] == k + 1)
            assert entity.mesh.is_closed()
            assert np.allclose(entity.vertices_world(0), transforms.apply(
                entity.rest_world_from_object, entity.mesh.vertices), atol=1e-5)  # fmt: skip
            deforming += entity.motion.vertices_object is not None
    assert deforming > 3


def test_normals_of_deformed_bodies_are_those_of_the_deformed_mesh(varied_clips: list[SynthClip]) -> None:
    compared = 0
    for clip in varied_clips:
        for k, entity in enumerate(clip.scene.entities):
            deformed = entity.motion.vertices_object
            where = clip.ids[-1] == k + 1
            if deformed is None or where.sum() < 30:
                continue
            still = replace(
                entity, mesh=replace(entity.mesh, vertices=deformed[-1]),
                motion=replace(entity.motion, vertices_object=None),
            )  # fmt: skip
            scene = replace(clip.scene, entities=(still,))
            (frame,) = render_frames(scene, width=64, height=48, frames=[4])
            both = where & (frame.ids == 1)
            cosines = np.sum(frame.normals[both] * clip.normals[-1][both], axis=-1)
            assert np.median(cosines) > 0.97
            compared += 1
    assert compared > 2


def test_a_varied_world_is_the_same_at_every_size_and_number_of_frames() -> None:
    for seed in (1, 5, 9):
        few, many = small(seed, varied_world()), small(seed, varied_world(), frames=5)
        large = sample_clip(seed, width=128, height=96, frames=3, config=varied_world())
        assert few.scene.names == large.scene.names == many.scene.names
        assert np.allclose(few.scene.camera.world_from_camera, many.scene.camera.world_from_camera[::2])
        assert (large.ids[:, ::2, ::2] == few.ids).mean() > 0.93
        assert np.abs(few.video.astype(int) - many.video[::2]).mean() < 0.1
        assert np.abs(large.video.astype(int).mean(axis=(1, 2)) - few.video.mean(axis=(1, 2))).max() < 6
        for a, b, c in zip(few.scene.entities, many.scene.entities, large.scene.entities, strict=True):
            assert np.allclose(a.motion.matrices(), b.motion.matrices()[::2])
            assert (a.motion.vertices_object is None) == (b.motion.vertices_object is None)
            for t in range(3):
                assert np.allclose(a.vertices_world(t), b.vertices_world(2 * t), atol=1e-5)
                assert np.array_equal(a.vertices_world(t), c.vertices_world(t))


def test_each_kind_of_variety_leaves_what_it_does_not_concern() -> None:
    plain = small(3, WorldConfig(ground=1.0))
    lit = small(3, WorldConfig(ground=1.0, varied_light=1.0))
    assert np.array_equal(plain.ids, lit.ids)
    assert np.array_equal(plain.normals, lit.normals)
    assert not np.array_equal(plain.video, lit.video)
    bent = small(3, WorldConfig(ground=1.0, deforming=1.0))
    assert np.array_equal(plain.video[0], bent.video[0])
    assert not np.array_equal(plain.ids[-1], bent.ids[-1])
    held = small(3, WorldConfig(ground=1.0, handheld=1.0))
    assert np.array_equal(plain.video[0], held.video[0])
    assert not np.array_equal(plain.ids[-1], held.ids[-1])


@pytest.mark.parametrize("name", ["deforming", "varied_light", "cast_shadows", "glossy", "rich_camera", "handheld"])
def test_a_probability_out_of_range_names_the_value(name: str) -> None:
    assert getattr(WorldConfig(), name) == 0.0
    assert 0 < getattr(varied_world(), name) < 1
    with pytest.raises(ValueError, match=name):
        WorldConfig(**{name: 1.5})  # type: ignore[arg-type]


# Deformation ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["bend", "twist", "stretch", "wave"])
def test_a_deformation_moves_the_body_but_starts_at_rest_and_keeps_the_anchor(kind: Kind) -> None:
    rest = base_shape(3).vertices
    rest = np.concatenate([rest, [[0.0, 0.0, 0.0]]])
    deformation = Deformation(kind=kind, amount=0.4, heading=0.7, anchor=0.0, swings=0.0, waves=0.8)
    moved = deformation.vertices(rest, np.linspace(0, 1, 5))
    assert np.array_equal(moved[0], rest.astype(np.float32))
    assert np.allclose(moved[:, -1], 0, atol=1e-6)
    steps = np.linalg.norm(moved - moved[0], axis=-1).max(axis=1)
    assert np.all(steps[1:] > 0.01)
    assert np.linalg.norm(np.diff(moved, axis=0), axis=-1).max() < 0.5


def test_random_deformations_keep_bodies_wound_outward_and_about_as_large() -> None:
    times = np.linspace(0, 1, 7)
    kinds = set()
    for shape in TRAIN_SHAPES[:60]:
        body = base_shape(shape)
        deformation = sample_deformation(generator(shape), body.extent, 0.0 if shape % 2 else 0.5 * body.extent[1])
        kinds.add(deformation.kind)
        moved = deformation.vertices(body.vertices, times).astype(np.float64)
        volume = volumes(moved, body.faces)
        assert np.all(volume > 0.6 * volume[0])
        assert np.all(volume < 1.5 * volume[0])
        if not shape % 2:
            continue
        assert moved[..., 1].min() > -0.12  # a standing body does not sink into the ground
    assert kinds == {"bend", "twist", "stretch", "wave"}


# Layout ---------------------------------------------------------------------------------------------------------------


def test_rich_paths_and_shakes_start_at_the_first_camera_and_go_further() -> None:
    config = WorldConfig(static_camera=0.0, max_orbit_degrees=60.0, rich_camera=1.0, handheld=1.0)
    counts, orbits = set(), []
    for seed in range(60):
        layout = sample_layout(generator(seed, 0), config, held_out=False)
        varied = vary_camera(generator(seed, 3), config, layout)
        poses, zoom = varied.camera(np.linspace(0, 1, 9))
        assert np.allclose(poses[0], varied.view.pose())
        assert zoom[0] == 1
        assert np.allclose(poses[:, :3, :3] @ np.swapaxes(poses[:, :3, :3], 1, 2), np.eye(3), atol=1e-9)
        smooth, _ = replace(varied, camera_shake=None).camera(np.linspace(0, 1, 9))
        turn = np.linalg.norm(poses[:, :3, :3] - smooth[:, :3, :3], axis=(1, 2))
        assert 1e-4 < turn.max() < 0.2
        if varied.view.ground_y is not None:
            assert poses[:, 1, 3].min() > 0.6 * varied.view.ground_y
        counts.add(len(varied.camera_moves))
        orbits += [abs(move.amount) for move in varied.camera_moves if move.kind == "orbit"]
    assert 3 in counts
    assert np.radians(45) < max(orbits) <= np.radians(60)


def test_occluders_hide_part_of_another_object() -> None:
    config = WorldConfig(occluder=1.0)
    hidden = added = 0
    for seed in range(30):
        layout = sample_layout(generator(seed, 0), config, held_out=False)
        varied = vary_objects(generator(seed, 4), config, layout, held_out=False)
        assert varied.objects[: len(layout.objects)] == layout.objects
        if len(varied.objects) > len(layout.objects):
            added += 1
            assert any(hides(varied, varied.objects[-1], other) for other in layout.objects)
        if added > 4 or len(varied.objects) == len(layout.objects):
            continue
        clip = small(seed, config)
        near = clip.scene.entities[-1]
        last = len(clip.scene.entities)
        alone = replace(clip.scene, entities=clip.scene.entities[:-1])
        for t, frame in enumerate(render_frames(alone, width=64, height=48, antialias=True)):
            hidden += int(((frame.ids > 0) & (clip.ids[t] == last)).sum())
        assert near.mesh.is_closed()
    assert added > 20
    assert hidden > 50


# Light ----------------------------------------------------------------------------------------------------------------


def test_shading_without_colour_is_that_of_the_renderer() -> None:
    scene = small(2, WorldConfig()).scene
    shader = FrameShader(scene, PLAIN_LIGHT)
    arguments = {"width": 64, "height": 48, "color": True, "antialias": True}
    lit = list(render_frames(scene, light=PLAIN_LIGHT.light, **arguments))  # type: ignore[arg-type]
    for t, frame in enumerate(render_frames(scene, **arguments)):  # type: ignore[arg-type]
        expected = lit[t].color
        assert expected is not None
        assert np.abs(shader.lit_objects(t, frame).astype(int) - expected)[frame.coverage == 1].mean() < 1.5
        color = np.full((48, 64, 3), 0.5, np.float32)
        assert np.allclose(shader.lit_background(t, color, np.zeros_like(color)), color, atol=1e-6)


def test_light_is_coloured_dim_and_moving_at_times() -> None:
    config = WorldConfig(varied_light=1.0)
    lights = [sample_lighting(generator(seed), config, Light(), grounded=True) for seed in range(80)]
    found = [light for light in lights if light is not None]
    assert len(found) == 80
    ends = np.array([light.colors(np.array([0.0, 1.0])) for light in found])
    strength = ends.sum(axis=1).mean(axis=-1)
    assert strength[:, 0].min() < 0.55
    assert strength.max() < 1.4
    assert 0.2 < np.mean(np.abs(strength[:, 1] / strength[:, 0] - 1) > 0.05) < 0.6
    assert np.mean([np.ptp(light.key) > 0.1 for light in found]) > 0.6
    turned = [light.directions(np.array([0.0, 1.0])) for light in found]
    assert 0.2 < np.mean([np.linalg.norm(a - b) > 0.1 for a, b in turned]) < 0.6
    assert sample_lighting(generator(0), WorldConfig(cast_shadows=1.0, glossy=1.0), Light(), grounded=False) is None


def test_coloured_light_tints_objects_and_ground() -> None:
    scene = small(2, WorldConfig()).scene
    red = replace(PLAIN_LIGHT, key=np.array([1.5, 0.75, 0.75]), ambient=np.array([1.2, 0.9, 0.9]))
    (frame,) = render_frames(scene, width=64, height=48, frames=[0], color=True, antialias=True)
    plain, tinted = (FrameShader(scene, light).lit_objects(0, frame).astype(float) for light in (PLAIN_LIGHT, red))
    where = frame.ids > 0
    assert tinted[where][:, 0].mean() > plain[where][:, 0].mean()
    assert tinted[where][:, 2].mean() < 0.95 * plain[where][:, 2].mean()
    grey = np.full((48, 64, 3), 0.5, np.float32)
    lit = FrameShader(scene, red).lit_background(0, grey, np.zeros_like(grey))
    assert np.all(lit[..., 0] > 1.2 * lit[..., 2])


def test_cast_shadows_lie_away_from_the_light_and_darken_the_ground() -> None:
    scene = small(2, WorldConfig(ground=1.0)).scene
    direction = np.array([[0.6, 0.4, 0.0]] * 3)
    rows = cast_shadows(scene, direction / np.linalg.norm(direction[0]))
    assert rows.shape == (3, len(scene.entities), 2, 3)
    assert cast_shadows(replace(scene, ground_y=None), direction).shape == (3, 0, 2, 3)
    for n, entity in enumerate(scene.entities):
        points = entity.vertices_world(0)
        thrown = points[:, [0, 2]] - (points[:, 1:2] - (scene.ground_y or 0.0)) * [1.5, 0.0]
        place = np.concatenate([thrown, np.ones((len(thrown), 1))], axis=1)
        assert np.mean(np.sum((place @ rows[0, n].T) ** 2, axis=1) < 3) > 0.9
        across = place - [-6.0, 0.0, 0.0]  # on the light's side there is none
        assert np.mean(np.sum((across @ rows[0, n].T) ** 2, axis=1) < 3) < 0.1
    dark = small(2, WorldConfig(ground=1.0, cast_shadows=1.0))
    plain = small(2, WorldConfig(ground=1.0))
    empty = plain.ids == 0
    assert np.mean(plain.video[empty].astype(int) - dark.video[empty] > 8) > 0.01
    assert np.all(dark.video[empty].astype(int) <= plain.video[empty].astype(int) + 1)


def test_a_glossy_ground_shows_the_objects_upside_down() -> None:
    config = WorldConfig(ground=1.0, shadows=False)
    dull, glossy = small(2, config), small(2, replace(config, glossy=1.0))
    mirror = mirrored(dull.scene)
    for entity, image in zip(dull.scene.entities, mirror.entities, strict=True):
        for t in range(3):
            expected = entity.vertices_world(t) * (1.0, -1.0, 1.0) + (0.0, 2 * (dull.scene.ground_y or 0.0), 0.0)
            assert np.allclose(image.vertices_world(t), expected)
    seen = np.stack([frame.ids > 0 for frame in render_frames(mirror, width=64, height=48)])
    differs = np.abs(dull.video.astype(int) - glossy.video).max(axis=-1) > 4
    assert np.array_equal(dull.ids, glossy.ids)
    assert differs[seen & (dull.ids == 0)].mean() > 0.3
    # Only there, a blur and soft edges aside.
    assert differs[~seen & (dull.ids == 0)].mean() < 0.08


def test_the_lifted_scene_of_a_varied_clip_carries_its_light() -> None:
    before: list[float] = []
    after: list[float] = []
    for seed in range(5):
        clip = small(seed, WorldConfig(varied_light=1.0))
        inner = clip.ids[0] > 0
        for scene, errors in ((clip.scene, before), (lifted_scene(clip), after)):
            (frame,) = render_frames(scene, width=64, height=48, frames=[0], color=True)
            assert frame.color is not None
            both = inner & (frame.ids > 0)
            errors.append(float(np.abs(frame.color[both].astype(float) - clip.video[0][both]).mean()))
    assert np.mean(after) < 0.5 * np.mean(before)
