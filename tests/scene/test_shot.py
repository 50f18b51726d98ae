"""Shot files and flags: what they say, that they say the same, and what they answer to mistakes."""

import re
import shlex
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from real2sam2real.errors import UserError
from real2sam2real.scene import CameraPath, Motion
from real2sam2real.scene.camera_moves import CAMERA_MOVES, Orbit, Pan
from real2sam2real.scene.entity_moves import ENTITY_MOVES, Turn
from real2sam2real.scene.move_syntax import setting_words
from real2sam2real.scene.shot import Shot, load_shot, parse_shot
from real2sam2real.scene.units import Length, Span, Time

DOCS = Path(__file__).parents[2] / "docs"
PAGES = [DOCS / "shots.md", DOCS / "camera-paths.md"]


def blocks(language: str) -> list[str]:
    """The fenced blocks of the pages in one language."""
    found = [pair for page in PAGES for pair in re.findall(r"(?ms)^```(\w*)\n(.*?)^```$", page.read_text())]
    return [text for name, text in found if name == language]


def flags_of(block: str) -> Shot:
    words = shlex.split(block)
    values: dict[str, list[str]] = {name: words[k + 1 : k + 2] for k, name in enumerate(words) if name.startswith("--")}
    lists = {name: [words[k + 1] for k, word in enumerate(words) if word == f"--{name}"] for name in ("camera", "move")}
    one = {name: values[f"--{name}"][0] for name in ("frames", "fps", "prompt") if f"--{name}" in values}
    numbers = {name: float(one.pop(name)) for name in ("fps",) if name in one}
    numbers |= {name: int(one.pop(name)) for name in ("frames",) if name in one}
    return Shot.from_flags(**lists, remove=values.get("--remove", ()), **numbers, **one)


def same(a, b) -> None:
    np.testing.assert_allclose(a.camera.world_from_camera, b.camera.world_from_camera, atol=1e-12)
    np.testing.assert_allclose(a.camera.zoom, b.camera.zoom)
    assert a.names == b.names
    for name in a.names:
        np.testing.assert_allclose(a.entity(name).motion.matrices(), b.entity(name).motion.matrices(), atol=1e-12)
        np.testing.assert_array_equal(a.entity(name).motion.visible, b.entity(name).motion.visible)


@pytest.fixture(autouse=True)
def _a_path_to_follow(tmp_path, monkeypatch):
    (tmp_path / "tracked.tum").write_text("0 0 0 0 0 0 0 1\n1 0 0 1 0 0 0 1\n")
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("text", blocks("yaml"))
def test_the_documented_shots_work_and_survive_writing(stage, text):
    shot = parse_shot(text)
    filmed = shot.apply(stage(49))
    assert filmed.frames == 49
    assert parse_shot(shot.to_yaml()) == shot


@pytest.mark.parametrize("text", [block for block in blocks("") if block.startswith("--")])
def test_the_documented_flags_work_and_survive_writing(stage, text):
    shot = flags_of(text)
    assert shot.apply(stage(49)).frames == 49
    assert parse_shot(shot.to_yaml()) == shot


def test_the_first_documented_flags_say_what_the_first_documented_file_says(stage):
    same(flags_of(blocks("")[0]).apply(stage()), parse_shot(blocks("yaml")[0]).apply(stage()))


def test_the_page_names_every_move_and_setting():
    page = re.sub(r"(?ms)^```.*?^```$", "", (DOCS / "shots.md").read_text())
    quoted = set(re.findall(r"`([^`]+)`", page))
    for word in {**CAMERA_MOVES.words, **ENTITY_MOVES.words}:
        assert word in quoted or word in ("forwards", "backward", "backwards", "toward"), word
    for cls in (*CAMERA_MOVES.names.values(), *ENTITY_MOVES.names.values()):
        for word in setting_words(cls):
            assert word in quoted, f"'{word}' of '{cls.kind}' is not in docs/shots.md"


