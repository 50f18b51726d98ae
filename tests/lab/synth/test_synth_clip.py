from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import cv2
import numpy as np
import pytest

from real2sam2real.geometry import transforms
from real2sam2real.lab.synth import (
    SynthClip,
    WorldConfig,
    changed_region,
    far_homographies,
    lifted_scene,
    sample_clip,
    static_region,
)
from real2sam2real.rendering import render_frames

_HASH = """
import hashlib, sys
from real2sam2real.lab.synth import sample_clip
clip = sample_clip(int(sys.argv[1]), width=64, height=48, frames=5)
arrays = (clip.video, clip.normals, clip.ids, clip.depth)
print(hashlib.sha256(b"".join(a.tobytes() for a in arrays)).hexdigest())
"""


def digest(clip: SynthClip) -> str:
    arrays = (clip.video, clip.normals, clip.ids, clip.depth)
    return hashlib.sha256(b"".join(a.tobytes() for a in arrays)).hexdigest()


@pytest.mark.parametrize("threads", [1, 2])
def test_a_seed_gives_the_same_bits_in_another_process_at_any_thread_count(threads: int) -> None:
    names = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    environment = {**os.environ, **dict.fromkeys(names, str(threads)), "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", _HASH, "4"]
    other = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.strip()
    assert other == digest(sample_clip(4, width=64, height=48, frames=5))


def test_arrays_agree_with_each_other_and_with_the_scene(small_clips: list[SynthClip]) -> None:
    for clip in small_clips:
        seen = clip.ids > 0
        lengths = np.linalg.norm(clip.normals, axis=-1)
        assert np.allclose(lengths[seen], 1, atol=1e-3)
        assert not lengths[~seen].any()
        assert np.array_equal(np.isfinite(clip.depth), seen)
        assert clip.ids.max() <= len(clip.scene.entities)
        assert clip.scene.photo is not None
        assert np.array_equal(clip.scene.photo, clip.video[0])
        assert np.array_equal(clip.scene.photo_world_from_camera, clip.scene.camera.world_from_camera[0])
        for k, entity in enumerate(clip.scene.entities):
            mask = np.zeros_like(seen[0]) if entity.mask is None else entity.mask
            assert np.array_equal(mask, clip.ids[0] == k + 1)
            assert entity.in_photo == mask.any()
            assert np.allclose(entity.motion.matrices()[0], entity.rest_world_from_object)
            assert entity.mesh.is_closed()


def test_ids_and_depth_are_those_of_the_scene(small_clips: list[SynthClip]) -> None:
    clip = small_clips[2]
    for t, frame in enumerate(render_frames(clip.scene, width=96, height=64)):
        assert (frame.ids == clip.ids[t]).mean() > 0.98  # without anti-aliasing edges fall a little differently
        both = (frame.ids == clip.ids[t]) & (frame.ids > 0)
        assert np.median(np.abs(frame.depth[both] / clip.depth[t][both] - 1)) < 0.01


