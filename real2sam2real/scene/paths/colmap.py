"""COLMAP sparse models, text and binary: cameras, images, and an empty points3D.

Convention: `camera_from_world` as quaternion wxyz and translation, OpenCV camera axes (+X right, +Y down, +Z forward).
Pixel centres lie at +0.5, as ours do. Poses are ordered by image name, with numbers in names in counting order.
Format: https://colmap.github.io/format.html
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np

from real2sam2real.errors import UserError
from real2sam2real.geometry import Intrinsics, quaternions, transforms
from real2sam2real.scene.camera_path import CameraPath
from real2sam2real.scene.paths.distortion import check_distortion, refuse_fisheye
from real2sam2real.scene.paths.track import (
    CameraTrack,
    counting,
    from_opencv,
    integer,
    number_words,
    numbers,
    read_lines,
    rotation_of,
)

# Names and numbers of parameters in the order of COLMAP's model ids.
_MODELS = {
    0: ("SIMPLE_PINHOLE", 3), 1: ("PINHOLE", 4), 2: ("SIMPLE_RADIAL", 4), 3: ("RADIAL", 5), 4: ("OPENCV", 8),
    5: ("OPENCV_FISHEYE", 8), 6: ("FULL_OPENCV", 12), 7: ("FOV", 5), 8: ("SIMPLE_RADIAL_FISHEYE", 4),
    9: ("RADIAL_FISHEYE", 5), 10: ("THIN_PRISM_FISHEYE", 12), 11: ("RAD_TAN_THIN_PRISM_FISHEYE", 16),
}  # fmt: skip
# Of the models that are a pinhole but for their distortion: the focal lengths among their parameters, and which of the
# parameters after the principal point are k1…k6 and which p1 and p2.
_BENT = {
    "SIMPLE_PINHOLE": (1, (), ()), "PINHOLE": (2, (), ()), "SIMPLE_RADIAL": (1, (0,), ()), "RADIAL": (1, (0, 1), ()),
    "OPENCV": (2, (0, 1), (2, 3)), "FULL_OPENCV": (2, (0, 1, 4, 5, 6, 7), (2, 3)),
}  # fmt: skip


@dataclass(frozen=True)
class _Camera:
    """As the file has it; what is wrong with one matters where an image uses it."""

    model: str
    width: int
    height: int
    parameters: list[float]
    where: str


@dataclass(frozen=True)
class _Image:
    name: str
    camera: int
    wxyz: list[float]
    translation: list[float]
    where: str


def model_folder(path: Path) -> Path | None:
    """The folder with `images.txt` or `images.bin` that `path` means: itself, its `sparse/0`, or a file's folder."""
    if path.name in ("images.txt", "images.bin", "cameras.txt", "cameras.bin") and path.is_file():
        return path.parent
    for folder in (path, path / "sparse" / "0", path / "sparse", path / "0"):
        if (folder / "images.txt").is_file() or (folder / "images.bin").is_file():
            return folder
    return None


def read(path: Path) -> CameraTrack:
    """Read a COLMAP model; of text and binary, whichever `path` names or the folder holds (binary first).

    Raises:
        UserError: a file is missing, truncated or malformed, or a camera that is used is far from a pinhole.
    """
    folder = model_folder(path)
    if folder is None:
        raise UserError(f"{path}: there is no COLMAP model here; give the folder that holds images.txt or images.bin")
    binary = (folder / "images.bin").is_file() and path.suffix != ".txt"
    suffix = "bin" if binary else "txt"
    if not (folder / f"cameras.{suffix}").is_file():
        raise UserError(f"{folder}: cameras.{suffix} is missing beside images.{suffix}")
    cameras = _read_cameras_bin(folder / "cameras.bin") if binary else _read_cameras_txt(folder / "cameras.txt")
    images = _read_images_bin(folder / "images.bin") if binary else _read_images_txt(folder / "images.txt")
    return _track(folder, cameras, sorted(images, key=lambda image: counting(image.name)))


