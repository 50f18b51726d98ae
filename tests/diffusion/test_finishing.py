"""What is added to a decoded video: detail where it shows what its preview shows, and size."""

from pathlib import Path

import numpy as np
import pytest
import torch

import real2sam2real
from real2sam2real import media
from real2sam2real.diffusion.autoencoder import BlockTransformAutoencoder
from real2sam2real.diffusion.finishing import Finish, coded, enlarged_size, find_agreement, with_detail
from real2sam2real.diffusion.segments import plan_segments
from real2sam2real.diffusion.upscaling import SCALE, TILE, in_the_colors_of, load_upscaler

ASSETS = Path(real2sam2real.__file__).parent / "assets"
HEIGHT, WIDTH = 64, 96


@pytest.fixture(scope="module")
def autoencoder():
    return BlockTransformAutoencoder.from_pretrained(ASSETS / "mini_base" / "vae")


@pytest.fixture(scope="module")
def upscaler():
    return load_upscaler()


@pytest.fixture(scope="module")
def preview():
    """Nine frames of a real photo that passes by, at twice the video's size."""
    photo = media.resized(media.read_image(ASSETS / "demo" / "photo.jpg"), 264, 176)
    return np.stack([photo[24 : 24 + 2 * HEIGHT, 4 * k : 4 * k + 2 * WIDTH] for k in range(9)])


@pytest.fixture(scope="module")
def small(preview):
    return np.stack([media.resized(frame, WIDTH, HEIGHT) for frame in preview])


@pytest.fixture(scope="module")
def kept(autoencoder, small):
    return coded(autoencoder, small)


def error(video, truth):
    return np.abs(video.astype(int) - truth).mean()


def test_what_coding_alone_loses_comes_back(small, kept):
    assert error(kept, small) > 1
    assert error(with_detail(kept, kept, small), small) == 0


def test_a_change_of_light_stays_and_the_detail_comes_back(small, kept):
    brighter = np.minimum(kept.astype(int) + 5, 255).astype(np.uint8)
    wanted = np.minimum(small.astype(int) + 5, 255)
    inside = kept.max(axis=-1) < 250
    assert error(with_detail(brighter, kept, small)[inside], wanted[inside]) < 0.5


def test_where_another_thing_is_generated_the_preview_does_not_shine_through(small, kept):
    video = kept.copy()
    video[:, 16:48, 24:72] = (250, 20, 240)
    finished = with_detail(video, kept, small)
    assert (finished[:, 20:44, 28:68] == video[:, 20:44, 28:68]).all()
    assert error(finished[:, :4], small[:, :4]) < 1
    share = find_agreement(video, kept).share
    assert np.abs(np.diff(share, axis=0)).max() < 0.5, "switched from one frame to the next"


def test_only_squares_that_are_asked_for_are_enlarged_and_as_the_whole_would_be(upscaler, small):
    frame = np.ascontiguousarray(small[0])
    whole = torch.from_numpy(frame).permute(2, 0, 1)[None] / 255
    with torch.inference_mode():
        large = (upscaler(whole)[0].clamp(0, 1) * 255).round().permute(1, 2, 0).numpy().astype(np.uint8)
    large = in_the_colors_of(frame, large)
    where = np.zeros((HEIGHT, WIDTH), bool)
    where[40, 50] = True
    found = upscaler.enlarged(frame, where)
    square = (slice(TILE * SCALE, 2 * TILE * SCALE),) * 2
    assert error(found[square][48:-48, 48:-48], large[square][48:-48, 48:-48]) < 0.5
    plain = media.resized(frame, SCALE * WIDTH, SCALE * HEIGHT)
    assert error(plain[square], large[square]) > 1
    assert error(found[:, : 16 * SCALE], plain[:, : 16 * SCALE]) < 0.5


def test_enlarging_keeps_the_picture(upscaler, small):
    large = upscaler.enlarged(small[0], np.ones((HEIGHT, WIDTH), bool))
    assert large.shape == (SCALE * HEIGHT, SCALE * WIDTH, 3)
    assert error(media.resized(large, WIDTH, HEIGHT), small[0]) < 6


def test_a_video_by_segments_is_finished_at_the_previews_size(autoencoder, upscaler, preview, kept):
    plan = plan_segments(9, longest=5, overlap=1)
    finish = Finish(width=2 * WIDTH, height=2 * HEIGHT, upscaler=upscaler)
    segments = [(segment, segment.stop) for segment in plan]
    made = list(finish.frames(kept, preview=preview, autoencoder=autoencoder, segments=segments))
    assert len(made) == 9
    assert error(np.stack(made), preview) < 2
    assert "% of the pixels" in finish.notes()[0]


def test_without_a_preview_all_is_enlarged(autoencoder, upscaler, small):
    width, height = enlarged_size(WIDTH, HEIGHT)
    assert (width, height) == (SCALE * WIDTH, SCALE * HEIGHT)
    assert enlarged_size(1280, 720) == (1280, 720)
    finish = Finish(width=width, height=height, upscaler=upscaler)
    made = list(finish.frames(small[:1], preview=None, autoencoder=autoencoder, segments=[]))
    assert made[0].shape == (height, width, 3)
    assert "Real-ESRGAN" in finish.notes()[0]
