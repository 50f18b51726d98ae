"""A camera of known pitch, roll and focal length: lines drawn along what it shows give it back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from real2sam2real.errors import UserError
from real2sam2real.geometry import Intrinsics
from real2sam2real.perceive.camera.gravity import up_of
from real2sam2real.studio.lens import Direction, DrawnLines, Ends, LinePair, horizon_of, solve_lens

WIDTH, HEIGHT = 1280, 853

cameras = st.tuples(st.floats(700, 4000), st.floats(-30, 50).filter(lambda pitch: abs(pitch) > 4), st.floats(-20, 20))


def shown(lens: Intrinsics, pitch: float, roll: float, direction: Direction) -> LinePair:
    """Two edges of the world as that camera shows them."""
    up = up_of(pitch, roll)
    level = np.array([0.0, 0.0, -1.0]) - up * -up[2]
    level /= np.linalg.norm(level)
    across = np.cross(level, up)
    turned = np.radians(35.0)
    runs = {
        "upright": up,
        "level": np.cos(turned) * level + np.sin(turned) * across,
        "across": np.cos(turned) * across - np.sin(turned) * level,
    }[direction]
    middle = -10 * np.array([0.0, 0.0, 1.0])
    lines: list[Ends] = []
    for side in (-1.5, 2.0):
        beside = side * (across if direction == "upright" else up + 0.3 * across)
        (one, other), _ = lens.project(np.array([middle + beside + runs, middle + beside - runs]))
        lines.append(((float(one[0]), float(one[1])), (float(other[0]), float(other[1]))))
    return LinePair(direction=direction, lines=(lines[0], lines[1]))


@given(cameras)
def test_the_horizon_alone_tells_pitch_and_roll_of_a_known_lens(camera: tuple[float, float, float]) -> None:
    focal, pitch, roll = camera
    lens = Intrinsics.from_focal(WIDTH, HEIGHT, focal)
    drawn = DrawnLines(width=WIDTH, height=HEIGHT, horizon=horizon_of(lens, pitch, roll), focal=focal)
    found = solve_lens(drawn)
    assert found.pitch == pytest.approx(pitch, abs=0.1)
    assert found.roll == pytest.approx(roll, abs=0.1)
    assert found.focal == focal


@pytest.mark.parametrize(
    ("with_horizon", "directions"),
    [
        (True, ("upright",)),
        (False, ("upright", "level")),
        (False, ("upright", "across")),
        (False, ("level", "across")),
        (True, ("level", "across")),
        (False, ("upright", "level", "across")),
    ],
)
@given(cameras)
def test_lines_give_the_camera_back(
    with_horizon: bool, directions: tuple[Direction, ...], camera: tuple[float, float, float]
) -> None:
    focal, pitch, roll = camera
    lens = Intrinsics.from_focal(WIDTH, HEIGHT, focal)
    drawn = DrawnLines(
        width=WIDTH,
        height=HEIGHT,
        horizon=horizon_of(lens, pitch, roll) if with_horizon else None,
        pairs=tuple(shown(lens, pitch, roll, each) for each in directions),
        focal=1000.0,
    )
    found = solve_lens(drawn)
    assert found.focal == pytest.approx(focal, rel=0.01)
    assert found.pitch == pytest.approx(pitch, abs=0.1)
    assert found.roll == pytest.approx(roll, abs=0.1)
    assert found.focal_from == "lines"


def test_a_level_camera_shows_upright_lines_parallel_which_tell_no_focal_length() -> None:
    lens = Intrinsics.from_focal(WIDTH, HEIGHT, 1100.0)
    pair, horizon = shown(lens, 0.0, 3.0, "upright"), horizon_of(lens, 0.0, 3.0)
    found = solve_lens(DrawnLines(width=WIDTH, height=HEIGHT, horizon=horizon, pairs=(pair,), focal=900.0))
    assert (found.focal, found.focal_from) == (900.0, "given")
    assert found.roll == pytest.approx(3.0, abs=0.1)
    assert "nearly parallel" in found.notes[0]


def test_one_pair_along_the_ground_tells_no_focal_length() -> None:
    lens = Intrinsics.from_focal(WIDTH, HEIGHT, 1100.0)
    pair = shown(lens, 10.0, 0.0, "level")
    horizon = horizon_of(lens, 10.0, 0.0)
    with pytest.raises(UserError, match="second pair"):
        solve_lens(DrawnLines(width=WIDTH, height=HEIGHT, horizon=horizon, pairs=(pair,)))
    kept = solve_lens(DrawnLines(width=WIDTH, height=HEIGHT, horizon=horizon, pairs=(pair,), focal=1100.0))
    assert kept.pitch == pytest.approx(10.0, abs=0.1)
    assert "second pair" in kept.notes[0]


def test_what_no_lens_shows_is_refused() -> None:
    lens = Intrinsics.from_focal(WIDTH, HEIGHT, 1100.0)
    upright = shown(lens, 10.0, 0.0, "upright")
    same = LinePair(direction="level", lines=upright.lines)
    with pytest.raises(UserError, match="no lens"):
        solve_lens(DrawnLines(width=WIDTH, height=HEIGHT, pairs=(upright, same)))
    dot: Ends = ((3.0, 3.0), (4.0, 3.0))
    with pytest.raises(UserError, match="shorter"):
        solve_lens(DrawnLines(width=WIDTH, height=HEIGHT, horizon=dot, focal=1000.0))
    line: Ends = ((3.0, 3.0), (400.0, 3.0))
    with pytest.raises(UserError, match="one line"):
        solve_lens(DrawnLines(width=WIDTH, height=HEIGHT, pairs=(LinePair(direction="level", lines=(line, line)),)))
