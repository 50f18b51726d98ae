"""RealEstate10K camera files: a line with the video's address, then one line of 19 columns per frame.

Convention: time stamp in microseconds; fx fy cx cy as fractions of width and height; two zeros; `camera_from_world` as
3×4 in rows, OpenCV camera axes (+X right, +Y down, +Z forward). Format: https://google.github.io/realestate10k/
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from real2sam2real.errors import UserError
from real2sam2real.geometry import transforms
from real2sam2real.scene.camera_path import CameraPath
from real2sam2real.scene.paths.track import (
    CameraTrack,
    check_increasing,
    from_opencv,
    number_words,
    numbers,
    read_lines,
    rigid,
)

COLUMNS = 19


def read(path: Path) -> CameraTrack:
    """Read a RealEstate10K file; lenses come back as fractions of the image (of a 1×1 image).

    Raises:
        UserError: a line does not have 19 finite numbers, a pose is not rigid, a focal length is not positive, or time
            runs backwards.
    """
    seconds, places, poses, lenses = [], [], [], []
    lines = [(number, line) for number, line in read_lines(path) if line]
    if lines and len(lines[0][1].split()) == 1:
        lines = lines[1:]
    for number, line in lines:
        where, words = f"{path}:{number}", line.split()
        if len(words) != COLUMNS:
            raise UserError(
                f"{where}: expected 'timestamp fx fy cx cy 0 0' and the 12 numbers of a 3×4 pose, "
                f"found {len(words)} columns"
            )
        values = numbers(words, where)
        if values[1] <= 0 or values[2] <= 0:
            raise UserError(f"{where}: the focal lengths are {values[1]:g} and {values[2]:g}; they must be positive")
        camera_from_world = rigid(np.array([*values[7:], 0, 0, 0, 1]).reshape(4, 4), where)
        poses.append(transforms.invert_rigid(camera_from_world))
        lenses.append(values[1:5])
        seconds.append(values[0] / 1e6)
        places.append(where)
    if not poses:
        raise UserError(f"{path}: the file holds no poses")
    return CameraTrack(
        world_from_camera=from_opencv(poses), lenses=np.array(lenses), seconds=check_increasing(seconds, places)
    )


def write(file: Path, path: CameraPath, fps: float) -> None:
    """Write a RealEstate10K file; the image size is lost, as the format has none."""
    camera_from_world = transforms.invert_rigid(from_opencv(path.world_from_camera))
    lines = ["https://localhost/real2sam2real"]
    for frame in range(path.frames):
        lens = path.intrinsics_at(frame)
        width, height = lens.width, lens.height
        values = (lens.fx / width, lens.fy / height, lens.cx / width, lens.cy / height)
        stamp = str(round(frame / fps * 1e6))
        lines.append(" ".join([stamp, number_words(values), "0 0", number_words(camera_from_world[frame, :3])]))
    file.write_text("\n".join(lines) + "\n")
