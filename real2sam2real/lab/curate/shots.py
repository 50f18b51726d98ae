"""Where a video's shots begin and end, by PySceneDetect."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from real2sam2real.arrays import UInt8
from real2sam2real.errors import MissingPartError
from real2sam2real.media import iterate_video, resized, video_info

_SIDE = 256  # the longer side of what the detector looks at, in pixels; cuts are as plain there as at full size
_SHORTEST = 4  # frames; a change that comes sooner after the last cut is a flash, not a shot


@dataclass(frozen=True, kw_only=True)
class ShotSpan:
    """Frames between two cuts."""

    first: int  # number of its first frame in the video
    count: int  # its frames


def find_shots(path: Path) -> list[ShotSpan]:
    """The shots of a video, in order; together they hold every frame once.

    A cut is a change that stands out from those around it (PySceneDetect's adaptive detector), so fast camera
    movement is none. Frames are counted as `real2sam2real.media` decodes them.

    Args:
        path: a video.

    Returns:
        At least one shot; the whole video where there is no cut.

    Raises:
        UserError: the file is not a whole video.
        MissingPartError: PySceneDetect is not installed.
    """
    detector, timecode = _detector(video_info(path).fps or 25.0)
    cuts: list[int] = []
    count = 0
    for count, frame in enumerate(_small_frames(path), 1):
        cuts.extend(int(cut.frame_num) for cut in detector.process_frame(timecode(count - 1), frame))
    cuts.extend(int(cut.frame_num) for cut in detector.post_process(timecode(count - 1)))
    bounds = sorted({0, *(cut for cut in cuts if 0 < cut < count), count})
    return [ShotSpan(first=first, count=end - first) for first, end in pairwise(bounds)]


def _small_frames(path: Path) -> Iterator[UInt8]:
    """Frames `(h, w, 3)` uint8 as the detector takes them: small, blue first."""
    for frame in iterate_video(path):
        rgb = frame if frame.ndim == 3 else np.repeat(frame[..., None], 3, axis=2)
        scale = min(1.0, _SIDE / max(rgb.shape[:2]))
        small = resized(rgb, max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale)))
        yield np.ascontiguousarray(small[..., ::-1])


def _detector(fps: float) -> tuple[Any, Any]:
    try:
        from scenedetect import AdaptiveDetector, FrameTimecode
    except ImportError:
        raise MissingPartError(
            "finding cuts needs PySceneDetect; install it with: pip install scenedetect-headless"
        ) from None
    return AdaptiveDetector(min_scene_len=_SHORTEST), lambda number: FrameTimecode(number, fps)
