"""Reading a control as it is needed gives what reading it at once gives."""

import json
from dataclasses import replace

import numpy as np
import pytest

from real2sam2real import media
from real2sam2real.control.folder import Control, save_control
from real2sam2real.control.normal_convention import NormalConvention
from real2sam2real.control.reading import open_control, read_control
from real2sam2real.errors import UserError

FRAMES, HEIGHT, WIDTH = 13, 24, 32


def make_control():
    rng = np.random.default_rng(0)
    ids = np.zeros((FRAMES, HEIGHT, WIDTH), np.uint8)
    ids[:, 6:18, 8:20] = 1
    vectors = rng.normal(size=(FRAMES, HEIGHT, WIDTH, 3)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
    normals = NormalConvention().encode(vectors, ids)
    photo = rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    return Control(normals=normals, ids=ids, photo=photo, prompt="a cup", fps=16.0, names=("cup",), notes=("hm",))


@pytest.fixture
def folder(tmp_path):
    save_control(tmp_path / "control", make_control())
    return tmp_path / "control"


@pytest.mark.parametrize("convention", ["opengl", "left-up-towards"])
def test_slices_equal_the_whole(folder, convention):
    whole, stream = read_control(folder), open_control(folder)
    wanted = NormalConvention.preset(convention)
    expected, normals = whole.normals_in(wanted), stream.normals_in(wanted)
    assert (stream.frames, stream.fps, stream.prompt, stream.notes) == (FRAMES, 16.0, "a cup", ("hm",))
    assert len(normals) == FRAMES
    for start, stop in ((0, 1), (0, 5), (3, 9), (8, 13), (2, 4), (12, 13)):
        assert np.array_equal(normals[start:stop], expected[start:stop])


def test_the_official_files_alone_are_enough(folder):
    for name in ("control.json", "normals.mkv", "ids.mkv"):
        (folder / name).unlink()
    whole, stream = read_control(folder, from_official=True), open_control(folder)
    shown = stream.normals_in(stream.normal_convention)[0:FRAMES]
    assert np.array_equal(shown[whole.ids == 1], whole.normals[whole.ids == 1])
    assert 0 < shown[whole.ids == 0].max() <= 24  # nearly black is left as it is; what has ids is made black
    assert stream.notes == whole.notes
    assert np.array_equal(stream.photo, whole.photo)


def test_parts_that_contradict_each_other_are_refused(folder):
    description = json.loads((folder / "control.json").read_text())
    (folder / "control.json").write_text(json.dumps({**description, "frames": 9}))
    with pytest.raises(UserError, match=r"normals.mkv has .* \(13, 24, 32\)"):
        open_control(folder)


def test_a_video_by_slice_holds_one_slice_alone(tmp_path):
    frames = np.random.default_rng(1).integers(0, 256, (30, 16, 16, 3), dtype=np.uint8)
    media.write_lossless_video(tmp_path / "v.mkv", frames, 16)
    video = media.VideoFrames(tmp_path / "v.mkv")
    assert len(video) == 30
    for start in range(0, 25, 4):
        assert np.array_equal(video[start : start + 5], frames[start : start + 5])
        assert len(video._held) == 5
    with pytest.raises(ValueError, match="forward slice"):
        video[5:5]


def test_a_video_that_ends_early_is_named(tmp_path):
    media.write_lossless_video(tmp_path / "v.mkv", np.zeros((9, 16, 16, 3), np.uint8), 16)
    video = media.VideoFrames(tmp_path / "v.mkv")
    video.info = replace(video.info, frames=12)
    with pytest.raises(UserError, match="ends after 9 frames"):
        video[0:12]
