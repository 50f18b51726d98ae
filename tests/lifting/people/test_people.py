"""Who is lifted as a person, and what is said where that cannot be."""

import numpy as np
import pytest

from real2sam2real.lifting.options import LiftOptions
from real2sam2real.lifting.people.lifter import is_person
from real2sam2real.perceive.photo import Photo
from real2sam2real.run import lifting


def test_words_for_persons() -> None:
    assert all(is_person(name) for name in ("person", "woman_2", "old man", "girl"))
    assert not any(is_person(name) for name in ("car", "statue", "a doll", "thing"))


def noise() -> tuple[Photo, dict[str, np.ndarray]]:
    pixels = np.random.default_rng(0).integers(0, 255, (120, 90, 3)).astype(np.uint8)
    mask = np.zeros((120, 90), bool)
    mask[20:110, 30:60] = True
    return Photo(pixels=pixels), {"man": mask}


def test_without_the_extra_the_silhouette_serves_and_a_note_says_what_would_help(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lifting, "is_installed", lambda: False)
    photo, masks = noise()
    scene, notes = lifting.lift(photo, masks, options=LiftOptions(billboards=False))
    assert scene.entity("man").provenance["lifter"] == "embedded"
    assert any("pip install 'real2sam2real[people]'" in note for note in notes)


def test_noise_is_no_person(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("anny", reason="the extra 'people' is not installed")
    photo, masks = noise()
    scene, notes = lifting.lift(photo, masks, options=LiftOptions(billboards=False))
    assert scene.entity("man").provenance["lifter"] == "embedded"
    assert any("does not look like a person" in note for note in notes)


def test_an_astronaut(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("anny", reason="the extra 'people' is not installed")
    data = pytest.importorskip("skimage.data", reason="scikit-image is not installed")
    photo = data.astronaut()
    mask = np.zeros(photo.shape[:2], bool)
    mask[200:, 100:420] = True
    mask[20:200, 170:290] = True
    scene, _ = lifting.lift(Photo(pixels=photo), {"woman": mask}, options=LiftOptions(billboards=False))
    person = scene.entity("woman")
    assert person.provenance["lifter"] == "people"
    assert person.provenance["alignment"]["iou_after"] > 0.85
    assert person.mesh.is_closed()
    assert person.skin is not None
    assert person.skin.weights.shape == (len(person.mesh.vertices), len(person.skin.bones))
