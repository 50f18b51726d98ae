"""What a fine-tuning step keeps on the device, counted on the trainer's own code with tensors that have no data.

    python benchmarks/train_memory.py                               # the table of docs/training.md, in minutes
    python benchmarks/train_memory.py --size 832x480 --frames 49

The 14 B architecture with a LoRA of rank 64 makes forward and backward passes with two blocks and with three; each
further block costs what lies between. Kernels are taken to be a GPU's: fused attention that keeps its inputs, output
and one number a row, and takes copies of its inputs; RMS normalisation in float32, as autocast has it there.
"""

from __future__ import annotations

import argparse
import itertools
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import memory_measured as measured
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional

from real2sam2real.diffusion import transformer as transformer_module
from real2sam2real.diffusion.memory.choose import gib
from real2sam2real.diffusion.memory.costs import FORMATS, Architecture, ClipSize
from real2sam2real.lab.train.adapter import footprint
from real2sam2real.lab.train.adapter.config import AdapterConfig
from real2sam2real.lab.train.adapter.objective import Batch, NullConditions, StepNoise, fine_tuning_loss
from real2sam2real.lab.train.adapter.trainable import attach

STATE_BYTES = {"adamw": 8.0, "adamw8bit": 2 + 2 * 4 / 256}
"""Of the optimiser, for a trained number; in 8 bits each 256 share a float32 scale."""
BLOCKS = 2, 3
ALL_BLOCKS = 40


class _RmsNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        ctx.save_for_backward(values)
        return torch.empty_like(values)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return torch.empty_like(ctx.saved_tensors[0])


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        made = torch.empty_like(query)
        rows = torch.empty(query.shape[:-1])
        ctx.save_for_backward(query, key, value, made, rows)
        return made

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, ...]:
        kept = gradient.contiguous()
        made = tuple(torch.empty_like(given) for given in ctx.saved_tensors[:3])
        del kept
        return made


def _rms_norm(values: Tensor, *_: Any, **__: Any) -> Tensor:
    return _RmsNorm.apply(values.float())


def _attention(query: Tensor, key: Tensor, value: Tensor, **_: Any) -> Tensor:
    return _Attention.apply(*(given.bfloat16().contiguous() for given in (query, key, value)))


class Elsewhere(torch.autograd.graph.saved_tensors_hooks):
    """Stands for `save_on_cpu`: what is kept leaves the device, and comes back anew. Counts its bytes."""

    bytes = 0

    def __init__(self, **_: Any) -> None:
        def pack(tensor: Tensor) -> tuple[Any, ...]:
            Elsewhere.bytes += tensor.nbytes
            return tensor.shape, tensor.dtype

        super().__init__(pack, lambda kept: torch.empty(kept[0], dtype=kept[1]))


@contextmanager
def _gpu_kernels() -> Iterator[None]:
    """A GPU's kernels in place of the CPU's, where they keep other things for the backward pass."""
    with (
        patch.object(functional, "rms_norm", _rms_norm),
        patch.object(functional, "scaled_dot_product_attention", _attention),
        patch.object(transformer_module, "save_on_cpu", Elsewhere),
        patch.object(footprint, "free_ram", lambda: math.inf),  # nothing is kept, so any machine can count
    ):
        yield


def packed_linear(bytes_per_weight: float) -> Any:
    """A forward pass for a linear layer whose weight takes so many bytes, and is unpacked to be used."""

    class Product(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, values: Tensor, inputs: int, outputs: int) -> Tensor:
            ctx.sizes = inputs, outputs
            return values @ values.new_empty(inputs, outputs)

        @staticmethod
        def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
            inputs, outputs = ctx.sizes
            return gradient @ gradient.new_empty(outputs, inputs), None, None

    def pack(layer: nn.Linear) -> None:
        inputs, outputs = layer.in_features, layer.out_features
        layer.weight = nn.Parameter(
            torch.empty(round(inputs * outputs * bytes_per_weight), dtype=torch.uint8), requires_grad=False
        )
        layer.forward = lambda values: Product.apply(values.bfloat16(), inputs, outputs)

    return pack


