"""A control becomes a video: its inputs fitted to the checkpoint, denoised segment by segment."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from real2sam2real.diffusion.checkpoints import find_checkpoint, load_settings
from real2sam2real.diffusion.fitting import FittedControl
from real2sam2real.diffusion.pipeline import DenoisingPipeline, SegmentChunk, SegmentVideo, whole_segments
from real2sam2real.diffusion.presets import Sampling
from real2sam2real.diffusion.segments import Frames


def working_size(checkpoint: str | Path, width: int, height: int, *, offline: bool = False) -> tuple[int, int]:
    """The `(width, height)` in pixels that the checkpoint generates for inputs of this aspect."""
    return load_settings(find_checkpoint(checkpoint, offline=offline)).fit(width, height)


def stream_segments(pipeline: DenoisingPipeline, control: FittedControl, **options: Any) -> Iterator[SegmentVideo]:
    """Generate a video of a control's size, segment by segment; see `stream_chunks` for the options.

    Raises:
        ValueError: as there.
    """
    return whole_segments(stream_chunks(pipeline, control, **options))


def stream_chunks(
    pipeline: DenoisingPipeline,
    control: FittedControl,
    *,
    sampling: Sampling | None = None,
    preview: Frames | None = None,
    strength: float = 1.0,
    seed: int = 0,
    **options: Any,
) -> Generator[SegmentChunk]:
    """Generate a video of a control's size, a few frames at a time.

    Args:
        pipeline: loaded; it stays as it is.
        control: what steers it, from `fit_control` with the same `sampling`.
        sampling: how to denoise; None for the pipeline's own.
        preview: `(T, H, W, 3)` uint8 by slice to start from, or None to start from noise.
        strength: noise level 0…1 that the preview is brought to.
        seed: of the noise; the same seed on the same machine gives the same video.
        options: further ones of `DenoisingPipeline.stream_chunks`.

    Raises:
        ValueError: as `DenoisingPipeline.stream_chunks`.
    """
    # The official script draws on the device: other noise on other devices, and its own on its own.
    device = pipeline._execution_device if sampling is not None and sampling.as_script else "cpu"
    return pipeline.stream_chunks(
        control.photo,
        control.normals,
        sampling=sampling,
        init_video=None if preview is None else replace(control.normals, frames=preview),
        strength=strength,
        generator=torch.Generator(device).manual_seed(seed),
        **{"prompt": control.prompt, **options},
    )
