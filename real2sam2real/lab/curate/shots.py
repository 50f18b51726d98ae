"""Where a video's shots begin and end, by PySceneDetect."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from real2sam2real.arrays import UInt8
from real2sam2real.errors import MissingPartError
from real2sam2real.media import iterate_video, resized, video_info

_SIDE = 256  # the longer side of what the detector looks at, in pixels; cuts are as plain there as at full size
_SHORTEST = 4  # frames; a change that comes sooner after the last cut is a flash, not a shot


def find_shots(path: Path) -> list[range]:
    """The shots of a video as numbers of frames, in order; at least one, and together they hold every frame once.

    A cut is a change that stands out from those around it (PySceneDetect's adaptive detector), so fast camera
    movement is none. Frames are counted as `real2sam2real.media` decodes them.

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
    return [range(first, end) for first, end in pairwise(bounds)]


def colored_frames(path: Path) -> Iterator[UInt8]:
    """The frames of a video, `(H, W, 3)` uint8 sRGB also where it has single values."""
    for frame in iterate_video(path):
        yield frame if frame.ndim == 3 else np.repeat(frame[..., None], 3, axis=2)


def _small_frames(path: Path) -> Iterator[UInt8]:
    """Frames `(h, w, 3)` uint8 as the detector takes them: small, blue first."""
    for rgb in colored_frames(path):
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
