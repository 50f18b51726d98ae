"""Marks from the command line and from files, and where they lie on a fitted clip."""

from __future__ import annotations

import json

import numpy as np
import pytest

from real2sam2real import media
from real2sam2real.errors import UserError
from real2sam2real.lab.curate.clip_format import ClipFormat, clip_frames
from real2sam2real.lab.curate.prompts import SourcePrompt, parse_prompt, read_prompts

FORMAT = ClipFormat(width=64, height=32, frames=5, fps=8)


def test_a_box_moves_with_the_cut_and_the_scale():
    """A source of 128×128 is halved and loses 16 rows above and below."""
    prompt = parse_prompt("dog=20,40,60,100@3", is_mask=False)
    assert prompt == SourcePrompt(label="dog", frame=3, box=(20, 40, 60, 100))
    assert prompt.on_clip(2, (128, 128), FORMAT).box == pytest.approx(
        (10, 4, 30, 32)
    )  # the lower edge is cut to the clip


def test_a_mask_moves_likewise(tmp_path):
    picture = np.zeros((128, 128), np.uint8)
    picture[48:80, 20:60] = 255
    media.write_png(tmp_path / "a.png", picture)
    mask = SourcePrompt(label="dog", mask=str(tmp_path / "a.png")).on_clip(0, (128, 128), FORMAT).mask
    assert mask is not None
    rows, columns = np.nonzero(mask)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (8, 23, 10, 29)


@pytest.mark.parametrize(
    ("text", "is_mask", "says"),
    [
        ("dog", False, "no mark"),
        ("dog=1,2,3", False, "no box"),
        ("dog=9,2,3,4", False, "left, top, right, bottom"),
        ("=1,2,3,4", False, "no label"),
        ("dog=", True, "no mark"),
    ],
)
def test_what_is_no_mark_is_refused(text, is_mask, says):
    with pytest.raises(UserError, match=says):
        parse_prompt(text, is_mask=is_mask)


def test_a_box_beside_the_picture_is_refused():
    with pytest.raises(UserError, match="outside"):
        SourcePrompt(label="dog", box=(0, 0, 128, 20)).on_clip(0, (128, 128), FORMAT)


def test_marks_beside_a_video(tmp_path):
    values = {
        "instances": [{"label": "a", "box": [1, 2, 3, 4]}, {"label": "b", "frame": 2, "mask": "b.png"}],
        "caption": "x",
    }
    (tmp_path / "v.instances.json").write_text(json.dumps(values))
    prompts, caption = read_prompts(tmp_path / "v.mp4")
    assert caption == "x"
    assert prompts[0].box == (1, 2, 3, 4)
    assert (prompts[1].frame, prompts[1].mask) == (2, str(tmp_path / "b.png"))
    assert read_prompts(tmp_path / "other.mp4") == ((), None)
    (tmp_path / "v.instances.json").write_text('{"instances": [{"label": "a", "bax": [1, 2, 3, 4]}]}')
    with pytest.raises(UserError, match="bax"):
        read_prompts(tmp_path / "v.mp4")


def test_a_clip_begins_at_its_anchor_or_ends_with_the_shot():
    clip_format = ClipFormat(width=64, height=32, frames=5, fps=10)
    assert [int(c[0]) for c in clip_frames(range(100, 123), 10, clip_format)] == [101, 106, 111, 116]
    assert [int(c[0]) for c in clip_frames(range(100, 123), 10, clip_format, anchor=109)] == [104, 109, 114]
    assert [int(c[0]) for c in clip_frames(range(100, 123), 10, clip_format, anchor=121)] == [103, 108, 113, 118]
