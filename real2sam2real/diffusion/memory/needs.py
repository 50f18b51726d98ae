"""What each plan needs of a machine, stage by stage."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from real2sam2real.diffusion.memory.costs import (
    Architecture,
    ClipSize,
    Cost,
    PassCost,
    autoencoder_weights,
    autoencoder_working,
    image_encoder_cost,
    largest_matrix,
    pass_cost,
    text_encoder_cost,
    transformer_weights,
)
from real2sam2real.diffusion.memory.plans import Plan, WeightFormat

GIB = 2**30
# What is not reckoned: workspaces of cuDNN and cuBLAS, and blocks that the allocator cannot use.
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
    clip: ClipSize,
    *,
    guided: bool,
    native_bfloat16: bool = True,
    attention_copies: bool = False,
) -> Needs:
    """What `plan` needs, by arithmetic.

    Args:
        plan: any.
        architecture: the networks.
        clip: size of one segment.
        guided: two prompts are kept, for classifier-free guidance.
        native_bfloat16: of the device; a CPU without it computes in float32.
        attention_copies: of the attention kernel; see `attention.Backend.copies`.
    """
    plain: WeightFormat = "bfloat16" if native_bfloat16 else "float32"
    one_pass = pass_cost(
        architecture,
        clip,
        weights="gguf" if architecture.packed else plain if plan.weights == "bfloat16" else plan.weights,
        token_chunks=plan.token_chunks,
        keys_values=plan.precompute_context,
        prompts=2 if guided else 1,
        attention_copies=attention_copies,
    )
    text = text_encoder_cost(architecture.text_encoder, 2 if native_bfloat16 else 4)
    image = image_encoder_cost(architecture.image_encoder)
    stages = _stages(plan, architecture, clip, one_pass, text, image)
    peak = max(stages.values())
    return Needs(
        stages=stages,
        device=round(peak * (1 + SHARE_MARGIN) + FIXED_MARGIN) if plan.device == "cuda" else peak + PROCESS,
        ram=(waiting(plan, one_pass, architecture) + text.largest_layer if plan.device == "cuda" else peak) + PROCESS,
        one_pass=one_pass,
    )


def waiting(plan: Plan, one_pass: PassCost, architecture: Architecture) -> int:
    """Bytes of the transformer in CPU memory while a GPU computes; what is on its way to the GPU comes beside it.

    Weights go to the GPU one by one as they are read, and adapters are merged and weights rounded there, block by
    block, so that only streamed blocks are held. Those of a GGUF file stay mapped from it; the adapters beside them do
    not. Two blocks are on their way, in pinned memory, of which torch takes up to twice their size.
    """
    if not plan.blocks_streamed:
        return 0
    return (architecture.apart if plan.weights == "gguf" else one_pass.all_blocks) + 4 * one_pass.block


def loading(plan: Plan, architecture: Architecture, one_pass: PassCost) -> int:
    """Bytes that are alive on the device beside what stays there, while one block is read, merged and stored.

    Its plain weights, and of the largest matrix what merging adapters and then rounding takes: three float32 copies.
    Packed blocks come as they are.
    """
    if plan.weights == "gguf" or plan.device == "cpu":
        return one_pass.block if plan.blocks_streamed else 0
    plain, _ = transformer_weights(architecture, "bfloat16")
    return plain + (one_pass.block if plan.blocks_streamed else 0) + 3 * 4 * largest_matrix(architecture)


def _stages(
    plan: Plan, architecture: Architecture, clip: ClipSize, one_pass: PassCost, text: Cost, image: Cost
) -> dict[str, int]:
    """Bytes on the device at the peak of each stage."""
    b = autoencoder_dtype(plan).itemsize
    always = autoencoder_weights(architecture, b) + (image.weights if plan.image_encoder_stays else 0)
    always += one_pass.weights - (one_pass.all_blocks if plan.blocks_streamed else 0)
    # The block at work and the one on its way.
    streamed = 2 * one_pass.block if plan.blocks_streamed else 0
    return {
        "load": always + loading(plan, architecture, one_pass),
        "text": always + text.largest_layer + text.working,
        "image": always + (0 if plan.image_encoder_stays else image.largest_layer) + image.working,
        "encode": always + autoencoder_working(architecture, clip, "encode", b, tiled=plan.vae_tiled),
        "denoise": always + streamed + one_pass.working,
        "decode": always + autoencoder_working(architecture, clip, "decode", b, tiled=plan.vae_tiled),
    }


def autoencoder_dtype(plan: Plan) -> torch.dtype:
    """What the autoencoder computes in: bfloat16 on a GPU, as the official script does; float32 on a CPU."""
    return torch.bfloat16 if plan.device == "cuda" else torch.float32
