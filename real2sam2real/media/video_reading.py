"""Videos read as they are to be seen: upright, in square pixels, in sRGB, at one rate; whole, or refused with a reason.

What the container and the codec say of the picture is honoured here, for every part of the package alike; what cannot
be is said in `VideoInfo.notes`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import repeat
from pathlib import Path

import av
import cv2
import numpy as np
from av.container import InputContainer

from real2sam2real.arrays import UInt8
from real2sam2real.errors import UserError, first_line
from real2sam2real.files import existing_file, refuse_if_system
from real2sam2real.media.color import ColorSpace
from real2sam2real.media.video_timeline import VideoTimeline, read_timeline

_log = logging.getLogger(__name__)
_MATRIX_UNSAID = 2  # ITU-T H.273's "unspecified" and "reserved"
_HIGH_DEFINITION = 720  # pixels of height from which a video that says no matrix may mean BT.709


@dataclass(frozen=True, kw_only=True)
class VideoInfo:
    """What a video shows."""

    width: int  # pixels, upright and square
    height: int  # pixels
    fps: float  # frames per second, 0 when the file does not say
    frames: int  # number of frames
    channels: int  # 3 for colour, 1 for a video of single values (`write_lossless_video` of `(H, W)` frames)
    notes: tuple[str, ...] = ()  # what was converted, or cannot be honoured, in words


@dataclass(frozen=True, kw_only=True, eq=False)
class _Picture:
    """How the decoder's frames become what is seen."""

    channels: int
    color: ColorSpace
    aspect: float  # width of a stored pixel by its height
    axes: tuple[bool, bool, bool]  # rows and columns swapped, then rows reversed, columns reversed

    def __call__(self, frame: av.VideoFrame) -> UInt8:
        if self.channels == 1:
            pixels = frame.to_ndarray(format="gray").astype(np.uint8, copy=False)
        elif self.color.is_srgb:
            pixels = frame.to_ndarray(format="rgb24")
        else:
            pixels = self.color.to_srgb(frame.to_ndarray(format="rgb48le"))
        height, width = pixels.shape[:2]
        if (square := max(1, round(width * self.aspect))) != width:
            how = cv2.INTER_AREA if square < width else cv2.INTER_CUBIC
            pixels = cv2.resize(pixels, (square, height), interpolation=how).astype(np.uint8, copy=False)
        swapped, rows, columns = self.axes
        pixels = pixels.swapaxes(0, 1) if swapped else pixels
        return np.ascontiguousarray(pixels[:: -1 if rows else 1, :: -1 if columns else 1])


@dataclass(frozen=True, kw_only=True, eq=False)
class _Described:
    info: VideoInfo
    timeline: VideoTimeline
    picture: _Picture


def video_info(path: Path | str) -> VideoInfo:
    """Size, rate and length of a video; its first frame alone is decoded.

    Raises:
        UserError: there is no such file, or it is not a readable video.
    """
    return _described(path).info


def video_timeline(path: Path | str) -> VideoTimeline:
    """Which stored frames the frames of a video show.

    Raises:
        UserError: there is no such file, or it is not a readable video.
    """
    return _described(path).timeline


def iterate_video(path: Path | str) -> Iterator[UInt8]:
    """Decode a video frame by frame: `(H, W, 3)` uint8 sRGB, or `(H, W)` for a video of single values.

    Raises:
        UserError: there is no such file, it is not a readable video, it ends too early, or its size changes midway.
    """
    described, held, at = _described(path), None, 0
    timeline = described.timeline
    repeats = timeline.repeats()
    with _opened(path) as (container, stream):
        stream.thread_type = "AUTO"
        last_end, count = 0.0, 0
        try:
            for frame in container.decode(stream):
                if frame.pts is not None and stream.time_base is not None:
                    last_end = float((frame.pts + (frame.duration or 1)) * stream.time_base)
                before, at = at, timeline.place(frame.pts, at) + 1
                count += 1
                lost = int(repeats[before : at - 1].sum())  # times of frames that the decoder has left out
                shown = int(repeats[at - 1]) if at <= len(repeats) else 1
                if lost + shown:
                    pixels = described.picture(frame)
                    if pixels.shape[:2] != (described.info.height, described.info.width):
                        raise UserError(f"{path} changes its size at frame {count - 1}; re-encode it at one size.")
                    yield from repeat(pixels if held is None else held, lost)
                    yield from repeat(pixels, shown)
                    held = pixels
        except av.FFmpegError as error:
            refuse_if_system(error, Path(path))
            raise UserError(
                f"{path} is damaged: it breaks off after frame {count} ({error}). Copy it again."
            ) from error
        _check_complete(Path(path), stream, timeline, count, last_end)
        if held is not None:
            yield from repeat(held, int(repeats[at:].sum()))
        if count < timeline.stored:
            _log.warning("%s: %d of its %d frames cannot be decoded; the frame before is held", path,
                         timeline.stored - count, timeline.stored)  # fmt: skip


