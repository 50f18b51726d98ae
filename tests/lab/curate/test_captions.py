"""Captions: from labels by a rule."""

import numpy as np
import pytest

from real2sam2real.errors import UserError
from real2sam2real.lab.curate.captions import load_captioner

VIDEO = np.zeros((5, 32, 48, 3), np.uint8)


@pytest.mark.parametrize(
    ("labels", "caption"),
    [
        ({}, "A video."),
        ({1: "child"}, "A video of a child."),
        ({1: "child", 2: "bed"}, "A video of a child and a bed."),
        ({1: "child", 2: "old dog", 3: "child"}, "A video of two children and an old dog."),
        ({3: "bed", 1: "box", 2: "fly", 4: "box", 5: "fly"}, "A video of two boxes, two flies and a bed."),
        ({1: "the red car"}, "A video of the red car."),
    ],
)
def test_the_template_lists_the_labels(labels: dict[int, str], caption: str) -> None:
    captioner = load_captioner("template")
    assert captioner.name == "template"
    assert captioner.caption(VIDEO, labels) == caption


@pytest.mark.parametrize("name", ["", "vlm:", "poem"])
def test_an_unknown_captioner_is_refused(name: str) -> None:
    with pytest.raises(UserError, match="template"):
        load_captioner(name)
