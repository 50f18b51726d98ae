"""Written clips are the clips, with marks that fit them; what is there stays."""

from __future__ import annotations

import json

import numpy as np

from real2sam2real import media
from real2sam2real.lab.synth import sample_clip
from real2sam2real.lab.synth.export import write_clips

SIZE = {"width": 64, "height": 48, "frames": 5}


def test_video_and_masks_are_the_clips(tmp_path):
    (path,) = write_clips(tmp_path, range(3, 4), **SIZE)
    clip = sample_clip(3, **SIZE)
    np.testing.assert_array_equal(media.read_video(path), clip.video)
    marks = json.loads(path.with_suffix(".instances.json").read_text())["instances"]
    assert marks
    for mark in marks:
        number = clip.scene.names.index(mark["label"]) + 1
        np.testing.assert_array_equal(media.read_image(tmp_path / mark["mask"])[..., 0] > 0, clip.ids[0] == number)


def test_a_clip_that_is_there_is_not_made_again(tmp_path):
    (path,) = write_clips(tmp_path, range(3, 4), **SIZE)
    before = path.stat().st_mtime_ns
    assert next(again := write_clips(tmp_path, range(3, 5), **SIZE)) == path
    assert path.stat().st_mtime_ns == before
    assert len([*again]) == 1
    assert len(list(tmp_path.glob("*.mkv"))) == 2