def test_a_file_in_full(tmp_path):
    file = tmp_path / "shot.yaml"
    file.write_text(
        "frames: 9\nfps: 8 fps\nprompt: 'yes: no'\nseed: 3\ncamera:\n  - orbit: left 30\n    around: car\n"
        "    seconds: 0.5-1\n  - pan 10 deg 'ease-in'\nentities:\n  car:\n  - turn: 90\n  man: remove\n".replace(
            "'ease-in'", "ease-in"
        )
    )
    shot = load_shot(file)
    assert shot.frames == 9
    assert shot.fps == 8
    assert shot.prompt == "yes: no"
    assert shot.seed == 3
    assert shot.camera == (
        Orbit(angle=-30.0, target="car", span=Span(Time(0.5, "s"), Time(1.0, "s"))),
        Pan(angle=10.0, easing="ease-in"),
    )
    assert shot.entities["car"] == (Turn(angle=90.0),)
    assert shot.camera[0].where == f"{file}:6"


def test_an_empty_file_changes_nothing(tmp_path, scene):
    for text in ("", "# nothing\n", "camera:\nentities:\n"):
        (tmp_path / "shot.yaml").write_text(text)
        same(load_shot(tmp_path / "shot.yaml").apply(scene), scene)


def test_paths_are_relative_to_the_file(tmp_path, stage, monkeypatch):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "move.tum").write_text("0 0 0 0 0 0 0 1\n2 0 0 3 0 0 0 1\n")
    (tmp_path / "deep" / "shot.yaml").write_text("camera:\n  - path: move.tum\n    scale: 0.5\n  - pedestal: 1\n")
    path = load_shot("deep/shot.yaml").apply(stage()).camera
    np.testing.assert_array_equal(path.world_from_camera[0], np.eye(4))
    np.testing.assert_allclose(path.world_from_camera[-1][:3, 3], [0, 1, -1.5], atol=1e-12)
    with pytest.raises(UserError, match=r"missing.tum: there is no such file"):
        Shot.from_flags(camera=["path missing.tum"]).apply(stage())


def test_an_imported_path_runs_in_its_span_with_its_own_timing(stage):
    ahead = -Shot.from_flags(camera=["path tracked.tum frames 8-24"]).apply(stage()).camera.world_from_camera[:, 2, 3]
    np.testing.assert_allclose(ahead, np.clip((np.arange(41) - 8) / 16, 0, 1), atol=1e-9)
    eased = -Shot.from_flags(camera=["path tracked.tum ease"]).apply(stage()).camera.world_from_camera[:, 2, 3]
    assert eased[1] < 0.01


def test_flags_add_to_a_file(stage):
    file = parse_shot("frames: 41\nprompt: a\nseed: 5\ncamera:\n - pan: 10\nentities:\n car: up 1\n")
    both = file.merged(Shot.from_flags(camera=["tilt 5"], move=["car: right 1", "man: up 2"], prompt="b"))
    assert [move.kind for move in both.camera] == ["pan", "tilt"]
    assert [len(moves) for moves in both.entities.values()] == [2, 1]
    assert (both.frames, both.prompt, both.seed) == (41, "b", 5)
    np.testing.assert_allclose(both.apply(stage()).entity("car").motion.translation[-1], [1.5, 0, -5], atol=1e-12)
    assert file.merged(Shot()) == file


def test_what_the_shot_does_not_mention_keeps_its_motion(stage):
    scene = stage(5)
    ramp = np.linspace(0, 1, 5)[:, None]
    car = scene.entity("car")
    shape = np.linspace(1, 2, 5)[:, None, None] * car.mesh.vertices[None]
    motion = Motion(
        translation=car.motion.translation + ramp * [4.0, 0, 0], rotation_wxyz=car.motion.rotation_wxyz,
        scale=car.motion.scale, visible=np.arange(5) < 3, vertices_object=shape.astype(np.float32),
    )  # fmt: skip
    camera = CameraPath(
        world_from_camera=scene.camera.world_from_camera, intrinsics=scene.camera.intrinsics, zoom=2.0 ** np.arange(5)
    )
    after = Shot(frames=9).apply(replace(scene.with_motion("car", motion), camera=camera))
    moved = after.entity("car").motion
    np.testing.assert_allclose(moved.translation[:, 0] - 0.5, np.linspace(0, 4, 9))
    np.testing.assert_allclose(moved.vertices_object[1], 1.125 * car.mesh.vertices, atol=1e-6)
    np.testing.assert_array_equal(moved.visible, [True] * 5 + [False] * 4)
    np.testing.assert_allclose(after.camera.zoom, 2.0 ** (np.arange(9) / 2))
    assert after.frames == 9
    hidden = Shot.from_flags(move=["car: hide frames 1-1"]).apply(scene.with_motion("car", motion))
    np.testing.assert_array_equal(hidden.entity("car").motion.translation, motion.translation)
    assert Shot(frames=1).apply(scene).frames == 1


