"""TUM trajectories: one line per pose, "timestamp tx ty tz qx qy qz qw".

Convention: `world_from_camera`, time in seconds, quaternion xyzw, OpenCV camera axes (+X right, +Y down, +Z forward),
as in the TUM RGB-D benchmark and evo. The format knows no lens.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from real2sam2real.errors import UserError
from real2sam2real.geometry import quaternions
from real2sam2real.scene.camera_path import CameraPath
from real2sam2real.scene.paths.track import (
    CameraTrack,
    check_increasing,
    from_opencv,
    number_words,
    numbers,
    read_lines,
    rotation_of,
)


def read(path: Path) -> CameraTrack:
    """Read a TUM trajectory.

    Raises:
        UserError: a line does not have eight finite numbers, a quaternion is no rotation, or time runs backwards.
    """
    seconds, places, poses = [], [], []
    for number, line in read_lines(path):
        if not line:
            continue
        where, words = f"{path}:{number}", line.replace(",", " ").split()
        if len(words) != 8:
            raise UserError(f"{where}: expected 'timestamp tx ty tz qx qy qz qw', found {len(words)} columns")
        time, tx, ty, tz, qx, qy, qz, qw = numbers(words, where)
        pose = np.eye(4)
        pose[:3, :3] = rotation_of((qw, qx, qy, qz), where)
        pose[:3, 3] = tx, ty, tz
        seconds.append(time)
        places.append(where)
        poses.append(pose)
    if not poses:
        raise UserError(f"{path}: the file holds no poses")
    return CameraTrack(world_from_camera=from_opencv(poses), seconds=check_increasing(seconds, places))


def write(file: Path, path: CameraPath, fps: float) -> None:
    """Write a TUM trajectory; the lens is lost."""
    poses = from_opencv(path.world_from_camera)
    rotations = quaternions.from_matrix(poses[:, :3, :3])
    lines = ["# world_from_camera in OpenCV axes: timestamp tx ty tz qx qy qz qw"]
    for frame in range(path.frames):
        values = (frame / fps, *poses[frame, :3, 3], *rotations[frame, 1:], rotations[frame, 0])
        lines.append(number_words(values))
    file.write_text("\n".join(lines) + "\n")
