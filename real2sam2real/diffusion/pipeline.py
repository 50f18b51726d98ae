"""One pipeline for every checkpoint of the Wan2.2-Animate layout, from the shipped `mini` to 14 B."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from diffusers import DiffusionPipeline
from numpy.typing import NDArray
from torch import Tensor

from real2sam2real.diffusion import conditioning, sampling
from real2sam2real.diffusion.sampling import StepCallback


@dataclass(frozen=True, kw_only=True, eq=False)
class Conditions:
    """All that stays constant while a clip is denoised.

    Attributes:
        channels: `(1, 4 + z, F + 1, h, w)` mask and condition latents.
        normals: `(1, z, F, h, w)` latents of the rendered normals, or None.
        prompt: `(1, N, text_dim)` text embeddings.
        negative_prompt: the same for guidance, or None when there is none.
        image: `(1, 257, image_dim)` image features, or None for checkpoints without an image encoder.
        guidance_scale: weight of the difference between the two prompts' predictions.
    """

    channels: Tensor
    normals: Tensor | None
    prompt: Tensor
    negative_prompt: Tensor | None
    image: Tensor | None
    guidance_scale: float


class Real2Sam2RealPipeline(DiffusionPipeline):
    """Photo + rendered normals (+ prompt) → video.

    Args:
        vae: an autoencoder of `AutoencoderKLWan`'s interface.
        transformer: a `Real2Sam2RealTransformer3DModel`.
        scheduler: a flow-matching Euler scheduler.
        text_encoder: UMT5, with `tokenizer`; None for checkpoints trained without text.
        tokenizer: see `text_encoder`.
        image_encoder: CLIP's vision model, with `image_processor`; None where the transformer takes no image features.
        image_processor: see `image_encoder`.
    """

    model_cpu_offload_seq = "text_encoder->image_encoder->transformer->vae"
    _optional_components: ClassVar[list[str]] = ["text_encoder", "tokenizer", "image_encoder", "image_processor"]

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

    @torch.no_grad()
    def __call__(
        self,
        image: NDArray[np.uint8],
        normals: NDArray[np.uint8] | None,
        *,
        frames: int | None = None,
        prompt: str | None = None,
        negative_prompt: str = "bad detailed",
        num_inference_steps: int = 25,
        guidance_scale: float = 1.0,
        init_video: NDArray[np.uint8] | None = None,
        strength: float = 1.0,
        generator: torch.Generator | None = None,
        on_step: StepCallback | None = None,
    ) -> NDArray[np.uint8]:
        """Generate `(T, H, W, 3)` uint8 frames.

        Args:
            image: `(H, W, 3)` uint8, the photo.
            normals: `(T, H, W, 3)` uint8 coded normals, or None to generate without geometry (then give `frames`).
            frames: T = 4k + 1; taken from `normals` when given.
            prompt: what the video should show; needs a checkpoint with a text encoder.
            negative_prompt: what it should not show; used when `guidance_scale` > 1.
            num_inference_steps: steps of a full run from noise.
            guidance_scale: classifier-free guidance; 1 turns it off.
            init_video: `(T, H, W, 3)` uint8 to start from in place of pure noise.
            strength: noise level 0…1 that `init_video` is brought to; 1 is pure noise.
            generator: source of the noise; the same seed gives the same video.
            on_step: called after each step with its number, the number of steps, and the latents.

        Raises:
            ValueError: sizes disagree or do not fit the checkpoint's grid, or a prompt is given that cannot be read.
        """
        frames = self._check(image, normals, frames, init_video)
        conditions = self._conditions(image, normals, frames, prompt, negative_prompt, guidance_scale)
        latents = self._start(conditions, init_video, strength, num_inference_steps, generator)
        latents = sampling.denoise(
            self.scheduler, lambda noisy, timestep: self.velocity(noisy, timestep, conditions), latents, on_step
        )
        return conditioning.to_frames(conditioning.decode_latents(self.vae, latents[:, :, 1:]))

    def velocity(self, noisy: Tensor, timestep: Tensor, conditions: Conditions) -> Tensor:
        """The flow's velocity at `noisy` `(1, z, F + 1, h, w)`, guided if the conditions say so."""
        predicted = self._predict(noisy, timestep, conditions, conditions.prompt)
        if conditions.negative_prompt is not None:
            without = self._predict(noisy, timestep, conditions, conditions.negative_prompt)
            predicted = without + conditions.guidance_scale * (predicted - without)
        if self.transformer.config.prediction == "sample":
            level = timestep.view(-1, 1, 1, 1, 1) / self.scheduler.config.num_train_timesteps
            return sampling.velocity_from_sample(noisy, predicted, level)
        return predicted

    def _predict(self, noisy: Tensor, timestep: Tensor, conditions: Conditions, prompt: Tensor) -> Tensor:
        dtype = self.transformer.dtype
        normals = None if conditions.normals is None else conditions.normals.to(dtype)
        return self.transformer(
            torch.cat([noisy, conditions.channels], dim=1).to(dtype), timestep, prompt, normals, conditions.image
        ).float()

    def grid(self) -> int:
        """Frame sizes must be multiples of this many pixels."""
        return int(self.vae.config.scale_factor_spatial * self.transformer.config.patch_size[1])

    def _check(
        self,
        image: NDArray[np.uint8],
        normals: NDArray[np.uint8] | None,
        frames: int | None,
        init_video: NDArray[np.uint8] | None,
    ) -> int:
        """The number of frames, once everything fits together."""
        frames = len(normals) if normals is not None else frames
        if frames is None:
            raise ValueError("give normals, or the number of frames to generate without them")
        if frames % self.vae.config.scale_factor_temporal != 1:
            raise ValueError(f"{frames} frames cannot be generated; the number of frames must be 4k + 1")
        height, width = image.shape[:2]
        if height % self.grid() or width % self.grid():
            raise ValueError(
                f"{width}×{height} pixels do not fit the checkpoint: multiples of {self.grid()} are needed"
            )
        for name, video in (("normals", normals), ("init_video", init_video)):
            if video is not None and video.shape != (frames, height, width, 3):
                raise ValueError(f"{name} has shape {video.shape}; the photo asks for {(frames, height, width, 3)}")
        return frames

    def _conditions(
        self,
        image: NDArray[np.uint8],
        normals: NDArray[np.uint8] | None,
        frames: int,
        prompt: str | None,
        negative_prompt: str,
        guidance_scale: float,
    ) -> Conditions:
        device = self._execution_device
        reference = conditioning.encode_latents(self.vae, conditioning.to_video_tensor(image[None], device))
        empty = conditioning.empty_latents(self.vae, frames, *image.shape[:2])
        normal_latents = None
        if normals is not None:
            normal_latents = conditioning.encode_latents(self.vae, conditioning.to_video_tensor(normals, device))
        guided = guidance_scale > 1
        return Conditions(
            channels=conditioning.condition_channels(reference, empty),
            normals=normal_latents,
            prompt=self._embed_prompt(prompt or ""),
            negative_prompt=self._embed_prompt(negative_prompt) if guided and self.text_encoder is not None else None,
            image=self._embed_image(image),
            guidance_scale=guidance_scale,
        )

    def _start(
        self,
        conditions: Conditions,
        init_video: NDArray[np.uint8] | None,
        strength: float,
        steps: int,
        generator: torch.Generator | None,
    ) -> Tensor:
        """Set the schedule; return pure noise, or the initial video's latents at noise level `strength`."""
        z = self.vae.config.z_dim
        shape = (1, z, *conditions.channels.shape[2:])
        noise = torch.randn(shape, generator=generator, dtype=torch.float32).to(conditions.channels.device)
        shift = self.scheduler.config.shift
        start = 1.0 if init_video is None else strength
        self.scheduler.set_timesteps(sigmas=sampling.schedule(steps, shift, start), device=noise.device)
        if init_video is None or strength >= 1:
            return noise
        video = conditioning.encode_latents(self.vae, conditioning.to_video_tensor(init_video, noise.device))
        reference = conditions.channels[:, conditioning.MASK_CHANNELS :, :1]
        return sampling.add_noise(torch.cat([reference, video], dim=2), noise, strength)

    def _embed_prompt(self, prompt: str) -> Tensor:
        """`(1, N, text_dim)`, padded with zeros after the prompt's last token as Wan was trained."""
        if self.text_encoder is None:
            return conditioning.null_prompt(self.transformer, 1)
        tokens = self.tokenizer(
            [prompt],
            padding="max_length",
            max_length=512,
            truncation=True,
            return_attention_mask=True,
            return_tensors="pt",
        ).to(self._execution_device)
        embedded = self.text_encoder(tokens.input_ids, tokens.attention_mask).last_hidden_state
        return (embedded * tokens.attention_mask[..., None]).to(self.transformer.dtype)

    def _embed_image(self, image: NDArray[np.uint8]) -> Tensor | None:
        """`(1, 257, image_dim)`: the features before CLIP's last layer, as Wan was trained."""
        if self.image_encoder is None:
            return None
        pixels = self.image_processor(images=image, return_tensors="pt").to(self._execution_device)
        hidden: Sequence[Tensor] = self.image_encoder(**pixels, output_hidden_states=True).hidden_states
        return hidden[-2].to(self.transformer.dtype)