class VideoFrames:
    """A video by slice, `(t, H, W, 3)` uint8 (`(t, H, W)` for single values): decodes forward, keeps the last slice.

    Made for windows that move along the video and overlap; one that lies before the last starts again from the
    beginning.

    Raises:
        UserError: there is no such file, or it is not a readable video.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.info = video_info(path)
        self._held: dict[int, UInt8] = {}
        self._iterator: Iterator[UInt8] = iter(())
        self._position = len(self)

    def __len__(self) -> int:
        return self.info.frames

    def __getitem__(self, window: slice, /) -> UInt8:
        """The frames of a slice without a step.

        Raises:
            UserError: the file is damaged or shorter than it says.
        """
        start, stop, step = window.indices(len(self))
        if step != 1 or stop <= start:
            raise ValueError(f"{window} is no forward slice of {len(self)} frames")
        if start not in self._held and start < self._position:
            self._iterator, self._position = iterate_video(self.path), 0
        held = {index: self._held[index] for index in range(start, stop) if index in self._held}
        while self._position < stop:
            frame = next(self._iterator, None)
            if frame is None:
                raise UserError(f"{self.path} is cut short: it ends after {self._position} frames. Copy it again.")
            if self._position >= start:
                held[self._position] = frame
            self._position += 1
        self._held = held
        return np.stack([held[index] for index in range(start, stop)])


def read_video(path: Path | str) -> UInt8:
    """Decode a whole video: `(T, H, W, 3)` uint8 sRGB, or `(T, H, W)` for a video of single values.

    Raises:
        UserError: there is no such file, it is not a readable video, it ends too early, or its size changes midway.
    """
    return np.stack(list(iterate_video(path)))


@contextmanager
def _opened(path: Path | str) -> Iterator[tuple[InputContainer, av.VideoStream]]:
    path = existing_file(path)
    try:
        container = av.open(str(path), metadata_errors="replace")  # titles in Latin-1 are common, and not for us
    except (av.FFmpegError, ValueError) as error:
        refuse_if_system(error, path)
        reason = "it is empty" if not path.stat().st_size else str(error)
        raise UserError(f"{path} cannot be read as a video: {reason}. Give a whole video file.") from error
    with container:
        # A cover picture is a video stream too, to FFmpeg.
        streams = [s for s in container.streams.video if not _is_cover(s)] or list(container.streams.video)
        if not streams:
            raise UserError(f"{path} holds no video stream; give a video file.")
        if streams[0].codec_context is None:
            raise UserError(
                f"{path} is encoded in a way that the installed FFmpeg (PyAV) cannot decode; encode it again, as H.264 "
                "for instance"
            )
        yield container, streams[0]


def _is_cover(stream: av.VideoStream) -> bool:
    return bool(stream.disposition & stream.disposition.__class__["attached_pic"])


def _described(path: Path | str) -> _Described:
    state = existing_file(path).stat()
    return _describe(Path(path), (state.st_mtime_ns, state.st_size, state.st_ino))


@lru_cache(maxsize=8)
def _describe(path: Path, state: tuple[int, int, int]) -> _Described:
    """Of a file in that state: all its packets are read and one frame is decoded, which is not to be done twice."""
    with _opened(path) as (container, stream):
        timeline = read_timeline(container, stream)
    with _opened(path) as (container, stream):
        first = _first_frame(path, container, stream)
        aspect = float(stream.sample_aspect_ratio or 1)
        picture = _Picture(
            channels=1 if first.format.name == "gray" else 3,
            color=ColorSpace(int(first.color_primaries), int(first.color_trc)),
            aspect=aspect if 0.1 <= aspect <= 10 else 1.0,
            axes=_axes(_side_data(first, "DISPLAYMATRIX")) or (False, False, False),
        )
        streams = len(container.streams.video)
        notes = [*_picture_notes(first, picture, aspect), timeline.note, _time_note(timeline)]
        height, width = picture(first).shape[:2]
    if streams > 1:
        notes.append(f"it holds {streams} video streams; the first that is no cover picture is used")
    info = VideoInfo(
        width=width,
        height=height,
        fps=timeline.fps,
        frames=len(timeline.shown),
        channels=picture.channels,
        notes=tuple(filter(None, notes)),
    )
    return _Described(info=info, timeline=timeline, picture=picture)


def _first_frame(path: Path, container: InputContainer, stream: av.VideoStream) -> av.VideoFrame:
    try:
        frame = next(iter(container.decode(stream)), None)
    except av.FFmpegError as error:
        refuse_if_system(error, path)
        raise UserError(f"{path} is damaged: no frame can be decoded ({first_line(error)}). Copy it again.") from error
    if frame is None:
        raise UserError(f"{path} is cut short: it holds no frame that can be decoded; give a whole video file.")
    return frame


def _side_data(frame: av.VideoFrame, name: str) -> bytes | None:
    return next((bytes(data) for data in frame.side_data if data.type.name == name), None)


def _axes(matrix: bytes | None) -> tuple[bool, bool, bool] | None:
    """What a display matrix (nine big numbers, as in MP4) asks for; None where it is no quarter turn or mirror."""
    if matrix is None:
        return False, False, False
    a, b, _, c, d, *_ = np.frombuffer(matrix, np.int32)[:9].astype(np.float64) / 65536  # x' = ax + cy, y' = bx + dy
    swapped = abs(a) + abs(d) < abs(b) + abs(c)
    along, across = ((b, c), (a, d)) if swapped else ((a, d), (b, c))
    if min(map(abs, along)) < 0.1 or max(map(abs, across)) > 0.02 * max(map(abs, along)):
        return None
    return (True, b < 0, c < 0) if swapped else (False, d < 0, a < 0)


def _picture_notes(frame: av.VideoFrame, picture: _Picture, aspect: float) -> Iterator[str]:
    """What is done to the picture, and what cannot be honoured."""
    matrix = _side_data(frame, "DISPLAYMATRIX")
    if picture.axes != (False, False, False):
        yield "turned or mirrored as the file says"
    elif _axes(matrix) is None:
        yield "the file asks for a turn that is no quarter turn; it is left out"
    if picture.aspect != 1:
        yield f"its pixels are {picture.aspect:.4g} times as wide as high; made square"
    elif aspect != 1:
        yield f"its pixels would be {aspect:.4g} times as wide as high, which is left out"
    yield picture.color.note
    if frame.interlaced_frame:
        yield "it is interlaced; its fields are not parted"
    if any(part.is_alpha for part in frame.format.components):
        yield "its transparency is left out"
    if _side_data(frame, "DOVI_METADATA") is not None and picture.color.is_srgb:
        yield "its Dolby Vision colours cannot be honoured; convert it to HDR10, HLG or BT.709 first"
    is_yuv = not frame.format.is_rgb and picture.channels == 3
    if is_yuv and frame.height >= _HIGH_DEFINITION and int(frame.colorspace) == _MATRIX_UNSAID:
        yield "it does not say its colour matrix, and is read as ITU-R BT.601, as FFmpeg and OpenCV write it"


def _time_note(timeline: VideoTimeline) -> str:
    return f"{timeline.hidden} stored frames are cut away by its edit list" if timeline.hidden else ""


def _check_complete(path: Path, stream: av.VideoStream, timeline: VideoTimeline, count: int, last_end: float) -> None:
    """Refuse a file of which `count` frames, until `last_end` in seconds, are not all that it says to hold."""
    if not count:
        raise UserError(f"{path} holds no frame that can be decoded; give a whole video file.")
    frame = 0.75 / timeline.fps if timeline.fps > 0 else 0.0
    missing = False
    if stream.frames > count:  # as it is too where an edit list cuts frames away: then the time tells
        known = stream.duration is not None and stream.time_base is not None
        end = float(((stream.start_time or 0) + (stream.duration or 0)) * (stream.time_base or 0))
        missing = count < timeline.stored or not known or last_end < end - frame
    length = _tagged_seconds(stream.metadata.get("DURATION", ""))
    if length is not None and timeline.fps > 0:
        missing |= last_end < length - frame
    if missing:
        raise UserError(f"{path} is cut short or damaged: only {count} of its frames can be decoded. Copy it again.")


def _tagged_seconds(text: str) -> float | None:
    """Seconds of Matroska's DURATION tag, `hh:mm:ss.fffffffff`."""
    try:
        hours, minutes, seconds = text.split(":")
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    except ValueError:
        return None
