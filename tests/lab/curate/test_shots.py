"""Cuts between procedural pictures: each where it was made, and none where the camera moves."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from real2sam2real.errors import UserError
from real2sam2real.lab.curate.shots import find_shots
from real2sam2real.media import write_video

pytest.importorskip("scenedetect")


def panning(seed: int, frames: int, step: float = 3.0) -> list[np.ndarray]:
    """A camera that pans over a wall of coloured patches."""
    rng = np.random.default_rng(seed)
    patches = rng.integers(0, 255, (12, 48, 3)).astype(np.uint8)
    wall = cv2.GaussianBlur(cv2.resize(patches, (960, 240), interpolation=cv2.INTER_NEAREST), (0, 0), 3)
    return [np.ascontiguousarray(wall[:, int(k * step) : int(k * step) + 320]) for k in range(frames)]


def test_each_cut_is_found_where_it_is(tmp_path: Path) -> None:
    lengths = [20, 9, 31]
    frames = [frame for k, count in enumerate(lengths) for frame in panning(k, count)]
    write_video(tmp_path / "cut.mp4", frames, fps=24)
    assert find_shots(tmp_path / "cut.mp4") == [
        range(0, 20),
        range(20, 29),
        range(29, 60),
    ]


def test_a_moving_camera_is_one_shot(tmp_path: Path) -> None:
    write_video(tmp_path / "pan.mp4", panning(3, 50, step=10), fps=24)
    assert find_shots(tmp_path / "pan.mp4") == [range(0, 50)]


@pytest.mark.parametrize("count", [1, 2])
def test_a_video_of_few_frames_is_one_shot(tmp_path: Path, count: int) -> None:
    write_video(tmp_path / "short.mp4", panning(4, count), fps=24)
    assert find_shots(tmp_path / "short.mp4") == [range(0, count)]


def test_what_is_no_video_is_said(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(UserError, match=r"text\.mp4"):
        find_shots(tmp_path / "text.mp4")
