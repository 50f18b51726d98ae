import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from real2sam2real.errors import UserError
from real2sam2real.lab.curate.clip_format import ClipFormat, clip_frames, fitted_frame


@given(
    first=st.integers(0, 1000),
    count=st.integers(1, 900),
    source_fps=st.sampled_from([13.0, 15.0, 16.0, 23.976, 25.0, 29.97, 30.0, 60.0]),
    frames=st.sampled_from([5, 17, 49, 81]),
)
def test_pieces_lie_in_the_shot_apart_and_keep_the_time(first, count, source_fps, frames):
    clip_format = ClipFormat(frames=frames)
    found = clip_frames(range(first, first + count), source_fps, clip_format)
    taken = np.concatenate(found) if found else np.zeros(0, np.int64)
    assert len(np.unique(taken)) == len(taken), "no frame twice"
    assert ((taken >= first) & (taken < first + count)).all()
    step = max(1.0, source_fps / clip_format.fps)
    for numbers in found:
        assert len(numbers) == frames
        assert np.abs(numbers - numbers[0] - np.arange(frames) * step).max() <= 0.5
    if count >= round((frames - 1) * step) + 1:
        assert found, "a shot that is long enough gives a clip"


def test_what_is_too_short_or_too_slow_gives_nothing():
    clip_format = ClipFormat(frames=17)
    assert len(clip_frames(range(17), 16.0, clip_format)) == 1
    assert clip_frames(range(16), 16.0, clip_format) == []
    assert clip_frames(range(1000), 12.0, clip_format) == []


def test_frames_lie_in_the_middle_of_their_shot():
    (numbers,) = clip_frames(range(100, 121), 16.0, ClipFormat(frames=17))
    assert numbers.tolist() == list(range(102, 119))


@given(width=st.integers(20, 200), height=st.integers(20, 200))
def test_a_frame_is_filled_and_stays_centred(width, height):
    clip_format = ClipFormat(width=64, height=32, frames=5)
    rows, columns = np.mgrid[:height, :width]
    picture = np.stack([255 * columns / (width - 1), 255 * rows / (height - 1), 0 * rows], axis=-1).astype(np.uint8)
    fitted = fitted_frame(picture, clip_format)
    assert fitted.shape == (32, 64, 3)
    assert np.abs(fitted[..., :2].mean(axis=(0, 1)) - 127.5).max() < 8, "ramps across the frame stay centred"
    kept = 64 * 32 / (width * height * max(64 / width, 32 / height) ** 2)
    ranges = np.ptp(fitted[..., :2].astype(float), axis=(0, 1)) / 255
    assert abs(ranges.prod() - kept) < 0.15
    assert max(ranges) > 0.85, "one side is kept whole"


def test_a_frame_of_the_wanted_size_stays_as_it_is():
    picture = np.random.default_rng(0).integers(0, 256, (32, 64, 3), np.uint8)
    assert np.array_equal(fitted_frame(picture, ClipFormat(width=64, height=32, frames=5)), picture)


@pytest.mark.parametrize(
    ("values", "words"),
    [({"frames": 80}, "77 or 81"), ({"width": 100}, "multiples of 16"), ({"fps": 0.0}, "0 frames per second")],
)
def test_what_cannot_be_is_refused_with_the_remedy(values, words):
    with pytest.raises(UserError, match=words):
        ClipFormat(**values)
