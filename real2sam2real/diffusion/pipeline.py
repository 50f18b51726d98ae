"""One pipeline for every checkpoint of the Wan2.2-Animate layout, from the shipped `mini` to 14 B."""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from diffusers import DiffusionPipeline
from PIL import Image
from torch import Tensor, nn

from real2sam2real.arrays import UInt8
from real2sam2real.diffusion import conditioning, sampling
from real2sam2real.diffusion.ranks import from_main_rank
from real2sam2real.diffusion.sampling import OnStep, Spacing, Step
from real2sam2real.diffusion.segments import Frames, Segment, plan_segments, window, without_drift
from real2sam2real.diffusion.transformer import StepConstants
from real2sam2real.errors import MissingPartError

# diffusers' own form: called with the pipeline, the step from 0, its timestep, and the tensors by name; a "latents"
# entry in what it returns takes the place of the step's.
StepCallback = Callable[[Any, int, Tensor, dict[str, Tensor]], dict[str, Tensor] | None]

TEXT_TOKENS = 512
NEGATIVE_PROMPT = "bad detailed"  # the official script's


@dataclass(frozen=True, kw_only=True, eq=False)
class Conditions:
    """All that stays constant while a segment is denoised.

    Attributes:
        channels: `(1, 4 + z, F + 1, h, w)` mask and condition latents.
        prompted: what the transformer takes from prompt, photo and normals.
        unprompted: the same with the negative prompt, or None when there is no guidance.
        guidance_scale: weight of the difference between the two predictions.
    """

    channels: Tensor
    prompted: StepConstants
    unprompted: StepConstants | None
    guidance_scale: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Shot:
    """What all segments of a shot share.

    Attributes:
        reference: `(1, z, 1, h, w)` standardised latents of the photo.
        prompt: `(1, N, text_dim)` text embeddings.
        negative_prompt: the same, or None without guidance.
        image: `(1, 257, image_dim)` image features, or None for checkpoints without an image encoder.
        guidance_scale: see `Conditions`.
    """

    reference: Tensor
    prompt: Tensor
    negative_prompt: Tensor | None
    image: Tensor | None
    guidance_scale: float


@dataclass(frozen=True, kw_only=True, eq=False)
class SegmentVideo:
    """A finished segment.

    Attributes:
        index: from 0.
        total: number of segments.
        video: `(1, 3, T, H, W)` in −1…1: the frames that this segment adds, none behind the shot's end.
        tail: `(1, 3, overlap, H, W)` in −1…1: the frames that the next segment begins with.
    """

    index: int
    total: int
    video: Tensor
    tail: Tensor


