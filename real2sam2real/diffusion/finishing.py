"""What a generated video still lacks when it is decoded: the preview's detail, and the preview's size.

An autoencoder keeps little of fine texture that moves, and a small model works at a small size. Both are known where a
video starts from a preview: coding the preview and decoding it shows what coding loses, and the preview is drawn at
any size. So wherever the generated video shows what the coded preview shows, the preview itself is shown, with the
broad change of light and colour that generation made; elsewhere the video is what the model painted, enlarged.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import cv2
import numpy as np

from real2sam2real import media
from real2sam2real.arrays import Float32, UInt8
from real2sam2real.diffusion import conditioning
from real2sam2real.diffusion.segments import Frames, Segment, window
from real2sam2real.diffusion.upscaling import SCALE, VideoUpscaler

LONGEST_SIDE = 1280
_BROAD = 0.012  # standard deviation of the blur under which two videos are compared, as a share of the longer side
_STEADY = 1.5  # the same along time, in frames
_SAME, _OTHER = 8.0, 24.0  # differences, of 255, up to which two pictures show the same, and from which they do not
_SEEN = 0.9  # where the preview covers more than this, what lies below it is too faint to sharpen


@dataclass(frozen=True, kw_only=True, eq=False)
class Agreement:
    """Where a generated video shows what the preview that it started from shows."""

    share: Float32  # `(T, h, w)` 0…1: 1 where it does
    change: Float32  # `(T, h, w, 3)`: the broad difference, in levels of 255, generated minus coded preview


def find_agreement(video: UInt8, coded: UInt8) -> Agreement:
    """Compare a video with the preview as the autoencoder codes it, both `(T, h, w, 3)` uint8."""
    sigma = _BROAD * max(video.shape[1:3])
    change = np.empty(video.shape, np.float32)
    for made, kept, out in zip(video, coded, change, strict=True):
        cv2.GaussianBlur(made.astype(np.float32) - kept, (0, 0), sigma, dst=out, borderType=cv2.BORDER_REFLECT)
    change = _steadied(change)
    distance = np.abs(change).max(axis=-1)
    share = np.clip((_OTHER - distance) / (_OTHER - _SAME), 0, 1)
    return Agreement(share=share * share * (3 - 2 * share), change=change)


def _steadied(values: Float32) -> Float32:
    """`(T, h, w, 3)` smoothed along time, so that nothing is switched from frame to frame."""
    rows = np.ascontiguousarray(values.reshape(len(values), -1).T)
    smooth = cv2.GaussianBlur(rows, (0, 0), sigmaX=_STEADY, sigmaY=1e-6, borderType=cv2.BORDER_REPLICATE)
    return np.ascontiguousarray(smooth.T).reshape(values.shape)


def coded(autoencoder: Any, frames: UInt8) -> UInt8:
    """`(T, h, w, 3)` uint8, T = 4k + 1, as the autoencoder gives them back."""
    device = next(autoencoder.parameters()).device
    latents = conditioning.encode_latents(autoencoder, conditioning.to_video_tensor(frames, device))
    return conditioning.to_frames(conditioning.decode_latents(autoencoder, latents))


def with_detail(video: UInt8, coded_preview: UInt8, preview: UInt8) -> UInt8:
    """A video `(T, h, w, 3)` with the detail of the preview of its size where both agree."""
    agreement = find_agreement(video, coded_preview)
    share = agreement.share[..., None]
    mixed = share * (preview + agreement.change) + (1 - share) * video
    return np.rint(mixed).clip(0, 255).astype(np.uint8)


def enlarged_size(width: int, height: int) -> tuple[int, int]:
    """What a video of this size that no preview gives a size becomes: four times it, at most 1280 along a side."""
    scale = max(1.0, min(SCALE, LONGEST_SIDE / max(width, height)))
    return round(width * scale / 2) * 2, round(height * scale / 2) * 2


@dataclass(kw_only=True, eq=False)
class Finish:
    """Brings a video to its last size, a frame at a time, with the preview's detail if it started from one."""

    width: int  # of the finished video
    height: int
    upscaler: VideoUpscaler  # enlarges what the preview does not show
    shares: list[float] = field(default_factory=list)  # of each finished frame, how much of it the preview shows

    def notes(self) -> list[str]:
        """What was done, for people."""
        size = f"{self.width}×{self.height}"
        if not self.shares:
            return [f"enlarged to {size} by Real-ESRGAN's video network"]
        share = f"{np.mean(self.shares):.0%}"
        return [
            f"brought to {size}: {share} of the pixels are the preview's, under the light and colour of the generated "
            "video, which shows the same there; the rest is the generated video, enlarged by Real-ESRGAN's network"
        ]

    def frames(
        self,
        made: Iterable[UInt8],
        *,
        preview: Frames | None,
        autoencoder: Any,
        segments: Sequence[tuple[Segment, int]],
    ) -> Iterator[UInt8]:
        """The finished frames `(height, width, 3)` uint8.

        Args:
            made: the generated frames `(h, w, 3)` uint8, in order.
            preview: `(T, H, W, 3)` uint8 by slice at any size, or None for a video that was made from noise.
            autoencoder: that the video was made with.
            segments: that it was made in, each with the frame, counted over the shot, after the last one it shows.
        """
        frames = iter(made)
        if preview is None:
            yield from (self._enlarged(frame, np.ones(frame.shape[:2], bool)) for frame in frames)
            return
        first = 0
        for segment, stop in segments:
            video = np.stack(list(islice(frames, stop - first)))
            size = video.shape[2], video.shape[1]
            seen = window(preview, segment.start, segment.stop)
            small = coded(autoencoder, np.stack([media.resized(frame, *size) for frame in seen]))
            own = slice(first - segment.start, stop - segment.start)
            agreement = find_agreement(video, small[own])
            for frame, shown, share, change in zip(video, seen[own], agreement.share, agreement.change, strict=True):
                self.shares.append(float(share.mean()))
                yield self._finished(frame, shown, share, change)
            first = stop

    def _finished(self, frame: UInt8, shown: UInt8, share: Float32, change: Float32) -> UInt8:
        size = (self.width, self.height)
        known = media.resized(shown, *size) + cv2.resize(change, size, interpolation=cv2.INTER_LINEAR)
        weight = cv2.resize(share, size, interpolation=cv2.INTER_LINEAR)[..., None]
        if share.min() < 1:
            known = weight * known + (1 - weight) * self._enlarged(frame, share < _SEEN)
        return np.rint(known).clip(0, 255).astype(np.uint8)

    def _enlarged(self, frame: UInt8, where: Any) -> UInt8:
        """The frame at the last size, by the network near to pixels of `where` `(h, w)` bool."""
        large = self.upscaler.enlarged(frame, where)
        size = min(self.width, SCALE * frame.shape[1]), min(self.height, SCALE * frame.shape[0])
        return media.resized(media.resized(large, *size), self.width, self.height)
