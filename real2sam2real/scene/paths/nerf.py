"""NeRF `transforms.json` (original NeRF, instant-ngp, nerfstudio).

Convention: `transform_matrix` is `world_from_camera`, 4×4, OpenGL camera axes (+X right, +Y up, looking along −Z), as
ours. The intrinsics are fl_x, fl_y, cx, cy in pixels of w × h, or camera_angle_x, the horizontal field of view in
radians; a frame's own values win over the file's. Frames keep the order of the file.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from real2sam2real.errors import UserError
from real2sam2real.files import read_text
from real2sam2real.scene.camera_path import CameraPath
from real2sam2real.scene.paths.track import MAX_TEXT_BYTES, CameraTrack, rigid

_DISTORTION = ("k1", "k2", "k3", "k4", "p1", "p2")


def read(path: Path) -> CameraTrack:
    """Read a transforms.json.

    Raises:
        UserError: it is not JSON of this kind, a pose is not rigid, the lens is distorted, or sizes differ.
    """
    data = _load(path)
    frames = data.get("frames")
    if not isinstance(frames, list) or not frames:
        raise UserError(f"{path}: there is no list of 'frames'; is this a transforms.json?")
    poses, intrinsics, sizes = [], [], set()
    for index, frame in enumerate(frames):
        where = f"{path}: frame {index}"
        if not isinstance(frame, dict):
            raise UserError(f"{where}: expected an object with 'transform_matrix'")
        poses.append(rigid(_matrix(frame.get("transform_matrix"), where), where))
        size, row = _intrinsics({**data, **frame}, where)
        sizes.add(size)
        intrinsics.append(row)
    if len(sizes) > 1 or len({row is None for row in intrinsics}) > 1:
        raise UserError(
            f"{path}: the frames have different image sizes, or only some have a lens; a camera path has one"
        )
    width, height = sizes.pop() or (None, None)
    known = None if intrinsics[0] is None else np.array(intrinsics, np.float64)
    return CameraTrack(world_from_camera=np.array(poses), intrinsics=known, width=width, height=height)


def _load(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(read_text(path, "camera path", most_bytes=MAX_TEXT_BYTES))
    except json.JSONDecodeError as error:
        raise UserError(f"{path}:{error.lineno}: this is not valid JSON ({error.msg})") from error
    except RecursionError as error:
        raise UserError(f"{path}: the JSON is nested too deeply") from error
    if not isinstance(data, dict):
        raise UserError(f"{path}: expected a JSON object with 'frames'")
    return data


def _matrix(value: Any, where: str) -> Any:
    try:
        matrix = np.array(value, np.float64)
    except (TypeError, ValueError) as error:
        raise UserError(f"{where}: 'transform_matrix' is not a 4×4 matrix of numbers") from error
    if matrix.shape != (4, 4):
        raise UserError(f"{where}: 'transform_matrix' has shape {matrix.shape}; expected (4, 4)")
    return matrix


def _intrinsics(values: dict[str, Any], where: str) -> tuple[tuple[int, int] | None, tuple[float, ...] | None]:
    """Image size and fx, fy, cx, cy; in a 1×1 image (fractions) when no size is known."""
    if any(_number(values, key, where) for key in _DISTORTION):
        raise UserError(f"{where}: the lens is distorted (k1…p2 are not zero); undistort the images first")
    width, height = _number(values, "w", where), _number(values, "h", where)
    fx, angle = _number(values, "fl_x", where), _number(values, "camera_angle_x", where)
    if (width is None) != (height is None) or any(size is not None and size < 1 for size in (width, height)):
        raise UserError(f"{where}: 'w' and 'h' are {width} and {height}; give both as positive numbers, or neither")
    if angle is not None and not 0 < angle < math.pi:
        raise UserError(f"{where}: 'camera_angle_x' is {angle:g}; it is an angle in radians between 0 and π")
    size = None if width is None or height is None else (int(width), int(height))
    if fx is None:
        if angle is None:
            return size, None
        if size is None:
            return None, (0.5 / math.tan(angle / 2), math.nan, 0.5, 0.5)
        fx = size[0] / 2 / math.tan(angle / 2)
    elif size is None:
        raise UserError(f"{where}: 'fl_x' is in pixels, but 'w' and 'h' are missing; add the image's size")
    fy, cx, cy = (_number(values, key, where) for key in ("fl_y", "cx", "cy"))
    fy = fx if fy is None else fy
    if fx <= 0 or fy <= 0:
        raise UserError(f"{where}: the focal lengths are {fx} and {fy}; they must be positive")
    return size, (fx, fy, size[0] / 2 if cx is None else cx, size[1] / 2 if cy is None else cy)


def _number(values: dict[str, Any], key: str, where: str) -> float | None:
    value = values.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise UserError(f"{where}: '{key}' is {value!r}; expected a finite number")
    return float(value)


def write(file: Path, path: CameraPath, fps: float) -> None:
    """Write a transforms.json with intrinsics per frame; files are called images/frame_00000.png and so on."""
    frames = [
        {
            "file_path": f"images/frame_{frame:05d}.png",
            "fl_x": path.intrinsics_at(frame).fx,
            "fl_y": path.intrinsics_at(frame).fy,
            "transform_matrix": pose.tolist(),
        }
        for frame, pose in enumerate(path.world_from_camera)
    ]
    first = path.intrinsics_at(0)
    data = {
        "camera_model": "PINHOLE", "w": first.width, "h": first.height, "fl_x": first.fx, "fl_y": first.fy,
        "cx": first.cx, "cy": first.cy, "camera_angle_x": 2 * math.atan(first.width / 2 / first.fx), "fps": fps,
        "frames": frames,
    }  # fmt: skip
    file.write_text(json.dumps(data, indent=1) + "\n")