class Real2Sam2RealPipeline(DiffusionPipeline):
    """Photo + rendered normals (+ prompt) → video.

    Args:
        vae: an autoencoder of `AutoencoderKLWan`'s interface.
        transformer: a `Real2Sam2RealTransformer3DModel`.
        scheduler: as `sampling.make_scheduler` makes it.
        text_encoder: UMT5, with `tokenizer`; None for checkpoints trained without text, or where `prompt_embeds` come
            from elsewhere.
        tokenizer: see `text_encoder`.
        image_encoder: CLIP's vision model, with `image_processor`; None where the transformer takes no image features.
        image_processor: see `image_encoder`.

    Attributes:
        squash_photo: show CLIP the whole photo, squashed to its square, as the original Wan code does, and so as the
            published adapters were trained; otherwise its centre, cut out, as diffusers' pipelines do.
        keep_keys_values: keep cross-attention's keys and values of all blocks through a segment (0.6 GB per prompt at
            14 B) in place of making them in each step. Not for blocks that leave the device between steps.
        release_encoders: move the text and image encoders to the device for their use only.
        segment: the segment at work, from 0; for callbacks.
        num_segments: of the shot at work.
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
        self.keep_keys_values = True
        self.release_encoders = False
        self.squash_photo = False
        self.segment = self.num_segments = self.num_timesteps = 0

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | Path,
        *,
        adapters: Sequence[str | Path] = (),
        parts: str | Path | None = None,
        offline: bool = False,
        dtype: Any = torch.float32,
        **options: Any,
    ) -> Real2Sam2RealPipeline:
        """Load one of our pipeline folders, or a base model in any of its layouts with adapters on it, on the CPU.

        Args:
            pretrained_model_name_or_path: a pipeline's folder, or a base: a folder in diffusers' or the original
                layout, a safetensors or GGUF file, or a name on the hub.
            adapters: adapter folders or files, or names on the hub, merged into the weights (kept apart where the base
                is packed); `FILE=WEIGHT` for one that is not to count in full.
            parts: where VAE and encoders are, for a base that is a transformer alone.
            offline: never reach for the network.
            dtype: of the weights.
            options: of diffusers' `from_pretrained`, for pipeline folders.

        Raises:
            MissingPartError: something is not on this machine.
            UserError: a file is damaged or foreign.
        """
        if _is_own(Path(pretrained_model_name_or_path)) and not adapters:
            import real2sam2real.diffusion.autoencoder  # noqa: F401  diffusers finds only what is imported already

            loaded: Real2Sam2RealPipeline = super().from_pretrained(
                pretrained_model_name_or_path, dtype=dtype, **options
            )
            return loaded
        from real2sam2real.diffusion.loading import assemble_base

        if options:
            raise ValueError(f"a base model takes no {', '.join(options)}; these are for pipeline folders")
        return assemble_base(
            pretrained_model_name_or_path, adapters=adapters, parts=parts, offline=offline, dtype=dtype
        )

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
        parts = [segment.video for segment in self.stream(image, normals, **options)]
        if output_type == "pt":
            return torch.cat(parts, dim=2)
        return np.concatenate([conditioning.to_frames(part) for part in parts])

    @torch.no_grad()
    def stream(
        self,
        image: Image.Image | UInt8,
        normals: Frames | None = None,
        *,
        frames: int | None = None,
        prompt: str | None = None,
        negative_prompt: str = NEGATIVE_PROMPT,
        prompt_embeds: Tensor | None = None,
        negative_prompt_embeds: Tensor | None = None,
        num_inference_steps: int = 25,
        guidance_scale: float = 1.0,
        spacing: Spacing = "scheduler",
        segment_frames: int = 81,
        overlap: int = 5,
        fixed_segments: bool = False,
        match_colors: bool = True,
        init_video: Frames | None = None,
        strength: float = 1.0,
        generator: torch.Generator | None = None,
        callback_on_step_end: StepCallback | None = None,
        callback_on_step_end_tensor_inputs: Sequence[str] = ("latents",),
        done: int = 0,
        tail: Tensor | None = None,
    ) -> Iterator[SegmentVideo]:
        """Generate a video segment by segment; memory does not grow with its length.

        Args:
            image: `(H, W, 3)` uint8 or a picture, the photo.
            normals: `(T, H, W, 3)` uint8 encoded normals by slice, or None (then give `frames`).
            frames: T; taken from `normals` when given. Any number: what 4k + 1 asks for beyond it is cut off again.
            prompt: what the video should show; needs a checkpoint with a text encoder.
            negative_prompt: what it should not show; used when `guidance_scale` > 1.
            prompt_embeds: `(1, N, text_dim)` in place of `prompt`, as `embed_prompt` makes them.
            negative_prompt_embeds: the same for `negative_prompt`.
            num_inference_steps: steps of a full run from noise.
            guidance_scale: classifier-free guidance; 1 turns it off.
            spacing: of the noise levels; see `sampling.set_steps`.
            segment_frames: most frames denoised together, 4k + 1.
            overlap: frames that a segment takes over from the one before, 4k + 1.
            fixed_segments: pad the shot to whole segments of `segment_frames`, as Wan2.2-Animate's pipeline does.
            match_colors: take out the shift of colours between segments; see `segments.without_drift`.
            init_video: `(T, H, W, 3)` uint8 by slice to start from in place of pure noise.
            strength: noise level 0…1 that `init_video` is brought to; 1 is pure noise.
            generator: source of the noise; the same seed gives the same video.
            callback_on_step_end: called with the pipeline, the step from 0, its timestep and the tensors asked for;
                "latents" in the dictionary that it returns replace the step's.
            callback_on_step_end_tensor_inputs: of "latents" and "estimate", the clean latents as the step expects them.
            done: segments that were finished in an earlier run.
            tail: the last of those segments' `tail`.

        Raises:
            ValueError: sizes disagree or do not fit the checkpoint's grid, or an option is out of range.
        """
        photo = np.asarray(image.convert("RGB")) if isinstance(image, Image.Image) else image
        frames = self._check(photo, normals, frames, init_video)
        plan = plan_segments(frames, longest=segment_frames, overlap=overlap, fixed=fixed_segments)
        if done and tail is None:
            raise ValueError("segments that are done need the tail of the last one")
        shot = self._prepare(photo, prompt, negative_prompt, prompt_embeds, negative_prompt_embeds, guidance_scale)
        on_step = self._observer(callback_on_step_end, callback_on_step_end_tensor_inputs)
        self.num_segments = len(plan)
        for index, segment in enumerate(plan):
            self.segment = index
            noise = self._noise(segment, shot, generator)  # drawn for finished segments too: the others keep theirs
            if index < done:
                continue
            conditions = self._conditions(segment, shot, normals, tail)
            initial = None if init_video is None or strength >= 1 else window(init_video, segment.start, segment.stop)
            latents = self._start(noise, shot, initial, strength, num_inference_steps, spacing)
            latents = self._denoise(latents, conditions, on_step)
            del conditions
            video = conditioning.decode_latents(self.vae, latents[:, :, 1:])
            if match_colors and segment.overlap and tail is not None:
                video = without_drift(video, tail.to(video.device))
            tail = video[:, :, video.shape[2] - overlap :].clone()
            kept = video[:, :, segment.overlap : frames - segment.start]
            yield SegmentVideo(index=index, total=len(plan), video=kept, tail=tail)

    def embed_prompt(self, prompt: str) -> Tensor:
        """`(1, 512, text_dim)` as `embed_text`, or `null_prompt` for a pipeline without a text encoder."""
        if self.text_encoder is None:
            return conditioning.null_prompt(self.transformer, 1)
        return embed_text(self.text_encoder, self.tokenizer, prompt, self._execution_device, self.release_encoders)

    def velocity(self, noisy: Tensor, timestep: Tensor, level: Tensor, conditions: Conditions) -> Tensor:
        """The flow's velocity at `noisy` `(1, z, F + 1, h, w)`, guided if the conditions say so; see `Predictor`."""
        predicted = self._predict("cond", noisy, timestep, conditions.channels, conditions.prompted)
        if conditions.unprompted is not None:
            without = self._predict("uncond", noisy, timestep, conditions.channels, conditions.unprompted)
            predicted = without + conditions.guidance_scale * (predicted - without)
        if self.transformer.config.prediction == "sample":
            return sampling.velocity_from_sample(noisy, predicted, level)
        return predicted

    def _predict(
        self, name: str, noisy: Tensor, timestep: Tensor, channels: Tensor, constants: StepConstants
    ) -> Tensor:
        given = torch.cat([noisy, channels], dim=1).to(self.transformer.dtype)
        with self.transformer.cache_context(name):  # a step cache keeps the two branches of guidance apart
            return self.transformer(given, timestep, constants=constants).float()

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

    def _prepare(
        self,
        photo: UInt8,
        prompt: str | None,
        negative_prompt: str,
        prompt_embeds: Tensor | None,
        negative_prompt_embeds: Tensor | None,
        guidance_scale: float,
    ) -> Shot:
        """Encode what the whole shot shares: photo and prompts."""
        device, dtype = self._execution_device, self.transformer.dtype
        negative = None
        if guidance_scale > 1:
            if self.text_encoder is None and negative_prompt_embeds is None:
                raise ValueError("guidance needs a text encoder or negative_prompt_embeds; this pipeline has neither")
            negative = self.embed_prompt(negative_prompt) if negative_prompt_embeds is None else negative_prompt_embeds
        positive = self.embed_prompt(prompt or "") if prompt_embeds is None else prompt_embeds
        return Shot(
            reference=conditioning.encode_latents(self.vae, conditioning.to_video_tensor(photo[None], device)),
            prompt=positive.to(device, dtype),
            negative_prompt=None if negative is None else negative.to(device, dtype),
            image=self._embed_image(photo),
            guidance_scale=guidance_scale,
        )

    def _conditions(self, segment: Segment, shot: Shot, normals: Frames | None, tail: Tensor | None) -> Conditions:
        """Encode what one segment is steered by: its normals, and the frames it begins with."""
        device, dtype = shot.reference.device, self.transformer.dtype
        height, width = (size * self.vae.config.scale_factor_spatial for size in shot.reference.shape[3:])
        if segment.overlap and tail is not None:
            given = conditioning.continued_latents(self.vae, tail.to(device), segment.frames)
        else:
            given = conditioning.empty_latents(self.vae, segment.frames, height, width)
        drawn = None
        if normals is not None:
            video = conditioning.to_video_tensor(window(normals, segment.start, segment.stop), device)
            drawn = conditioning.encode_latents(self.vae, video).to(dtype)

        def constants(prompt: Tensor) -> StepConstants:
            return self.transformer.precompute(prompt, drawn, shot.image, keys_values=self.keep_keys_values)

        return Conditions(
            channels=conditioning.condition_channels(shot.reference, given, segment.overlap),
            prompted=constants(shot.prompt),
            unprompted=None if shot.negative_prompt is None else constants(shot.negative_prompt),
            guidance_scale=shot.guidance_scale,
        )

    def _noise(self, segment: Segment, shot: Shot, generator: torch.Generator | None) -> Tensor:
        """`(1, z, F + 1, h, w)`, drawn on the CPU so that every device starts from the same."""
        latent_frames = (segment.frames - 1) // self.vae.config.scale_factor_temporal + 2
        shape = (1, shot.reference.shape[1], latent_frames, *shot.reference.shape[3:])
        noise = from_main_rank(torch.randn(shape, generator=generator, dtype=torch.float32))
        return noise.to(shot.reference.device)

    def _start(
        self, noise: Tensor, shot: Shot, initial: UInt8 | None, strength: float, steps: int, spacing: Spacing
    ) -> Tensor:
        """Set the schedule; return pure noise, or the initial video's latents at noise level `strength`."""
        start = 1.0 if initial is None else strength
        sampling.set_steps(self.scheduler, steps, spacing, start, noise.device)
        self.num_timesteps = len(self.scheduler.timesteps)
        if initial is None:
            return noise
        video = conditioning.encode_latents(self.vae, conditioning.to_video_tensor(initial, noise.device))
        return sampling.add_noise(torch.cat([shot.reference, video], dim=2), noise, strength)

    def _denoise(self, latents: Tensor, conditions: Conditions, on_step: OnStep | None) -> Tensor:
        if self.transformer.is_cache_enabled:
            self.transformer._reset_stateful_cache()
        return sampling.denoise(self.scheduler, partial(self.velocity, conditions=conditions), latents, on_step)

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

    def _embed_image(self, photo: UInt8) -> Tensor | None:
        """`(1, 257, image_dim)`: the features before CLIP's last layer, as Wan was trained."""
        if self.image_encoder is None:
            return None
        device = self._execution_device
        prepare = conditioning.squashed_for_clip if self.squash_photo else conditioning.cropped_for_clip
        pixels = prepare(photo, self.image_processor)
        with on_device(self.image_encoder, device, release=self.release_encoders):
            given = pixels.to(device, self.image_encoder.dtype)
            hidden: Sequence[Tensor] = self.image_encoder(given, output_hidden_states=True).hidden_states
        return hidden[-2].to(self.transformer.dtype)


