"""A control becomes a video: its inputs fitted to the checkpoint, denoised segment by segment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from real2sam2real import media
from real2sam2real.arrays import UInt8
from real2sam2real.control.normal_convention import NormalConvention
from real2sam2real.diffusion.checkpoints import CheckpointSettings, find_checkpoint, load_settings
from real2sam2real.diffusion.pipeline import DenoisingPipeline, SegmentVideo
from real2sam2real.diffusion.segments import Frames


class Steering(Protocol):
    """What a video is steered by; `Control` holds it in memory, `ControlStream` on disk."""

    @property
    def photo(self) -> UInt8:
        """`(H, W, 3)` uint8."""

    @property
    def prompt(self) -> str:
        """May be empty."""

    @property
    def frames(self) -> int:
        """T."""

    def normals_in(self, convention: NormalConvention, /) -> Frames:
        """`(T, H, W, 3)` uint8 normals in a convention, by slice."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Resized:
    """`(T, height, width, 3)` uint8 frames at another size, by slice; see `media.resized`."""

    frames: Frames
    width: int
    height: int

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, window: slice, /) -> UInt8:
        return np.stack([media.resized(frame, self.width, self.height) for frame in self.frames[window]])


def working_size(checkpoint: str | Path, width: int, height: int, *, offline: bool = False) -> tuple[int, int]:
    """The `(width, height)` in pixels that the checkpoint generates for inputs of this aspect."""
    return load_settings(find_checkpoint(checkpoint, offline=offline)).fit(width, height)


def stream_segments(
    pipeline: DenoisingPipeline,
    settings: CheckpointSettings,
    control: Steering,
    *,
    preview: Frames | None = None,
    strength: float = 1.0,
    seed: int = 0,
    **options: Any,
) -> Iterator[SegmentVideo]:
    """Generate a video at the checkpoint's working size, segment by segment.

    Args:
        pipeline: loaded; it stays as it is.
        settings: of its checkpoint.
        control: what steers it.
        preview: `(T, H, W, 3)` uint8 by slice to start from, or None to start from noise.
        strength: noise level 0…1 that the preview is brought to.
        seed: of the noise; the same seed on the same machine gives the same video.
        options: further ones of `DenoisingPipeline.stream`, such as its `sampling`.

    Raises:
        ValueError: as `DenoisingPipeline.stream`.
    """
    width, height = settings.fit(control.photo.shape[1], control.photo.shape[0])

    def fitted(frames: Frames) -> Resized:
        return Resized(frames=frames, width=width, height=height)

    return pipeline.stream(
        media.resized(control.photo, width, height),
        fitted(control.normals_in(settings.normal_convention)),
        init_video=None if preview is None else fitted(preview),
        strength=strength,
        generator=torch.Generator().manual_seed(seed),
        **{"prompt": control.prompt, **options},
    )
