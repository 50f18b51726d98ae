"""What embedding a prompt and a photo needs, measured by running the encoders' own code on fake tensors."""

from __future__ import annotations

from functools import cache

import torch

from real2sam2real.diffusion.memory.architecture import Architecture, as_fake, image_encoder_of, text_encoder_of
from real2sam2real.diffusion.memory.cost import Cost, metered
from real2sam2real.diffusion.memory.tracking import fake_device
from real2sam2real.diffusion.memory.transformer_cost import TEXT_TOKENS


@cache
def measure_text_encoder(architecture: Architecture, dtype: torch.dtype = torch.bfloat16) -> Cost:
    """Embedding one prompt; nothing where the checkpoint reads no text.

    Raises:
        MissingPartError: transformers is not installed.
    """
    if architecture.text_encoder is None:
        return Cost()
    encoder = text_encoder_of(architecture.text_encoder)
    with fake_device():
        as_fake(encoder, dtype)
        tokens = torch.zeros(1, TEXT_TOKENS, dtype=torch.long)
        return metered(encoder, lambda: encoder(tokens, torch.ones_like(tokens)))


@cache
def measure_image_encoder(architecture: Architecture, dtype: torch.dtype = torch.float32) -> Cost:
    """Embedding one photo; nothing where the checkpoint has no image encoder.

    Raises:
        MissingPartError: transformers is not installed.
    """
    if architecture.image_encoder is None:
        return Cost()
    encoder = image_encoder_of(architecture.image_encoder)
    with fake_device():
        as_fake(encoder, dtype)
        pixels = torch.empty(1, 3, encoder.config.image_size, encoder.config.image_size, dtype=dtype)
        return metered(encoder, lambda: encoder(pixels, output_hidden_states=True))
