"""Pictures and videos on disk: written whole or not at all, read completely or refused with a reason.

Two kinds of video: `write_video` is for people to look at (H.264, lossy); `write_lossless_video` is what one stage
hands to the next, and every sample comes back as it went in.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, islice
from pathlib import Path

import av
import cv2
import numpy as np
from av.container import InputContainer
from PIL import Image, ImageOps

from real2sam2real.arrays import UInt8
from real2sam2real.errors import UserError
from real2sam2real.files import replacing_file

MAX_IMAGE_PIXELS = 200_000_000
# A fixed number of encoder threads: x264's output depends on it, and the same input should give the same file anywhere.
_ENCODER_THREADS = 4


@dataclass(frozen=True, kw_only=True)
class VideoInfo:
    """What a video file says of itself."""

    width: int  # pixels
    height: int  # pixels
    fps: float  # frames per second, 0 when the file does not say
    frames: int | None  # number of frames, or None when the container does not say (it is then known after reading)
    channels: int  # 3 for colour, 1 for a video of single values (`write_lossless_video` of `(H, W)` frames)


def read_image(path: Path | str) -> UInt8:
    """Read a picture as `(H, W, 3)` uint8 sRGB, turned upright as its EXIF orientation says.

    Raises:
        UserError: there is no such file, it is no picture, it is damaged, or it has more than 200 megapixels.
    """
    path = _existing(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                if image.width * image.height > MAX_IMAGE_PIXELS:
                    raise UserError(
                        f"{path} has {image.width}×{image.height} pixels; "
                        f"the limit is {MAX_IMAGE_PIXELS // 10**6} megapixels. Make it smaller first."
                    )
                return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(f"{path} cannot be read as a picture ({error}); give a whole PNG or JPEG file.") from error


def resized(image: UInt8, width: int, height: int) -> UInt8:
    """`(height, width, 3)` uint8 of `(H, W, 3)`: averaged over areas where it shrinks, bicubic where it grows."""
    if image.shape[:2] == (height, width):
        return image
    how = cv2.INTER_AREA if width < image.shape[1] else cv2.INTER_CUBIC
    return cv2.resize(image, (width, height), interpolation=how).astype(np.uint8, copy=False)


def write_png(path: Path | str, pixels: UInt8) -> None:
    """Write `(H, W, 3)` or `(H, W)` uint8 pixels as a PNG file.

    Raises:
        ValueError: the array is no such picture.
    """
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] != 3):
        raise ValueError(f"a picture is (H, W, 3) or (H, W) uint8, not {pixels.shape} {pixels.dtype}")
    with replacing_file(Path(path)) as temporary:
        Image.fromarray(np.ascontiguousarray(pixels)).save(temporary, compress_level=4)


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
    path: Path | str, frames: Iterable[UInt8], fps: float, *, crf: int = 18, preset: str = "medium"
) -> None:
    """Write `(H, W, 3)` uint8 frames as H.264 (yuv420p, starts playing before it is loaded), one frame in memory.

    An odd width or height gets one more column or row, a copy of the last.

    Raises:
        ValueError: there is no frame, the frames differ in shape, or fps is not positive.
    """
    with video_writer(path, fps, crf=crf, preset=preset) as writer:
        for frame in frames:
            writer.add(frame)


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


def video_info(path: Path | str) -> VideoInfo:
    """Size, rate and length of a video, without decoding it.

    Raises:
        UserError: there is no such file, or it is not a readable video.
    """
    with _opened(path) as container:
        return _info(container.streams.video[0])


def iterate_video(path: Path | str) -> Iterator[UInt8]:
    """Decode a video frame by frame: `(H, W, 3)` uint8, or `(H, W)` for a video of single values.

    Raises:
        UserError: there is no such file, it is not a readable video, or it ends too early.
    """
    with _opened(path) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        info = _info(stream)
        last_end, count = 0.0, 0
        try:
            for frame in container.decode(stream):
                count += 1
                if frame.pts is not None and stream.time_base is not None:
                    last_end = float((frame.pts + (frame.duration or 1)) * stream.time_base)
                pixels = frame.to_ndarray(format="gray" if info.channels == 1 else "rgb24")
                yield pixels.astype(np.uint8, copy=False)
        except av.FFmpegError as error:
            raise UserError(
                f"{path} is damaged: it breaks off after frame {count} ({error}). Copy it again."
            ) from error
        _check_complete(Path(path), stream, info, count, last_end)


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
        self._length = self.info.frames or _count_packets(self.path)
        self._held: dict[int, UInt8] = {}
        self._iterator: Iterator[UInt8] = iter(())
        self._position = self._length

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, window: slice, /) -> UInt8:
        """The frames of a slice without a step.

        Raises:
            UserError: the file is damaged or shorter than it says.
        """
        start, stop, step = window.indices(self._length)
        if step != 1 or stop <= start:
            raise ValueError(f"{window} is no forward slice of {self._length} frames")
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
    """Decode a whole video: `(T, H, W, 3)` uint8, or `(T, H, W)` for a video of single values.

    Raises:
        UserError: there is no such file, it is not a readable video, it ends too early, or its size changes midway.
    """
    frames: list[UInt8] = []
    for frame in iterate_video(path):
        if frames and frame.shape != frames[0].shape:
            raise UserError(f"{path} changes its size at frame {len(frames)}; re-encode it at one size.")
        frames.append(frame)
    return np.stack(frames)


def _count_packets(path: Path) -> int:
    with _opened(path) as container:
        return sum(packet.size > 0 for packet in container.demux(container.streams.video[0]))


def _existing(path: Path | str) -> Path:
    path = Path(path)
    if not path.is_file():
        kind = "is a folder" if path.is_dir() else "does not exist"
        raise UserError(f"{path} {kind}; give the path of a file.")
    return path


@contextmanager
def _opened(path: Path | str) -> Iterator[InputContainer]:
    path = _existing(path)
    try:
        container = av.open(str(path))
    except av.FFmpegError as error:
        reason = "it is empty" if not path.stat().st_size else str(error)
        raise UserError(f"{path} cannot be read as a video: {reason}. Give a whole video file.") from error
    with container:
        if not container.streams.video:
            raise UserError(f"{path} holds no video stream; give a video file.")
        yield container


def _info(stream: av.VideoStream) -> VideoInfo:
    context = stream.codec_context
    rate = stream.average_rate or stream.guessed_rate or Fraction(0)
    rate = Fraction(rate).limit_denominator(1001)  # Matroska rounds the length of a frame to nanoseconds
    return VideoInfo(
        width=context.width,
        height=context.height,
        fps=float(rate),
        frames=stream.frames or None,
        channels=1 if context.pix_fmt == "gray" else 3,
    )


def _check_complete(path: Path, stream: av.VideoStream, info: VideoInfo, count: int, last_end: float) -> None:
    if not count:
        raise UserError(f"{path} holds no frame that can be decoded; give a whole video file.")
    missing = (info.frames or 0) > count
    length = _tagged_seconds(stream.metadata.get("DURATION", ""))
    if length is not None and info.fps > 0:
        missing |= last_end < length - 0.75 / info.fps
    if missing:
        raise UserError(f"{path} is cut short: only {count} of its frames can be decoded. Copy it again.")


def _tagged_seconds(text: str) -> float | None:
    """Seconds of Matroska's DURATION tag, `hh:mm:ss.fffffffff`."""
    try:
        hours, minutes, seconds = text.split(":")
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    except ValueError:
        return None
