import weakref
from functools import partial

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from real2sam2real import media
from real2sam2real.errors import UserError
from real2sam2real.media import pictures

FPS = [16, 12.5, 30, 24000 / 1001, 30000 / 1001, 23.976]


def noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def smooth_clip(frames, height, width):
    y, x = np.mgrid[:height, :width] / max(height, width)
    return np.stack([np.stack([x, y, (x + t / frames) / 2], axis=-1) * 255 for t in range(frames)]).astype(np.uint8)


@settings(max_examples=12, deadline=None)
@example(frames=2, height=5, width=1, color=False, fps=16)
@given(
    frames=st.integers(1, 6),
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    color=st.booleans(),
    fps=st.sampled_from(FPS),
)
def test_lossless_video_gives_back_every_sample(tmp_path_factory, frames, height, width, color, fps):
    path = tmp_path_factory.mktemp("video") / "clip.mkv"
    clip = noise(frames, height, width, 3) if color else noise(frames, height, width)
    media.write_lossless_video(path, clip, fps)
    back = media.read_video(path)
    assert back.dtype == np.uint8
    np.testing.assert_array_equal(back, clip)
    info = media.video_info(path)
    assert (info.width, info.height, info.channels) == (width, height, 3 if color else 1)
    assert info.fps == pytest.approx(fps, rel=1e-9)


@pytest.mark.parametrize("fps", FPS)
def test_video_for_people_keeps_count_rate_and_look(tmp_path, fps):
    clip = smooth_clip(7, 48, 64)
    media.write_video(tmp_path / "clip.mp4", clip, fps)
    info = media.video_info(tmp_path / "clip.mp4")
    assert (info.frames, info.width, info.height) == (7, 64, 48)
    assert info.fps == pytest.approx(fps, rel=1e-9)
    back = media.read_video(tmp_path / "clip.mp4")
    error = back.astype(float) - clip
    assert len(back) == 7
    assert 10 * np.log10(255**2 / np.mean(error**2)) > 30
    assert np.abs(error.mean(axis=(0, 1, 2))).max() < 2  # no colour cast from a mistaken matrix or range


def test_odd_sizes_are_padded_with_their_last_row_and_column(tmp_path):
    clip = smooth_clip(3, 33, 45)
    media.write_video(tmp_path / "clip.mp4", clip, 16, crf=4)
    back = media.read_video(tmp_path / "clip.mp4")
    assert back.shape == (3, 34, 46, 3)
    assert np.abs(back[:, 33, :45].astype(int) - clip[:, 32]).mean() < 6


@pytest.mark.parametrize(("ahead", "bound"), [(0, 4), (8, 12)])
def test_writing_holds_few_frames_at_a_time(tmp_path, ahead, bound):
    alive = weakref.WeakSet()

    class Pixels(np.ndarray):
        pass

    most = 0

    def frames():
        nonlocal most
        for _ in range(60):
            frame = noise(16, 16, 3).view(Pixels)
            alive.add(frame)
            most = max(most, len(alive))
            yield frame

    # WeakSet needs hashable members; arrays hash by identity once told to.
    Pixels.__hash__ = object.__hash__
    Pixels.__eq__ = object.__eq__
    media.write_video(tmp_path / "clip.mp4", frames(), 16, ahead=ahead)
    assert most <= bound


def test_encoding_beside_what_makes_the_frames_gives_the_same_file(tmp_path):
    clip = smooth_clip(20, 32, 48)
    for ahead in (0, 3):
        media.write_video(tmp_path / f"{ahead}.mp4", iter(clip), 16, ahead=ahead)
    assert (tmp_path / "0.mp4").read_bytes() == (tmp_path / "3.mp4").read_bytes()


def failing_frames():
    yield noise(16, 16, 3)
    yield noise(16, 16, 3)
    raise RuntimeError("the renderer broke")


BESIDE = partial(media.write_video, ahead=4)


