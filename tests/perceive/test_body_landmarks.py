"""Joints of a person by the network that comes with the package."""

import numpy as np
import pytest

from real2sam2real.perceive.body_landmarks import BodyLandmarkNet

pytestmark = pytest.mark.fast
NOSE, LEFT_EYE, RIGHT_EYE, LEFT_SHOULDER, RIGHT_SHOULDER = 0, 2, 5, 11, 12


def test_joints_of_the_astronaut() -> None:
    photo = pytest.importorskip("skimage.data").astronaut()
    mask = np.zeros(photo.shape[:2], bool)
    mask[5:, 70:445] = True
    found = BodyLandmarkNet.load().find(photo, mask)
    assert found.presence > 0.8
    assert np.abs(found.pixels[[NOSE, LEFT_EYE, RIGHT_EYE]] - [[221, 117], [245, 98], [204, 98]]).max() < 15
    assert found.visibility[[NOSE, LEFT_SHOULDER, RIGHT_SHOULDER]].min() > 0.9
    # She faces the camera: her left is to the right of the picture, and her nose nearer than her shoulders.
    across = found.points_camera[LEFT_SHOULDER] - found.points_camera[RIGHT_SHOULDER]
    assert across[0] > 0.2
    assert found.points_camera[NOSE, 2] > found.points_camera[[LEFT_SHOULDER, RIGHT_SHOULDER], 2].mean()
    assert found.points_camera[NOSE, 1] > found.points_camera[[LEFT_SHOULDER, RIGHT_SHOULDER], 1].mean()


def test_no_person_in_noise() -> None:
    photo = np.random.default_rng(0).integers(0, 255, (200, 200, 3)).astype(np.uint8)
    mask = np.zeros((200, 200), bool)
    mask[20:180, 60:140] = True
    assert BodyLandmarkNet.load().find(photo, mask).presence < 0.3
