"""What the networks of this room share: weights on a device, their image preprocessor, and the precision."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from real2sam2real.perceive.segment.options import SegmentOptions
from real2sam2real.perceive.segment.preprocessing import ImagePreprocessor, read_preprocessor
from real2sam2real.pretrained.hub import find_folder
from real2sam2real.pretrained.models import choose_device, load_pretrained, load_processing

if TYPE_CHECKING:
    import torch


class Network:
    """A loaded network that looks at photos.

    Args:
        model: of transformers, in float32, on `device`.
        preprocessor: makes its picture.
        device: where it computes.
        bfloat16: compute in bfloat16.
    """

    def __init__(
        self, model: Any, preprocessor: ImagePreprocessor, device: torch.device, *, bfloat16: bool = False
    ) -> None:
        self.model, self.preprocessor, self.device, self.bfloat16 = model, preprocessor, device, bfloat16

    @contextmanager
    def inference(self) -> Iterator[None]:
        """Without gradients, in the network's precision."""
        import torch

        with torch.inference_mode(), torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16):
            yield


class TextPromptedNetwork(Network):
    """A `Network` that is asked by words; `tokenizer` is the one of its checkpoint."""

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        preprocessor: ImagePreprocessor,
        device: torch.device,
        *,
        bfloat16: bool = False,
    ) -> None:
        super().__init__(model, preprocessor, device, bfloat16=bfloat16)
        self.tokenizer = tokenizer

    @classmethod
    def from_checkpoint(
        cls, name: str, architecture: str, kinds: Collection[str], options: SegmentOptions, *, hint: str = ""
    ) -> Self:
        """Find and load everything; arguments and errors as of `find_folder` and `load_pretrained`."""
        device = choose_device(options.device)
        folder = find_folder(name, offline=options.offline, hint=hint)
        model = load_pretrained(architecture, folder, kinds=kinds, device=device)
        tokenizer = load_processing("AutoTokenizer", folder, "tokenizer")
        return cls(model, tokenizer, read_preprocessor(folder), device, bfloat16=options.precision == "bfloat16")
