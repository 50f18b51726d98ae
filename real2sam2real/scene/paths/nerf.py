"""NeRF `transforms.json` (original NeRF, instant-ngp, nerfstudio).

Convention: `transform_matrix` is `world_from_camera`, 4×4, OpenGL camera axes (+X right, +Y up, looking along −Z), as
ours. The intrinsics are fl_x, fl_y, cx, cy in pixels of w × h, or camera_angle_x, the horizontal field of view in
radians; a frame's own values win over the file's. Frames keep the order of the file, unless the camera travels less in
that of their file names: tools list frames as they happened to be matched. A pose may be 3×4.

nerfstudio's viewer exports another file, with a list `camera_path` of `camera_to_world` (16 numbers, row by row) and
`fov`, the vertical field of view in degrees, at `render_width` × `render_height`.
"""

from __future__ import annotations

import json
import logging
import math
from pathlib import Path
from typing import Any

import numpy as np

from real2sam2real.arrays import Float, Int
from real2sam2real.errors import UserError
from real2sam2real.files import read_text
from real2sam2real.scene.camera_path import CameraPath
from real2sam2real.scene.paths.distortion import check_distortion, refuse_fisheye
from real2sam2real.scene.paths.track import MAX_TEXT_BYTES, CameraTrack, counting, rigid
from real2sam2real.workfolder.json_values import parse_json

_RADIAL, _TANGENTIAL = ("k1", "k2", "k3", "k4", "k5", "k6"), ("p1", "p2")
_logger = logging.getLogger(__name__)


def read(path: Path) -> CameraTrack:
    """Read a transforms.json.

    Raises:
        UserError: it is not JSON of this kind, a pose is not rigid, the lens is far from a pinhole, or sizes differ.
    """
    data = _load(path)
    if "camera_path" in data and "frames" not in data:
        data = _from_viewer(data, path)
    frames = data.get("frames")
    if not isinstance(frames, list) or not frames:
        raise UserError(f"{path}: there is no list of 'frames'; is this a transforms.json?")
    poses, intrinsics, sizes = [], [], set()
    checked: list[tuple[list[float], list[float]]] = []
    for index, frame in enumerate(frames):
        where = f"{path}: frame {index}"
        if not isinstance(frame, dict):
            raise UserError(f"{where}: expected an object with 'transform_matrix'")
        poses.append(rigid(_matrix(frame.get("transform_matrix"), where), where))
        size, row, bent = _intrinsics({**data, **frame}, where)
        if size is not None and row is not None and bent not in checked:
            check_distortion(row, size, *bent, where)
            checked.append(bent)
        sizes.add(size)
        intrinsics.append(row)
    if len(sizes) > 1 or len({row is None for row in intrinsics}) > 1:
        raise UserError(
            f"{path}: the frames have different image sizes, or only some have a lens; a camera path has one"
        )
    width, height = sizes.pop() or (None, None)
    order = _order(path, frames, np.array(poses))
    known = None if intrinsics[0] is None else np.array(intrinsics, np.float64)[order]
    return CameraTrack(world_from_camera=np.array(poses)[order], intrinsics=known, width=width, height=height)


def _order(path: Path, frames: list[dict[str, Any]], poses: Float) -> Int:
    """`(N,)` the frames in the order in which the camera went: the file's, or that of their names."""
    names = [frame.get("file_path") for frame in frames]
    as_is = np.arange(len(frames))
    texts = [name for name in names if isinstance(name, str)]
    if len(set(texts)) < len(frames):
        return as_is
    named = np.array(sorted(as_is.tolist(), key=lambda k: counting(texts[k])))
    if np.array_equal(named, as_is) or not _travel(poses[named]) < _travel(poses):
        return as_is
    _logger.warning("%s: its frames jump to and fro; they were put in the order of their file names", path)
    return named


def _travel(poses: Float) -> float:
    """How far the camera goes and turns from pose to pose: lengths as shares of the whole, and radians."""
    places = poses[:, :3, 3]
    size = float(np.linalg.norm(np.ptp(places, axis=0))) or 1.0
    steps = np.linalg.norm(np.diff(places, axis=0), axis=1).sum() / size
    cosines = (np.einsum("nij,nij->n", poses[1:, :3, :3], poses[:-1, :3, :3]) - 1) / 2
    return float(steps + np.arccos(cosines.clip(-1, 1)).sum())


