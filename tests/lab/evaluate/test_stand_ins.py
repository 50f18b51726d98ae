"""Stand-ins move the right way on made damage, and are at their bound where there is nothing to find."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.ndimage import uniform_filter1d
from skimage.measure import blur_effect as blur_effect_elsewhere

from real2sam2real import media
from real2sam2real.arrays import UInt8
from real2sam2real.lab.evaluate.stand_ins import (
    STAND_INS,
    blur_effect,
    describe_frames,
    interpolation,
    likeness,
    measure_stand_ins,
    noise_deviation,
    warping_error,
)

WIDTH, HEIGHT, FRAMES, STEP = 320, 180, 7, 2
DEMO = Path(str(resources.files("real2sam2real"))) / "assets" / "demo"


def levels(values: np.ndarray) -> UInt8:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def panned(picture: UInt8) -> UInt8:
    """`(T, H, W, 3)`: a camera that goes steadily over a picture, by whole pixels."""
    wide = cv2.resize(picture, (WIDTH + STEP * FRAMES, HEIGHT), interpolation=cv2.INTER_AREA)
    return np.stack([wide[:, STEP * t : STEP * t + WIDTH] for t in range(FRAMES)])


@pytest.fixture(scope="module")
def film() -> UInt8:
    return panned(media.read_image(DEMO / "photo.jpg"))


@pytest.fixture(scope="module")
def grey(film: UInt8) -> np.ndarray:
    return cv2.cvtColor(film[0].astype(np.float32), cv2.COLOR_RGB2GRAY)


def flickering(film: UInt8) -> UInt8:
    return levels(film * np.where(np.arange(FRAMES) % 2, 0.92, 1.0)[:, None, None, None])


def jumping(film: UInt8) -> UInt8:
    return np.concatenate([film[:3], np.roll(film[3:], 40, axis=2)])


def shaking(film: UInt8) -> UInt8:
    return np.stack([np.roll(frame, 9 * (t % 2), axis=1) for t, frame in enumerate(film)])


def test_a_still_film_is_at_every_bound(film: UInt8) -> None:
    found = measure_stand_ins([film[0]] * 4)
    assert list(found) == [measure.name for measure in STAND_INS]
    assert found["foreground_likeness"] == pytest.approx(1, abs=1e-6)
    assert found["surroundings_likeness"] == pytest.approx(1, abs=1e-6)
    assert (found["interpolation"], found["warping_error"]) == (1.0, 0.0)


def test_a_steady_film_is_near_them(film: UInt8) -> None:
    smooth, change = interpolation(list(film)), warping_error(list(film))
    assert smooth is not None
    assert change is not None
    assert smooth > 0.985
    assert change < 1.5
    inside, around = describe_frames(film[:4])
    assert min(likeness(inside) or 0, likeness(around) or 0) > 0.97


@pytest.mark.parametrize("damage", [flickering, jumping, shaking], ids=lambda damage: damage.__name__)
def test_what_is_not_smooth_scores_worse(film: UInt8, damage: Callable[[UInt8], UInt8]) -> None:
    damaged = list(damage(film))
    assert (interpolation(damaged) or 0) < (interpolation(list(film)) or 0) - 0.005
    if damage is flickering:  # moves are no change of looks
        assert (warping_error(damaged) or 0) > (warping_error(list(film)) or 0) + 4


def test_another_subject_is_seen_in_the_foreground_alone(film: UInt8) -> None:
    mask = media.read_image(DEMO / "cup.png")[..., :1] > 127
    photo = media.read_image(DEMO / "photo.jpg")
    ball = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, photo.shape, np.uint8), (0, 0), 12)
    swapped = panned(np.where(mask, levels((ball - 128.0) * 6 + 128), photo))
    half = np.concatenate([film[:2], swapped[2:4]])
    apart = [1 - (likeness(each) or 0) for each in describe_frames(half)]
    before = [1 - (likeness(each) or 0) for each in describe_frames(film[:4])]
    assert apart[0] > 4 * before[0]
    assert apart[0] > 1.5 * apart[1]


def test_blur_and_noise_are_told_apart(grey: np.ndarray) -> None:
    rng = np.random.default_rng(1)
    blurred = [blur_effect(cv2.GaussianBlur(grey, (0, 0), s)) for s in (0.8, 1.6, 3.2)]
    assert blur_effect(grey) < blurred[0] < blurred[1] < blurred[2] < 1
    smooth = cv2.GaussianBlur(grey, (0, 0), 2)  # fine texture counts as noise
    assert noise_deviation(smooth) < 0.5 * noise_deviation(grey)
    noisy = [noise_deviation(smooth + rng.normal(0, s, grey.shape).astype(np.float32)) for s in (2, 4, 8)]
    assert noisy == pytest.approx([2, 4, 8], rel=0.08)


def slow_blur_effect(grey: np.ndarray) -> float:
    """As the paper writes it, sum by sum."""
    worst = 0.0
    for axis in (0, 1):
        again = uniform_filter1d(grey.astype(np.float64), 9, axis=axis, mode="mirror")
        edges, left = (np.abs(np.diff(each, axis=axis)) for each in (grey.astype(np.float64), again))
        lost = np.maximum(0, edges - left)
        worst = max(worst, (edges.sum() - lost.sum()) / edges.sum())
    return worst


def test_the_blur_is_that_of_the_paper(grey: np.ndarray) -> None:
    pictures = [grey, *(cv2.GaussianBlur(grey, (0, 0), s) for s in (1, 2, 4))]
    found = [blur_effect(each) for each in pictures]
    assert found == pytest.approx([slow_blur_effect(each) for each in pictures], abs=1e-4)
    elsewhere = [blur_effect_elsewhere(each / 255.0, h_size=9) for each in pictures]  # with Sobel's edges
    assert np.argsort(found).tolist() == np.argsort(elsewhere).tolist() == [0, 1, 2, 3]


def test_flat_frames_and_single_ones_have_an_answer() -> None:
    black = np.zeros((24, 40, 3), np.uint8)
    assert blur_effect(black[..., 0].astype(np.float32)) == 1.0
    assert noise_deviation(black[..., 0].astype(np.float32)) == 0.0
    found = measure_stand_ins([black])
    assert found["clipped"] == 100.0
    alone = ("foreground_likeness", "surroundings_likeness", "interpolation", "warping_error")
    assert [found[name] for name in alone] == [None] * 4
    half = levels(np.full((24, 40, 3), 100.0))
    half[:12] = 255
    assert measure_stand_ins([half])["clipped"] == 50.0


def test_likeness_is_the_mean_of_both_cosines() -> None:
    turned = np.array([[1.0, 0], [0, 1], [1, 1]])
    assert likeness(turned) == pytest.approx(np.mean([0, np.sqrt(0.5)]))
    assert likeness(np.array([[1.0, 0], [-1, 0]])) == 0.0
