from pathlib import Path

import cv2
import numpy as np
import pytest

from real2sam2real import media
from real2sam2real.errors import UserError
from real2sam2real.lab.curate.quality import QualityFilter, measure

CLIP = Path(__file__).parents[4] / "shared" / "data" / "bedroom" / "clip.mp4"
HEIGHT, WIDTH, FRAMES = 270, 480, 9


def drifting():
    """Sharp texture that drifts, at medium light."""
    rng = np.random.default_rng(0)
    texture = rng.integers(0, 256, (HEIGHT // 6 + 1, (WIDTH + 200) // 6 + 1, 3), np.uint8)
    large = cv2.resize(texture, (WIDTH + 200, HEIGHT), interpolation=cv2.INTER_CUBIC)
    return np.stack([large[:, 8 * k : 8 * k + WIDTH] for k in range(FRAMES)]) // 2 + 40


def with_text(video, text="THE NEXT MORNING IN TOWN"):
    result = video.copy()
    for frame in result:
        cv2.putText(frame, text, (60, 240), cv2.FONT_HERSHEY_SIMPLEX, 0.9, (0, 0, 0), 6, cv2.LINE_AA)
        cv2.putText(frame, text, (60, 240), cv2.FONT_HERSHEY_SIMPLEX, 0.9, (255, 255, 255), 2, cv2.LINE_AA)
    return result


def with_bars(video, rows=30):
    result = video.copy()
    result[:, :rows] = 6
    result[:, -rows:] = 6
    return result


SPOILED = {
    "static": lambda video: np.repeat(video[:1], FRAMES, axis=0),
    "dark": lambda video: video // 6,
    "blurred": lambda video: np.stack([cv2.GaussianBlur(frame, (0, 0), 8) for frame in video]),
    "letterboxed": with_bars,
    "burnt-in text": with_text,
}
FOLLOWS = {"dark": ("static", "blurred")}  # in the dark nothing is seen to change, or to be sharp


def test_a_good_clip_passes():
    assert measure(drifting()).reasons(QualityFilter()) == []


@pytest.mark.parametrize("reason", SPOILED)
def test_each_fault_is_named_and_its_limit_can_be_opened(reason):
    found = {text.split(":")[0] for text in measure(SPOILED[reason](drifting())).reasons(QualityFilter())}
    assert reason in found
    assert found <= {reason, *FOLLOWS.get(reason, ())}
    opened = QualityFilter(min_change=0, min_light=0, min_sharpness=0, max_bar=1, max_text=1)
    assert measure(SPOILED[reason](drifting())).reasons(opened) == []


def test_the_size_of_a_clip_does_not_matter_much():
    small = drifting()
    large = np.stack([cv2.resize(frame, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC) for frame in small])
    first, second = measure(small), measure(large)
    assert second.sharpness == pytest.approx(first.sharpness, rel=0.3)
    assert second.light == pytest.approx(first.light, abs=3)
    assert second.change == pytest.approx(first.change, abs=0.05)


@pytest.mark.skipif(not CLIP.exists(), reason="the real clip is not here")
def test_a_real_clip_passes_and_its_subtitled_copy_does_not():
    video = np.stack([frame for k, frame in enumerate(media.iterate_video(CLIP)) if k < 60 and k % 5 == 0])
    assert measure(video).reasons(QualityFilter()) == []
    titled = np.stack([cv2.resize(frame, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA) for frame in video])
    found = measure(with_text(titled, "they would not stop jumping")).reasons(QualityFilter())
    assert [text.split(":")[0] for text in found] == ["burnt-in text"]


def test_a_limit_that_cannot_be_is_refused():
    with pytest.raises(UserError, match=r"max_bar is 1\.5"):
        QualityFilter(max_bar=1.5)
