"""Where the system and not a file is why something is not read, the message says so."""

import os
import resource
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from real2sam2real.diffusion.weights.files import open_tensors
from real2sam2real.errors import UserError
from real2sam2real.geometry import Intrinsics
from real2sam2real.media import read_image, read_video, write_lossless_video, write_png
from real2sam2real.media.numpy_files import read_arrays
from real2sam2real.mesh.readers import read_mesh
from real2sam2real.scene.paths import load_camera_path

LENS = Intrinsics.from_fov(32, 32, horizontal_degrees=60)
FRAMES = np.zeros((3, 32, 32, 3), np.uint8)
KINDS: dict[str, tuple[Callable[[Path], object], Callable[[Path], object]]] = {
    "a.png": (lambda path: write_png(path, FRAMES[0]), read_image),
    "a.mkv": (lambda path: write_lossless_video(path, FRAMES, 8), read_video),
    "a.npy": (lambda path: np.save(path, FRAMES), lambda path: read_arrays(path, "array", most_bytes=9999)),
    "a.safetensors": (lambda path: save_file({"a": torch.ones(2)}, path), open_tensors),
    "a.obj": (lambda path: path.write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"), read_mesh),
    "a.txt": (
        lambda path: path.write_text("0 0 0 0 0 0 0 1\n1 0 0 0 0 0 0 1\n"),
        lambda path: load_camera_path(path, intrinsics=LENS),
    ),
}


def open_to_all(folder: Path) -> None:
    """Open a test's folder and those that pytest made above it."""
    above = (folder, *folder.parents)
    last = next((n for n, each in enumerate(above) if each.name.startswith("pytest-of-")), None)
    if last is None:
        pytest.skip("pytest was given another folder for temporary files, which is left as it is")
    for each in above[: last + 1]:
        each.chmod(0o755)


@contextmanager
def unreadable(path: Path) -> Iterator[None]:
    """The file is not allowed to us; the administrator, to whom all are, is nobody meanwhile."""
    path.chmod(0)
    is_root = os.geteuid() == 0
    try:
        if is_root:
            os.seteuid(65534)
            if not os.access(path.parent, os.R_OK | os.X_OK, effective_ids=True):
                pytest.skip("the folder for temporary files is not open to everybody")
        yield
    finally:
        if is_root:
            os.seteuid(0)


@pytest.mark.parametrize("name", KINDS)
def test_what_is_not_allowed_is_not_called_damaged(tmp_path: Path, name: str) -> None:
    write, read = KINDS[name]
    write(tmp_path / name)
    read(tmp_path / name)
    open_to_all(tmp_path)
    with unreadable(tmp_path / name), pytest.raises(UserError, match="Permission denied") as told:
        read(tmp_path / name)
    assert not any(word in str(told.value) for word in ("damaged", "cut", "no weight file", "not an image"))


def test_what_lies_in_a_closed_folder_is_not_said_to_be_missing(tmp_path: Path) -> None:
    open_to_all(tmp_path)
    (tmp_path / "closed").mkdir()
    write_png(tmp_path / "closed" / "a.png", FRAMES[0])
    with unreadable(tmp_path / "closed"), pytest.raises(UserError, match="Permission denied"):
        read_image(tmp_path / "closed" / "a.png")


def test_what_needs_more_memory_than_there_is_is_not_called_damaged(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.bmp")
    with (tmp_path / "a.bmp").open("r+b") as file:  # of 300 MB that take no room on disk
        file.seek(18)
        file.write(struct.pack("<ii", 9999, 9999))
        file.truncate(9999 * 30000 + 54)
    before = resource.getrlimit(resource.RLIMIT_AS)
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + 50_000_000, before[1]))
    try:
        with pytest.raises(UserError, match="more memory than there is"):
            read_image(tmp_path / "a.bmp")
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