def with_fake_tensors(model: Any, base_dtype: str) -> Any:
    """A transformer on the meta device that `attach` was called for, as the trainer has it on its device."""
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    measured.as_fake(model, torch.bfloat16, tuple(model._keep_in_fp32_modules))
    for name in trained:
        owner, _, leaf = name.rpartition(".")
        shape = model.get_parameter(name).shape
        setattr(model.get_submodule(owner), leaf, nn.Parameter(torch.empty(shape, device="cpu")))
    if base_dtype == "nf4":  # bitsandbytes needs values to pack
        pack = packed_linear(FORMATS["nf4"].weight)
        for name, layer in model.blocks.named_modules():
            if isinstance(layer, nn.Linear) and "lora_" not in name:
                pack(layer)
    return model.train()


@dataclass(frozen=True, kw_only=True)
class StepMemory:
    """Bytes of a step: most at once on the device, and in CPU memory; `trained` numbers."""

    device: int
    cpu: int
    trained: int


def step_memory(
    architecture: Architecture, clip: ClipSize, blocks: int, activations: str, base_dtype: str, *, rank: int = 64
) -> StepMemory:
    """Count one forward and backward pass, gradients included and the optimiser's state left out."""
    config = AdapterConfig(dataset="-", rank=rank, activations=activations, base_dtype=base_dtype)
    Elsewhere.bytes = 0
    model = measured.transformer_of(architecture, layers=blocks)
    attach(model, rank=rank)  # on the meta device
    with FakeTensorMode(), _gpu_kernels():
        with_fake_tensors(model, base_dtype)
        shape = measured._latent_shape(architecture, clip)
        text, normals, image = measured._context(model.config, shape, torch.float32)
        photo = torch.empty(shape[0], shape[1], 1, *shape[3:])
        quantised = config if base_dtype != "nf4" else AdapterConfig(dataset="-", activations=activations)
        footprint.lighten(model, quantised, [normals], None)
        batch = Batch(video=normals, photo=photo, normals=normals, text=text, image=image)
        empty = NullConditions(video=normals, normals=normals, text=text)
        keep = torch.ones(1, dtype=torch.bool)
        noise = torch.empty(shape[0], shape[1], shape[2] + 1, *shape[3:])
        random = StepNoise(noise=noise, level=torch.empty(1), keep_text=keep, keep_image=keep, keep_normals=keep)
        meter = measured.Meter()
        meter.follow([*model.parameters(), *model.buffers(), text, normals, image, photo, noise])
        with meter:
            with torch.autocast("cpu", torch.bfloat16):
                loss = fine_tuning_loss(model, batch, random, empty)
            loss.backward()
        trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return StepMemory(device=meter.peak, cpu=Elsewhere.bytes, trained=trained)


def whole_step(
    architecture: Architecture, clip: ClipSize, activations: str, base_dtype: str, blocks: int = ALL_BLOCKS
) -> StepMemory:
    """A step with all blocks."""
    first, second = (step_memory(architecture, clip, count, activations, base_dtype) for count in BLOCKS)
    further = blocks - BLOCKS[0]
    return StepMemory(
        **{
            name: getattr(first, name) + further * (getattr(second, name) - getattr(first, name))
            for name in ("device", "cpu", "trained")
        }
    )


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--frames", type=int, default=81)
    given = parser.parse_args()
    width, height = map(int, given.size.split("x"))
    clip = ClipSize(frames=given.frames, width=width, height=height)
    print("| `activations` | `base_dtype` | `adamw` | `adamw8bit` | CPU memory |\n|---|---|---|---|---|")
    for activations, base_dtype in itertools.product(("keep", "recompute", "offload"), ("plain", "fp8", "int8", "nf4")):
        step = whole_step(Architecture(), clip, activations, base_dtype)
        sizes = [gib(step.device + step.trained * STATE_BYTES[name]) for name in STATE_BYTES]
        print(f"| {activations} | {base_dtype} | {sizes[0]} | {sizes[1]} | {gib(step.cpu)} |", flush=True)


if __name__ == "__main__":
    main()
