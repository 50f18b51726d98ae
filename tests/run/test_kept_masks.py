"""A box that was cut out once is kept, as long as nothing that decides its mask changes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from real2sam2real.perceive.segment.options import SegmentOptions
from real2sam2real.run.kept_masks import KeptMasks
from real2sam2real.run.photo import find_masks, read_photo

pytestmark = pytest.mark.fast

OPTIONS = SegmentOptions(segmenter="grabcut", box=("red=20,20,70,70", "blue=90,25,130,80"))


@pytest.fixture(name="asked")
def asked_fixture(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What was really cut out."""
    asked: list[object] = []
    real = KeptMasks._kept

    def watched(self, request, cut_out):
        return real(self, request, lambda: (asked.append(request), cut_out())[1])

    monkeypatch.setattr(KeptMasks, "_kept", watched)
    return asked


def test_only_a_box_that_changed_is_cut_out_again(tmp_path: Path, asked: list[object]) -> None:
    import cv2

    pixels = np.full((100, 150, 3), 230, np.uint8)
    pixels[30:60, 30:60], pixels[35:70, 100:120] = (20, 20, 220), (220, 40, 30)
    photo = tmp_path / "photo.png"
    cv2.imwrite(str(photo), pixels)
    working, kept = read_photo(photo), tmp_path / "kept"
    first, _ = find_masks(photo, working, OPTIONS, kept=kept)
    again, _ = find_masks(photo, read_photo(photo), OPTIONS, kept=kept)
    assert len(asked) == 2
    for name, mask in first.items():
        np.testing.assert_array_equal(again[name], mask)
    changed = replace(OPTIONS, box=(OPTIONS.box[0], "blue=91,25,130,80"))
    find_masks(photo, working, changed, kept=kept)
    assert asked[2:] == [[91, 25, 130, 80]]
    assert len(list(kept.iterdir())) == 2  # what is no longer asked for goes
    pixels[0, 0] = 0
    cv2.imwrite(str(photo), pixels)
    find_masks(photo, read_photo(photo), changed, kept=kept)
    assert len(asked) == 5