def test_flags_and_files_are_one_language(stage):
    pairs = [
        ("orbit 30deg around car; dolly in 0.5", "[{orbit: 30 deg, around: car}, {dolly: in 0.5}]"),
        ("zoom out 2x over 1 s, pan left 5", "[{zoom: out 2x, over: 1 s}, {pan: left 5}]"),
        ('track "car" span 10%-50% linear', "[{track: car, span: 10%-50%, easing: linear}]"),
        ("look-at (0, 1 units, -3)", "[{look-at: [0, 1 units, -3]}]"),
        (
            "keyframes (frame 4 by (1, 0, 0); at 1 s pan 3)",
            "[{keyframes: [{frame: 4, by: [1, 0, 0]}, {at: 1 s, pan: 3}]}]",
        ),
        ("static", "[static]"),
        ("handheld", "[{handheld: }]"),
        ("truck 1; tilt 2", "['truck 1; tilt 2']"),
        ("pan 3", "pan 3"),
        ("pan 3", "{pan: 3}"),
    ]
    for flag, yaml in pairs:
        assert Shot.from_flags(camera=[flag]).camera == parse_shot(f"camera: {yaml}").camera
    pairs = [
        ("forward 2, up 1", "[{forward: 2}, {up: 1}]"),
        ("move forward 2 up 1", "[{forward: 2, up: 1}]"),
        ("move (1, 0, 2) in camera", "[{move: [1, 0, 2], in: camera}]"),
        ("follow ((1, 0, 0), (2, 0, 0)) face no", "[{follow: [[1, 0, 0], [2, 0, 0]], face: no}]"),
        ("scale (1, 2, 1)", "[{scale: [1, 2, 1]}]"),
        ("hide frames 1-2", "[{hide: frames 1-2}]"),
        ("hide frames 1-2", "[{hide: , frames: 1-2}]"),
        ("hide", "[hide]"),
        ("remove", "remove"),
        ("duplicate b by (right 2, up 1)", "[{duplicate: b, by: 'right 2, up 1'}]"),
    ]
    for flag, yaml in pairs:
        flags = Shot.from_flags(move=[f"car: {flag}"])
        assert flags.entities == parse_shot(f"entities: {{car: {yaml}}}").entities, flag
        assert parse_shot(flags.to_yaml()) == flags


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("10-40", Span(Time(10), Time(40))),
        ("frames 10 - 40", Span(Time(10), Time(40))),
        ("10-", Span(Time(10), None)),
        ("-40", Span(None, Time(40))),
        ("40", Span(None, Time(40))),
        ("2 s", Span(None, Time(2, "s"))),
        ("0.5-2s", Span(Time(0.5, "s"), Time(2, "s"))),
        ("500 ms to 2 s", Span(Time(0.5, "s"), Time(2, "s"))),
        ("seconds 1..2", Span(Time(1, "s"), Time(2, "s"))),
        ("10%–50%", Span(Time(10, "%"), Time(50, "%"))),
        ("frame 3 - 50%", Span(Time(3), Time(50, "%"))),
    ],
)
def test_spans(text, span):
    assert Span.parse(text) == span
    assert Span.parse(str(span)) == span


@given(value=st.floats(-1e8, 1e8, allow_nan=False), unit=st.sampled_from(["units", "m", "%"]))
def test_lengths_survive_writing(value, unit):
    assert Length.parse(str(Length(value, unit))) == Length(value, unit)


