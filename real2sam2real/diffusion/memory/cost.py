"""The cost of a stage: bytes and floating point operations of one call."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace
from typing import Any, Self

from torch import Tensor

from real2sam2real.diffusion.memory.tracking import Meter, bytes_of


@dataclass(frozen=True, kw_only=True)
class Clip:
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
    """What one call of a stage needs: a transformer pass, an encoding, a decoding.

    Attributes:
        weights: bytes of the network's parameters and buffers.
        largest_layer: bytes of its largest layer.
        working: most bytes alive at once beside the weights, inputs and outputs included.
        attention_flops: floating point operations of fused attention; a multiplication and its addition are two.
        other_flops: those of all other matrix products and convolutions.
    """

    weights: int = 0
    largest_layer: int = 0
    working: int = 0
    attention_flops: int = 0
    other_flops: int = 0

    @property
    def flops(self) -> int:
        """All floating point operations."""
        return self.attention_flops + self.other_flops

    def extrapolated(self, following: Self, steps: int) -> Self:
        """The cost `steps` further on, where each step adds what lies between this one and `following`."""
        grown = {}
        for field in fields(self):
            here, there = getattr(self, field.name), getattr(following, field.name)
            grown[field.name] = here + steps * (there - here)
        return replace(self, **grown)


def metered(module: Any, work: Callable[[], object], inputs: Iterable[object] = ()) -> Cost:
    """The cost of `work`, which calls `module` once; call it inside `fake_device`, or with real tensors.

    Args:
        module: the network.
        work: calls it.
        inputs: what of the call's inputs exists before; whatever is no tensor is passed over.
    """
    own = [*module.parameters(), *module.buffers()]
    meter = Meter()
    meter.follow([*own, *(tensor for tensor in inputs if isinstance(tensor, Tensor))])
    with meter:
        work()
    weights = bytes_of(own)
    layers = (bytes_of([*layer.parameters(recurse=False), *layer.buffers(recurse=False)]) for layer in module.modules())
    return Cost(
        weights=weights,
        largest_layer=max(layers, default=0),
        working=meter.peak - weights,
        attention_flops=meter.attention_flops,
        other_flops=meter.other_flops,
    )