def _track(folder: Path, cameras: dict[int, _Camera], images: list[_Image]) -> CameraTrack:
    if not images:
        raise UserError(f"{folder}: the COLMAP model has no images")
    for image in images:
        if image.camera not in cameras:
            raise UserError(
                f"{image.where}: image '{image.name}' uses camera {image.camera}, which is not in the model"
            )
    lenses = {number: _lens(cameras[number]) for number in dict.fromkeys(image.camera for image in images)}
    used = [lenses[image.camera] for image in images]
    if len({(camera.width, camera.height) for camera in used}) > 1:
        sizes = ", ".join(sorted({f"{camera.width}×{camera.height}" for camera in used}))
        raise UserError(f"{folder}: the images have different sizes ({sizes}); a camera path has one")
    poses = []
    for image in images:
        camera_from_world = np.eye(4)
        camera_from_world[:3, :3] = rotation_of(image.wxyz, image.where)
        camera_from_world[:3, 3] = image.translation
        poses.append(transforms.invert_rigid(camera_from_world))
    return CameraTrack(
        world_from_camera=from_opencv(np.array(poses)),
        intrinsics=np.array([(camera.fx, camera.fy, camera.cx, camera.cy) for camera in used]),
        width=used[0].width,
        height=used[0].height,
    )


def _lens(camera: _Camera) -> Intrinsics:
    model, parameters, where = camera.model, camera.parameters, camera.where
    if len(parameters) != (expected := dict(_MODELS.values())[model]):
        raise UserError(f"{where}: {model} has {expected} parameters, but here are {len(parameters)}")
    if model == "FOV" and not parameters[4]:
        model, parameters = "PINHOLE", parameters[:4]
    if model not in _BENT:
        refuse_fisheye(model, where)
    focals, radial, tangential = _BENT[model]
    fx, fy = parameters[0], parameters[focals - 1]
    cx, cy = parameters[focals : focals + 2]
    if camera.width < 1 or camera.height < 1 or fx <= 0 or fy <= 0:
        size = f"{camera.width}×{camera.height}"
        raise UserError(f"{where}: a camera of {size} pixels with focal lengths {fx:g} and {fy:g} is not usable")
    rest = parameters[focals + 2 :]
    bent = [rest[k] for k in radial], [rest[k] for k in tangential]
    check_distortion((fx, fy, cx, cy), (camera.width, camera.height), *bent, where)
    return Intrinsics(width=camera.width, height=camera.height, fx=fx, fy=fy, cx=cx, cy=cy)


def _read_cameras_txt(path: Path) -> dict[int, _Camera]:
    cameras = {}
    for number, line in read_lines(path):
        if not line:
            continue
        where, words = f"{path}:{number}", line.split()
        if len(words) < 5:
            raise UserError(f"{where}: expected 'id model width height parameters…', found {len(words)} columns")
        width, height = integer(words[2], where, "the width"), integer(words[3], where, "the height")
        identifier = integer(words[0], where, "the camera's id")
        if words[1] not in dict(_MODELS.values()):
            raise UserError(f"{where}: unknown camera model '{words[1]}'; use PINHOLE or SIMPLE_PINHOLE")
        cameras[identifier] = _Camera(words[1], width, height, numbers(words[4:], where), where)
    return cameras


def _read_images_txt(path: Path) -> Iterator[_Image]:
    """Two lines per image: its pose, and its points, which may be an empty line or, as some tools leave it, no line."""
    lines = read_lines(path)
    at = 0
    while at < len(lines):
        number, line = lines[at]
        at += 1
        if not line:
            continue
        where, words = f"{path}:{number}", line.split(maxsplit=9)
        if len(words) < 10:
            raise UserError(
                f"{where}: expected 'id qw qx qy qz tx ty tz camera name', found {len(words)} columns "
                "(each image takes two lines, the second one may be empty)"
            )
        values = numbers(words[1:8], where)
        yield _Image(words[9], integer(words[8], where, "the camera's id"), values[:4], values[4:], where)
        if at == len(lines) or _is_pose(lines[at][1]):
            continue
        number, points = lines[at]
        at += 1
        if len(points.split()) % 3:
            raise UserError(f"{path}:{number}: expected the points of '{words[9]}' (x y id …) or an empty line")


def _is_pose(line: str) -> bool:
    """Whether a line names an image; a line of points is of numbers alone, three to a point."""
    words = line.split()
    if len(words) < 10 or not all(_is_number(word) for word in words[:9]):
        return False
    return len(words) % 3 != 0 or not all(_is_number(word) for word in words[9:])


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


