"""What the warm process does while nobody asks it."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from real2sam2real.perceive.segment.bystanders import find_bystanders
from real2sam2real.perceive.segment.saliency import SaliencyNet
from real2sam2real.run import kept_lifting
from real2sam2real.run.kept_lifting import kept_shapes, kept_things
from real2sam2real.studio.cutting import LIFT, CuttingProcess


def test_what_the_lift_will_need_is_there_before_it_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = data.astronaut()
    Image.fromarray(pixels).save(tmp_path / "astronaut.png")
    kept, process = tmp_path / ".kept", CuttingProcess()
    question = {"photo": str(tmp_path / "astronaut.png"), "kept": str(kept), "segmenter": "embedded"}
    assert process.answer({**question, "ask": "warm"})["answer"]["size"] == [512, 512]
    assert process.foresees
    assert process.answer({**question, "ask": "rest"}) == {"answer": {}}
    assert not process.foresees
    process.answer({**question, "ask": "warm"})
    while process.foresees:
        process.foresee()
    for owner, name in ((SaliencyNet, "look"), (kept_lifting, "see_things")):
        monkeypatch.delattr(owner, name)  # nobody looks again
    shapes = kept_shapes(kept / LIFT)
    (found,) = find_bystanders(pixels, kept_things(pixels, shapes), np.zeros((512, 512), bool), shapes)
    assert found.word == "person"
