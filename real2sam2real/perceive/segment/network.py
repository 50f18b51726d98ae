"""What the networks of this room share: weights on a device, their image preprocessor, and the precision."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, Self

from real2sam2real.perceive.segment.options import SegmentOptions
from real2sam2real.perceive.segment.preprocessing import ImagePreprocessor, read_preprocessor
from real2sam2real.pretrained.hub import find_folder
from real2sam2real.pretrained.models import choose_device, load_pretrained, load_processing

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, kw_only=True, eq=False)
class Embedding:
    """What a network makes of a photo."""

    features: Any  # the network's own output, float32
    height: int  # the photo's height in pixels
    width: int  # the photo's width in pixels


@dataclass(frozen=True, eq=False)
class Network:
    """A loaded network that looks at photos."""

    model: Any  # of transformers, in float32, on `device`
    preprocessor: ImagePreprocessor  # makes its picture
    device: torch.device  # where it computes
    _: KW_ONLY
    tokenizer: Any = None  # of its checkpoint, where it is asked by words
    bfloat16: bool = False  # compute in bfloat16

    @classmethod
    def from_checkpoint(
        cls,
        name: str,
        architecture: str,
        kinds: Collection[str],
        options: SegmentOptions,
        *,
        words: bool = True,
        hint: str = "",
        twins: Collection[str] = (),
    ) -> Self:
        """Find and load everything, with the tokenizer for `words`; the rest as of `find_folder`, `load_pretrained`."""
        device = choose_device(options.device)
        folder = find_folder(name, offline=options.offline, hint=hint)
        model = load_pretrained(architecture, folder, kinds=kinds, device=device, twins=twins)
        tokenizer = load_processing("AutoTokenizer", folder, "tokenizer") if words else None
        bfloat16 = options.precision == "bfloat16"
        return cls(model, read_preprocessor(folder), device, tokenizer=tokenizer, bfloat16=bfloat16)

    @contextmanager
    def inference(self) -> Iterator[None]:
        """Without gradients, in the network's precision."""
        import torch

        with torch.inference_mode(), torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16):
            yield