def _from_viewer(data: dict[str, Any], path: Path) -> dict[str, Any]:
    """Nerfstudio's `camera_path.json` in the words of a transforms.json."""
    frames = data["camera_path"]
    width, height = (_number(data, key, str(path)) for key in ("render_width", "render_height"))
    if not isinstance(frames, list) or width is None or height is None:
        raise UserError(f"{path}: a nerfstudio camera path needs a list 'camera_path', render_width and render_height")
    if data.get("camera_type", "perspective") != "perspective":
        refuse_fisheye(str(data["camera_type"])[:40], str(path))
    found = []
    for index, frame in enumerate(frames):
        where = f"{path}: camera {index}"
        values = frame if isinstance(frame, dict) else {}
        fov = _number(values, "fov", where)
        pose = np.ravel(values.get("camera_to_world", []))
        if fov is None or not 0 < fov < 180 or len(pose) not in (12, 16):
            raise UserError(f"{where}: expected 'camera_to_world', 16 numbers, and 'fov', an angle in degrees")
        focal = height / 2 / math.tan(math.radians(fov) / 2)
        found.append({"transform_matrix": pose.reshape(-1, 4).tolist(), "fl_x": focal})
    return {"w": width, "h": height, "frames": found}


def _load(path: Path) -> dict[str, Any]:
    try:
        data = parse_json(read_text(path, "camera path", most_bytes=MAX_TEXT_BYTES))
    except json.JSONDecodeError as error:
        raise UserError(f"{path}:{error.lineno}: this is not valid JSON ({error.msg})") from error
    except ValueError as error:
        raise UserError(f"{path}: {error}") from error
    if not isinstance(data, dict):
        raise UserError(f"{path}: expected a JSON object with 'frames'")
    return data


def _matrix(value: Any, where: str) -> Any:
    try:
        matrix = np.array(value, np.float64)
    except (TypeError, ValueError) as error:
        raise UserError(f"{where}: 'transform_matrix' is not a 4×4 matrix of numbers") from error
    if matrix.shape == (3, 4):
        matrix = np.concatenate([matrix, [[0.0, 0.0, 0.0, 1.0]]])
    if matrix.shape != (4, 4):
        raise UserError(f"{where}: 'transform_matrix' has shape {matrix.shape}; expected (4, 4)")
    return matrix


def _intrinsics(
    values: dict[str, Any], where: str
) -> tuple[tuple[int, int] | None, tuple[float, ...] | None, tuple[list[float], list[float]]]:
    """Image size and fx, fy, cx, cy, in a 1×1 image (fractions) when no size is known; and the distortion."""
    model = str(values.get("camera_model", ""))
    if values.get("is_fisheye") or "FISHEYE" in model.upper() or "EQUIRECT" in model.upper():
        refuse_fisheye(model[:40] or "fisheye", where)
    radial, tangential = ([_number(values, key, where) or 0.0 for key in keys] for keys in (_RADIAL, _TANGENTIAL))
    size, row = _lens(values, where)
    if (size is None or row is None) and any((*radial, *tangential)):
        raise UserError(f"{where}: the lens is distorted, and without its size nobody knows how much; undistort first")
    return size, row, (radial, tangential)


def _lens(values: dict[str, Any], where: str) -> tuple[tuple[int, int] | None, tuple[float, ...] | None]:
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
    data = {"camera_model": "PINHOLE", "w": first.width, "h": first.height, "cx": first.cx, "cy": first.cy}
    if len(np.unique(path.zoom)) == 1:  # nerfstudio believes the file's lens where it has one, and not the frames'
        data |= {"fl_x": first.fx, "fl_y": first.fy, "camera_angle_x": 2 * math.atan(first.width / 2 / first.fx)}
    data |= {"fps": fps, "frames": frames}
    file.write_text(json.dumps(data, indent=1) + "\n")
