"""Videos written whole or not at all, one frame in memory.

Two kinds: `write_video` is for people to look at (H.264, lossy); `write_lossless_video` is what one stage hands to the
next, and every sample comes back as it went in.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from fractions import Fraction
from itertools import chain, islice
from pathlib import Path

import av
import cv2
import numpy as np

from real2sam2real.arrays import UInt8
from real2sam2real.files import replacing_file

# A fixed number of encoder threads: x264's output depends on it, and the same input should give the same file anywhere.
_ENCODER_THREADS = 4


class VideoWriter:
    """Takes the frames of one video one at a time; made by `video_writer` and `lossless_video_writer`."""

    def __init__(self, path: Path, *, fps: float, codec: str, pixel_format: str, codec_options: dict[str, str]) -> None:
        rate = Fraction(fps).limit_denominator(1001) if np.isfinite(fps) else Fraction(0)
        if rate <= 0:
            raise ValueError(f"fps is {fps}; it must be a positive number, at least 0.001")
        # Matroska draws a random name for the file unless it is told that the bytes are to be the same every time.
        options = {"movflags": "faststart"} if path.suffix == ".mp4" else {"fflags": "+bitexact"}
        self._container = av.open(str(path), "w", options=options)
        self._rate = rate
        self._codec = codec
        self._pixel_format, self._is_gray = pixel_format, pixel_format == "gray"
        self._options = codec_options
        self._stream: av.VideoStream | None = None
        self.shape: tuple[int, ...] | None = None
        self.frames = 0

    def add(self, pixels: UInt8) -> None:
        """Append one frame, `(H, W, 3)` uint8 (`(H, W)` for a video of single values).

        Raises:
            ValueError: the frame has another shape than the first one, or is not uint8.
        """
        dimensions = 2 if self._is_gray else 3
        if pixels.dtype != np.uint8 or pixels.ndim != dimensions or (dimensions == 3 and pixels.shape[2] != 3):
            raise ValueError(
                f"a frame of this video is uint8 with {dimensions} axes, not {pixels.shape} {pixels.dtype}"
            )
        if self.shape is None:
            self.shape = pixels.shape
        if pixels.shape != self.shape:
            raise ValueError(f"frame {self.frames} has shape {pixels.shape}; the first frame has {self.shape}")
        if self._pixel_format == "yuv420p":  # its colour has half the resolution, so both sides must be even
            odd_rows, odd_columns = pixels.shape[0] % 2, pixels.shape[1] % 2
            pixels = np.pad(pixels, ((0, odd_rows), (0, odd_columns), (0, 0)), mode="edge")
        if self._stream is None:
            self._stream = self._open_stream(*pixels.shape[:2])
        frame = self._to_frame(np.ascontiguousarray(pixels))
        frame.pts = self.frames
        frame.time_base = 1 / self._rate
        self._container.mux(self._stream.encode(frame))
        self.frames += 1

    def _to_frame(self, pixels: UInt8) -> av.VideoFrame:
        if self._pixel_format != "yuv420p":
            return av.VideoFrame.from_ndarray(pixels, format="gray" if self._is_gray else "rgb24")
        # OpenCV rounds where FFmpeg's own conversion truncates and darkens the picture by one level.
        return av.VideoFrame.from_ndarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2YUV_I420), format="yuv420p")

    def _open_stream(self, height: int, width: int) -> av.VideoStream:
        # FFV1's version 3 cannot slice a picture of one column; version 1 has no slices, and no checksums of them.
        options = {"level": "1"} if self._codec == "ffv1" and width == 1 else self._options
        stream = self._container.add_stream(self._codec, rate=self._rate, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, self._pixel_format
        stream.codec_context.time_base = 1 / self._rate
        stream.codec_context.thread_count = _ENCODER_THREADS
        if self._pixel_format == "yuv420p":
            # ITU-R 601, limited range: what readers that ignore the tags assume too, so all see the same colours.
            stream.codec_context.colorspace = 6
            stream.codec_context.color_range = 1
        return stream

    def close(self, *, complete: bool) -> None:
        """Write what the encoder still holds when the video is complete, and close the file in any case."""
        if not complete:
            with suppress(av.FFmpegError, OSError):  # the file is thrown away; the first error is the one to report
                self._container.close()
            return
        if self._stream is not None:
            self._container.mux(self._stream.encode(None))
        self._container.close()


@contextmanager
def _writing(path: Path | str, **settings: object) -> Iterator[VideoWriter]:
    with replacing_file(Path(path)) as temporary:
        writer = VideoWriter(temporary, **settings)  # type: ignore[arg-type]
        complete = False
        try:
            yield writer
            complete = writer.frames > 0
            if not complete:
                raise ValueError(f"no frame was given for {Path(path).name}; a video needs at least one")
        finally:
            writer.close(complete=complete)


def video_writer(
    path: Path | str, fps: float, *, crf: int = 18, preset: str = "medium"
) -> AbstractContextManager[VideoWriter]:
    """Open an H.264 video for people to look at; the file appears when the block ends without an error.

    Args:
        path: ends in `.mp4`.
        fps: frames per second; 23.976 and the like are kept as fractions.
        crf: x264's constant rate factor; smaller is better, 18 is hard to tell from the original.
        preset: x264's; "veryfast" takes a third of the time, for a file that may be larger.
    """
    # Macroblock-tree rate control is off because it differs between runs of the same input on a busy machine: 133 of
    # 400 encodings of one clip came out otherwise with it, none of 400 without.
    options = {"crf": str(crf), "preset": preset, "x264-params": "mbtree=0"}
    return _writing(path, fps=fps, codec="libx264", pixel_format="yuv420p", codec_options=options)


def lossless_video_writer(
    path: Path | str, fps: float, *, single_channel: bool = False
) -> AbstractContextManager[VideoWriter]:
    """Open a lossless `.mkv` video of `(H, W, 3)` frames, or of `(H, W)` frames when `single_channel`."""
    if single_channel:  # FFV1, because H.264 decoders give a monochrome stream back as YCbCr
        return _writing(path, fps=fps, codec="ffv1", pixel_format="gray", codec_options={"level": "3", "slicecrc": "1"})
    options = {"qp": "0", "preset": "ultrafast"}
    return _writing(path, fps=fps, codec="libx264rgb", pixel_format="rgb24", codec_options=options)


def write_video(
    path: Path | str, frames: Iterable[UInt8], fps: float, *, crf: int = 18, preset: str = "medium", ahead: int = 0
) -> None:
    """Write `(H, W, 3)` uint8 frames as H.264 (yuv420p, starts playing before it is loaded), one frame in memory.

    An odd width or height gets one more column or row, a copy of the last.

    Args:
        path: ends in `.mp4`.
        frames: in order.
        fps: frames per second.
        crf: see `video_writer`.
        preset: see `video_writer`.
        ahead: frames that may wait to be encoded, in a thread of its own, while the next ones are made. With any, no
            frame may be changed after it was given.

    Raises:
        ValueError: there is no frame, the frames differ in shape, or fps is not positive.
    """
    with video_writer(path, fps, crf=crf, preset=preset) as writer:
        if ahead:
            _add_beside(writer, frames, ahead)
            return
        for frame in frames:
            writer.add(frame)


def _add_beside(writer: VideoWriter, frames: Iterable[UInt8], ahead: int) -> None:
    """Let a thread add the frames, of which at most so many wait."""
    waiting: deque[Future[None]] = deque()
    with ThreadPoolExecutor(1, "video writer") as pool:  # which waits for its thread, however this ends
        for frame in frames:
            waiting.append(pool.submit(writer.add, frame))
            if len(waiting) > ahead:
                waiting.popleft().result()
        while waiting:
            waiting.popleft().result()


def write_lossless_video(path: Path | str, frames: Iterable[UInt8], fps: float) -> None:
    """Write `(H, W, 3)` or `(H, W)` uint8 frames so that `read_video` gives back the very same values.

    Raises:
        ValueError: there is no frame, the frames differ in shape, or fps is not positive.
    """
    iterator = iter(frames)
    first = list(islice(iterator, 1))  # says which kind of video it is
    with lossless_video_writer(path, fps, single_channel=bool(first) and first[0].ndim == 2) as writer:
        for frame in chain(first, iterator):
            writer.add(frame)
