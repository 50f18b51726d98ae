"""Outlines that are soft in the photo: how soft they are, and that they stay so."""

import cv2
import numpy as np
import pytest

from real2sam2real.lifting.edge_softness import edge_sigma
from real2sam2real.lifting.texture import photo_page
from real2sam2real.rendering.matte import soften

pytestmark = pytest.mark.fast
SIZE = 160
INSIDE, OUTSIDE, ELSEWHERE = (np.array(color, float) for color in ((200, 60, 50), (40, 90, 150), (220, 220, 90)))


def disc(sigma: float) -> np.ndarray:
    """`(H, W, 1)` float 0…1: how much of each pixel a disc with a blurred edge covers."""
    y, x = np.mgrid[: 4 * SIZE, : 4 * SIZE] / 4.0
    whole = (np.hypot(x - 80, y - 80) < 45).astype(np.float32)
    return cv2.GaussianBlur(cv2.resize(whole, (SIZE, SIZE), interpolation=cv2.INTER_AREA), (0, 0), sigma)[..., None]


def over(alpha: np.ndarray, background: np.ndarray) -> np.ndarray:
    return np.rint(alpha * INSIDE + (1 - alpha) * background).astype(np.uint8)


@pytest.mark.parametrize("sigma", [1.5, 2.5, 4.0])
def test_softness_is_measured(sigma: float) -> None:
    alpha = disc(sigma)
    noise = np.random.default_rng(0).normal(0, 2, (SIZE, SIZE, 3))
    photo = np.clip(over(alpha, OUTSIDE) + noise, 0, 255).astype(np.uint8)
    assert edge_sigma(photo, alpha[..., 0] > 0.5) == pytest.approx(sigma, rel=0.12)


def test_what_is_sharp_or_tells_nothing_is_not_softened() -> None:
    alpha = disc(0.5)
    mask = alpha[..., 0] > 0.5
    assert edge_sigma(over(alpha, OUTSIDE), mask) == 0
    assert edge_sigma(over(disc(3.0), INSIDE - 5), mask) == 0  # no contrast
    noise = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    assert edge_sigma(noise, mask) == 0
    assert edge_sigma(noise, np.zeros_like(mask)) == 0


@pytest.mark.parametrize("sigma", [1.5, 3.0])
def test_no_fringe_of_the_old_background_comes_along(sigma: float) -> None:
    """The object's texture, cut from its photo, over another background, against the truth."""
    alpha, mask = disc(sigma), disc(sigma)[..., 0] > 0.5
    page = photo_page(over(alpha, OUTSIDE), mask, np.zeros_like(mask), np.array([[0.0, 0.0], [SIZE, SIZE]]))
    color = page.image[-page.top : -page.top + SIZE, -page.left : -page.left + SIZE]
    coverage, colors = soften(
        mask.astype(np.float32), np.where(mask[..., None], color, 0).astype(np.uint8), mask.view(np.uint8), 1, sigma
    )
    truth = over(alpha, ELSEWHERE).astype(float)
    hard = np.where(mask[..., None], over(alpha, OUTSIDE), ELSEWHERE)
    made = coverage[..., None] * colors + (1 - coverage[..., None]) * ELSEWHERE
    band = np.abs(cv2.distanceTransform(mask.view(np.uint8), cv2.DIST_L2, 5) - 0.5) < 3
    band &= cv2.dilate(mask.view(np.uint8), np.ones((7, 7), np.uint8)) > 0
    assert np.abs(made - truth)[band].mean() < 0.15 * np.abs(hard - truth)[band].mean()
    assert np.abs(made - truth)[~band].mean() < 1.0


def test_other_instances_stay_as_they_are() -> None:
    ids = np.zeros((40, 60), np.uint8)
    ids[10:30, 10:30], ids[10:30, 30:50] = 1, 2
    coverage = (ids > 0).astype(np.float32)
    color = np.zeros((40, 60, 3), np.uint8)
    color[ids == 1], color[ids == 2] = (200, 0, 0), (0, 200, 0)
    softened, colors = soften(coverage, color, ids, 1, 2.0)
    np.testing.assert_array_equal(softened[ids == 2], 1)
    np.testing.assert_array_equal(colors[ids == 2], color[ids == 2])
    assert 0.3 < softened[20, 9] < 0.5 < softened[20, 10] < 0.7
    assert (colors[20, 8] == (200, 0, 0)).all()
    same, _ = soften(coverage, color, ids, 3, 2.0)
    assert same is coverage
