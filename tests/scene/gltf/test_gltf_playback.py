"""Which clip is sampled, from when, and what follows its end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from real2sam2real.errors import UserError
from real2sam2real.scene.gltf import Playback, load_glb


def heights(path: Path, playback: Playback | None, frames: int | None = None) -> np.ndarray:
    return load_glb(path, fps=4, frames=frames, playback=playback).entities[0].motion.translation[:, 1]


@pytest.fixture
def late(handmade: Any) -> Path:
    """A node that rises by one per second, from second 1 to second 3."""
    handmade.animate("translation", [1.0, 3.0], [[0, 0, 0], [0, 2, 0]])
    return handmade.write()


def test_by_default_the_file_s_clock_starts_at_zero(late: Path) -> None:
    np.testing.assert_allclose(heights(late, None)[[0, 4, 8, 12]], [0, 0, 1, 2], atol=1e-6)


def test_a_play_starts_at_the_first_key_and_holds_its_end(late: Path) -> None:
    np.testing.assert_allclose(heights(late, Playback()), np.arange(9) / 4, atol=1e-6)
    np.testing.assert_allclose(heights(late, Playback(start=1.5)), [1.5, 1.75, 2.0], atol=1e-6)
    np.testing.assert_allclose(heights(late, Playback(start=1.5), frames=5), [1.5, 1.75, 2, 2, 2], atol=1e-6)


def test_a_loop_begins_again(late: Path) -> None:
    expected = [1.5, 1.75, 2.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75]
    np.testing.assert_allclose(heights(late, Playback(start=1.5, loop=True), frames=10), expected, atol=1e-6)
    assert len(heights(late, Playback(start=1.5, loop=True))) == 9  # one period


def test_a_clip_by_name(handmade: Any) -> None:
    handmade.animate("translation", [0.0, 1.0], [[0, 0, 0], [0, 1, 0]])
    first = handmade.root["animations"][0]
    first["name"] = "walk"
    output = handmade.add(np.array([[0, 0, 0], [0, 7, 0]], np.float32))
    second = {"channels": first["channels"], "samplers": [dict(first["samplers"][0], output=output)]}
    handmade.root["animations"].append(second)
    path = handmade.write()
    read = load_glb(path)
    assert (read.clips, read.played, read.seconds) == (("walk", "clip 2"), ("walk",), (0.0, 1.0))
    assert heights(path, Playback(clip="walk"))[-1] == 1
    assert heights(path, Playback(clip="clip 2"))[-1] == 7
    assert load_glb(path, playback=Playback(clip="clip 2")).played == ("clip 2",)
    with pytest.raises(UserError, match=r"'run'.*walk, clip 2"):
        load_glb(path, playback=Playback(clip="run"))


def test_a_file_without_animation_has_no_clip(handmade: Any) -> None:
    with pytest.raises(UserError, match="no animation"):
        load_glb(handmade.write(), playback=Playback(clip="run"))


@pytest.mark.parametrize("start", [-1.0, float("nan"), float("inf")])
def test_an_impossible_start(start: float) -> None:
    with pytest.raises(ValueError, match="start"):
        Playback(start=start)


def test_more_meshes_than_are_wanted(handmade: Any) -> None:
    handmade.root["nodes"].append({"mesh": 0})
    handmade.root["scenes"][0]["nodes"] = [0, 1]
    path = handmade.write()
    assert len(load_glb(path, most_meshes=2).entities) == 2
    with pytest.raises(UserError, match=r"2 meshes.*at most 1"):
        load_glb(path, most_meshes=1)
