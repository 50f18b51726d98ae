"""Denoising: one pipeline for every checkpoint of the Wan2.2-Animate layout, from the shipped `mini` to 14 B.

`loading.Real2Sam2RealPipeline` is the class that is loaded; this one knows nothing of files.
"""

from __future__ import annotations

import real2sam2real.diffusion.lean_diffusers  # noqa: F401

import copy
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from diffusers import DiffusionPipeline
from PIL import Image
from torch import Tensor

from real2sam2real.arrays import UInt8
from real2sam2real.diffusion import conditioning, sampling
from real2sam2real.diffusion.caches import reset_step_cache, step_cache
from real2sam2real.diffusion.causal_chunks import chunk_bounds, decode_chunks, encode_chunks
from real2sam2real.diffusion.empty_clip import EmptyClip
from real2sam2real.diffusion.presets import Sampling
from real2sam2real.diffusion.prompts import NEGATIVE_PROMPT, embed_text
from real2sam2real.diffusion.ranks import from_main_rank
from real2sam2real.diffusion.sampling import OnStep, Step, make_scheduler, scheduler_shift
from real2sam2real.diffusion.segments import Frames, Segment, joined_on, window
from real2sam2real.diffusion.transformer import StepConstants

# diffusers' own form: called with the pipeline, the step from 0, its timestep, and the tensors by name; a "latents"
# entry in what it returns takes the place of the step's.
StepCallback = Callable[[Any, int, Tensor, dict[str, Tensor]], dict[str, Tensor] | None]


class Guidance:
    """Classifier-free guidance of one segment, whose negative pass may be left out in some late steps.

    These keep the difference of the two predictions that was computed last; docs/generate.md has what that costs.

    Args:
        sampling: says how strong guidance is, and in which steps the negative pass is computed.
    """

    def __init__(self, sampling: Sampling) -> None:
        self._sampling, self._step = sampling, 0
        self._difference: Tensor | None = None

    def __call__(self, predicted: Tensor, negative: Callable[[], Tensor]) -> Tensor:
        """The next step's prediction, of the one with the prompt and, where that is due, of the negative one."""
        if self._difference is None or self._sampling.guides(self._step):
            without = negative()
            self._difference = predicted - without
        else:
            without = predicted - self._difference
        self._step += 1
        return without + self._sampling.guidance_scale * self._difference


@dataclass(frozen=True, kw_only=True, eq=False)
class SegmentConditions:
    """All that stays constant while a segment is denoised."""

    channels: Tensor  # `(1, 4 + z, F + 1, h, w)` mask and condition latents
    prompted: StepConstants  # what the transformer takes from prompt, photo and normals
    unprompted: StepConstants | None  # the same with the negative prompt, or None when there is no guidance
    guidance: Guidance  # makes one of the two predictions


@dataclass(frozen=True, kw_only=True, eq=False)
class _Run:
    """What all segments of a run share."""

    sampling: Sampling  # how to denoise
    scheduler: Any  # this run's own
    reference: Tensor  # `(1, z, 1, h, w)` standardised latents of the photo
    prompt: Tensor  # `(1, N, text_dim)` text embeddings
    negative_prompt: Tensor | None  # the same, or None without guidance
    image: Tensor | None  # `(1, 257, image_dim)` image features, or None for checkpoints without an image encoder
    normals: Frames | None  # `(T, H, W, 3)` by slice, or None
    start: Frames | None  # `(T, H, W, 3)` by slice to start from, or None for noise
    strength: float  # noise level that `start` is brought to
    generator: torch.Generator | None  # source of the noise


@dataclass(frozen=True, kw_only=True, eq=False)
class SegmentVideo:
    """A finished segment."""

    index: int  # from 0
    total: int  # number of segments
    video: Tensor  # `(1, 3, T, H, W)` in −1…1: the frames that this segment adds, none behind the shot's end
    tail: Tensor  # `(1, 3, overlap, H, W)` in −1…1: its last frames, with which the next segment begins


@dataclass(frozen=True, kw_only=True, eq=False)
class SegmentChunk:
    """Some frames of a segment, as they leave the autoencoder."""

    index: int  # of the segment, from 0
    total: int  # number of segments
    video: Tensor  # `(1, 3, t, H, W)` in −1…1: the frames that follow on the chunk before
    tail: Tensor | None  # `SegmentVideo.tail`, with the last chunk of a segment


