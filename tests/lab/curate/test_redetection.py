"""A person whose mask has lost a half is cut out anew, by her word; and what is left alone."""

import cv2
import numpy as np
import pytest
from skimage import data

from real2sam2real.lab.curate.instances.redetection import Redetector
from real2sam2real.perceive.segment.detections import mask_iou
from real2sam2real.perceive.segment.embedded import EmbeddedNetworks, EmbeddedPhoto
from real2sam2real.perceive.segment.options import SegmentOptions

NETWORKS = EmbeddedNetworks(SegmentOptions())


@pytest.fixture(scope="module")
def astronaut() -> tuple[np.ndarray, np.ndarray]:
    """A clip of one frame and the astronaut's mask."""
    picture = cv2.resize(data.astronaut(), (320, 320), interpolation=cv2.INTER_AREA)
    return picture[None], EmbeddedPhoto(NETWORKS, picture).from_box((8, 9, 230, 318))


def test_a_mask_that_has_lost_a_half_is_cut_out_anew(astronaut) -> None:
    video, whole = astronaut
    middle = int(np.nonzero(whole)[1].mean())
    half = whole & (np.arange(whole.shape[1]) > middle)
    redetector = Redetector(video, ["helmet", "Woman"], NETWORKS)
    assert redetector.words == {1: "person"}
    assert redetector.replaced(0, {0: ~whole, 1: whole}) == {}
    (found,) = redetector.replaced(0, {0: np.zeros_like(whole), 1: half}).values()
    assert mask_iou(half, whole) < 0.6
    assert mask_iou(found, whole) > 0.9


def test_a_box_goes_to_the_one_instance_that_fits_it(astronaut) -> None:
    """A speck on her, called a person too, must not take her mask."""
    video, whole = astronaut
    speck = np.zeros_like(whole)
    rows, columns = np.nonzero(whole)
    speck[int(rows.mean()) : int(rows.mean()) + 12, int(columns.mean()) : int(columns.mean()) + 12] = True
    assert Redetector(video, ["child", "woman"], NETWORKS).replaced(0, {1: whole & ~speck, 0: speck}) == {}