def _is_own(folder: Path) -> bool:
    index = folder / "model_index.json"
    return index.is_file() and json.loads(index.read_text(encoding="utf-8")).get("_class_name") == (
        Real2Sam2RealPipeline.__name__
    )


@contextmanager
def on_device(module: nn.Module, device: torch.device, *, release: bool) -> Iterator[None]:
    """Have `module` on the device within the block; afterwards back on the CPU when it is to be released."""
    if not release:
        yield
        return
    module.to(device)
    try:
        yield
    finally:
        module.to("cpu")


def embed_text(text_encoder: Any, tokenizer: Any, prompt: str, device: torch.device, release: bool) -> Tensor:
    """`(1, 512, text_dim)` text embeddings, zeros after the prompt's last token.

    Args:
        text_encoder: UMT5's encoder.
        tokenizer: its tokenizer.
        prompt: any text.
        device: where to compute.
        release: whether the encoder leaves the device again.

    Raises:
        MissingPartError: ftfy is not installed.
    """
    tokens = tokenizer(
        [clean_prompt(prompt)],
        padding="max_length",
        max_length=TEXT_TOKENS,
        truncation=True,
        return_attention_mask=True,
        return_tensors="pt",
    ).to(device)
    with on_device(text_encoder, device, release=release):
        embedded = text_encoder(tokens.input_ids, tokens.attention_mask).last_hidden_state
    result: Tensor = embedded * tokens.attention_mask[..., None]
    return result


def clean_prompt(prompt: str) -> str:
    """The prompt as Wan's text encoder was trained to see it: broken Unicode mended, HTML entities read, one space.

    Raises:
        MissingPartError: ftfy is not installed.
    """
    try:
        import ftfy
    except ImportError as error:
        raise MissingPartError(
            "reading prompts as the model was trained needs ftfy; pip install 'real2sam2real[full]'"
        ) from error
    return " ".join(html.unescape(html.unescape(ftfy.fix_text(prompt))).split())