@dataclass(frozen=True, kw_only=True, eq=False)
class Finished:
    """Segments that an earlier run has made."""

    segments: int = 0  # how many
    tail: Tensor | None = None  # the last one's `SegmentVideo.tail`, or None when there is none

    def __post_init__(self) -> None:
        if self.segments and self.tail is None:
            raise ValueError("segments that are done need the tail of the last one")


def whole_segments(chunks: Generator[SegmentChunk]) -> Iterator[SegmentVideo]:
    """The segments that chunks make up; the chunks' generator ends with this one."""
    parts: list[Tensor] = []
    with closing(chunks):
        for chunk in chunks:
            parts.append(chunk.video)
            if chunk.tail is not None:
                video = torch.cat(parts, dim=2)
                parts.clear()
                yield SegmentVideo(index=chunk.index, total=chunk.total, video=video, tail=chunk.tail)


class DenoisingPipeline(DiffusionPipeline):
    """Photo + rendered normals (+ prompt) → video.

    Args:
        vae: an autoencoder of `AutoencoderKLWan`'s interface.
        transformer: a `Real2Sam2RealTransformer3DModel`.
        scheduler: as `sampling.make_scheduler` makes it. It is copied for each run, never changed.
        text_encoder: UMT5, with `tokenizer`; None for checkpoints trained without text, or where `prompt_embeds` come
            from elsewhere.
        tokenizer: see `text_encoder`.
        image_encoder: CLIP's vision model, with `image_processor`; None where the transformer takes no image features.
        image_processor: see `image_encoder`.

    Attributes:
        sampling: how it denoises unless told otherwise; its solver is that of `scheduler`.
        resize_without_crop: show CLIP the whole photo; see `conditioning.pixels_for_clip`.
        keep_keys_values: keep cross-attention's keys and values of all blocks through a segment (0.6 GB per prompt at
            14 B) in place of making them in each step. Not for blocks that leave the device between steps.
        segment: the segment at work, from 0; for callbacks, as the next two.
        num_segments: of the shot at work, or 0.
        num_timesteps: steps per segment.
    """

    model_cpu_offload_seq = "text_encoder->image_encoder->transformer->vae"
    _optional_components: ClassVar[list[str]] = ["text_encoder", "tokenizer", "image_encoder", "image_processor"]
    _callback_tensor_inputs: ClassVar[list[str]] = ["latents", "estimate"]

    def __init__(
        self,
        vae: Any,
        transformer: Any,
        scheduler: Any,
        text_encoder: Any = None,
        tokenizer: Any = None,
        image_encoder: Any = None,
        image_processor: Any = None,
    ) -> None:
        super().__init__()
        self.register_modules(
            vae=vae,
            transformer=transformer,
            scheduler=scheduler,
            text_encoder=text_encoder,
            tokenizer=tokenizer,
            image_encoder=image_encoder,
            image_processor=image_processor,
        )
        self.sampling = Sampling()
        self.keep_keys_values = True
        self.resize_without_crop = False
        self.empty_clip = EmptyClip()
        self.segment = self.num_segments = self.num_timesteps = 0

    @torch.no_grad()
    def __call__(
        self, image: Image.Image | UInt8, normals: Frames | None = None, *, output_type: str = "uint8", **options: Any
    ) -> Any:
        """Generate a whole video; see `stream` for the options.

        Args:
            image: the photo.
            normals: encoded normals, or None to generate without geometry.
            output_type: "uint8" for `(T, H, W, 3)` frames, "pt" for a `(1, 3, T, H, W)` tensor in −1…1.
            options: of `stream`.

        Raises:
            ValueError: as `stream`, or the output type is another.
        """
        if output_type not in ("uint8", "pt"):
            raise ValueError(f"output_type is '{output_type}'; it must be 'uint8' or 'pt'")
        chunks = (chunk.video for chunk in self.stream_chunks(image, normals, **options))
        if output_type == "pt":
            return torch.cat(list(chunks), dim=2)
        return np.concatenate([conditioning.to_frames(chunk) for chunk in chunks])

    def stream(
        self, image: Image.Image | UInt8, normals: Frames | None = None, **options: Any
    ) -> Iterator[SegmentVideo]:
        """Generate a video segment by segment; see `stream_chunks` for the options.

        Raises:
            ValueError: as there.
        """
        return whole_segments(self.stream_chunks(image, normals, **options))

    @torch.no_grad()
    def stream_chunks(
        self,
        image: Image.Image | UInt8,
        normals: Frames | None = None,
        *,
        frames: int | None = None,
        prompt: str = "",
        negative_prompt: str = NEGATIVE_PROMPT,
        prompt_embeds: Tensor | None = None,
        negative_prompt_embeds: Tensor | None = None,
        sampling: Sampling | None = None,
        num_inference_steps: int | None = None,
        guidance_scale: float | None = None,
        init_video: Frames | None = None,
        strength: float = 1.0,
        generator: torch.Generator | None = None,
        callback_on_step_end: StepCallback | None = None,
        callback_on_step_end_tensor_inputs: Sequence[str] = ("latents",),
        finished: Finished | None = None,
    ) -> Generator[SegmentChunk]:
        """Generate a video, a few frames at a time; memory does not grow with its length.

        Segments are denoised one after the other, and each is given out as it is decoded. The pipeline stays as it is.

        Args:
            image: `(H, W, 3)` uint8 or a picture, the photo.
            normals: `(T, H, W, 3)` uint8 encoded normals by slice, or None (then give `frames`).
            frames: T; taken from `normals` when given. Any number: what 4k + 1 asks for beyond it is cut off again.
            prompt: what the video should show; needs a checkpoint with a text encoder.
            negative_prompt: what it should not show; used with guidance.
            prompt_embeds: `(1, N, text_dim)` in place of `prompt`, as `embed_prompt` makes them.
            negative_prompt_embeds: the same for `negative_prompt`.
            sampling: in place of the pipeline's own, such as one of `PRESETS`.
            num_inference_steps: in place of the sampling's steps.
            guidance_scale: in place of the sampling's.
            init_video: `(T, H, W, 3)` uint8 by slice to start from in place of pure noise.
            strength: noise level 0…1 that `init_video` is brought to; 1 is pure noise.
            generator: source of the noise; the same seed gives the same video.
            callback_on_step_end: see `StepCallback`.
            callback_on_step_end_tensor_inputs: of "latents" and "estimate", the clean latents as the step expects them.
            finished: segments that an earlier run has made.

        Raises:
            ValueError: sizes disagree or do not fit the checkpoint's grid, or an option is out of range.
        """
        photo = np.asarray(image.convert("RGB")) if isinstance(image, Image.Image) else image
        count = self._check(photo, normals, frames, init_video)
        chosen, scheduler = self._choose(sampling, num_inference_steps, guidance_scale)
        segments = chosen.plan(count)
        on_step = self._observer(callback_on_step_end, callback_on_step_end_tensor_inputs)
        embeds = self._embeds(prompt, negative_prompt, prompt_embeds, negative_prompt_embeds, guided=chosen.guided)
        start = None if strength >= 1 else init_video
        how = {"sampling": chosen, "scheduler": scheduler, "generator": generator}
        run = self._prepare(photo, embeds, normals=normals, start=start, strength=strength, **how)
        with step_cache(self.transformer, chosen.cache, chosen.steps), self._progress(len(segments)):
            yield from self._segments(run, segments, count, on_step, finished or Finished())

    def _segments(
        self, run: _Run, segments: Sequence[Segment], frames: int, on_step: OnStep | None, finished: Finished
    ) -> Iterator[SegmentChunk]:
        tail = finished.tail
        for index, segment in enumerate(segments):
            self.segment = index
            noise = self._noise(run, segment)  # drawn for finished segments too: the others keep theirs
            if index < finished.segments:
                continue
            conditions = self._conditions(run, segment, tail)
            latents = self._start(run, segment, noise)
            reset_step_cache(self.transformer)
            velocity = partial(self.velocity, conditions=conditions)
            latents = sampling.denoise(run.scheduler, velocity, latents, on_step)
            del conditions, velocity
            first, stop = run.sampling.added(segments, index)
            kept = first - segment.start, min(stop, frames) - segment.start
            for video, end in self._decoded(run, segment, latents[:, :, 1:], tail, kept):
                tail = tail if end is None else end
                yield SegmentChunk(index=index, total=len(segments), video=video, tail=end)

    def _decoded(
        self, run: _Run, segment: Segment, latents: Tensor, before: Tensor | None, kept: tuple[int, int]
    ) -> Iterator[tuple[Tensor, Tensor | None]]:
        """The `kept` ones of a segment's frames, `(1, 3, t, H, W)` at a time, and its tail with the last of them.

        A chunk is given out when the next is known to follow: the last one brings the tail.
        """
        chunks = decode_chunks(self.vae, latents)
        if segment.overlap and before is not None:
            how = {"match_colors": run.sampling.match_colors, "fade": not run.sampling.continues}
            chunks = joined_on(chunks, before.to(latents.device), **how)
        (first, stop), place = kept, 0
        waiting, end = latents.new_empty(0), latents.new_empty(0)
        for chunk in chunks:
            end = torch.cat([end, chunk], dim=2)[:, :, -run.sampling.overlap :] if place else chunk
            part = chunk[:, :, max(first - place, 0) : max(stop - place, 0)]
            place += chunk.shape[2]
            if part.numel():
                if waiting.numel():
                    yield waiting, None
                waiting = part
        yield waiting, end[:, :, -run.sampling.overlap :].clone()

    def embed_prompt(self, prompt: str) -> Tensor:
        """`(1, 512, text_dim)` as `embed_text`, or `null_prompt` for a pipeline without a text encoder."""
        if self.text_encoder is None:
            return conditioning.null_prompt(self.transformer, 1)
        return embed_text(self.text_encoder, self.tokenizer, prompt, self._execution_device)

    def velocity(self, noisy: Tensor, timestep: Tensor, level: Tensor, conditions: SegmentConditions) -> Tensor:
        """The flow's velocity at `noisy` `(1, z, F + 1, h, w)`, guided if the conditions say so; see `Predictor`."""
        predicted = self._predict("cond", noisy, timestep, conditions.channels, conditions.prompted)
        if conditions.unprompted is not None:
            given = (noisy, timestep, conditions.channels, conditions.unprompted)
            predicted = conditions.guidance(predicted, partial(self._predict, "uncond", *given))
        if self.transformer.config.prediction == "sample":
            return sampling.velocity_from_sample(noisy, predicted, level)
        return predicted

    def _predict(
        self, name: str, noisy: Tensor, timestep: Tensor, channels: Tensor, constants: StepConstants
    ) -> Tensor:
        given = torch.cat([noisy, channels], dim=1).to(self.transformer.dtype)
        with self.transformer.cache_context(name):  # a step cache keeps the two branches of guidance apart
            return self.transformer(given, timestep, constants=constants).float()

    @property
    def _execution_device(self) -> torch.device:
        """Where it computes; an encoder whose layers come on call has no place of its own."""
        device: torch.device = super()._execution_device
        return self.vae.device if device.type == "meta" else device

    def grid(self) -> int:
        """Frame sizes must be multiples of this many pixels."""
        return int(self.vae.config.scale_factor_spatial * self.transformer.config.patch_size[1])

    def _check(self, photo: UInt8, normals: Frames | None, frames: int | None, init_video: Frames | None) -> int:
        """The number of frames, once everything fits together."""
        frames = len(normals) if normals is not None else frames
        if frames is None:
            raise ValueError("give normals, or the number of frames to generate without them")
        height, width = photo.shape[:2]
        if height % self.grid() or width % self.grid():
            raise ValueError(
                f"{width}×{height} pixels do not fit the checkpoint: multiples of {self.grid()} are needed"
            )
        for name, video in (("normals", normals), ("init_video", init_video)):
            if video is None:
                continue
            shape = (len(video), *video[slice(0, 1)].shape[1:])
            if shape != (frames, height, width, 3):
                raise ValueError(f"{name} has shape {shape}; the photo asks for {(frames, height, width, 3)}")
        return frames

    @contextmanager
    def _progress(self, segments: int) -> Iterator[None]:
        """For the time of a run, say how far it is."""
        self.num_segments = segments
        try:
            yield
        finally:
            self.segment = self.num_segments = self.num_timesteps = 0

    def _choose(self, sampling: Sampling | None, steps: int | None, guidance: float | None) -> tuple[Sampling, Any]:
        """How to denoise, and a scheduler for it that nobody else has."""
        if sampling is None:
            return self.sampling.changed(steps, guidance), copy.deepcopy(self.scheduler)
        scheduler = make_scheduler(sampling.solver, scheduler_shift(self.scheduler))
        return sampling.changed(steps, guidance), scheduler

    def _embeds(
        self, prompt: str, negative: str, embeds: Tensor | None, negative_embeds: Tensor | None, *, guided: bool
    ) -> tuple[Tensor, Tensor | None]:
        """The text embeddings of a prompt, and of the negative one where there is guidance."""
        if guided and self.text_encoder is None and negative_embeds is None:
            raise ValueError("guidance needs a text encoder or negative_prompt_embeds; this pipeline has neither")
        positive = self.embed_prompt(prompt) if embeds is None else embeds
        if not guided:
            return positive, None
        return positive, self.embed_prompt(negative) if negative_embeds is None else negative_embeds

    def _prepare(self, photo: UInt8, embeds: tuple[Tensor, Tensor | None], **given: Any) -> _Run:
        """Encode what all segments share: photo and prompts."""
        device, dtype = self._execution_device, self.transformer.dtype
        prompt, negative = embeds
        image = None
        if self.image_encoder is not None:
            parts = (self.image_encoder, self.image_processor, device)
            image = conditioning.embed_photo(photo, *parts, resize_without_crop=self.resize_without_crop).to(dtype)
        reference = conditioning.encode_latents(self.vae, conditioning.to_video_tensor(photo[None], device))
        return _Run(
            reference=reference,
            prompt=prompt.to(device, dtype),
            negative_prompt=None if negative is None else negative.to(device, dtype),
            image=image,
            **given,
        )

    def _conditions(self, run: _Run, segment: Segment, tail: Tensor | None) -> SegmentConditions:
        """Encode what one segment is steered by: its normals, and the frames it begins with."""
        device = run.reference.device
        height, width = (size * self.vae.config.scale_factor_spatial for size in run.reference.shape[3:])
        known = segment.overlap if run.sampling.continues and tail is not None else 0
        if known and tail is not None:
            given = conditioning.continued_latents(self.vae, tail.to(device), segment.frames)
        else:
            given = self.empty_clip(self.vae, segment.frames, height, width)
        drawn = None
        if run.normals is not None:
            frames = window(run.normals, segment.start, segment.stop)
            drawn = self._encoded(frames, device).to(self.transformer.dtype)

        def constants(prompt: Tensor) -> StepConstants:
            return self.transformer.precompute(prompt, drawn, run.image, keys_values=self.keep_keys_values)

        return SegmentConditions(
            channels=conditioning.condition_channels(run.reference, given, known),
            prompted=constants(run.prompt),
            unprompted=None if run.negative_prompt is None else constants(run.negative_prompt),
            guidance=Guidance(run.sampling),
        )

    def _encoded(self, frames: UInt8, device: torch.device) -> Tensor:
        """Standardised latents `(1, z, F, h, w)` of frames `(T, H, W, 3)`, which come to the device in chunks."""
        chunks = (conditioning.to_video_tensor(frames[first:stop], device) for first, stop in chunk_bounds(len(frames)))
        return encode_chunks(self.vae, chunks, *frames.shape[1:3])

    def _noise(self, run: _Run, segment: Segment) -> Tensor:
        """`(1, z, F + 1, h, w)` float32, drawn where the generator is: on the CPU, every device starts from the same.

        The official script draws bfloat16, which is other noise of the same seed.
        """
        latent_frames = (segment.frames - 1) // self.vae.config.scale_factor_temporal + 2
        shape = (1, run.reference.shape[1], latent_frames, *run.reference.shape[3:])
        device = torch.device("cpu") if run.generator is None else run.generator.device
        dtype = torch.bfloat16 if run.sampling.as_script else torch.float32
        noise = torch.randn(shape, generator=run.generator, device=device, dtype=dtype)
        return from_main_rank(noise.float()).to(run.reference.device)

    def _start(self, run: _Run, segment: Segment, noise: Tensor) -> Tensor:
        """Set the schedule; return pure noise, or the latents of the video to start from at their noise level."""
        level = 1.0 if run.start is None else run.strength
        sampling.set_steps(run.scheduler, run.sampling.steps, run.sampling.spacing, level, noise.device)
        self.num_timesteps = len(run.scheduler.timesteps)
        if run.start is None:
            return noise
        video = self._encoded(window(run.start, segment.start, segment.stop), noise.device)
        return sampling.add_noise(torch.cat([run.reference, video], dim=2), noise, run.strength)

    def _observer(self, callback: StepCallback | None, names: Sequence[str]) -> OnStep | None:
        """The callback in diffusers' form as the loop's own."""
        unknown = set(names) - set(self._callback_tensor_inputs)
        if unknown:
            raise ValueError(
                f"callback_on_step_end_tensor_inputs has {sorted(unknown)}; known are {self._callback_tensor_inputs}"
            )
        if callback is None:
            return None

        def observe(step: Step) -> Tensor | None:
            tensors = {"latents": step.latents, "estimate": step.estimate}
            answer = callback(self, step.number - 1, step.timestep, {name: tensors[name] for name in names})
            return None if answer is None else answer.get("latents")

        return observe
