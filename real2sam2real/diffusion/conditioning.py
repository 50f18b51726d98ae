"""Latents in and out of any autoencoder of Wan's interface, and the condition channels of the transformer's input.

Shape letters: B batch, T = 4k + 1 frames, F = k + 1 latent frames, H × W pixels, h × w latent size, z channels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from einops import rearrange, repeat
from PIL import Image
from torch import Tensor
from torch.nn import functional

from real2sam2real.arrays import UInt8

MASK_CHANNELS = 4


def to_video_tensor(frames: UInt8, device: torch.device | str = "cpu") -> Tensor:
    """`(1, 3, T, H, W)` float32 in −1…1 of `(T, H, W, 3)` uint8."""
    video = torch.from_numpy(np.require(frames, requirements=["C", "W"])).to(device)
    return rearrange(video, "t h w c -> 1 c t h w").float() / 127.5 - 1


def to_frames(video: Tensor) -> UInt8:
    """`(T, H, W, 3)` uint8 of `(1, 3, T, H, W)` in −1…1; inverse of `to_video_tensor` up to rounding."""
    frames = rearrange(video[0], "c t h w -> t h w c")
    result: UInt8 = ((frames.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).cpu().numpy()
    return result


def encode_latents(autoencoder: Any, video: Tensor) -> Tensor:
    """Standardised latents `(B, z, F, h, w)` of video `(B, 3, T, H, W)` in −1…1."""
    return to_standard(autoencoder, autoencoder.encode(video.to(autoencoder.dtype)).latent_dist.mode().float())


def decode_latents(autoencoder: Any, latents: Tensor) -> Tensor:
    """Video `(B, 3, T, H, W)` in −1…1 of standardised latents `(B, z, F, h, w)`."""
    given = from_standard(autoencoder, latents).to(autoencoder.dtype)
    return autoencoder.decode(given, return_dict=False)[0].float()


def to_standard(autoencoder: Any, latents: Tensor) -> Tensor:
    """Latents `(B, z, F, h, w)` as the transformer sees them, of those that the autoencoder gives."""
    mean, std = _statistics(autoencoder, latents)
    return (latents - mean) / std


def from_standard(autoencoder: Any, latents: Tensor) -> Tensor:
    """Inverse of `to_standard`."""
    mean, std = _statistics(autoencoder, latents)
    return latents * std + mean


@torch.no_grad()
def embed_photo(
    photo: UInt8, image_encoder: Any, image_processor: Any, device: torch.device, *, resize_without_crop: bool
) -> Tensor:
    """`(1, 257, image_dim)` of `(H, W, 3)` uint8: the features before CLIP's last layer, as Wan was trained.

    Args:
        photo: of any size.
        image_encoder: CLIP's vision model, on `device` or streamed there.
        image_processor: what CLIP's pictures are prepared by.
        device: where to compute.
        resize_without_crop: see `pixels_for_clip`.
    """
    pixels = pixels_for_clip(photo, image_processor, resize_without_crop=resize_without_crop)
    hidden = image_encoder(pixels.to(device, image_encoder.dtype), output_hidden_states=True).hidden_states
    features: Tensor = hidden[-2]
    return features


def pixels_for_clip(photo: UInt8, image_processor: Any, *, resize_without_crop: bool) -> Tensor:
    """`(1, 3, S, S)` of `(H, W, 3)` uint8, normalised as CLIP wants it.

    Args:
        photo: of any size.
        image_processor: of the image encoder.
        resize_without_crop: the whole photo is resized to the square, whatever its aspect, as the original Wan code
            does, without smoothing first; that is what the published adapters were trained with. Otherwise its middle
            is cut out, as CLIP's own processing and diffusers' pipelines do.
    """
    if not resize_without_crop:
        cropped: Tensor = image_processor(images=Image.fromarray(photo), return_tensors="pt").pixel_values
        return cropped
    side = image_processor.crop_size["height"]
    pixels = rearrange(torch.from_numpy(photo.copy()), "h w c -> 1 c h w").float() / 255
    pixels = functional.interpolate(pixels, size=(side, side), mode="bicubic", align_corners=False)
    mean, std = (
        torch.tensor(values).view(1, 3, 1, 1) for values in (image_processor.image_mean, image_processor.image_std)
    )
    return (pixels - mean) / std


def _statistics(autoencoder: Any, like: Tensor) -> tuple[Tensor, Tensor]:
    mean = torch.tensor(autoencoder.config.latents_mean, dtype=like.dtype, device=like.device)
    std = torch.tensor(autoencoder.config.latents_std, dtype=like.dtype, device=like.device)
    return mean.view(1, -1, 1, 1, 1), std.view(1, -1, 1, 1, 1)


def condition_channels(reference: Tensor, given: Tensor, known_frames: int = 0) -> Tensor:
    """The mask and condition channels `(B, 4 + z, F + 1, h, w)`.

    Latent frame 0 holds the photo with mask 1. The frames of the video hold the latents of a clip that begins with the
    last frames of the segment before and is mid-grey from there on; the mask is 1 on those known frames. The four mask
    channels of a latent frame stand for the four frames it covers; the first latent frame covers one, four times.

    Args:
        reference: `(B, z, 1, h, w)` standardised latents of the photo.
        given: `(B or 1, z, F, h, w)` standardised latents of the clip.
        known_frames: how many frames of the clip are known, 0 or 4k + 1.
    """
    latents = torch.cat([reference, given.expand(reference.shape[0], -1, -1, -1, -1)], dim=2)
    mask = latents.new_zeros(latents.shape[0], MASK_CHANNELS, *latents.shape[2:])
    mask[:, :, 0] = 1
    mask[:, :, 1 : 1 + -(-known_frames // MASK_CHANNELS)] = 1
    return torch.cat([mask, latents], dim=1)


def empty_latents(autoencoder: Any, frames: int, height: int, width: int) -> Tensor:
    """`(1, z, F, h, w)` standardised latents of a mid-grey clip of `frames` × `height` × `width` pixels."""
    device = next(autoencoder.parameters()).device
    return encode_latents(autoencoder, torch.zeros(1, 3, frames, height, width, device=device))


def continued_latents(autoencoder: Any, previous: Tensor, frames: int) -> Tensor:
    """`(1, z, F, h, w)` standardised latents of a clip of `frames` frames that is mid-grey after its known start.

    Args:
        autoencoder: of `AutoencoderKLWan`'s interface.
        previous: `(1, 3, overlap, H, W)` in −1…1, the end of the segment before.
        frames: length of the clip, the overlap included.
    """
    rest = previous.new_zeros(*previous.shape[:2], frames - previous.shape[2], *previous.shape[3:])
    return encode_latents(autoencoder, torch.cat([previous, rest], dim=2))


def null_prompt(transformer: Any, batch: int) -> Tensor:
    """`(B, 1, text_dim)` of zeros: the prompt of checkpoints that were trained without text."""
    parameter = next(transformer.parameters())
    return repeat(parameter.new_zeros(transformer.config.text_dim), "d -> b 1 d", b=batch)