class _BinaryRecords:
    """Reads little-endian records and says where a file ends too early."""

    def __init__(self, path: Path, file: BufferedReader) -> None:
        self.path, self.file, self.size = path, file, path.stat().st_size

    @property
    def where(self) -> str:
        return f"{self.path} at byte {self.file.tell()}"

    def take(self, layout: str) -> tuple[Any, ...]:
        where, count = self.where, struct.calcsize("<" + layout)
        data = self.file.read(count)
        if len(data) < count:
            raise UserError(f"{where}: the file ends in the middle of a record; it is truncated or not COLMAP's")
        return struct.unpack("<" + layout, data)

    def name(self) -> str:
        where, data = self.where, bytearray()
        while (byte := self.file.read(1)) != b"\0":
            if not byte or len(data) > 4096:
                raise UserError(f"{where}: an image's name does not end; the file is truncated or not COLMAP's")
            data += byte
        return data.decode("utf-8", errors="replace")

    def skip(self, count: int) -> None:
        if self.file.tell() + count > self.size:
            raise UserError(f"{self.where}: the file ends in the middle of an image's points; it is truncated")
        self.file.seek(count, 1)

    def finite(self, layout: str, where: str) -> list[float]:
        values = self.take(layout)
        if not np.isfinite(values).all():
            raise UserError(f"{where}: a number is not finite (NaN or infinity)")
        return list(values)


def _read_cameras_bin(path: Path) -> dict[int, _Camera]:
    cameras = {}
    with path.open("rb") as file:
        data = _BinaryRecords(path, file)
        for _ in range(data.take("Q")[0]):
            where = data.where
            identifier, model, width, height = data.take("iiQQ")
            if model not in _MODELS:
                raise UserError(f"{where}: unknown camera model {model}; use PINHOLE (1) or SIMPLE_PINHOLE (0)")
            name, count = _MODELS[model]
            cameras[identifier] = _Camera(name, width, height, data.finite(f"{count}d", where), where)
    return cameras


def _read_images_bin(path: Path) -> Iterator[_Image]:
    with path.open("rb") as file:
        data = _BinaryRecords(path, file)
        for _ in range(data.take("Q")[0]):
            where = data.where
            _, *pose, camera = data.finite("i7di", where)
            name = data.name()
            data.skip(24 * data.take("Q")[0])
            yield _Image(name, int(camera), pose[:4], pose[4:], where)


def write(folder: Path, path: CameraPath, *, binary: bool) -> None:
    """Write `cameras`, `images` and an empty `points3D` into `folder`; one PINHOLE camera per distinct zoom.

    Images are called frame_00000.png and so on.
    """
    camera_from_world = transforms.invert_rigid(from_opencv(path.world_from_camera))
    rotations = quaternions.from_matrix(camera_from_world[:, :3, :3])
    zooms, camera_of = np.unique(path.zoom, return_inverse=True)
    lenses = [path.intrinsics.zoomed(float(zoom)) for zoom in zooms]
    cameras = [(lens.fx, lens.fy, lens.cx, lens.cy) for lens in lenses]
    poses = np.concatenate([rotations, camera_from_world[:, :3, 3]], axis=1)
    names = [f"frame_{frame:05d}.png" for frame in range(path.frames)]
    images = list(zip(poses, camera_of + 1, names, strict=True))
    (_write_bin if binary else _write_txt)(folder, (path.intrinsics.width, path.intrinsics.height), cameras, images)


def _write_txt(folder: Path, size: tuple[int, int], cameras: list[Any], images: list[Any]) -> None:
    head = "# id model width height fx fy cx cy\n"
    rows = [f"{k} PINHOLE {size[0]} {size[1]} {number_words(lens)}\n" for k, lens in enumerate(cameras, 1)]
    (folder / "cameras.txt").write_text(head + "".join(rows))
    head = "# camera_from_world in OpenCV axes: id qw qx qy qz tx ty tz camera name; then an empty line of points\n"
    rows = [f"{n} {number_words(pose)} {camera} {name}\n\n" for n, (pose, camera, name) in enumerate(images, 1)]
    (folder / "images.txt").write_text(head + "".join(rows))
    (folder / "points3D.txt").write_text("# no points: this is a camera path\n")


def _write_bin(folder: Path, size: tuple[int, int], cameras: list[Any], images: list[Any]) -> None:
    rows = [struct.pack("<iiQQ4d", k, 1, *size, *lens) for k, lens in enumerate(cameras, 1)]
    (folder / "cameras.bin").write_bytes(struct.pack("<Q", len(rows)) + b"".join(rows))
    rows = [
        struct.pack("<i7di", n, *pose, camera) + name.encode() + b"\0" + struct.pack("<Q", 0)
        for n, (pose, camera, name) in enumerate(images, 1)
    ]
    (folder / "images.bin").write_bytes(struct.pack("<Q", len(rows)) + b"".join(rows))
    (folder / "points3D.bin").write_bytes(struct.pack("<Q", 0))
