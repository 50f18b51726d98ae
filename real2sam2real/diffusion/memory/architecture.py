"""The networks of a checkpoint as configs, and as modules without data to measure them on."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from real2sam2real.errors import MissingPartError

Config = Mapping[str, Any]

# The encoders of Wan2.1 and Wan2.2-Animate in the words of their own configs: UMT5-XXL and CLIP ViT-H/14.
UMT5_XXL: Config = {
    "d_model": 4096,
    "d_ff": 10240,
    "d_kv": 64,
    "num_layers": 24,
    "num_heads": 64,
    "vocab_size": 256384,
    "feed_forward_proj": "gated-gelu",
}
CLIP_VIT_H: Config = {
    "hidden_size": 1280,
    "intermediate_size": 5120,
    "num_hidden_layers": 32,
    "num_attention_heads": 16,
    "patch_size": 14,
    "image_size": 224,
    "hidden_act": "gelu",
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Architecture:
    """Which networks a checkpoint has.

    Attributes:
        transformer: config of `Real2Sam2RealTransformer3DModel`; what it does not say is as in the 14 B model.
        autoencoder: config of the autoencoder.
        autoencoder_class: its class, "AutoencoderKLWan" or "BlockTransformAutoencoder".
        text_encoder: config of UMT5, or None for checkpoints without text.
        image_encoder: config of CLIP's vision model, or None.
        gguf_bytes: bytes of one weight where the transformer comes from a GGUF file; 4.5 bits are those of Q4_K.
    """

    transformer: Config = field(default_factory=dict)
    autoencoder: Config = field(default_factory=dict)
    autoencoder_class: str = "AutoencoderKLWan"
    text_encoder: Config | None = None
    image_encoder: Config | None = None
    gguf_bytes: float = 4.5 / 8

    @classmethod
    def of_folder(cls, folder: Path) -> Architecture:
        """The networks of a folder in diffusers' layout, from its configs alone; the weights may be missing.

        Raises:
            OSError: a config is missing.
            ValueError: a config is not JSON.
        """
        parts = json.loads((folder / "model_index.json").read_text())

        def config(name: str) -> Config | None:
            if parts.get(name) is None or parts[name][0] is None:
                return None
            values: Config = json.loads((folder / name / "config.json").read_text())
            return values

        return cls(
            transformer=config("transformer") or {},
            autoencoder=config("vae") or {},
            autoencoder_class=parts["vae"][1],
            text_encoder=config("text_encoder"),
            image_encoder=config("image_encoder"),
        )


WAN_ANIMATE_14B = Architecture(text_encoder=UMT5_XXL, image_encoder=CLIP_VIT_H)


def transformer_of(architecture: Architecture, *, layers: int | None = None) -> Any:
    """The transformer with all its blocks or the first `layers`, without data; see `without_data`."""
    from real2sam2real.diffusion.transformer import Real2Sam2RealTransformer3DModel

    config = {**architecture.transformer} if layers is None else {**architecture.transformer, "num_layers": layers}
    known = inspect.signature(Real2Sam2RealTransformer3DModel.__init__).parameters
    return without_data(
        lambda: Real2Sam2RealTransformer3DModel(**{key: value for key, value in config.items() if key in known})
    )


def autoencoder_of(architecture: Architecture) -> Any:
    """The autoencoder, without data."""
    from diffusers import AutoencoderKLWan

    from real2sam2real.diffusion.autoencoder import BlockTransformAutoencoder

    kinds = {"AutoencoderKLWan": AutoencoderKLWan, "BlockTransformAutoencoder": BlockTransformAutoencoder}
    kind: Any = kinds[architecture.autoencoder_class]
    known = inspect.signature(kind.__init__).parameters
    config = {key: value for key, value in architecture.autoencoder.items() if key in known}
    return without_data(lambda: kind(**config))


def text_encoder_of(config: Config) -> Any:
    """UMT5's encoder, without data.

    Raises:
        MissingPartError: transformers is not installed.
    """
    transformers = _transformers()
    return without_data(lambda: transformers.UMT5EncoderModel(transformers.UMT5Config(**config)))


def image_encoder_of(config: Config) -> Any:
    """CLIP's vision model, without data.

    Raises:
        MissingPartError: transformers is not installed.
    """
    transformers = _transformers()
    return without_data(lambda: transformers.CLIPVisionModel(transformers.CLIPVisionConfig(**config)))


def without_data(make: Callable[[], Any]) -> Any:
    """The module that `make` builds, on the meta device: shapes and no values."""
    with torch.device("meta"):
        return make().eval()


def as_fake(module: Any, dtype: torch.dtype, keep_in_float32: tuple[str, ...] = ()) -> Any:
    """Give a module of the meta device fake tensors of `dtype`; call it inside `fake_device`.

    Args:
        module: changed in place.
        dtype: of floating point parameters.
        keep_in_float32: parts of names whose parameters are float32 anyway.
    """
    made: dict[int, nn.Parameter] = {}
    for prefix, owner in module.named_modules():
        for name, parameter in owner.named_parameters(recurse=False):
            path = f"{prefix}.{name}".split(".")
            kept = torch.float32 if any(part in path for part in keep_in_float32) else dtype
            if id(parameter) not in made:  # embeddings may be shared
                made[id(parameter)] = nn.Parameter(
                    torch.empty(parameter.shape, dtype=kept, device="cpu"), requires_grad=False
                )
            owner._parameters[name] = made[id(parameter)]
        for name, buffer in owner.named_buffers(recurse=False):
            owner._buffers[name] = torch.empty(buffer.shape, dtype=buffer.dtype, device="cpu")
    return module


def _transformers() -> Any:
    try:
        import transformers
    except ImportError as error:
        raise MissingPartError(
            "the text and image encoders need transformers, which is not installed: pip install transformers"
        ) from error
    return transformers
