"""What a camera-path file holds, and what its readers and writers share."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from real2sam2real.arrays import Float
from real2sam2real.errors import UserError
from real2sam2real.files import read_text
from real2sam2real.geometry import quaternions
from real2sam2real.geometry.transforms import OPENCV_FROM_OPENGL

MAX_TEXT_BYTES = 200_000_000


@dataclass(frozen=True, kw_only=True, eq=False)
class CameraTrack:
    """Poses as a file gives them, in our camera axes and the file's own world."""

    world_from_camera: Float  # `(N, 4, 4)` float64 rigid poses; the camera looks along its −Z with +Y up
    # `(N, 4)` float64 fx, fy, cx, cy in pixels of `width × height`, or of a 1×1 image when those are None; None when
    # the file knows none
    intrinsics: Float | None = None
    width: int | None = None  # pixels, or None
    height: int | None = None  # pixels, or None
    seconds: Float | None = None  # `(N,)` float64 strictly increasing, or None when the poses are evenly spaced


def from_opencv(world_from_camera: ArrayLike) -> Float:
    """Poses `(..., 4, 4)` of OpenCV cameras (+X right, +Y down, +Z forward) as poses of ours; its own inverse."""
    return np.asarray(world_from_camera, np.float64) @ OPENCV_FROM_OPENGL


def rigid(poses: ArrayLike, where: str) -> Float:
    """`(4, 4)` pose with its rotation freed of rounding.

    Raises:
        UserError: the upper left is not a rotation, the last row is not 0 0 0 1, or a number is not finite.
    """
    matrix = np.asarray(poses, np.float64)
    if not np.isfinite(matrix).all():
        raise UserError(f"{where}: the pose holds a number that is not finite (NaN or infinity)")
    linear = matrix[:3, :3]
    error = float(np.abs(linear @ linear.T - np.eye(3)).max())
    if error > 1e-3 or np.linalg.det(linear) < 0:
        raise UserError(
            f"{where}: the pose's 3×3 part is not a rotation (off by {error:.2g}): it scales, shears or mirrors; "
            "export rigid camera poses"
        )
    if not np.allclose(matrix[3], [0, 0, 0, 1], atol=1e-6):
        raise UserError(f"{where}: the pose's last row is {matrix[3].tolist()}; a pose ends with 0 0 0 1")
    result = matrix.copy()
    if error > 1e-12:  # an exact rotation stays exactly what it is
        result[:3, :3] = quaternions.to_matrix(quaternions.from_matrix(linear))
    return result


def rotation_of(wxyz: Sequence[float], where: str) -> Float:
    """`(3, 3)` rotation of a quaternion; a `UserError` where it is zero or far from unit length."""
    length = math.sqrt(sum(part * part for part in wxyz))
    if not 0.9 < length < 1.1:
        raise UserError(f"{where}: the quaternion has length {length:.3g}; a rotation has length 1")
    return quaternions.to_matrix(np.array(wxyz))


def numbers(words: Sequence[str], where: str) -> list[float]:
    """Finite numbers; a `UserError` where a word is none."""
    found = []
    for word in words:
        try:
            value = float(word)
        except ValueError as error:
            raise UserError(f"{where}: '{word}' is not a number") from error
        if not math.isfinite(value):
            raise UserError(f"{where}: '{word}' is not a finite number")
        found.append(value)
    return found


def number_words(values: ArrayLike) -> str:
    """Numbers with a space between, so many digits that each reads back as the same float64."""
    return " ".join(repr(float(value)) for value in np.ravel(np.asarray(values, np.float64)))


def integer(word: str, where: str, what: str) -> int:
    """A whole number; a `UserError` where the word is none."""
    try:
        return int(word)
    except ValueError as error:
        raise UserError(f"{where}: {what} is '{word}'; it must be a whole number") from error


def counting(name: str) -> list[Any]:
    """A sort key with "frame2" before "frame10"."""
    parts = re.split(r"([0-9]+)", name)  # the odd ones are the numbers
    return [(0, int(part), "") if k % 2 else (1, 0, part) for k, part in enumerate(parts)]


def read_lines(path: Path) -> list[tuple[int, str]]:
    """Lines of a text file with their numbers, counted from 1, without comments (lines that start with #).

    Raises:
        UserError: the file is too large, or cannot be read as text.
    """
    lines = enumerate(read_text(path, "camera path", most_bytes=MAX_TEXT_BYTES).splitlines(), start=1)
    return [(number, line.strip()) for number, line in lines if not line.lstrip().startswith("#")]
