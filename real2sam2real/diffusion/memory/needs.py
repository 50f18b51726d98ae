"""What each plan needs of a machine, stage by stage, from measured costs."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from real2sam2real.diffusion.memory.architecture import Architecture
from real2sam2real.diffusion.memory.autoencoder_cost import measure_decoding, measure_encoding
from real2sam2real.diffusion.memory.cost import Clip, Cost
from real2sam2real.diffusion.memory.encoder_cost import measure_image_encoder, measure_text_encoder
from real2sam2real.diffusion.memory.formats import PLAIN
from real2sam2real.diffusion.memory.plans import Placement, Plan, WeightFormat
from real2sam2real.diffusion.memory.transformer_cost import PassCost, measure_pass, plain_weights

GIB = 2**30
# What measuring does not see: workspaces of cuDNN and cuBLAS, and blocks that the allocator cannot use.
FIXED_MARGIN = 0.75 * GIB
SHARE_MARGIN = 0.05
# Python with its libraries, and a clip's pictures on their way in and out.
PROCESS = 2 * GIB


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What a plan needs for one segment of a clip.

    Attributes:
        stages: bytes on the device at the peak of each stage, by its name.
        device: bytes on the device, of the greediest stage, with the safety margin.
        ram: bytes of CPU memory, with what the process itself takes.
        one_pass: of the transformer.
    """

    stages: dict[str, int]
    device: int
    ram: int
    one_pass: PassCost


def needs_of(
    plan: Plan,
    architecture: Architecture,
    clip: Clip,
    *,
    guided: bool,
    native_bfloat16: bool = True,
    packed: bool = False,
    attention_copies: bool = False,
) -> Needs:
    """What `plan` needs, measured.

    Args:
        plan: any.
        architecture: the networks.
        clip: size of one segment.
        guided: two prompts are kept, for classifier-free guidance.
        native_bfloat16: of the device; a CPU without it computes in float32.
        packed: the transformer comes from a GGUF file and stays packed.
        attention_copies: of the attention kernel; see `attention.Backend.copies`.

    Raises:
        MissingPartError: a package is missing that measuring needs.
    """
    plain: WeightFormat = "bfloat16" if native_bfloat16 else "float32"
    weights = "gguf" if packed else plain if plan.weights == "bfloat16" else plan.weights
    one_pass = measure_pass(
        architecture,
        clip,
        weights=weights,
        token_chunks=plan.token_chunks,
        keys_values=plan.precompute_context,
        prompts=2 if guided else 1,
        attention_copies=attention_copies,
    )
    dtype = autoencoder_dtype(plan)
    encode = measure_encoding(architecture, clip, dtype, tiled=plan.vae_tiled)
    decode = measure_decoding(architecture, clip, dtype, tiled=plan.vae_tiled)
    text = measure_text_encoder(architecture, PLAIN[plain])
    image = measure_image_encoder(architecture)
    always = decode.weights + _kept(plan.encoders, text) + _kept(plan.encoders, image)
    always += one_pass.weights - (one_pass.all_blocks if plan.blocks_streamed else 0)
    # The block at work and the one on its way.
    streamed = 2 * one_pass.block if plan.blocks_streamed else 0
    stages = {
        "text": always + _visiting(plan.encoders, text) + text.working,
        "image": always + _visiting(plan.encoders, image) + image.working,
        "encode": always + encode.working,
        "denoise": always + streamed + one_pass.working,
        "decode": always + decode.working,
    }
    peak = max(stages.values())
    waiting = 0 if plan.encoders == "resident" else text.weights + image.weights
    waiting += one_pass.all_blocks if plan.blocks_streamed else 0
    # Adapters are merged before weights are quantised or copied, in CPU memory.
    loading = one_pass.weights if packed else plain_weights(architecture, plain)
    return Needs(
        stages=stages,
        device=round(peak * (1 + SHARE_MARGIN) + FIXED_MARGIN) if plan.device == "cuda" else peak + PROCESS,
        ram=(max(waiting, loading) if plan.device == "cuda" else peak) + PROCESS,
        one_pass=one_pass,
    )


def autoencoder_dtype(plan: Plan) -> torch.dtype:
    """What the autoencoder computes in: bfloat16 on a GPU, as the official script does; float32 on a CPU."""
    return torch.bfloat16 if plan.device == "cuda" else torch.float32


def _kept(placement: Placement, encoder: Cost) -> int:
    """Bytes of an encoder that stay on the device."""
    return encoder.weights if placement == "resident" else 0


def _visiting(placement: Placement, encoder: Cost) -> int:
    """Bytes of an encoder that are on the device only while it is called: the layer at work and the next."""
    return 0 if placement == "resident" else 2 * encoder.largest_layer
