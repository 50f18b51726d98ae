"""A video by which a person judges a sample: the clip with outlined instances, beside its masked normals."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from real2sam2real.arrays import Float32, UInt8
from real2sam2real.media import write_video
from real2sam2real.perceive.segment.overlay import mask_color

_TINT = 0.25


def write_overlay(path: Path, video: UInt8, normals: Float32, ids: UInt8, fps: float) -> None:
    """Write the clip as `.mp4`, its instances tinted and outlined in colours of their own, beside its normals.

    Args:
        path: the file to write.
        video: `(T, H, W, 3)` uint8 sRGB.
        normals: `(T, H, W, 3)` float32, unit length, right/up/towards; shown as colours, black where `ids` is 0.
        ids: `(T, H, W)` uint8, 0 where there is no instance.
        fps: frames per second.

    Raises:
        ValueError: the arrays do not fit together.
    """
    if video.shape != normals.shape or video.shape[:3] != ids.shape:
        raise ValueError(f"video {video.shape}, normals {normals.shape} and ids {ids.shape} are not of one clip")
    write_video(path, _frames(video, normals, ids), fps)


def outlined(picture: UInt8, ids: UInt8) -> UInt8:
    """A frame `(H, W, 3)` uint8 with the instances of `ids` `(H, W)` uint8 tinted and outlined; 0 is none."""
    result = picture.copy()
    thickness = max(1, round(max(ids.shape) / 480))
    for number in np.unique(ids[ids > 0]):
        mask, color = ids == number, mask_color(int(number) - 1)
        result[mask] = np.round((1 - _TINT) * result[mask] + _TINT * np.array(color)).astype(np.uint8)
        edges, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(result, edges, -1, color, thickness)
    return result


def _frames(video: UInt8, normals: Float32, ids: UInt8) -> Iterator[UInt8]:
    for picture, directions, numbers in zip(video, normals, ids, strict=True):
        colors = np.clip(np.round(127.5 * (directions + 1)), 0, 255).astype(np.uint8)
        colors[numbers == 0] = 0
        yield np.concatenate([outlined(picture, numbers), colors], axis=1)
