"""Camera paths as NumPy archives.

Convention: `world_from_camera` `(T, 4, 4)` with this project's camera axes (+X right, +Y up, looking along −Z);
`intrinsics` `(T, 3, 3)` or `(3, 3)` in pixels; `image_size` (width, height); `fps`. All but the first may be missing. A
bare `.npy` holds the poses alone. VerseCrafter's Blender script writes one array `extrinsics`: the camera's matrix in
Blender's world, which has the same axes at the camera and +Z up; it becomes +Y up. Other tools use that name for
camera_from_world, with intrinsics beside it; those are refused rather than guessed.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np

from real2sam2real.errors import UserError
from real2sam2real.media.numpy_files import ALONE, array_names, read_arrays
from real2sam2real.scene.camera_path import CameraPath
from real2sam2real.scene.paths.track import CameraTrack, rigid

_Y_UP_FROM_Z_UP = np.array([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]])
_logger = logging.getLogger(__name__)
MAX_BYTES = 500_000_000
_KEYS = ("world_from_camera", "intrinsics", "image_size", "fps")
_VERSECRAFTER = "extrinsics"


def read(path: Path) -> CameraTrack:
    """Read an .npz or .npy; pickled objects are refused.

    Raises:
        UserError: it is not such a file, an array is missing or misshapen, or a pose is not rigid.
    """
    arrays, names = _load(path)
    if "world_from_camera" not in arrays:
        if names != [_VERSECRAFTER]:
            remedy = "store 4×4 poses under that name: +X right, +Y up, looking along −Z"
            held = ", ".join(names)[:200] or "nothing"
            raise UserError(f"{path}: there is no array 'world_from_camera'; the file has: {held}; {remedy}")
        told = "its one array 'extrinsics' was taken for VerseCrafter's: world_from_camera in Blender's world"
        _logger.warning("%s: %s", path, told)
        arrays["world_from_camera"] = arrays[_VERSECRAFTER]
    poses = arrays["world_from_camera"]
    if poses.ndim != 3 or poses.shape[1:] not in ((4, 4), (3, 4)) or not len(poses):
        raise UserError(f"{path}: 'world_from_camera' has shape {poses.shape}; expected (T, 4, 4)")
    if poses.shape[1] == 3:
        poses = np.concatenate([poses, np.broadcast_to([[0.0, 0.0, 0.0, 1.0]], (len(poses), 1, 4))], axis=1)
    if names == [_VERSECRAFTER]:
        poses = _Y_UP_FROM_Z_UP @ poses
    checked = np.array([rigid(pose, f"{path}: pose {index}") for index, pose in enumerate(poses)])
    intrinsics, size = _intrinsics(arrays, len(poses), path), _size(arrays, path)
    if intrinsics is not None and size is None:
        raise UserError(f"{path}: 'intrinsics' are in pixels, but 'image_size' (width, height) is missing")
    width, height = size or (None, None)
    return CameraTrack(world_from_camera=checked, intrinsics=intrinsics, width=width, height=height)


def _load(path: Path) -> tuple[dict[str, Any], list[str]]:
    """Arrays that may be ours by name, and the names of all."""
    keys = (*_KEYS, _VERSECRAFTER)
    held = read_arrays(path, "camera path", most_bytes=MAX_BYTES, names=keys)
    if ALONE in held:
        held = {"world_from_camera": held[ALONE]}
    names = list(held) if "world_from_camera" in held else array_names(path)
    return {key: _numbers(array, path, key) for key, array in held.items()}, names


def _numbers(array: Any, path: Path, key: str) -> Any:
    if array.dtype.kind not in "fiu":
        raise UserError(f"{path}: '{key}' holds {array.dtype}; expected real numbers")
    if not np.isfinite(array).all():
        raise UserError(f"{path}: '{key}' holds a number that is not finite (NaN or infinity)")
    return array.astype(np.float64)


def _intrinsics(arrays: dict[str, Any], count: int, path: Path) -> Any:
    if "intrinsics" not in arrays:
        return None
    k = arrays["intrinsics"]
    if k.shape not in ((3, 3), (count, 3, 3)):
        raise UserError(f"{path}: 'intrinsics' has shape {k.shape}; expected ({count}, 3, 3) or (3, 3)")
    k = np.broadcast_to(k, (count, 3, 3))
    if np.any(k[:, 0, 0] <= 0) or np.any(k[:, 1, 1] <= 0):
        raise UserError(f"{path}: a focal length in 'intrinsics' is not positive")
    if np.any(np.abs(k[:, 0, 1]) > 1e-6 * k[:, 0, 0]):
        raise UserError(f"{path}: 'intrinsics' are skewed (row 0, column 1), which a camera path cannot hold")
    return np.stack([k[:, 0, 0], k[:, 1, 1], k[:, 0, 2], k[:, 1, 2]], axis=1)


def _size(arrays: dict[str, Any], path: Path) -> tuple[int, int] | None:
    if "image_size" not in arrays:
        return None
    size = arrays["image_size"]
    if size.shape != (2,) or np.any(size < 1):
        raise UserError(f"{path}: 'image_size' is {size.tolist()}; expected two positive numbers, width and height")
    return int(size[0]), int(size[1])


def write(file: Path, path: CameraPath, fps: float) -> None:
    """Write an .npz with poses, intrinsics per frame, image size and fps."""
    k = np.zeros((path.frames, 3, 3))
    first = path.intrinsics
    k[:, 0, 0], k[:, 1, 1] = first.fx * path.zoom, first.fy * path.zoom
    k[:, 0, 2], k[:, 1, 2], k[:, 2, 2] = first.cx, first.cy, 1.0
    with file.open("wb") as handle:
        np.savez(
            handle, world_from_camera=path.world_from_camera, intrinsics=k,
            image_size=np.array([first.width, first.height]), fps=np.array(fps),
        )  # fmt: skip
