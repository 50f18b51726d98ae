"""What a nearer thing hides of a bystander is completed behind it."""

import cv2
import numpy as np

from real2sam2real.rendering.amodal import completed

HEIGHT, WIDTH = 80, 120


def half_hidden():
    """A symmetric thing, dark wheels under a yellow body, whose lower left a nearer thing hides; photo and masks."""
    photo = np.full((HEIGHT, WIDTH, 3), 120, np.uint8)
    whole = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.rectangle(whole, (30, 20), (90, 60), 1, -1)
    photo[whole > 0] = (220, 210, 60)
    for x in (34, 78):
        cv2.rectangle(whole, (x, 60), (x + 8, 68), 1, -1)
        cv2.rectangle(photo, (x, 60), (x + 8, 68), (20, 20, 20), -1)
    nearer = np.zeros((HEIGHT, WIDTH), bool)
    nearer[45:, :62] = True
    photo[nearer] = (200, 30, 30)
    return photo, whole > 0, nearer


def test_a_thing_goes_on_as_its_mirror_image_behind_what_is_nearer():
    photo, whole, nearer = half_hidden()
    found = completed(photo, whole & ~nearer, nearer)
    assert (found.mask & whole).sum() > 0.97 * whole.sum()
    assert not (found.mask & ~whole & ~nearer).any()
    assert found.shown[64, 38]  # the hidden wheel has the colours of the one that is seen
    np.testing.assert_array_equal(found.pixels[64, 38], (20, 20, 20))
    assert not (found.shown & nearer & ~whole).sum() > 0.2 * (nearer & ~whole).sum()


def test_what_is_not_symmetric_takes_no_colours_of_its_mirror_image():
    photo, whole, nearer = half_hidden()
    photo[:, 60:][whole[:, 60:]] = (10, 40, 220)
    found = completed(photo, whole & ~nearer, nearer)
    assert not (found.shown & nearer).any()
    np.testing.assert_array_equal(found.pixels, photo)


def test_what_nothing_hides_stays_as_it_is():
    photo, whole, nearer = half_hidden()
    found = completed(photo, whole, np.zeros_like(nearer))
    np.testing.assert_array_equal(found.mask, whole)
    np.testing.assert_array_equal(found.pixels, photo)
