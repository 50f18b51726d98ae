"""`r2s2r masks`: what is said, and what is written."""

from pathlib import Path

import numpy as np
from PIL import Image


def test_a_plain_photo_gives_its_main_object_and_says_so(cli, photo: Path) -> None:
    ended = cli("masks", photo, "-o", "out")
    assert ended.status == 0, ended.err
    assert "nothing was named, so the object that stands out most was taken" in ended.err
    (file,) = Path("out/masks").iterdir()
    found, true = (np.asarray(Image.open(path)) > 127 for path in (file, photo.parent / "ball.png"))
    assert (found & true).sum() / (found | true).sum() > 0.9


def test_a_box_beyond_the_photo_is_cut_and_said(cli, photo: Path) -> None:
    ended = cli("masks", photo, "--box", "ball=40,28,300,76", "-o", "out")
    assert ended.status == 0, ended.err
    assert "the box 40,28,300,76 of 'ball' reaches beyond the photo of 128×96 pixels and is cut to 40,28,128,76" in (
        ended.err
    )
