"""What the networks cost, by arithmetic: bytes of their weights, most bytes at work, floating point operations.

Working memory is that of the moment at which most is alive; which moments there are is read off the networks' code.
`python benchmarks/generate.py check` compares all of it with the code itself, run on tensors without data.

Letters: b bytes of a number, L tokens of the video and its reference, V of the video alone, D model width, f width of
the feed-forward layers, N tokens of text and image, P pixels of a frame, T frames.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from real2sam2real.diffusion.memory.float8 import ROWS
from real2sam2real.diffusion.memory.plans import WeightFormat
from real2sam2real.diffusion.prompts import TEXT_TOKENS
from real2sam2real.diffusion.transformer import Real2Sam2RealTransformer3DModel

Config = Mapping[str, Any]

IMAGE_TOKENS = 257

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


@dataclass(frozen=True, kw_only=True)
class StoredAs:
    """How a linear layer's weights are stored.

    Attributes:
        weight: bytes of one weight.
        output: further bytes for each output channel.
        unpacked: bytes of one weight as the layer works with it, beside the stored ones.
        unpacking: most bytes of one weight on the way there.
        rounding: bytes for each number that comes into the layer, of `ROWS` tokens at a time.
    """

    weight: float
    output: int = 0
    unpacked: int = 0
    unpacking: int = 0
    rounding: int = 0


# NF4 by bitsandbytes: 4 bits; one byte of scale for 64 weights; for 256 such scales one float32 of their own.
# GGUF: 4.5 bits are those of Q4_K.
FORMATS: dict[WeightFormat, StoredAs] = {
    "float32": StoredAs(weight=4),
    "bfloat16": StoredAs(weight=2),
    "int8": StoredAs(weight=1, output=5, unpacked=2),
    "float8": StoredAs(weight=1, output=4, unpacked=2, unpacking=10),
    "float8-dynamic": StoredAs(weight=1, output=4, rounding=5),
    "nf4": StoredAs(weight=0.5 + 1 / 64 + 4 / (64 * 256), unpacked=2),
    "gguf": StoredAs(weight=4.5 / 8, unpacked=2),
}

# Of Wan 2.1's autoencoder: bytes for each pixel of what is worked on (a frame or a tile), and for each pixel of all
# frames meanwhile, by what it does, in which precision (bytes), and whether in tiles.
_AUTOENCODER_AT_WORK: dict[tuple[str, int, bool], tuple[float, float]] = {
    ("encode", 2, False): (7433, 18.25),
    ("encode", 4, False): (14076, 12.5),
    ("encode", 2, True): (7610, 18.4),
    ("decode", 2, False): (10123, 6.5),
    ("decode", 4, False): (19454, 12.75),
    ("decode", 2, True): (10123, 10.5),
}
_ITS_WIDTH = 96
# Tiles are put together at the end: bytes for each pixel of all frames.
_GATHERING_TILES = 28.4


@dataclass(frozen=True, kw_only=True, eq=False)
class Architecture:
    """Which networks a base has.

    Attributes:
        transformer: config of `Real2Sam2RealTransformer3DModel`; what it does not say is as in the 14 B model.
        autoencoder: config of `AutoencoderKLWan`.
        text_encoder: config of UMT5.
        image_encoder: config of CLIP's vision model.
        packed: bytes of a weight of the blocks as the base's GGUF file packs them; None where it does not.
        apart: bytes of adapters that are kept beside packed weights, in the blocks.
    """

    transformer: Config = field(default_factory=dict)
    autoencoder: Config = field(default_factory=dict)
    text_encoder: Config = field(default_factory=lambda: UMT5_XXL)
    image_encoder: Config = field(default_factory=lambda: CLIP_VIT_H)
    packed: float | None = None
    apart: int = 0

    @property
    def width(self) -> int:
        """D, the transformer's."""
        config = _transformer_config(self)
        return int(config["num_attention_heads"] * config["attention_head_dim"])

    def stored(self, weights: WeightFormat) -> StoredAs:
        """How the blocks' linear layers are stored in a format."""
        known = FORMATS[weights]
        return known if weights != "gguf" or self.packed is None else replace(known, weight=self.packed)


@dataclass(frozen=True, kw_only=True)
class ClipSize:
    """Size of what is generated in one segment.

    Attributes:
        frames: 4k + 1.
        width: in pixels.
        height: in pixels.
    """

    frames: int = 81
    width: int = 1280
    height: int = 720

    def __str__(self) -> str:
        return f"{self.frames} frames of {self.width}×{self.height}"


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one call of a network needs.

    Attributes:
        weights: bytes of its parameters and buffers.
        working: most bytes alive at once beside the weights, inputs and outputs included.
        largest_layer: bytes of its largest layer, where its layers may be streamed.
    """

    weights: int
    working: int
    largest_layer: int = 0


@dataclass(frozen=True, kw_only=True)
class PassCost(Cost):
    """What one transformer pass needs.

    Attributes:
        block: bytes of one block's weights.
        layers: number of blocks.
        tokens: L.
        attention_flops: floating point operations of attention; a multiplication and its addition are two.
        other_flops: those of all other matrix products and convolutions.
    """

    block: int
    layers: int
    tokens: int
    attention_flops: int
    other_flops: int

    @property
    def all_blocks(self) -> int:
        """Bytes of all blocks' weights."""
        return self.block * self.layers

    @property
    def flops(self) -> int:
        """All floating point operations."""
        return self.attention_flops + self.other_flops


