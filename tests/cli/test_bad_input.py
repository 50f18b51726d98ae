"""Bad input ends with a message that names it, status 2, no traceback, and nothing half-written."""

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from real2sam2real.media import write_png
from real2sam2real.workfolder.lock import writing

EMPTY = np.zeros((96, 128), np.uint8)


def truncated(path: Path, photo: Path) -> None:
    path.write_bytes(photo.read_bytes()[: photo.stat().st_size // 2])


def bomb(path: Path, photo: Path) -> None:
    Image.new("1", (20_000, 20_000)).save(path)


PHOTOS: dict[str, tuple[Callable[[Path, Path], None], str]] = {
    "missing": (lambda path, photo: None, "there is no file"),
    "folder": (lambda path, photo: path.mkdir(), "is a folder|no image"),
    "pipe": (lambda path, photo: os.mkfifo(path), "is a pipe, not a file"),
    "device": (lambda path, photo: path.symlink_to("/dev/zero"), "is a device, not a file"),
    "empty": (lambda path, photo: path.write_bytes(b""), "cannot be read|not an image"),
    "text": (lambda path, photo: path.write_text("hello"), "not an image"),
    "truncated": (truncated, "damaged or cut off"),
    "bomb": (bomb, "megapixels|too many pixels"),
    "tiny": (lambda path, photo: Image.new("RGB", (8, 8)).save(path), "at least 32"),
}

MASKS: dict[str, tuple[Callable[[Path], None], str]] = {
    "missing": (lambda path: None, "there is no file"),
    "empty": (lambda path: write_png(path, EMPTY), "is empty"),
    "full": (lambda path: write_png(path, EMPTY + 255), "covers the whole photo"),
    "one pixel": (
        lambda path: write_png(path, np.eye(1, EMPTY.size, 9).reshape(96, 128).astype(np.uint8) * 255),
        "only 1",
    ),
    "another shape": (lambda path: write_png(path, np.eye(100, dtype=np.uint8) * 255), "100×100 pixels but the photo"),
    "no picture": (lambda path: path.write_text("hello"), "not an image"),
}

FLAGS: dict[str, tuple[list[str], str]] = {
    "frames": (["--frames", "48"], "4k"),
    "no frames": (["--frames", "0"], "frames"),
    "fps": (["--fps", "0"], "fps"),
    "fov": (["--fov", "180"], "field of view"),
    "strength": (["--strength", "2"], "--strength"),
    "size": (["--size", "big"], "--size"),
    "stretched": (["--size", "64x64"], "would stretch"),
    "checkpoint": (["--checkpoint", "nowhere"], "is not a checkpoint"),
    "camera": (["--camera", "orbt 10deg around ball"], "orbit"),
    "unit": (["--camera", "orbit 10 dag around ball"], "deg"),
    "target": (["--camera", "orbit 10deg around bal"], "ball"),
    "entity": (["--move", "bal: right 1"], "ball"),
    "removal": (["--remove", "cup"], "ball"),
    "box": (["--box", "cup=1,2"], "--box cup"),
    "box outside": (["--box", "cup=500,500,600,600"], "outside the photo"),
    "points outside": (["--points", "cup=900,10"], "outside the photo"),
    "same name": (["--box", "ball=30,20,100,90"], "two objects are called 'ball'"),
    "shot": (["--shot", "nowhere.yaml"], "nowhere.yaml"),
}


def complaint(ended, *, about: str) -> None:
    """It is one message on stderr, for a person."""
    assert ended.status == 2, ended.err
    assert ended.out == ""
    assert "Traceback" not in ended.err
    message = ended.err[ended.err.index("error: ") :]
    assert re.search(about, message), message


def nothing_half_written(folder: Path, *, allowed: set[str] = frozenset()) -> None:
    """No temporary file, and no output but finished stages."""
    left = {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
    assert not {name for name in left if re.search(r"(^|/)\.(?!lock$|lifting(/|$))", name)}  # .lifting is kept work
    assert {name.partition("/")[0] for name in left} <= {*allowed, ".lifting"}


@pytest.mark.parametrize("kind", PHOTOS)
@pytest.mark.parametrize("command", ["run", "lift"])
def test_bad_photo(cli, photo: Path, tmp_path: Path, kind: str, command: str) -> None:
    make, about = PHOTOS[kind]
    bad = tmp_path / "bad.png"
    make(bad, photo)
    more = ["--preview-only"] if command == "run" else []
    about = f"{about}|does not exist" if command == "lift" else about
    complaint(cli(command, bad, "--box", "ball=40,30,90,80", "-o", "out", *more), about=about)
    nothing_half_written(Path())


def test_a_pipe_is_refused_wherever_a_file_is_read(cli, photo: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for arguments in (
        ["masks", photo, "--mask", f"ball={pipe}"],
        ["add", "scene", pipe],
        ["direct", "scene", pipe],
        ["render", "scene", "--camera-path", pipe],
        ["lift", photo, f"--mesh=ball={pipe}"],
        ["transfer", pipe, photo],
        ["generate", pipe],
        ["curate", pipe, "-o", "out"],
        ["run", photo, "--depth", pipe],
    ):
        complaint(cli(*arguments), about="is a pipe, not a file")


def test_two_commands_do_not_write_one_place(cli, photo: Path, mask: Path) -> None:
    with writing(Path("out")):
        for arguments in (
            ["lift", photo, "--mask", mask],
            ["render", "scene"],
            ["preview", "scene"],
            ["direct", "scene"],
        ):
            complaint(cli(*arguments, "-o", "out"), about=f"being written by another command .process {os.getpid()}")
    with writing(Path("scene")):
        complaint(cli("add", "scene", photo), about="being written by another command")
    nothing_half_written(Path())


@pytest.mark.parametrize("kind", MASKS)
def test_bad_mask(cli, photo: Path, tmp_path: Path, kind: str) -> None:
    make, about = MASKS[kind]
    make(tmp_path / "bad.png")
    complaint(cli("run", photo, "--mask", tmp_path / "bad.png", "-o", "out", "--preview-only"), about=about)
    nothing_half_written(Path())


def test_no_object_stands_out(cli, tmp_path: Path) -> None:
    write_png(tmp_path / "flat.png", np.full((96, 128, 3), 90, np.uint8))
    complaint(cli("run", tmp_path / "flat.png", "-o", "out"), about="nothing stands out.*draw a box")
    nothing_half_written(Path("out"), allowed={"run.json", ".lock"})


def test_a_photo_is_no_mask(cli, photo: Path) -> None:
    complaint(cli("masks", photo, "--mask", photo, "-o", "out"), about="looks like a photo, not a mask")


@pytest.mark.parametrize("kind", FLAGS)
def test_bad_flag(cli, photo: Path, mask: Path, checkpoint: Path, kind: str) -> None:
    flags, about = FLAGS[kind]
    usual = ["--frames", "5"] if "frames" not in kind else []
    ended = cli("run", photo, "--mask", f"ball={mask}", "--checkpoint", checkpoint, *usual, "-o", "out", *flags)
    complaint(ended, about=about)
    nothing_half_written(
        Path("out"), allowed={".lock", "run.json", "lifted", "pictures", "scene", "preview.mp4", "normals.mp4"}
    )


@pytest.mark.parametrize("command", ["direct", "preview", "render", "camera"])
@pytest.mark.parametrize("kind", ["missing", "file", "other folder", "broken scene"])
def test_bad_scene(cli, scene_once: Path, command: str, kind: str) -> None:
    scene = Path("scene")
    if kind == "file":
        scene.write_text("hello")
    elif kind == "other folder":
        scene.mkdir()
        (scene / "a.txt").write_text("hello")
    elif kind == "broken scene":
        shutil.copytree(scene_once, scene)
        os.truncate(scene / "scene.glb", 1000)
    more = ["--size", "64x48"] if command == "render" else []
    suffix = {"preview": ".mp4", "camera": ".json"}.get(command, "")
    complaint(cli(command, scene, "-o", f"out{suffix}", *more), about="scene")
    nothing_half_written(Path(), allowed={"scene"})


@pytest.mark.parametrize("command", [["generate"], ["transfer"]])
@pytest.mark.parametrize("kind", ["missing", "file", "broken"])
def test_bad_control(cli, photo: Path, scene_once: Path, checkpoint: Path, command: list[str], kind: str) -> None:
    control = Path("control")
    if kind == "file":
        control.write_text("hello")
    elif kind == "broken":
        shutil.copytree(scene_once, "scene")
        cli("render", "scene", "--frames", "5", "--size", "64x48", "-o", "control")
        os.truncate(control / "normals.mkv", 400)
    rest = ["--checkpoint", checkpoint] if command == ["generate"] else [photo]
    if command == ["transfer"]:
        ended = cli("transfer", control, photo, "-o", "out")
    else:
        ended = cli("generate", control, *rest, "-o", "out.mp4")
    complaint(ended, about="control")
    nothing_half_written(Path(), allowed={"scene", "control"})


@pytest.mark.parametrize("taken", ["file", "folder"])
def test_a_place_that_is_taken_is_left_alone(cli, photo: Path, mask: Path, taken: str) -> None:
    if taken == "file":
        Path("out").write_text("precious")
    else:
        Path("out").mkdir()
        Path("out/thesis.tex").write_text("precious")
    for command in (["run", photo, "--mask", mask, "--preview-only"], ["lift", photo, "--mask", mask]):
        complaint(cli(*command, "-o", "out"), about="out")
    kept = Path("out") if taken == "file" else Path("out/thesis.tex")
    assert kept.read_text() == "precious"
    nothing_half_written(Path(), allowed={"out"})
