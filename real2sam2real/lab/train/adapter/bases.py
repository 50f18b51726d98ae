"""The frozen base of a fine-tuning: where its components are, and each loaded only when it is needed."""

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
    SHIPPED,
    CheckpointSettings,
    find_checkpoint,
    is_adapter,
    load_settings,
)
from real2sam2real.diffusion.prompts import embed_text, encoder_identity
from real2sam2real.diffusion.weights.base import BaseSource, find_base, is_own_pipeline
from real2sam2real.diffusion.weights.load import (
    load_image_encoder,
    load_text_encoder,
    load_vae,
    transformer_config,
)
from real2sam2real.errors import UserError
from real2sam2real.lab.curate.dataset import DatasetInfo


@dataclass(frozen=True, kw_only=True, eq=False)
class Encoders:
    """The frozen networks that make latents and features of clips."""

    vae: Any  # of `AutoencoderKLWan`'s interface
    device: torch.device  # where they are
    text: tuple[Any, Any] | None = None  # tokenizer and encoder, or None for a base without text
    image: tuple[Any, Any] | None = None  # processor and encoder, or None for a base without image features
    resize_without_crop: bool = False  # how the image encoder is shown the photo; see `conditioning.pixels_for_clip`
    text_dim: int = 0  # width of text embeddings

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
        return embed_text(encoder, tokenizer, caption, self.device)[0].cpu()

    @torch.no_grad()
    def seen(self, photo: NDArray[uint8]) -> Tensor | None:
        """`(M, image_dim)` on the CPU of a photo `(H, W, 3)`, or None for a base without image features."""
        if self.image is None:
            return None
        processor, encoder = self.image
        features = conditioning.embed_photo(
            photo, encoder, processor, self.device, resize_without_crop=self.resize_without_crop
        )
        return features[0].cpu()


@dataclass(frozen=True, kw_only=True)
class TrainingBase:
    """A base model that was found, and how it samples."""

    name: str  # as the user gave it
    source: BaseSource  # where its components are
    settings: CheckpointSettings  # how it samples

    @property
    def identity(self) -> str:
        """What tells its encoders from others; without reading them."""
        encoders = (self.source.vae, self.source.text_encoder, self.source.image_encoder)
        identities = [encoder_identity(path) for path in encoders if path is not None]
        return hashlib.sha256("".join(identities).encode()).hexdigest()

    def settings_for(self, info: DatasetInfo, shift: float) -> CheckpointSettings:
        """What an adapter trained on a data set is to be used with."""
        if self.source.own:
            return replace(
                self.settings,
                normal_convention=info.normal_convention,
                base=self.name if self.name in SHIPPED else self.source.name,
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

    def load_encoders(self, device: torch.device) -> Encoders:
        """Everything but the transformer; the text encoder in bfloat16 on a GPU.

        Raises:
            MissingPartError: a component or a package is missing.
        """
        source, config = self.source, transformer_config(self.source)
        text = image = None
        if source.text_encoder is not None:
            tokenizer, text_encoder = load_text_encoder(
                source, torch.float32 if device.type == "cpu" else torch.bfloat16
            )
            text = tokenizer, text_encoder.to(device)
        if source.image_encoder is not None and config.get("image_dim", 1280) is not None:
            processor, image_encoder = load_image_encoder(source)
            image = processor, image_encoder.to(device)
        return Encoders(
            vae=load_vae(source).to(device),
            text=text,
            image=image,
            resize_without_crop=self.settings.resize_without_crop,
            text_dim=config.get("text_dim", 4096),
            device=device,
        )


def find_training_base(name: str, parts: str | None = None) -> TrainingBase:
    """Find a base: `mini-base`, a folder of one of our pipelines, or what `find_base` takes.

    Raises:
        MissingPartError: a component is not on this machine.
        UserError: the name leads nowhere, or to packed weights, which cannot be trained upon here.
    """
    folder = find_checkpoint(name).resolve() if name in SHIPPED else Path(name).resolve()
    if folder.is_dir() and is_adapter(folder):  # a file may be a base in one piece
        raise UserError(f"{name} is an adapter, not a base; its base is {load_settings(folder).base}")
    if is_own_pipeline(folder):
        return TrainingBase(name=name, source=find_base(folder), settings=load_settings(folder))
    source = find_base(name, components=parts)
    if source.layout == "gguf":
        raise UserError(f"{name} holds packed weights (GGUF); fine-tuning needs the base in safetensors")
    return TrainingBase(name=name, source=source, settings=OFFICIAL_SETTINGS)