MISTAKES = [
    ("frames: 80", 1, "the nearest are 77 and 81"),
    ("frames: 0", 1, "1 to 4097 frames"),
    ("frames: 1e6", 1, "1 to 4097 frames"),
    ("frames: 9.5", 1, "whole number"),
    ("frames: many", 1, "'many' is not a plain number"),
    ("frames:", 1, "'frames' has no value"),
    ("fps: 0", 1, "above 0"),
    ("fps: -3", 1, "above 0"),
    ("fps: .nan", 1, "not a frame rate"),
    ("frames: 9\nfsp: 8", 2, "'fsp' is not a key of a shot file; did you mean 'fps'"),
    ("frames: 9\nframes: 9", 2, r"stands here a second time \(first in line 1\)"),
    ("- pan: 3", 1, "expected a shot file: lines of the form 'key: value'"),
    ("pan 3", 1, "expected a shot file"),
    ("camera:\n  - orbti: 3", 2, "unknown camera move 'orbti'; did you mean 'orbit'"),
    ("camera:\n  - static\n  - orbti 3", 3, "unknown camera move 'orbti'; did you mean 'orbit'"),
    ("camera:\n  - orbit: 3\n    aruond: car", 3, "'orbit' has no setting 'aruond'; did you mean 'around'"),
    ("camera:\n  - orbit: 3 dge", 2, "'dge' is not a unit of an angle in '3 dge'; did you mean 'deg'"),
    ("camera:\n  - pan: rihgt 3", 2, "did you mean 'right'"),
    ("camera:\n  - dolly: 3 metrs", 2, "did you mean 'metres'"),
    ("camera:\n  - pan: 3\n    easing: eas", 3, "unknown easing 'eas'; did you mean 'ease'"),
    ("camera:\n  - pan: 3\n    frames: 1-2-3", 3, "not a span of time"),
    ("camera:\n  - pan: 3\n    frames: 5-2", 3, "ends before it starts"),
    ("camera:\n  - pan: 3\n    frames: 1-2\n    seconds: 1-2", 4, "by two names"),
    ("camera:\n  - pan: 3\n    tilt: 4", 2, "one list item holds one move, but here are 'pan' and 'tilt'"),
    ("camera:\n  - pan:", 2, "'pan' needs an angle"),
    ("camera:\n  - pan: 3\n    easing:", 3, "'easing' has no value"),
    ("camera:\n  - pan: {angle: 3}", 2, "expected a value, found settings"),
    ("camera:\n  - static: 5", 2, "'static' takes no value"),
    ("camera:\n  - {}", 2, "unknown camera move"),
    ("camera:\n  - [pan, 3]", 2, "expected a move"),
    ("camera:\n  - pan: 3\n  - ''", 3, "there is no move"),
    ("camera:\n  - zoom: 0x", 2, "not positive"),
    ("camera:\n  - zoom: 200 deg", 2, "outside 0…180"),
    ("camera:\n  - zoom: -3 mm", 2, "not positive"),
    ("camera:\n  - pan: 1e999", 2, "too large"),
    ("camera:\n  - handheld: 1\n    seed: -1", 3, "whole number"),
    (
        "camera:\n  - keyframes:\n      - frame: 3\n        pn: 4",
        4,
        "'keyframe' has no setting 'pn'; did you mean 'pan'",
    ),
    ("camera:\n  - keyframes:\n      - pan: 4", 3, "needs a time called 'time'"),
    ("camera:\n  - keyframes: []", 2, "list of keyframes is empty"),
    ("camera:\n  - path: a.tum\n    format: colmpa", 3, "did you mean 'colmap'"),
    ("entities: car", 1, "expected moves by entity name"),
    ("entities:\n  cra:\n    - turn: 3", 3, r"no entity called 'cra'; did you mean 'car'\? \(entities: car, man\)"),
    ("entities:\n  car:\n    - trun: 3", 3, "unknown entity move 'trun'; did you mean 'turn'"),
    ("entities:\n  car:\n    - turn: 3\n      about: middle", 4, "'turn' has no setting 'about'"),
    ("entities:\n  car:\n    - move: 1 unit", 3, "has 1 parts"),
    ("entities:\n  car:\n    - forward: 1\n    - duplicate: b", 4, "needs a displacement called 'by'"),
    ("entities:\n  car:\n    - follow: [[0, 0]]", 3, "has 2 parts"),
    ("entities:\n  car:\n    - follow: [[1, 0, 0]]\n      face: maybe", 4, "neither yes nor no"),
    ("camera: &a [pan 3]\nentities: {car: *a}", 2, "'[*]a' is an alias"),
    ("camera:\n  - pan: 3\n tilt: 3", 3, "not valid YAML"),
    ("camera: ]", 1, "not valid YAML"),
    ("a: b\n---\nc: d", 2, "not valid YAML"),
    ("camera: !!python/object/apply:os.system [echo]", 1, "unknown camera move 'echo'"),
    ("prompt: [a, {b: c}]", 1, "found settings"),
]


