from pathlib import Path

import numpy as np
import pytest

from real2sam2real.lab.curate.pipeline.packing import outlined, write_overlay
from real2sam2real.media import read_video


def test_the_overlay_shows_outlines_beside_masked_normals(tmp_path: Path) -> None:
    video = np.full((3, 48, 64, 3), 90, np.uint8)
    ids = np.zeros((3, 48, 64), np.uint8)
    ids[:, 8:40, 16:48] = 2
    normals = np.zeros((3, 48, 64, 3), np.float32)
    normals[..., 2] = 1
    write_overlay(tmp_path / "overlay.mp4", video, normals, ids, fps=16)
    shown = read_video(tmp_path / "overlay.mp4").astype(int)
    assert shown.shape == (3, 48, 128, 3)
    assert abs(shown[:, 2:6, 2:6] - 90).max() < 8  # beside the instance the clip is as it was
    assert shown[:, 2:6, 66:70].max() < 12  # and the normals are black
    assert abs(shown[:, 20:28, 90:100] - [128, 128, 255]).max() < 16


def test_each_instance_has_a_colour_and_a_line_around_it() -> None:
    ids = np.zeros((40, 60), np.uint8)
    ids[10:30, 5:25], ids[10:30, 35:55] = 1, 2
    picture = outlined(np.full((40, 60, 3), 100, np.uint8), ids)
    assert not np.array_equal(picture[10, 15], picture[10, 45])
    assert (picture[20, 10:20] == 100).all()  # inside it is as filmed
    assert (picture[:, 28:32] == 100).all()


def test_arrays_of_different_clips_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="one clip"):
        write_overlay(
            tmp_path / "o.mp4",
            np.zeros((2, 8, 8, 3), np.uint8),
            np.zeros((2, 8, 9, 3), np.float32),
            np.zeros((2, 8, 8), np.uint8),
            16,
        )
