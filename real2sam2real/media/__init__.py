"""Pictures and videos on disk: read as they are to be seen or refused with a reason, written whole or not at all."""

from real2sam2real.media.pictures import read_image, resized, write_png
from real2sam2real.media.video_reading import (
    VideoFrames,
    VideoInfo,
    iterate_video,
    read_video,
    video_info,
    video_timeline,
)
from real2sam2real.media.video_writing import (
    VideoWriter,
    lossless_video_writer,
    video_writer,
    write_lossless_video,
    write_video,
)

__all__ = [
    "VideoFrames",
    "VideoInfo",
    "VideoWriter",
    "iterate_video",
    "lossless_video_writer",
    "read_image",
    "read_video",
    "resized",
    "video_info",
    "video_timeline",
    "video_writer",
    "write_lossless_video",
    "write_png",
    "write_video",
]