def test_surface_points_follow_the_motions(small_clips: list[SynthClip]) -> None:
    """A point seen in frame 0, carried by its entity's pose, is where frame T−1 says, unless something hides it."""
    compared = 0
    for clip in small_clips:
        lens, path = clip.scene.camera.intrinsics_at, clip.scene.camera
        last = clip.frames - 1
        for k, entity in enumerate(clip.scene.entities):
            inner = cv2.erode((clip.ids[0] == k + 1).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
            rows, columns = np.nonzero(inner)
            pixels = np.stack([columns + 0.5, rows + 0.5], axis=-1)
            matrices = entity.motion.matrices()
            world = transforms.apply(path.world_from_camera[0], lens(0).unproject(pixels, clip.depth[0][inner]))
            carried = transforms.apply(matrices[last] @ np.linalg.inv(matrices[0]), world)
            pixels, depth = lens(last).project(transforms.apply(path.camera_from_world()[last], carried))
            column, row = np.floor(pixels).astype(int).T
            inside = (column >= 0) & (column < 96) & (row >= 0) & (row < 64)
            seen = np.full(len(depth), -np.inf)
            seen[inside] = clip.depth[last][row[inside], column[inside]]
            # Nothing seen at a carried point lies clearly behind it; edges of a pixel's width aside.
            wrong = inside & (seen > depth * 1.05) & (depth > 0)
            assert wrong.sum() <= 0.1 * max(inside.sum(), 30)
            compared += int(inside.sum())
    assert compared > 3000


def test_another_size_shows_the_same_world() -> None:
    for seed in (1, 6, 9):
        small = sample_clip(seed, width=96, height=64, frames=3)
        large = sample_clip(seed, width=192, height=128, frames=3)
        assert small.scene.names == large.scene.names
        for a, b in zip(small.scene.entities, large.scene.entities, strict=True):
            assert np.array_equal(a.motion.matrices(), b.motion.matrices())
            assert np.array_equal(a.mesh.vertices, b.mesh.vertices)
        shrunk = np.stack([cv2.resize(frame, (96, 64), interpolation=cv2.INTER_AREA) for frame in large.video])
        assert np.abs(shrunk.astype(float) - small.video).mean() < 5
        assert (large.ids[:, ::2, ::2] == small.ids).mean() > 0.95


def test_a_wider_image_shows_more_of_the_same_world() -> None:
    narrow = sample_clip(3, width=64, height=64, frames=2)
    wide = sample_clip(3, width=128, height=64, frames=2)
    assert np.array_equal(narrow.ids, wide.ids[:, :, 32:96])
    assert np.abs(narrow.video.astype(float) - wide.video[:, :, 32:96]).mean() < 3


def test_more_frames_sample_the_same_moves_more_densely() -> None:
    for seed in range(4):
        few = sample_clip(seed, width=32, height=24, frames=3).scene
        many = sample_clip(seed, width=32, height=24, frames=5).scene
        assert np.allclose(few.camera.world_from_camera, many.camera.world_from_camera[::2])
        for a, b in zip(few.entities, many.entities, strict=True):
            assert np.allclose(a.motion.matrices(), b.motion.matrices()[::2])


def test_the_far_background_moves_by_the_homography(far_config: WorldConfig) -> None:
    compared = 0
    for seed in range(6):
        clip = sample_clip(seed, width=160, height=100, frames=3, config=far_config)
        for t in (1, 2):
            to_last = far_homographies(clip.scene.camera)[t]
            # OpenCV counts pixel centres at whole numbers.
            shift = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1.0]])
            matrix = np.linalg.inv(shift) @ to_last @ shift
            warped = cv2.warpPerspective(clip.video[0], matrix, (160, 100), flags=cv2.INTER_LINEAR)
            empty = cv2.dilate((clip.ids[0] > 0).astype(np.uint8), np.ones((5, 5), np.uint8))
            known = cv2.warpPerspective(1 - empty, matrix, (160, 100), flags=cv2.INTER_NEAREST) > 0
            known &= cv2.dilate((clip.ids[t] > 0).astype(np.uint8), np.ones((5, 5), np.uint8)) == 0
            known &= cv2.erode(known.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
            assert np.abs(warped.astype(float) - clip.video[t])[known].mean() < 3
            compared += int(known.sum())
    assert compared > 50_000


def test_still_objects_do_not_move_and_a_still_camera_rests(far_config: WorldConfig) -> None:
    for seed in range(3):
        scene = sample_clip(seed, width=32, height=24, frames=3, config=far_config).scene
        assert not np.array_equal(scene.camera.world_from_camera[0], scene.camera.world_from_camera[-1]) or (
            scene.camera.zoom[-1] != 1
        )
        assert all(np.array_equal(e.motion.matrices()[0], e.motion.matrices()[-1]) for e in scene.entities)
        rests = sample_clip(seed, width=32, height=24, frames=3, config=WorldConfig(static_camera=1.0)).scene
        assert np.array_equal(rests.camera.world_from_camera[0], rests.camera.world_from_camera[-1])


def painted(video: np.ndarray, ids: np.ndarray) -> SynthClip:
    """A clip of arrays alone, around any scene."""
    base = sample_clip(0, width=32, height=32, frames=1)
    zeros = np.zeros(ids.shape, np.float32)
    return SynthClip(
        seed=0, scene=base.scene, light=base.light, video=video, normals=np.zeros((*ids.shape, 3), np.float32),
        ids=ids, depth=zeros,
    )  # fmt: skip


def test_changed_region_is_where_a_square_came_and_went() -> None:
    video = np.full((2, 48, 48, 3), 90, np.uint8)
    ids = np.zeros((2, 48, 48), np.uint8)
    video[0, 10:20, 10:20], ids[0, 10:20, 10:20] = 200, 1
    video[1, 10:20, 25:35], ids[1, 10:20, 25:35] = 200, 1
    clip = painted(video, ids)
    changed = changed_region(clip)
    assert not changed[0].any()
    expected = ids[0].astype(bool) | ids[1].astype(bool)
    assert changed[1][expected].all()
    assert not changed[1][cv2.dilate(expected.astype(np.uint8), np.ones((3, 3), np.uint8)) == 0].any()
    static = static_region(clip)
    assert static[0].all()
    assert not (static & changed).any()
    assert not static[1][9:21, 9:21].any()  # one pixel away from the change
    assert static[1][30:, :].all()


def test_a_surface_that_moves_without_a_difference_has_not_changed() -> None:
    video = np.full((2, 32, 32, 3), 90, np.uint8)
    video[1, 5:9, 5:9] += 11
    ids = np.ones((2, 32, 32), np.uint8)
    assert not changed_region(painted(video, ids)).any()
    video[1, 5:9, 5:9] += 2
    assert changed_region(painted(video, ids))[1, 6, 6]


def test_an_instance_change_counts_whatever_the_colours() -> None:
    ids = np.zeros((2, 32, 32), np.uint8)
    ids[1, 4, 4] = 2
    changed = changed_region(painted(np.full((2, 32, 32, 3), 90, np.uint8), ids))
    assert changed.sum() == 1
    assert changed[1, 4, 4]


def test_the_lifted_scene_looks_like_the_photo_without_a_light(small_clips: list[SynthClip]) -> None:
    before, after = [], []
    for clip in small_clips:
        inner = cv2.erode((clip.ids[0] > 0).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        for scene, errors in ((clip.scene, before), (lifted_scene(clip), after)):
            (frame,) = render_frames(scene, width=96, height=64, frames=[0], color=True)
            assert frame.color is not None
            errors.append(np.abs(frame.color[inner].astype(float) - clip.video[0][inner]).mean())
    assert np.mean(after) < 12
    assert np.mean(after) < 0.5 * np.mean(before)


@pytest.mark.parametrize(
    ("width", "height", "frames"), [(8, 64, 3), (64, 8, 3), (64, 64, 0)], ids=["narrow", "flat", "empty"]
)
def test_a_clip_without_room_is_refused(width: int, height: int, frames: int) -> None:
    with pytest.raises(ValueError, match="at least 16×16"):
        sample_clip(0, width=width, height=height, frames=frames)


@pytest.mark.parametrize(
    "values",
    [
        {"static_camera": 1.5}, {"detail": 0.0}, {"max_objects": 0}, {"object_size": (0.5, 0.3)},
        {"fov_degrees": (5, 40)}, {"max_orbit_degrees": -1},
    ],
)  # fmt: skip
def test_a_config_out_of_range_names_the_value(values: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(values))):
        WorldConfig(**values)  # type: ignore[arg-type]
