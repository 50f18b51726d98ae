"""A draft is the same shot, smaller and of every second frame."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from real2sam2real import media
from real2sam2real.geometry import Intrinsics, transforms
from real2sam2real.run.progress import Progress
from real2sam2real.run.rendering import preview_to_file
from real2sam2real.scene import CameraPath, Scene

pytestmark = pytest.mark.fast


def test_a_draft_shows_at_the_same_moment_what_the_final_preview_shows(tmp_path: Path) -> None:
    pose = transforms.look_at((0, 1.4, 0), (0, 0.3, -5))
    poses = np.repeat(pose[None], 5, axis=0)
    poses[:, 0, 3] += np.linspace(0, 0.3, 5)
    # In grey, because videos code colour coarsely.
    lens = Intrinsics.from_fov(720, 120, horizontal_degrees=60)
    photo = np.random.default_rng(0).integers(40, 220, (12, 72, 1), np.uint8).repeat(3, axis=2)
    photo = cv2.resize(photo, (720, 120))
    camera = CameraPath(world_from_camera=poses, intrinsics=lens, zoom=np.ones(5))
    scene = Scene(entities=(), camera=camera, ground_y=0.0, photo=photo, photo_world_from_camera=pose)
    frames = {}
    for draft in (False, True):
        preview_to_file(scene, tmp_path / f"{draft}.mp4", Progress(), draft=draft)
        frames[draft] = list(media.read_video(tmp_path / f"{draft}.mp4"))
    assert [len(frames[draft]) for draft in (False, True)] == [5, 3]
    assert frames[True][0].shape == (80, 480, 3)
    first = cv2.resize(photo, (480, 80), interpolation=cv2.INTER_AREA)
    assert np.abs(frames[True][0].astype(int) - first).mean() < 4
    inner = (slice(10, 70), slice(80, 400))  # what lies beyond the photo's border is made up anew at each size
    for k, seen in enumerate(frames[True]):
        final = cv2.resize(frames[False][2 * k], (480, 80), interpolation=cv2.INTER_AREA)
        assert np.abs(seen.astype(int) - final)[inner].mean() < 4
    assert np.abs(frames[True][0].astype(int) - frames[True][2])[inner].mean() > 8  # the camera does travel