@pytest.mark.parametrize("write", [media.write_video, BESIDE, media.write_lossless_video])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, write):
    path = tmp_path / ("clip.mkv" if write is media.write_lossless_video else "clip.mp4")
    write(path, noise(2, 16, 16, 3), 16)
    old = path.read_bytes()
    with pytest.raises(RuntimeError, match="the renderer broke"):
        write(path, failing_frames(), 16)
    assert path.read_bytes() == old
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("write", [media.write_video, BESIDE, media.write_lossless_video])
def test_bad_frames_are_refused(tmp_path, write):
    path = tmp_path / "clip.mkv"
    with pytest.raises(ValueError, match="no frame"):
        write(path, [], 16)
    with pytest.raises(ValueError, match="frame 1 has shape"):
        write(path, [noise(8, 8, 3), noise(8, 10, 3)], 16)
    with pytest.raises(ValueError, match="uint8"):
        write(path, [noise(8, 8, 3).astype(float)], 16)
    for fps in (0, -1, np.nan, np.inf):
        with pytest.raises(ValueError, match="fps"):
            write(path, [noise(8, 8, 3)], fps)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_truncated_video_is_refused_wherever_it_is_cut(tmp_path, suffix):
    whole, cut = tmp_path / f"whole{suffix}", tmp_path / f"cut{suffix}"
    write = media.write_video if suffix == ".mp4" else media.write_lossless_video
    write(whole, noise(20, 64, 64, 3), 16)
    data = whole.read_bytes()
    for share in (0, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.97):
        cut.write_bytes(data[: int(share * len(data))])
        with pytest.raises(UserError, match=r"cut\.") as caught:
            media.read_video(cut)
        assert "whole video" in str(caught.value) or "Copy it again" in str(caught.value)


def test_what_is_no_video_is_refused(tmp_path):
    (tmp_path / "text.mp4").write_text("not a video")
    media.write_png(tmp_path / "picture.png", noise(8, 8, 3))
    with pytest.raises(UserError, match="does not exist"):
        media.read_video(tmp_path / "none.mp4")
    with pytest.raises(UserError, match="is a folder"):
        media.video_info(tmp_path)
    with pytest.raises(UserError, match="cannot be read as a video"):
        media.read_video(tmp_path / "text.mp4")


@pytest.mark.parametrize("shape", [(5, 7, 3), (5, 7)])
def test_png_round_trip(tmp_path, shape):
    media.write_png(tmp_path / "picture.png", noise(*shape))
    expected = noise(*shape) if len(shape) == 3 else np.repeat(noise(*shape)[..., None], 3, axis=-1)
    np.testing.assert_array_equal(media.read_image(tmp_path / "picture.png"), expected)


def test_pictures_are_turned_upright(tmp_path):
    pixels = np.zeros((8, 16, 3), np.uint8)
    pixels[:, :8] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by a quarter clockwise
    Image.fromarray(pixels).save(tmp_path / "turned.png", exif=exif)
    np.testing.assert_array_equal(media.read_image(tmp_path / "turned.png"), np.rot90(pixels, -1))


def test_what_is_no_picture_is_refused(tmp_path, monkeypatch):
    media.write_png(tmp_path / "whole.png", noise(64, 64, 3))
    (tmp_path / "cut.png").write_bytes((tmp_path / "whole.png").read_bytes()[:3000])
    with pytest.raises(UserError, match="cannot be decoded"):
        media.read_image(tmp_path / "cut.png")
    with pytest.raises(UserError, match="does not exist"):
        media.read_image(tmp_path / "none.png")
    monkeypatch.setattr(pictures, "MAX_PIXELS", 64 * 63)
    with pytest.raises(UserError, match="64×64"):
        media.read_image(tmp_path / "whole.png")
    with pytest.raises(ValueError, match="uint8"):
        media.write_png(tmp_path / "bad.png", np.zeros((4, 4, 2), np.uint8))
