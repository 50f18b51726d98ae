"""A control becomes a video: fit the inputs to the checkpoint, denoise, give frames back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from real2sam2real import media
from real2sam2real.control.folder import Control
from real2sam2real.diffusion.checkpoints import (
    CheckpointSettings,
    Init,
    find_checkpoint,
    load_pipeline,
    load_settings,
)
from real2sam2real.diffusion.pipeline import Real2Sam2RealPipeline
from real2sam2real.errors import UserError

UInt8 = NDArray[np.uint8]
Progress = Callable[[int, int], None]


def working_size(checkpoint: str | Path, width: int, height: int) -> tuple[int, int]:
    """The `(width, height)` in pixels that the checkpoint generates for inputs of this aspect."""
    return load_settings(find_checkpoint(checkpoint)).fit(width, height)


def generate_video(
    control: Control,
    *,
    checkpoint: str | Path = "mini",
    preview: UInt8 | None = None,
    init: Init | None = None,
    strength: float | None = None,
    steps: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> UInt8:
    """Generate `(T, h, w, 3)` uint8 frames at the checkpoint's working size.

    Args:
        control: photo, coded normals `(T, H, W, 3)`, and prompt.
        checkpoint: "mini" or a checkpoint folder.
        preview: `(T, H, W, 3)` uint8; needed when the start is the preview.
        init: "noise" or "preview"; None takes the checkpoint's own.
        strength: noise level 0…1 the preview is brought to; None takes the checkpoint's own.
        steps: denoising steps of a full run; None takes the checkpoint's own.
        seed: of the noise; the same seed on the same machine gives the same video.
        progress: called with the step done and the number of steps.

    Raises:
        UserError: the clip is too long for the checkpoint, or a needed input is missing.
    """
    folder = find_checkpoint(checkpoint)
    settings = load_settings(folder)
    check_length(control, settings, checkpoint)
    return generate_frames(
        load_pipeline(folder),
        settings,
        control,
        preview=preview,
        init=init,
        strength=strength,
        steps=steps,
        seed=seed,
        progress=progress,
    )


def check_length(control: Control, settings: CheckpointSettings, checkpoint: str | Path) -> None:
    """Refuse a clip that is too long.

    Raises:
        UserError: it has more frames than the checkpoint generates.
    """
    if control.frames > settings.max_frames:
        raise UserError(
            f"the shot has {control.frames} frames; the checkpoint '{checkpoint}' generates at most "
            f"{settings.max_frames}"
        )


def generate_frames(
    pipeline: Real2Sam2RealPipeline,
    settings: CheckpointSettings,
    control: Control,
    *,
    preview: UInt8 | None = None,
    init: Init | None = None,
    strength: float | None = None,
    steps: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> UInt8:
    """`generate_video` with a pipeline that is loaded already, for many shots with one model.

    Raises:
        UserError: the start asks for a preview that is not given.
    """
    init = init or settings.init
    if init == "preview" and preview is None:
        raise UserError("starting from the preview needs the preview's frames; give them or start from noise")
    size = settings.fit(control.photo.shape[1], control.photo.shape[0])
    normals = control.normals
    if control.coding != settings.coding:
        normals = settings.coding.encode(control.coding.decode(normals, control.ids), control.ids)
    result: UInt8 = pipeline(
        media.resized(control.photo, *size),
        resize_all(normals, size),
        prompt=control.prompt,
        num_inference_steps=steps or settings.steps,
        guidance_scale=settings.guidance_scale,
        init_video=resize_all(preview, size) if init == "preview" and preview is not None else None,
        strength=settings.strength if strength is None else strength,
        generator=torch.Generator().manual_seed(seed),
        spacing="even",
        callback_on_step_end=None if progress is None else _forward_to(progress),
    )
    return result


def resize_all(frames: UInt8, size: tuple[int, int]) -> UInt8:
    """`(T, h, w, 3)` uint8 of `(T, H, W, 3)`; see `media.resized`."""
    return np.stack([media.resized(frame, *size) for frame in frames])


def _forward_to(progress: Progress) -> Callable[[Any, int, Tensor, dict[str, Tensor]], None]:
    return lambda pipeline, step, timestep, tensors: progress(step + 1, pipeline.num_timesteps)