def text_encoder_cost(config: Config, b: int) -> Cost:
    """Embedding one prompt with UMT5's encoder."""
    width, heads, layers, T = config["d_model"], config["num_heads"], config["num_layers"], TEXT_TOKENS  # noqa: N806
    inner, hidden = heads * config["d_kv"], config["d_ff"]
    embedding = config["vocab_size"] * width
    layer = 4 * width * inner + 3 * width * hidden + 2 * width
    layer += config.get("relative_attention_num_buckets", 32) * heads
    working = max(
        b * (3 * heads * T**2 + 3 * T * (inner + width)),  # in attention, whose scores are not fused
        7 * 8 * T**2 + 4 * b * T * width,  # when distances become the buckets of the position bias, in int64
        4 * b * T * (hidden + width),  # in the feed-forward layers
    )
    return Cost(weights=b * (embedding + layers * layer + width), working=working, largest_layer=b * embedding)


def image_encoder_cost(config: Config) -> Cost:
    """Embedding one photo with CLIP's vision model, in float32; all hidden states are kept."""
    width, hidden, layers = config["hidden_size"], config["intermediate_size"], config["num_hidden_layers"]
    patch = config["patch_size"]
    tokens = (config["image_size"] // patch) ** 2 + 1
    layer = 4 * (width + 1) * width + 2 * width * hidden + hidden + 5 * width
    weights = 3 * patch**2 * width + (tokens + 5) * width + layers * layer
    working = tokens * ((layers + 2) * width + 2 * hidden)
    return Cost(weights=4 * weights, working=4 * working, largest_layer=4 * (width + 1) * hidden)


def autoencoder_weights(architecture: Architecture, b: int) -> int:
    """Bytes of the autoencoder."""
    return b * sum(parameter.numel() for parameter in _autoencoder(architecture).parameters())


def autoencoder_working(architecture: Architecture, clip: ClipSize, work: str, b: int, *, tiled: bool) -> int:
    """Most bytes alive beside the weights while a clip is encoded or decoded.

    Args:
        architecture: whose autoencoder.
        clip: what is encoded or decoded.
        work: "encode" or "decode".
        b: bytes of a number.
        tiled: it works tile by tile.
    """
    model = _autoencoder(architecture)
    width, height = clip.width, clip.height
    if tiled:
        width, height = min(width, model.tile_sample_min_width), min(height, model.tile_sample_min_height)
    at_work, meanwhile = _AUTOENCODER_AT_WORK[work, b, tiled]
    all_frames = clip.frames * clip.width * clip.height
    peak = at_work * model.config.base_dim / _ITS_WIDTH * width * height + meanwhile * all_frames
    return round(max(peak, _GATHERING_TILES * all_frames if tiled and work == "decode" else 0))


def pass_cost(
    architecture: Architecture,
    clip: ClipSize,
    *,
    weights: WeightFormat = "bfloat16",
    token_chunks: int = 1,
    keys_values: bool = True,
    prompts: int = 1,
    attention_copies: bool = False,
) -> PassCost:
    """One pass of the transformer over a clip.

    Args:
        architecture: its networks.
        clip: the segment's size.
        weights: how the blocks' linear layers are stored; all else is bfloat16, or float32 if they are.
        token_chunks: in how many parts the blocks work through the tokens where they can.
        keys_values: the cross-attention's keys and values of all blocks are kept between passes.
        prompts: for how many prompts constants are kept between passes: 2 with guidance.
        attention_copies: the attention kernel takes copies of its inputs.
    """
    config = _transformer_config(architecture)
    b = 4 if weights == "float32" else 2
    layers, f = config["num_layers"], config["ffn_dim"]
    D = config["num_attention_heads"] * config["attention_head_dim"]  # noqa: N806
    L, V = _tokens(architecture, clip)  # noqa: N806
    N = TEXT_TOKENS + (0 if config["image_dim"] is None else IMAGE_TOKENS)  # noqa: N806
    block, rest = transformer_weights(architecture, weights)
    kept = 2 * b * N * D  # keys and values of one block
    constants = prompts * (b * D * (N + V) + (layers * kept if keys_values else 0))
    peak = max(
        _self_attention(b, L, D, config["num_attention_heads"], attention_copies),
        _after_attention(b, L, D, f, token_chunks, architecture.stored(weights)) + (0 if keys_values else kept),
    )
    linear = 2 * L * (6 * D * D + 2 * D * f) + (0 if keys_values else 4 * N * D * D)
    return PassCost(
        weights=layers * block + rest,
        working=_inputs(config, b, L, V) + constants + peak,
        block=block,
        layers=layers,
        tokens=L,
        attention_flops=layers * 4 * D * L * (L + N),
        other_flops=layers * linear + 2 * L * D * math.prod(config["patch_size"]) * (3 * config["latent_channels"] + 4),
    )


def _inputs(config: Config, b: int, L: int, V: int) -> int:  # noqa: N803
    """Bytes of what a pass is given: latents, the normals', text, image, and rotary position embeddings in float32."""
    z, patch = config["latent_channels"], math.prod(config["patch_size"])
    image = 0 if config["image_dim"] is None else IMAGE_TOKENS * config["image_dim"]
    given = patch * ((2 * z + 4) * L + z * V) + TEXT_TOKENS * config["text_dim"] + image
    return b * given + 2 * 4 * L * config["attention_head_dim"]


def _self_attention(b: int, L: int, D: int, heads: int, copies: bool) -> int:  # noqa: N803
    """The fullest moments of a block's first half: keys turning, attention, and its output's addition in float32."""
    attention = (9 if copies else 6) * b * D + 4 * heads
    rotary = (6 * b + 6) * D  # half a token's float32 numbers three times
    addition = (3 * b + 8 + _in_float32(b)) * D
    return L * max(attention, rotary, addition)


def _after_attention(b: int, L: int, D: int, f: int, chunks: int, stored: StoredAs) -> int:  # noqa: N803
    """The two fullest moments of a block's second half: in the feed-forward layers, and when chunks are joined."""
    chunk = -(-L // chunks)
    layers = max(
        2 * b * f * chunk,
        b * (f + D) * chunk + stored.unpacked * f * D + stored.rounding * f * min(chunk, ROWS),
        b * f * chunk + stored.unpacking * f * D,
    )
    others = 2 * b * L * D + b * D * (L - chunk)  # what came into the block and its halves, and finished chunks
    feed_forward = others + (2 * b + _in_float32(b)) * D * chunk + layers
    return max(feed_forward, 4 * b * L * D if chunks > 1 else 0)


def _in_float32(b: int) -> int:
    """Bytes of a float32 copy of one number, which is none where it is float32 already."""
    return 0 if b == 4 else 4


@cache
def transformer_weights(architecture: Architecture, weights: WeightFormat) -> tuple[int, int]:
    """Bytes of one block, and of everything outside the blocks."""
    config = _transformer_config(architecture)
    model = _without_data(lambda: Real2Sam2RealTransformer3DModel(**{**config, "num_layers": 1}))
    b = 4 if weights == "float32" else 2
    stored = architecture.stored(weights)

    def plain(named: Iterable[tuple[str, Tensor]]) -> int:
        keep = {*model._keep_in_fp32_modules}
        return sum(value.numel() * (4 if {*name.split(".")} & keep else b) for name, value in named)

    block = plain(model.blocks[0].named_parameters())
    rest = plain(model.named_parameters()) - block + sum(buffer.nbytes for buffer in model.buffers())
    for layer in model.blocks[0].modules():
        if isinstance(layer, nn.Linear):
            numbers = layer.weight.numel()
            block += round(numbers * (stored.weight - b)) + stored.output * layer.out_features
    if weights == "gguf":
        block += architecture.apart // config["num_layers"]
    return block, rest


def largest_matrix(architecture: Architecture) -> int:
    """Numbers of a block's largest weight, that of a feed-forward layer."""
    return architecture.width * int(_transformer_config(architecture)["ffn_dim"])


def _tokens(architecture: Architecture, clip: ClipSize) -> tuple[int, int]:
    """L and V."""
    scale = _autoencoder(architecture).config
    time, rows, columns = _transformer_config(architecture)["patch_size"]
    frames = (clip.frames - 1) // scale.scale_factor_temporal + 1
    space = scale.scale_factor_spatial
    area = (clip.height // space // rows) * (clip.width // space // columns)
    return (frames + 1) // time * area, frames // time * area


@cache
def _transformer_config(architecture: Architecture) -> Config:
    return _complete(Real2Sam2RealTransformer3DModel, architecture.transformer)


@cache
def _autoencoder(architecture: Architecture) -> Any:
    from diffusers import AutoencoderKLWan

    return _without_data(lambda: AutoencoderKLWan(**_complete(AutoencoderKLWan, architecture.autoencoder)))


def _complete(kind: Any, config: Config) -> dict[str, Any]:
    """A config with the defaults of its class, and without what that does not know."""
    known = inspect.signature(kind.__init__).parameters
    return {name: config.get(name, known[name].default) for name in known if name != "self"}


def _without_data(make: Callable[[], Any]) -> Any:
    """The module that `make` builds, on the meta device: shapes and no values."""
    with torch.device("meta"):
        return make()
