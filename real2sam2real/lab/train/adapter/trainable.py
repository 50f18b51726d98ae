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
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from real2sam2real.diffusion.weights.adapter_file import POSE_MODULE, Adapter
from real2sam2real.diffusion.weights.export import adapter_of
from real2sam2real.errors import MissingPartError, UserError

NAME = "normals"
"""The LoRA's name on the transformer."""
TARGETS = re.compile(r"blocks\.\d+\.(attn[12]\.to_[qkv]|ffn\.net\.0\.proj|ffn\.net\.2)")

INPUT_MODULE = "patch_embedding"
PoseStart = Literal["zero", "base"]
Injection = Literal["soft", "hard"]


@dataclass(frozen=True, kw_only=True)
class LoraSize:
    """Of the low-rank changes; each is multiplied by alpha / rank.

    Attributes:
        rank: of every change.
        alpha: see above.

    Raises:
        UserError: a value is not positive.
    """

    rank: int = 64
    alpha: float = 32.0

    def __post_init__(self) -> None:
        if self.rank < 1 or not 0 < self.alpha < math.inf:
            raise UserError(f"a LoRA of rank {self.rank} and alpha {self.alpha:g} is none; both must be positive")


@dataclass(frozen=True, kw_only=True)
class ParameterCount:
    """How much of a transformer is trained, in parameters.

    Attributes:
        embedding: of the normals' patch embedding; with hard injection of the input's too.
        lora: of the low-rank changes.
        frozen: all others.
    """

    embedding: int
    lora: int
    frozen: int

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
    size: LoraSize,
    *,
    injection: Injection = "soft",
    start: PoseStart = "zero",
    generator: torch.Generator | None = None,
) -> ParameterCount:
    """Freeze a transformer and put on it what is to be trained; its output is that of the base until a step is made.

    The down matrices are drawn as peft draws them (He et al., 2015, with a = √5), the up matrices are zero.

    Args:
        transformer: of our class or with its module names; changed in place. It may be on the meta device, to count.
        size: of the LoRA.
        injection: see this module; "hard" trains the input's patch embedding too, and no bias of the normals' own.
        start: of the patch embedding: "zero" adds nothing at first; "base" keeps what the base has, which for
            Wan-Animate is made for skeletons.
        generator: on the CPU, for the down matrices; the global one if None.

    Raises:
        MissingPartError: peft is not installed.
        UserError: the transformer lacks the patch embedding or the projections, or has such a LoRA already.
    """
    targets = [name for name, module in transformer.named_modules() if TARGETS.fullmatch(name)]
    if not targets or not any(name == POSE_MODULE for name, _ in transformer.named_modules()):
        raise UserError(
            f"{type(transformer).__name__} has no {POSE_MODULE} or none of the projections q, k, v, ffn.0, ffn.2; "
            "fine-tuning needs a transformer of Wan-Animate's kind"
        )
    if NAME in getattr(transformer, "peft_config", {}):
        raise UserError("this transformer is being fine-tuned already; load the base anew")
    transformer.requires_grad_(False)
    _inject(transformer, size, targets)
    embedding = transformer.get_submodule(POSE_MODULE)
    embedding.requires_grad_(True)
    if start == "zero" and not _is_meta(embedding):
        for parameter in embedding.parameters():
            nn.init.zeros_(parameter)
    if injection == "hard":
        embedding.get_parameter("bias").requires_grad_(False)
        transformer.get_submodule(INPUT_MODULE).requires_grad_(True)
    for _, layer in lora_layers(transformer):
        down, up = layer.lora_A[NAME].weight, layer.lora_B[NAME].weight
        down.requires_grad_(True)
        up.requires_grad_(True)
        if not down.is_meta:
            _draw(down, generator)
            nn.init.zeros_(up)
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


def trained_state(transformer: nn.Module) -> dict[str, Tensor]:
    """The trainable parameters by name, detached but not copied: what a checkpoint of a run has to keep."""
    return {name: parameter.detach() for name, parameter in transformer.named_parameters() if parameter.requires_grad}


def load_trained_state(transformer: nn.Module, state: dict[str, Tensor]) -> None:
    """Copy what `trained_state` gave into the transformer, in place.

    Raises:
        UserError: the names or the shapes are not those of this transformer's trainable parameters.
    """
    own = trained_state(transformer)
    wrong = sorted(own.keys() ^ state.keys()) or [n for n in own if own[n].shape != state[n].shape]
    if wrong:
        raise UserError(
            f"the state belongs to another fine-tuning: {len(wrong)} parameters do not fit, the first is {wrong[0]}"
        )
    with torch.no_grad():
        for name, parameter in own.items():
            parameter.copy_(state[name])


def input_embedding(transformer: nn.Module) -> dict[str, Tensor]:
    """A copy, float32 on the CPU, of the input's patch embedding: hard injection's change is told against it."""
    named = transformer.get_submodule(INPUT_MODULE).named_parameters()
    return {f"{INPUT_MODULE}.{key}": value.detach().float().to("cpu", copy=True) for key, value in named}


def trained_adapter(transformer: nn.Module, before: Mapping[str, Tensor] | None = None) -> Adapter:
    """What was trained, to be written by `diffusion.weights.export.save_adapter`.

    Args:
        transformer: after `attach` and training.
        before: `input_embedding` of the base, where the injection is hard.
    """
    adapter = adapter_of(transformer, NAME)
    if before is None:
        return adapter
    after = input_embedding(transformer)
    return replace(adapter, differences={key: after[key] - value for key, value in before.items()})


def _inject(transformer: nn.Module, size: LoraSize, targets: list[str]) -> None:
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise MissingPartError("to fine-tune: pip install peft") from error
    alpha: Any = size.alpha  # peft says int and takes any number
    config = LoraConfig(r=size.rank, lora_alpha=alpha, target_modules=targets, bias="none")
    inject_adapter_in_model(config, transformer, NAME)


def _draw(down: Tensor, generator: torch.Generator | None) -> None:
    """As peft does, but on the CPU and in float32, so that every device and dtype starts alike."""
    drawn = torch.empty(down.shape, dtype=torch.float32)
    nn.init.kaiming_uniform_(drawn, a=math.sqrt(5), generator=generator)
    with torch.no_grad():
        down.copy_(drawn)


def _is_meta(module: nn.Module) -> bool:
    return any(parameter.is_meta for parameter in module.parameters())
