"""Camera paths as lines of numbers, one line a pose: TUM trajectories and RealEstate10K camera files.

Both have OpenCV camera axes (+X right, +Y down, +Z forward).

TUM, as in the TUM RGB-D benchmark and evo: "timestamp tx ty tz qx qy qz qw", `world_from_camera`, time in seconds,
quaternion xyzw. The format knows no intrinsics.

RealEstate10K: a line with the video's address, then 19 columns per frame: time stamp in microseconds; fx fy cx cy as
fractions of width and height; two zeros; `camera_from_world` as 3×4 in rows. Format:
https://google.github.io/realestate10k/
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from real2sam2real.errors import UserError
from real2sam2real.geometry import quaternions, transforms
from real2sam2real.scene.camera_path import CameraPath
from real2sam2real.scene.paths.track import (
    CameraTrack,
    from_opencv,
    number_words,
    numbers,
    read_lines,
    rigid,
    rotation_of,
)

_logger = logging.getLogger(__name__)
TUM_COLUMNS, REALESTATE_COLUMNS = 8, 19


def read_tum(path: Path) -> CameraTrack:
    """Read a TUM trajectory.

    Raises:
        UserError: a line does not have eight finite numbers, or a quaternion is no rotation.
    """
    lines = [(number, line.replace(",", " ")) for number, line in read_lines(path)]
    seconds, poses = [], []
    for where, time, values in _rows(path, lines, TUM_COLUMNS, "'timestamp tx ty tz qx qy qz qw'"):
        qx, qy, qz, qw = values[3:]
        pose = np.eye(4)
        pose[:3, :3] = rotation_of((qw, qx, qy, qz), where)
        pose[:3, 3] = values[:3]
        seconds.append(time)
        poses.append(pose)
    return in_time(path, CameraTrack(world_from_camera=from_opencv(poses), seconds=np.array(seconds)))


def read_realestate(path: Path) -> CameraTrack:
    """Read a RealEstate10K file; intrinsics come back as fractions of the image (of a 1×1 image).

    Raises:
        UserError: a line does not have 19 finite numbers, a pose is not rigid, or a focal length is not positive.
    """
    lines = [(number, line) for number, line in read_lines(path) if line]
    if lines and len(lines[0][1].split()) == 1:
        lines = lines[1:]
    seconds, poses, intrinsics = [], [], []
    what = "'timestamp fx fy cx cy 0 0' and the 12 numbers of a 3×4 pose"
    for where, time, values in _rows(path, lines, REALESTATE_COLUMNS, what, ticks=1e6):
        if values[0] <= 0 or values[1] <= 0:
            raise UserError(f"{where}: the focal lengths are {values[0]:g} and {values[1]:g}; they must be positive")
        camera_from_world = rigid(np.array([*values[6:], 0, 0, 0, 1]).reshape(4, 4), where)
        poses.append(transforms.invert_rigid(camera_from_world))
        intrinsics.append(values[:4])
        seconds.append(time)
    track = CameraTrack(
        world_from_camera=from_opencv(poses), intrinsics=np.array(intrinsics), seconds=np.array(seconds)
    )
    return in_time(path, track)


def in_time(path: Path, track: CameraTrack) -> CameraTrack:
    """The track with its poses in the order of their times, one for each; equal times throughout say nothing."""
    times = track.seconds
    if times is None or np.all(np.diff(times) > 0):
        return track
    if np.all(times == times[0]):
        _logger.warning("%s: all poses have the time %g, so they are taken as evenly spaced", path, times[0])
        return replace(track, seconds=None)
    if np.any(np.diff(times) < 0):
        _logger.warning("%s: its times are not in order; the poses were sorted by them", path)
    _, order = np.unique(times, return_index=True)
    if len(order) < len(times):
        lost = len(times) - len(order)
        _logger.warning("%s: %d of its %d poses repeat a time and were left out", path, lost, len(times))
    return replace(
        track,
        world_from_camera=track.world_from_camera[order],
        intrinsics=None if track.intrinsics is None else track.intrinsics[order],
        seconds=times[order],
    )


def _rows(
    path: Path, lines: Iterable[tuple[int, str]], columns: int, what: str, *, ticks: float = 1.0
) -> Iterator[tuple[str, float, list[float]]]:
    """Place, seconds and further numbers of every line that is not empty; at least one."""
    some = False
    for number, line in lines:
        if not line.strip():
            continue
        where, words = f"{path}:{number}", line.split()
        if len(words) != columns:
            raise UserError(f"{where}: expected {what}, found {len(words)} columns")
        time, *values = numbers(words, where)
        some = True
        yield where, time / ticks, values
    if not some:
        raise UserError(f"{path}: the file holds no poses")


def write_tum(file: Path, path: CameraPath, fps: float) -> None:
    """Write a TUM trajectory; the intrinsics are lost."""
    poses = from_opencv(path.world_from_camera)
    rotations = quaternions.from_matrix(poses[:, :3, :3])
    seconds = np.arange(path.frames) / fps
    table = np.column_stack([seconds, poses[:, :3, 3], rotations[:, 1:], rotations[:, 0]])
    head = "# world_from_camera in OpenCV axes: timestamp tx ty tz qx qy qz qw"
    file.write_text("\n".join([head, *map(number_words, table)]) + "\n")


def write_realestate(file: Path, path: CameraPath, fps: float) -> None:
    """Write a RealEstate10K file; the image size is lost, as the format has none."""
    camera_from_world = transforms.invert_rigid(from_opencv(path.world_from_camera))
    lines = ["https://localhost/real2sam2real"]
    for frame in range(path.frames):
        at = path.intrinsics_at(frame)
        shares = number_words((at.fx / at.width, at.fy / at.height, at.cx / at.width, at.cy / at.height))
        lines.append(f"{round(frame / fps * 1e6)} {shares} 0 0 {number_words(camera_from_world[frame, :3])}")
    file.write_text("\n".join(lines) + "\n")
