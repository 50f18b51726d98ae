"""When the frames of a video are shown: by their time stamps, on a grid of one rate."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, replace
from fractions import Fraction

import av
import numpy as np
from av.container import InputContainer

from real2sam2real.arrays import Float, Int
from real2sam2real.errors import UserError

_UNEVEN = 0.6  # of the mean interval: a time stamp further from an even rate makes the rate a variable one
_MOST_FRAMES = 10_000_000
_STANDARD_RATES = [Fraction(n) for n in (24, 25, 30, 48, 50, 60, 100, 120)]
_STANDARD_RATES += [Fraction(n * 1000, 1001) for n in (24, 30, 60, 120)]


@dataclass(frozen=True, kw_only=True, eq=False)
class VideoTimeline:
    """The frames that a video shows at one rate, of those that are stored.

    A video of one rate shows each stored frame once. One of a variable rate is shown at its usual rate: each frame for
    as long as its time stamps say, so that two seconds of the file are two seconds of frames.
    """

    fps: float  # frames per second, 0 when the file does not say
    stored: int  # stored frames that an edit list has not cut away
    shown: Int  # `(T,)` the stored frame that each frame of the grid shows, in order
    hidden: int = 0  # stored frames that an edit list cuts away
    stamps: tuple[int, ...] = ()  # of the stored frames, in order; none where some frame has none

    @property
    def note(self) -> str:
        """How a variable rate is shown; empty for a video of one rate."""
        held = len(self.shown) - len(used := np.unique(self.shown))
        dropped = self.stored - len(used)
        if not held and not dropped:
            return ""
        return (
            f"variable frame rate: {self.stored} frames are shown by their time stamps at {self.fps:g} a second "
            f"({held} held, {dropped} left out)"
        )

    def repeats(self) -> Int:
        """`(stored,)`: for how many frames of the grid each stored one is shown."""
        return np.bincount(self.shown, minlength=self.stored)

    def place(self, stamp: int | None, least: int) -> int:
        """Which stored frame a decoded one is, by its time stamp; `least` where that does not tell."""
        at = bisect_left(self.stamps, stamp, lo=min(least, len(self.stamps))) if stamp is not None else least
        return at if at < len(self.stamps) and self.stamps[at] == stamp else least


def read_timeline(container: InputContainer, stream: av.VideoStream) -> VideoTimeline:
    """The timeline of a stream, from its packets alone; the container has to be opened again to be decoded.

    Raises:
        UserError: the time stamps span more than ten million frames.
    """
    stamps, length, hidden = _packets(container, stream)
    known = sorted(stamp for stamp in stamps if stamp is not None)
    if len(known) < len(stamps):
        return _even(Fraction(stream.average_rate or stream.guessed_rate or 0), len(stamps), hidden)
    return replace(_by_stamps(stream, known, length, hidden), stamps=tuple(known))


def _packets(container: InputContainer, stream: av.VideoStream) -> tuple[list[int | None], int, int]:
    """The time stamps of the frames that are shown, how long the last of them is, and how many are cut away."""
    stamps: list[int | None] = []
    length = hidden = 0
    try:
        for packet in container.demux(stream):
            if packet.size == 0 or _is_invisible(packet, stream):
                continue
            if packet.is_discard:
                hidden += 1
                continue
            stamps.append(packet.pts)
            length = packet.duration or length
    except av.FFmpegError:
        pass  # cut short: decoding says so, with the frame at which it happens
    return stamps, length, hidden


def _by_stamps(stream: av.VideoStream, stamps: list[int], length: int, hidden: int) -> VideoTimeline:
    """Of sorted time stamps, the last of them of a frame of some `length`, in the stream's unit."""
    rate = Fraction(stream.average_rate or stream.guessed_rate or 0)
    if len(stamps) < 2 or stream.time_base is None:
        return _even(rate, len(stamps), hidden)
    times = np.array(stamps, np.float64) * float(stream.time_base)
    span = times[-1] - times[0]
    mean = span / (len(times) - 1)
    if not mean > 0:
        return _even(rate, len(stamps), hidden)
    if np.abs(times - times[0] - mean * np.arange(len(times))).max() <= _UNEVEN * mean:
        tolerance = 0.01 + 2 * float(stream.time_base) / span
        if not rate or abs(float(rate) * mean - 1) > tolerance:
            rate = _standard_rate(1 / mean)
        return _even(rate, len(stamps), hidden)
    intervals = np.diff(times)
    usual = 1 / float(np.median(intervals[intervals > 0]))
    named = Fraction(stream.guessed_rate or 0)
    is_named = abs(float(named) / usual - 1) < 0.01 + usual * float(stream.time_base)  # stamps are rounded
    fps = float(named if is_named else _standard_rate(usual))
    return _variable(times, length * float(stream.time_base), fps, hidden)


def _is_invisible(packet: av.Packet, stream: av.VideoStream) -> bool:
    """Whether it is one of VP8's reference pictures that nobody is to see (RFC 6386, 9.1)."""
    return stream.codec_context.name.endswith("vp8") and not bytes(packet)[0] >> 4 & 1


def _even(rate: Fraction, count: int, hidden: int) -> VideoTimeline:
    # Matroska rounds the length of a frame to nanoseconds
    fps = float(rate.limit_denominator(1001))
    return VideoTimeline(fps=fps, stored=count, shown=np.arange(count), hidden=hidden)


def _variable(times: Float, last: float, rate: float, hidden: int) -> VideoTimeline:
    """Of `times` `(N,)` in seconds, sorted, the last of them shown for `last` seconds."""
    starts = np.round((times - times[0]) * rate)
    length = max(starts[-1] + 1, np.round((times[-1] + last - times[0]) * rate))
    if length > _MOST_FRAMES:
        raise UserError(
            f"the video's time stamps span {length / rate / 3600:.0f} hours at {rate:g} frames a second, more than can "
            "be read; encode it again at one rate"
        )
    shown = np.searchsorted(starts, np.arange(int(length)), side="right") - 1
    return VideoTimeline(fps=rate, stored=len(times), shown=shown, hidden=hidden)


def _standard_rate(rate: float) -> Fraction:
    """The usual rate that this one is but for the rounding of time stamps, or itself."""
    nearest = min(_STANDARD_RATES, key=lambda standard: abs(float(standard) / rate - 1))
    if abs(float(nearest) / rate - 1) < 0.02:
        return nearest
    return Fraction(rate).limit_denominator(1001)
