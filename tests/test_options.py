"""Text from the command line becomes checked values, or a message that names the value and the remedy."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from real2sam2real.diffusion.options import GenerateOptions
from real2sam2real.errors import UserError
from real2sam2real.lifting.options import LiftOptions
from real2sam2real.options import as_json, parse_size, split_named, value_for
from real2sam2real.perceive.camera.options import ViewOptions
from real2sam2real.perceive.segment.options import SegmentOptions, parse_box, parse_points
from real2sam2real.run.options import RunConfig, ShotOptions

pixels = st.integers(0, 9999)


@given(st.lists(st.tuples(st.booleans(), pixels, pixels), min_size=1))
def test_points_come_back_as_written(points: list[tuple[bool, int, int]]) -> None:
    points = [(True, 1, 2), *points]
    text = "".join(f"{'+' if inside else '-'}{x},{y}" for inside, x, y in points)
    inside, outside = parse_points("cup", text)
    assert inside == [(x, y) for on, x, y in points if on]
    assert outside == [(x, y) for on, x, y in points if not on]


@given(pixels, pixels, st.integers(1, 500), st.integers(1, 500))
def test_box_comes_back_as_written(x: int, y: int, width: int, height: int) -> None:
    assert parse_box("--box cup", f"{x},{y},{x + width},{y + height}") == (x, y, x + width, y + height)


@pytest.mark.parametrize("text", ["", "1,2", "1,2,3", "a,b,c,d", "9,9,3,20", "9,9,20,9", "1,2,nan,4", "1,2,inf,4"])
def test_bad_box_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="--box cup"):
        parse_box("--box cup", text)


@pytest.mark.parametrize("text", ["", "5", "5,6,7", "-5,6", "5,6+", "5,6;7,8", "x,y"])
def test_bad_points_are_refused(text: str) -> None:
    with pytest.raises(UserError, match="--points cup"):
        parse_points("cup", text)


@pytest.mark.parametrize(("text", "size"), [("1280x720", (1280, 720)), ("64 × 48", (64, 48))])
def test_size(text: str, size: tuple[int, int]) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "720", "0x0", "15x720", "99999x10", "axb", "-64x48"])
def test_bad_size_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="--size"):
        parse_size(text)


def test_named_values_split_at_the_first_equals_sign() -> None:
    named = split_named("--mask", ["car=a=b.png", " bus = c.png"])
    assert list(named.items()) == [("car", "a=b.png"), ("bus", "c.png")]


def test_a_name_is_given_once() -> None:
    with pytest.raises(UserError, match="--mesh names 'car' twice"):
        split_named("--mesh", ["car=a.glb", "car=b.glb"])


@pytest.mark.parametrize("value", ["car", "=a.png", "car=", " = "])
def test_values_without_a_name_are_refused(value: str) -> None:
    with pytest.raises(UserError, match="NAME=VALUE"):
        split_named("--mask", [value])


@pytest.mark.parametrize(
    "options", [{"strength": 1.5}, {"strength": float("nan")}, {"steps": 0}, {"seed": -1}, {"seed": 2**63}]
)
def test_generate_options_are_checked(options: dict[str, float]) -> None:
    with pytest.raises(UserError, match="--"):
        GenerateOptions(**options)


def test_config_is_json() -> None:
    config = RunConfig(
        photo=Path("a.png"), objects=SegmentOptions(mask=("a=b",)), shot=ShotOptions(), generate=GenerateOptions()
    )
    stored = json.loads(json.dumps(as_json(config)))
    assert stored["objects"]["mask"] == ["a=b"]
    assert stored["photo"] == "a.png"


def test_naming_no_object_says_how_to_name_one() -> None:
    with pytest.raises(UserError, match=r"--mask(.|\n)*--box NAME=X0,Y0,X1,Y1"):
        SegmentOptions().require_any()


def test_a_focal_length_is_given_once() -> None:
    with pytest.raises(UserError, match="--fov and --focal say the same"):
        ViewOptions(fov=50, focal=1600)
    with pytest.raises(UserError, match="--focal 0"):
        ViewOptions(focal=0)


def test_a_lifter_is_chosen_for_all_or_for_one() -> None:
    options = LiftOptions(lifter=("sam3d", "person=sam3d-body"))
    assert options.lifter_of("person") == "sam3d-body"
    assert options.lifter_of("bench") == "sam3d"
    assert LiftOptions().lifter_of("bench") is None


def test_lifters_may_live_in_different_environments() -> None:
    values = ("sam3d=/envs/a/bin/python", "/envs/b/bin/python")
    assert value_for("sam3d", values) == "/envs/a/bin/python"
    assert value_for("triposg", values) == "/envs/b/bin/python"
    assert value_for("triposg", values[:1]) is None


def test_what_decides_a_video_enters_hashes_by_the_names_that_batch_folders_know() -> None:
    """Renaming an option must not make the finished part of a long batch anew."""
    assert set(GenerateOptions(preview_image=Path("a.png"), offline=True, gpus=2).decisive()) == {
        "checkpoint", "base", "parts", "lora", "plan", "preset", "init", "strength", "steps", "guidance", "coding",
        "seed",
    }  # fmt: skip
    assert GenerateOptions(attention="sage").decisive()["attention"] == "sage"
    assert GenerateOptions(preview_image=Path("a.png"), offline=True, gpus=2).decisive() == GenerateOptions().decisive()
