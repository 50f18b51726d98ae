"""A control becomes a video: fit the inputs to the checkpoint, denoise segment by segment, give frames back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from real2sam2real import media
from real2sam2real.arrays import UInt8
from real2sam2real.control.folder import Control
from real2sam2real.control.normal_convention import NormalConvention
from real2sam2real.diffusion.caches import step_cache
from real2sam2real.diffusion.checkpoints import CheckpointSettings, Init, find_checkpoint, load_pipeline, load_settings
from real2sam2real.diffusion.conditioning import to_frames
from real2sam2real.diffusion.pipeline import Real2Sam2RealPipeline, SegmentVideo, StepCallback
from real2sam2real.diffusion.presets import Sampling, choose_sampling
from real2sam2real.diffusion.sampling import make_scheduler, scheduler_shift
from real2sam2real.diffusion.segments import Frames
from real2sam2real.errors import UserError

Progress = Callable[[int, int], None]


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


@dataclass(frozen=True, kw_only=True, eq=False)
class Prompts:
    """Text embeddings made elsewhere, so that the text encoder need not be there.

    Attributes:
        prompt: `(1, N, text_dim)`.
        negative: the same for the negative prompt, or None without guidance.
    """

    prompt: Tensor
    negative: Tensor | None


@dataclass(frozen=True, kw_only=True, eq=False)
class Finished:
    """Segments that an earlier run has made.

    Attributes:
        segments: how many.
        tail: the last one's `SegmentVideo.tail`, or None when there is none.
    """

    segments: int = 0
    tail: Tensor | None = None


def working_size(checkpoint: str | Path, width: int, height: int) -> tuple[int, int]:
    """The `(width, height)` in pixels that the checkpoint generates for inputs of this aspect."""
    return load_settings(find_checkpoint(checkpoint)).fit(width, height)


def check_length(frames: int, settings: CheckpointSettings, checkpoint: str | Path) -> None:
    """Refuse a clip that is too long.

    Raises:
        UserError: it has more frames than the checkpoint generates.
    """
    if frames > settings.max_frames and not settings.continues:
        raise UserError(
            f"the shot has {frames} frames; the checkpoint '{checkpoint}' generates at most {settings.max_frames}, "
            "because it was not trained to go on from given frames"
        )


def stream_segments(
    pipeline: Real2Sam2RealPipeline,
    settings: CheckpointSettings,
    sampling: Sampling,
    control: Steering,
    *,
    preview: Frames | None = None,
    strength: float = 1.0,
    seed: int = 0,
    prompts: Prompts | None = None,
    callback: StepCallback | None = None,
    finished: Finished | None = None,
) -> Iterator[SegmentVideo]:
    """Generate a video at the checkpoint's working size, segment by segment.

    Args:
        pipeline: loaded.
        settings: of its checkpoint.
        sampling: how to denoise.
        control: what steers it.
        preview: `(T, H, W, 3)` uint8 by slice to start from, or None to start from noise.
        strength: noise level 0…1 that the preview is brought to.
        seed: of the noise; the same seed on the same machine gives the same video.
        prompts: text embeddings, where the pipeline has no text encoder that could make them.
        callback: see `Real2Sam2RealPipeline.stream`; gets "estimate".
        finished: segments that need not be made again.

    Raises:
        ValueError: as `Real2Sam2RealPipeline.stream`.
    """
    width, height = settings.fit(control.photo.shape[1], control.photo.shape[0])
    finished = finished or Finished()
    pipeline.squash_photo = settings.squash_photo
    pipeline.register_modules(scheduler=make_scheduler(sampling.solver, scheduler_shift(pipeline.scheduler)))

    def fitted(frames: Frames) -> Resized:
        return Resized(frames=frames, width=width, height=height)

    with step_cache(pipeline.transformer, sampling.cache, sampling.steps):
        yield from pipeline.stream(
            media.resized(control.photo, width, height),
            fitted(control.normals_in(settings.normal_convention)),
            prompt=control.prompt,
            prompt_embeds=None if prompts is None else prompts.prompt,
            negative_prompt_embeds=None if prompts is None else prompts.negative,
            num_inference_steps=sampling.steps,
            guidance_scale=sampling.guidance_scale,
            spacing=sampling.spacing,
            segment_frames=sampling.segment_frames,
            overlap=sampling.overlap,
            fixed_segments=sampling.fixed_segments,
            match_colors=sampling.match_colors,
            init_video=None if preview is None else fitted(preview),
            strength=strength,
            generator=torch.Generator().manual_seed(seed),
            callback_on_step_end=callback,
            callback_on_step_end_tensor_inputs=("estimate",),
            done=finished.segments,
            tail=finished.tail,
        )


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
    """Generate `(T, h, w, 3)` uint8 frames at the working size of a checkpoint that needs no base model.

    Args:
        control: photo, encoded normals `(T, H, W, 3)`, and prompt.
        checkpoint: "mini" or a pipeline's folder.
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
    check_length(control.frames, settings, checkpoint)
    init = init or settings.init
    if init == "preview" and preview is None:
        raise UserError("starting from the preview needs the preview's frames; give them or start from noise")
    segments = stream_segments(
        load_pipeline(folder),
        settings,
        choose_sampling(settings, None, steps=steps),
        control,
        preview=preview if init == "preview" else None,
        strength=settings.strength if strength is None else strength,
        seed=seed,
        callback=None if progress is None else _forward_to(progress),
    )
    return np.concatenate([to_frames(segment.video) for segment in segments])


def _forward_to(progress: Progress) -> StepCallback:
    def forward(pipeline: Any, step: int, timestep: Tensor, tensors: dict[str, Tensor]) -> None:
        progress(step + 1, pipeline.num_timesteps)

    return forward
