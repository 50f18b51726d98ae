"""The frozen base of a fine-tuning: where its parts are, and each loaded only when it is needed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from numpy import uint8
from numpy.typing import NDArray
from torch import Tensor

from real2sam2real.diffusion import conditioning
from real2sam2real.diffusion.checkpoints import (
    OFFICIAL_SETTINGS,
    PIPELINE_FILE,
    SETTINGS_FILE,
    SHIPPED,
    CheckpointSettings,
    find_checkpoint,
    is_adapter,
    load_settings,
)
from real2sam2real.diffusion.pipeline import Real2Sam2RealPipeline, embed_text
from real2sam2real.diffusion.prompts import encoder_identity
from real2sam2real.diffusion.weights.base import BaseSource, find_base
from real2sam2real.diffusion.weights.load import (
    load_image_encoder,
    load_text_encoder,
    load_transformer,
    load_vae,
    transformer_config,
)
from real2sam2real.errors import UserError
from real2sam2real.lab.curate.dataset import DatasetInfo


@dataclass(frozen=True, kw_only=True, eq=False)
class Encoders:
    """The frozen networks that make latents and features of clips.

    Attributes:
        vae: of `AutoencoderKLWan`'s interface.
        text: tokenizer and encoder, or None for a base without text.
        image: processor and encoder, or None for a base without image features.
        squash_photo: how the image encoder is shown the photo; see `Real2Sam2RealPipeline`.
        text_dim: width of text embeddings.
        device: where they are.
    """

    vae: Any
    text: tuple[Any, Any] | None
    image: tuple[Any, Any] | None
    squash_photo: bool
    text_dim: int
    device: torch.device

    @torch.no_grad()
    def latents(self, frames: NDArray[uint8]) -> Tensor:
        """`(z, F, h, w)` float32 on the CPU, standardised, of `(T, H, W, 3)` frames."""
        return conditioning.encode_latents(self.vae, conditioning.to_video_tensor(frames, self.device))[0].cpu()

    @torch.no_grad()
    def embedded(self, caption: str) -> Tensor:
        """`(N, text_dim)` on the CPU; one zero token for a base without text."""
        if self.text is None:
            return torch.zeros(1, self.text_dim)
        tokenizer, encoder = self.text
        return embed_text(encoder, tokenizer, caption, self.device, release=False)[0].cpu()

    @torch.no_grad()
    def seen(self, photo: NDArray[uint8]) -> Tensor | None:
        """`(M, image_dim)` on the CPU of a photo `(H, W, 3)`, or None for a base without image features."""
        if self.image is None:
            return None
        processor, encoder = self.image
        prepare = conditioning.squashed_for_clip if self.squash_photo else conditioning.cropped_for_clip
        pixels = prepare(photo, processor).to(self.device, encoder.dtype)
        hidden: Tensor = encoder(pixels, output_hidden_states=True).hidden_states[-2][0]
        return hidden.cpu()


@dataclass(frozen=True, kw_only=True)
class TrainingBase:
    """A base model that was found, and how it samples.

    Attributes:
        name: as the user gave it.
        folder: of one of our pipelines, or None.
        source: of a base in a published layout, or None.
        settings: how it samples.
    """

    name: str
    folder: Path | None
    source: BaseSource | None
    settings: CheckpointSettings

    @property
    def identity(self) -> str:
        """What tells its encoders from others; without reading them."""
        if self.folder is not None:
            parts = [self.folder / "vae"]
        else:
            source = self._source()
            parts = [part for part in (source.vae, source.text_encoder, source.image_encoder) if part is not None]
        return hashlib.sha256("".join(map(encoder_identity, parts)).encode()).hexdigest()

    def settings_for(self, info: DatasetInfo, shift: float) -> CheckpointSettings:
        """What an adapter trained on a data set is to be used with."""
        if self.folder is not None:
            return replace(
                self.settings,
                normal_convention=info.normal_convention,
                base=self.name if self.name in SHIPPED else str(self.folder),
            )
        area = info.width * info.height
        # No segment of training goes on from another, so an adapter alone knows no continuation.
        return replace(
            self.settings,
            area=area,
            max_frames=info.frames,
            shift=shift,
            normal_convention=info.normal_convention,
            continues=False,
        )

    def load_transformer(self, dtype: torch.dtype) -> Any:
        """The transformer on the CPU, in evaluation mode."""
        if self.folder is not None:
            return self._pipeline(dtype).transformer.eval()
        return load_transformer(self._source(), dtype).eval()

    def load_vae(self, device: torch.device) -> Any:
        """The autoencoder in float32."""
        vae = self._pipeline(torch.float32).vae if self.folder is not None else load_vae(self._source())
        return vae.to(device).eval().requires_grad_(False)

    def load_encoders(self, device: torch.device) -> Encoders:
        """Everything but the transformer; the text encoder in bfloat16 on a GPU.

        Raises:
            MissingPartError: a part or a package is missing.
        """
        if self.folder is not None:
            pipeline = self._pipeline(torch.float32)
            if pipeline.text_encoder is not None or pipeline.image_encoder is not None:
                raise UserError(f"{self.name} has encoders of its own; name its base's folder to fine-tune it")
            return Encoders(
                vae=pipeline.vae.to(device).eval(),
                text=None,
                image=None,
                squash_photo=False,
                text_dim=pipeline.transformer.config.text_dim,
                device=device,
            )
        source = self._source()
        config = transformer_config(source)
        dtype = torch.float32 if device.type == "cpu" else torch.bfloat16
        tokenizer, text_encoder = load_text_encoder(source, dtype)
        image = None
        if config.get("image_dim", 1280) is not None:
            processor, image_encoder = load_image_encoder(source)
            image = processor, image_encoder.to(device).eval()
        return Encoders(
            vae=self.load_vae(device),
            text=(tokenizer, text_encoder.to(device).eval()),
            image=image,
            squash_photo=self.settings.squash_photo,
            text_dim=config.get("text_dim", 4096),
            device=device,
        )

    def _source(self) -> BaseSource:
        if self.source is None:
            raise ValueError(f"{self.name} is a pipeline's folder, not a base in a published layout")
        return self.source

    def _pipeline(self, dtype: torch.dtype) -> Real2Sam2RealPipeline:
        kinds = {"transformer": dtype, "default": torch.float32}
        try:
            return Real2Sam2RealPipeline.from_pretrained(str(self.folder), dtype=kinds, local_files_only=True)
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise UserError(f"the base {self.folder} cannot be loaded: {error}") from error


def find_training_base(name: str, parts: str | None = None) -> TrainingBase:
    """Find a base: `mini-base`, a folder of one of our pipelines, or what `find_base` takes.

    Raises:
        MissingPartError: a part is not on this machine.
        UserError: the name leads nowhere, or to packed weights, which cannot be trained upon here.
    """
    path = Path(name)
    if name in SHIPPED or ((path / SETTINGS_FILE).is_file() and (path / PIPELINE_FILE).is_file()):
        folder = find_checkpoint(name).resolve()
        if is_adapter(folder):
            raise UserError(f"{name} is an adapter, not a base; its base is {load_settings(folder).base}")
        return TrainingBase(name=name, folder=folder, source=None, settings=load_settings(folder))
    source = find_base(name, parts=parts)
    if source.layout == "gguf":
        raise UserError(f"{name} holds packed weights (GGUF); fine-tuning needs the base in safetensors")
    return TrainingBase(name=name, folder=None, source=source, settings=OFFICIAL_SETTINGS)
