"""What fine-tuning changes of a transformer: the normals' patch embedding and a LoRA, and nothing else.

Soft injection is that. Hard injection, an ablation, concatenates the normals' latents to the input's channels, so that
the input's patch embedding is trained too. A convolution over concatenated channels is the sum of one over each part,
so the normals' embedding, without a bias of its own, is the part of its kernel for the new channels, which are zero on
the photo's latent frame; an adapter of this kind therefore loads like any other, with a whole change of one layer.

The published adapter has rank 64 and alpha 32 on the projections `q, k, v, ffn.0, ffn.2` of every block, of self- and
cross-attention alike. The projections of the image's keys and values and of attention's output are left as they are.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from real2sam2real.diffusion.weights.adapter_file import POSE_MODULE
from real2sam2real.errors import UserError, require

NAME = "normals"
"""The LoRA's name on the transformer."""
TARGETS = re.compile(r"blocks\.\d+\.(attn[12]\.to_[qkv]|ffn\.net\.0\.proj|ffn\.net\.2)")

INPUT_MODULE = "patch_embedding"
PoseStart = Literal["zero", "base"]
Injection = Literal["soft", "hard"]


@dataclass(frozen=True, kw_only=True)
class ParameterCount:
    """How much of a transformer is trained, in parameters."""

    embedding: int  # of the normals' patch embedding; with hard injection of the input's too
    lora: int  # of the low-rank changes
    frozen: int  # all others

    @property
    def trainable(self) -> int:
        """Of both."""
        return self.embedding + self.lora

    @property
    def percent(self) -> float:
        """The trainable ones, of all."""
        return 100 * self.trainable / (self.trainable + self.frozen)

    def __str__(self) -> str:
        return (
            f"{self.trainable:,} of {self.trainable + self.frozen:,} parameters are trained ({self.percent:.2f} %): "
            f"{self.embedding:,} of the normals' patch embedding, {self.lora:,} of the LoRA"
        )


def attach(
    transformer: nn.Module,
    *,
    rank: int = 64,
    alpha: float = 32.0,
    injection: Injection = "soft",
    start: PoseStart = "zero",
    generator: torch.Generator | None = None,
) -> ParameterCount:
    """Freeze a transformer and put on it what is to be trained; its output is that of the base until a step is made.

    The down matrices are drawn as peft draws them (He et al., 2015, with a = √5), the up matrices are zero.

    Args:
        transformer: of our class or with its module names; changed in place. It may be on the meta device, to count.
        rank: of the LoRA's changes.
        alpha: each change is multiplied by alpha / rank.
        injection: see this module; "hard" trains the input's patch embedding too, and no bias of the normals' own.
        start: of the patch embedding: "zero" adds nothing at first; "base" keeps what the base has, which for
            Wan-Animate is made for skeletons.
        generator: on the CPU, for the down matrices; the global one if None.

    Raises:
        MissingPartError: peft is not installed.
        UserError: the transformer lacks the patch embedding or the projections, or has such a LoRA already; or rank
            or alpha is not positive.
    """
    if rank < 1 or not 0 < alpha < math.inf:
        raise UserError(f"a LoRA of rank {rank} and alpha {alpha:g} is none; both must be positive")
    targets = [name for name, module in transformer.named_modules() if TARGETS.fullmatch(name)]
    if not targets or not any(name == POSE_MODULE for name, _ in transformer.named_modules()):
        raise UserError(
            f"{type(transformer).__name__} has no {POSE_MODULE} or none of the projections q, k, v, ffn.0, ffn.2; "
            "fine-tuning needs a transformer of Wan-Animate's kind"
        )
    if NAME in getattr(transformer, "peft_config", {}):
        raise UserError("this transformer is being fine-tuned already; load the base anew")
    transformer.requires_grad_(False)
    _inject(transformer, rank, alpha, targets)
    embedding = transformer.get_submodule(POSE_MODULE)
    embedding.requires_grad_(True)
    if start == "zero":
        for parameter in embedding.parameters():
            nn.init.zeros_(parameter)
    if injection == "hard":
        embedding.get_parameter("bias").requires_grad_(False)
        transformer.get_submodule(INPUT_MODULE).requires_grad_(True)
    for _, layer in lora_layers(transformer):
        down, up = layer.lora_A[NAME].weight, layer.lora_B[NAME].weight
        down.requires_grad_(True)
        up.requires_grad_(True)
        # Autocast rounds what goes in anyway; peft's copy in float32 before it would be kept for the backward pass.
        layer.cast_input_dtype_enabled = False
        nn.init.zeros_(up)
        if not down.is_meta:
            _draw(down, generator)
    return count_parameters(transformer)


def lora_layers(transformer: nn.Module) -> Iterator[tuple[str, Any]]:
    """Names and layers that carry the LoRA."""
    for name, module in transformer.named_modules():
        if NAME in getattr(module, "lora_A", {}):
            yield name, module


def count_parameters(transformer: nn.Module) -> ParameterCount:
    """Count what is trained of a transformer after `attach`."""
    counts = {"embedding": 0, "lora": 0, "frozen": 0}
    for name, parameter in transformer.named_parameters():
        kind = "embedding" if name.startswith((f"{POSE_MODULE}.", f"{INPUT_MODULE}.")) else "lora"
        counts[kind if parameter.requires_grad else "frozen"] += parameter.numel()
    return ParameterCount(**counts)


def input_embedding(transformer: nn.Module) -> dict[str, Tensor]:
    """A copy, float32 on the CPU, of the input's patch embedding: hard injection's change is the difference from it."""
    named = transformer.get_submodule(INPUT_MODULE).named_parameters()
    return {f"{INPUT_MODULE}.{key}": value.detach().float().to("cpu", copy=True) for key, value in named}


def _inject(transformer: nn.Module, rank: int, alpha: float, targets: list[str]) -> None:
    peft = require("peft", "to fine-tune: pip install peft")
    config = peft.LoraConfig(r=rank, lora_alpha=alpha, target_modules=targets, bias="none")
    peft.inject_adapter_in_model(config, transformer, NAME)


def _draw(down: Tensor, generator: torch.Generator | None) -> None:
    """As peft does, but on the CPU and in float32, so that every device and dtype starts alike."""
    drawn = torch.empty(down.shape, dtype=torch.float32)
    nn.init.kaiming_uniform_(drawn, a=math.sqrt(5), generator=generator)
    with torch.no_grad():
        down.copy_(drawn)
