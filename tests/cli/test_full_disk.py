"""A full disk: one message that says which place has no room, nothing half-written, and the next try goes on."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trimesh

SMALL, LARGE = 4096, 1 << 28  # bytes of room
DIRECTED = ("--camera", "orbit 10deg around ball", "--frames", "5")
COMMANDS = {
    "masks": ("masks", "photo.png", "--mask", "ball=ball.png", "-o", "OUT"),
    "lift": ("lift", "photo.png", "--mask", "ball=ball.png", "-o", "OUT"),
    "add": ("add", "OUT", "box.glb", "--mask", "cup=ball.png", "--no-align"),
    "direct": ("direct", "scene", *DIRECTED, "-o", "OUT"),
    "preview": ("preview", "scene", *DIRECTED, "-o", "OUT.mp4"),
    "render": ("render", "scene", *DIRECTED, "--size", "64x48", "-o", "OUT"),
    "camera": ("camera", "scene", "-o", "OUT.npz"),
    "camera as COLMAP": ("camera", "scene", "-o", "OUT", "--format", "colmap"),
    "transfer": ("transfer", "control", "photo.png", "-o", "OUT"),
    "generate": ("generate", "control", "--checkpoint", "checkpoint", "-o", "OUT.mp4"),
    "batch": ("generate", "control", "control", "--checkpoint", "checkpoint", "-o", "OUT"),
    "run": ("run", "photo.png", "--mask", "ball=ball.png", *DIRECTED, "--preview-only", "-o", "OUT"),
    "synth": ("synth", "--clips", "1", "--size", "64x48", "--frames", "5", "-o", "OUT"),
    "train base": ("train", "base", "smoke", "-o", "OUT"),
}
GOES_ON = {"lift", "preview", "batch", "run"}  # the others begin anew


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Callable[[int], None]]]:
    """A file system in memory, and what changes how much room is left on it."""
    place = tmp_path_factory.mktemp("disk")

    def mount(options: str) -> int:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
        return subprocess.run(command, capture_output=True, check=False).returncode if shutil.which("mount") else 1

    if mount(f"size={LARGE}"):
        pytest.skip("a small file system can be mounted by the administrator alone")

    def leave(room: int) -> None:
        taken = shutil.disk_usage(place).used
        assert mount(f"remount,size={taken + room}") == 0

    yield place, leave
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.fixture(scope="module")
def inputs(disk, photo: Path, mask: Path, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with everything that the commands read."""
    folder = tmp_path_factory.mktemp("inputs")
    for source in (photo, mask):
        shutil.copy(source, folder)
    shutil.copytree(checkpoint, folder / "checkpoint")
    trimesh.creation.box().export(folder / "box.glb")
    return folder


def left_in(place: Path) -> dict[str, bytes]:
    return {path.relative_to(place).as_posix(): path.read_bytes() for path in place.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_full_disk_is_told_and_leaves_nothing_half(
    cli, monkeypatch: pytest.MonkeyPatch, disk, inputs: Path, name: str
) -> None:
    place, leave = disk
    monkeypatch.chdir(inputs)
    if not (inputs / "control").exists():
        assert cli(*COMMANDS["lift"][:-1], "scene").status == 0
        assert cli(*COMMANDS["render"][:-1], "control").status == 0
    leave(LARGE)
    for path in place.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    if name == "add":
        shutil.copytree("scene", place / "out")
    (place / "filler").write_bytes(bytes(SMALL))
    before = left_in(place)
    leave(0)
    command = [word.replace("OUT", f"{place}/out") for word in COMMANDS[name]]
    ended = cli(*command)
    assert ended.status == 2, ended.err
    last = ended.err.splitlines()[-1]
    assert last.startswith(f"error: {place}/out"), ended.err
    assert last.endswith(
        "cannot be written: its disk is full. What was there before is as it was; free some space and run again, or "
        "choose another place"
    )
    assert "Traceback" not in ended.err
    assert {path: data for path, data in left_in(place).items() if Path(path).name != ".lock"} == before
    if name in GOES_ON:
        leave(LARGE)
        assert cli(*command).status == 0