@pytest.mark.parametrize(("text", "line", "message"), MISTAKES, ids=[text for text, _, _ in MISTAKES])
def test_mistakes_name_the_line_and_the_nearest_word(scene, tmp_path, text, line, message):
    file = tmp_path / "shot.yaml"
    file.write_text(text)
    with pytest.raises(UserError, match=message) as error:
        load_shot(file).apply(scene)
    assert re.match(rf"{re.escape(str(file))}:{line}: ", str(error.value)), error.value


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("", "there is no move in it"),
        (" ; ", "there is no move in it"),
        ("orbti 3", "unknown camera move 'orbti'; did you mean 'orbit'"),
        ("orbit 30 aruond car", "does not know the word 'aruond' in '30 aruond car'; did you mean 'around'"),
        ("orbit 30 eas-in", "did you mean 'ease-in'"),
        ("orbit 30 around", "'around' has no value"),
        ("orbit 30 around car around man", "'around' stands twice"),
        ("orbit 30 around car of man", "by two names"),
        ("orbit 30 around (1, 2", "not closed"),
        ("keyframes (frame 3 pna 5)", "'3 pna 5'|'frame 3 pna 5'"),
    ],
)
def test_mistakes_in_flags_quote_the_flag(flag, message):
    with pytest.raises(UserError, match=message) as error:
        Shot.from_flags(camera=[flag])
    assert str(error.value).startswith(f"--camera '{flag}': ")


def test_an_unknown_name_to_remove_quotes_its_flag(scene):
    with pytest.raises(UserError, match="--remove 'cat': no entity called 'cat'; did you mean 'car'"):
        Shot.from_flags(remove=["cat"]).apply(scene)


@pytest.mark.parametrize("frames", [0, -3, 2, 80, 5000])
def test_frames_that_are_not_4k_plus_1(frames):
    with pytest.raises(UserError, match="frames is"):
        Shot(frames=frames)


def test_files_that_are_no_shot_files(tmp_path):
    with pytest.raises(UserError, match=r"missing.yaml: cannot read the shot file"):
        load_shot(tmp_path / "missing.yaml")
    with pytest.raises(UserError, match="cannot read"):
        load_shot(tmp_path)
    file = tmp_path / "shot.yaml"
    for content, message in (
        (b"\xff\xfe\x00", "not text in UTF-8"),
        (b"#" * 1_000_001, "too large for a shot file"),
        (b"prompt: \x00", "not valid YAML"),
        (b"camera: " + b"[" * 900_000, "nest"),
        (b"camera:\n" + b"- pan 1 deg\n" * 1000, "more camera moves than the 300 of a shot"),
        (b"camera:\n- pan 1 deg" + b"; pan 1 deg" * 300 + b"\n", "more camera moves than the 300 of a shot"),
        (b"a:\n" + b"".join(b" " * k + b"- \n" for k in range(30)), "nested too deeply"),
    ):
        file.write_bytes(content)
        with pytest.raises(UserError, match=message):
            load_shot(file)


WORDS = [
    *CAMERA_MOVES.words, *ENTITY_MOVES.words, "car", "man", "30", "-5", "1.5x", "50%", "2 m", "0", "1e9", "frames",
    "10-40", "40-10", "seconds", "0.5-1", "around", "by", "at",
    "(1, 0, 2)", "(", ")", ";", ",", ":", "'", "ease-in", "hold", "to", "in",
    "left", "up", "deg", "rad", "height", "radius", "elevation", "about", "middle", "axes", "camera", "(frame 3 pan 2)",
    "by (1, 0, 0)", "face", "no", "seed", "é", "\t", "0.0001x", "1000x",
]  # fmt: skip


def is_answered(attempt: Callable[[], object]) -> None:
    """It works, or the user gets a message; any other exception is a bug."""
    with suppress(UserError):
        attempt()


@given(words=st.lists(st.sampled_from(WORDS), max_size=8))
@example(words=["keyframes", "(", "frame", ";", ")"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_words_are_a_shot_or_a_message(stage, words):
    def attempt(**flags: list[str]) -> None:
        shot = Shot.from_flags(**flags)
        assert parse_shot(shot.to_yaml()) == shot
        shot.apply(stage(5))

    text = " ".join(words)
    is_answered(lambda: attempt(camera=[text]))
    is_answered(lambda: attempt(move=[f"car: {text}"]))


@given(text=st.text(alphabet="camera: [pan]{}-3\n'\"&*!|>#,frames%deg", max_size=60))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_is_a_shot_file_or_a_message(text):
    is_answered(lambda: parse_shot(text))
