"""The original files of the text encoder, the image encoder and the VAE, under the names of today's libraries.

Sizes are told by the tensors, so that the same code reads tiny models of the same make.

Sources: Wan-Video/Wan2.2, wan/modules/t5.py and wan/modules/animate/clip.py for the original names.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from real2sam2real.diffusion.weights.config import check_shape, count_layers
from real2sam2real.diffusion.weights.files import LazyTensor, Tensors
from real2sam2real.errors import UserError

CLIP_HEAD_DIM = 80  # of ViT-H; the shapes of the weights do not tell it
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)

_T5_TOP = {"token_embedding.weight": "shared.weight", "norm.weight": "encoder.final_layer_norm.weight"}
_T5_BLOCK = {
    "norm1": "layer.0.layer_norm",
    "attn.q": "layer.0.SelfAttention.q",
    "attn.k": "layer.0.SelfAttention.k",
    "attn.v": "layer.0.SelfAttention.v",
    "attn.o": "layer.0.SelfAttention.o",
    "pos_embedding.embedding": "layer.0.SelfAttention.relative_attention_bias",
    "norm2": "layer.1.layer_norm",
    "ffn.gate.0": "layer.1.DenseReluDense.wi_0",
    "ffn.fc1": "layer.1.DenseReluDense.wi_1",
    "ffn.fc2": "layer.1.DenseReluDense.wo",
}
_CLIP_TOP = {
    "patch_embedding.weight": "embeddings.patch_embedding.weight",
    "pre_norm.weight": "pre_layrnorm.weight",
    "pre_norm.bias": "pre_layrnorm.bias",
    "post_norm.weight": "post_layernorm.weight",
    "post_norm.bias": "post_layernorm.bias",
}
_CLIP_BLOCK = {
    "norm1": "layer_norm1",
    "norm2": "layer_norm2",
    "attn.proj": "self_attn.out_proj",
    "mlp.0": "mlp.fc1",
    "mlp.2": "mlp.fc2",
}
_BLOCK = re.compile(r"(?:blocks|transformer)\.(\d+)\.(.+)\.(weight|bias)$")


def t5_tensors(original: Tensors) -> Tensors:
    """The text encoder's tensors by transformers' `UMT5EncoderModel` names; unknown keys keep their own."""

    def name(key: str) -> str:
        block = _BLOCK.match(key)
        if block and block[2] in _T5_BLOCK:
            return f"encoder.block.{block[1]}.{_T5_BLOCK[block[2]]}.{block[3]}"
        return _T5_TOP.get(key, key)

    return {name(key): tensor for key, tensor in original.items()}


def t5_config(tensors: Tensors, file: Path) -> Any:
    """The text encoder's config, told by its tensors under transformers' names.

    Raises:
        UserError: tensors that tell it are missing or misshapen.
    """
    from transformers import UMT5Config

    def shape(key: str) -> tuple[int, ...]:
        return _shape(tensors, file, key, "the text encoder umT5", 2)

    bias = shape("encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight")
    query = shape("encoder.block.0.layer.0.SelfAttention.q.weight")
    vocabulary, width = shape("shared.weight")
    if query[0] % bias[1]:
        raise UserError(f"{file} does not hold the text encoder umT5: {query[0]} rows are no {bias[1]} equal heads")
    return UMT5Config(
        vocab_size=vocabulary,
        d_model=width,
        d_kv=query[0] // bias[1],
        d_ff=shape("encoder.block.0.layer.1.DenseReluDense.wi_0.weight")[0],
        num_layers=count_layers(tensors, r"encoder\.block\.(\d+)\.", file),
        num_heads=bias[1],
        relative_attention_num_buckets=bias[0],
        relative_attention_max_distance=128,
        feed_forward_proj="gated-gelu",
        layer_norm_epsilon=1e-6,
    )


def clip_tensors(original: Tensors) -> Tensors:
    """The visual tower's tensors by the names of transformers' `CLIPVisionModel`, without `vision_model.`.

    The text tower, the temperature and the projection head are left out: the video model reads the last but one hidden
    state of the visual tower alone.
    """
    visual = {key.removeprefix("visual."): tensor for key, tensor in original.items() if key.startswith("visual.")}
    visual.pop("head", None)
    return dict(pair for key, tensor in visual.items() for pair in _clip_rows(key, tensor))


def _clip_rows(key: str, tensor: LazyTensor) -> Iterator[tuple[str, LazyTensor]]:
    """Where one original tensor goes: one row, or three for the joint query, key and value."""
    block = _BLOCK.match(key)
    if block and block[2] == "attn.to_qkv":
        rows = (tensor.shape or (0,))[0] // 3
        for index, projection in enumerate(("q_proj", "k_proj", "v_proj")):
            part = slice(index * rows, (index + 1) * rows)
            shape = (rows, *tensor.shape[1:])
            yield f"encoder.layers.{block[1]}.self_attn.{projection}.{block[3]}", _changed(tensor, shape, part)
    elif block and block[2] in _CLIP_BLOCK:
        yield f"encoder.layers.{block[1]}.{_CLIP_BLOCK[block[2]]}.{block[3]}", tensor
    elif key == "cls_embedding":
        yield "embeddings.class_embedding", _changed(tensor, tensor.shape[-1:])
    elif key == "pos_embedding":
        yield "embeddings.position_embedding.weight", _changed(tensor, tensor.shape[-2:])
    else:
        yield _CLIP_TOP.get(key, key), tensor


def clip_config(tensors: Tensors, file: Path) -> Any:
    """The visual tower's config, told by its tensors under transformers' names.

    Raises:
        UserError: tensors that tell it are missing or misshapen.
    """
    from transformers import CLIPVisionConfig

    what = "CLIP's visual tower"
    width, _, patch, _ = _shape(tensors, file, "embeddings.patch_embedding.weight", what, 4)
    grid = math.isqrt(_shape(tensors, file, "embeddings.position_embedding.weight", what, 2)[0] - 1)
    heads = max(1, width // CLIP_HEAD_DIM)
    if width % heads or not grid:
        raise UserError(f"{file} does not hold {what}: {width} wide, for {grid}×{grid} patches")
    return CLIPVisionConfig(
        hidden_size=width,
        intermediate_size=_shape(tensors, file, "encoder.layers.0.mlp.fc1.weight", what, 2)[0],
        num_hidden_layers=count_layers(tensors, r"encoder\.layers\.(\d+)\.", file),
        num_attention_heads=heads,
        image_size=grid * patch,
        patch_size=patch,
        hidden_act="gelu",
        layer_norm_eps=1e-5,
    )


def vae_tensors(original: Tensors) -> Tensors:
    """The VAE's tensors by the names of diffusers' `AutoencoderKLWan`, by diffusers' own converter."""
    from diffusers.loaders.single_file_utils import convert_wan_vae_to_diffusers

    # The converter looks at names alone, so the unread tensors may pass through it as they are.
    converted: Tensors = convert_wan_vae_to_diffusers(dict(original))
    return converted


def vae_config(tensors: Tensors, file: Path) -> dict[str, Any]:
    """The sizes of the VAE, for `AutoencoderKLWan`; everything else is that class's default, which is Wan 2.1's.

    Raises:
        UserError: tensors that tell them are missing or misshapen.
    """
    return {
        "base_dim": _shape(tensors, file, "encoder.conv_in.weight", "the VAE", 5)[0],
        "z_dim": _shape(tensors, file, "post_quant_conv.weight", "the VAE", 5)[0],
    }


def _changed(tensor: LazyTensor, shape: tuple[int, ...], rows: slice = slice(None)) -> LazyTensor:
    """Some of its rows, or all, in another shape."""

    def read() -> Tensor:
        return tensor.read()[rows].reshape(shape)

    return replace(tensor, shape=shape, read=read)


def _shape(tensors: Tensors, file: Path, key: str, what: str, dimensions: int) -> tuple[int, ...]:
    if key not in tensors:
        raise UserError(f"{file} does not hold {what}: missing {key}")
    check_shape(file, what, key, tensors[key].shape, dimensions)
    return tensors[key].shape
