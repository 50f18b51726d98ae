"""Pictures with a known object, made here."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray


@pytest.fixture
def disc() -> NDArray[np.bool_]:
    """A disc of radius 40 in 120×160 pixels."""
    return cv2.circle(np.zeros((120, 160), np.uint8), (80, 60), 40, 1, -1).astype(bool)


@pytest.fixture
def disc_photo(disc: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """An orange, noisy disc on a noisy blue ground."""
    rng = np.random.default_rng(3)
    clean = np.where(disc[..., None], np.array([220, 120, 40]), np.array([40, 60, 130]))
    return np.clip(clean + rng.normal(0, 12, clean.shape), 0, 255).astype(np.uint8)
