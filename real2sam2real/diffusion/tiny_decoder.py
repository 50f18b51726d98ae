"""TAEW2.1, a tiny decoder of Wan 2.1's latents, for looking at a video while it is made.

The network and its parameter names are those of the `taew2_1` weights (Boer Bohan, madebyollin/taehv, 2025, MIT): three
stages of 2D convolutions, each of which doubles the picture. Every block also sees what came into it one frame before,
and two of the stages double the frames. It takes latents as the transformer has them, standardised.

Shape letters: z = 16 channels, F latent frames, h × w latent size, C channels within the network.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from real2sam2real.diffusion.weights.assign import fill, without_memory
from real2sam2real.diffusion.weights.files import open_tensors
from real2sam2real.pretrained.hub import cached_file, file_from_environment

WEIGHTS_VARIABLE = "R2S2R_TAEW"
WEIGHTS_NAMES = ("taew2_1.safetensors", "taew2_1.pth")
# Repositories of the hub that hold the file; only their copies on this disk are used.
WEIGHTS_REPOSITORIES = ("lightx2v/Autoencoders", "Kijai/WanVideo_comfy", "OzzyGT/taew2_1")

CHANNELS = 16
WIDTHS = (256, 128, 64)
LAST_WIDTH = 64
FRAMES_GROW = (1, 2, 2)


class MemoryBlock(nn.Module):
    """A residual block that also sees what came into it one frame before."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(2 * width, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
        )

    def forward(self, frame: Tensor, before: Tensor) -> Tensor:
        """`(1, C, h, w)` of two frames of that shape."""
        return functional.relu(self.conv(torch.cat([frame, before], dim=1)) + frame)


class Grow(nn.Module):
    """One frame becomes `factor` frames."""

    def __init__(self, width: int, factor: int) -> None:
        super().__init__()
        self.factor = factor
        self.conv = nn.Conv2d(width, width * factor, 1, bias=False)

    def forward(self, frame: Tensor, *, all_frames: bool) -> tuple[Tensor, ...]:
        """Frames `(1, C, h, w)`, or the last of them alone."""
        weight = self.conv.weight
        if all_frames:
            return functional.conv2d(frame, weight).chunk(self.factor, dim=1)
        return (functional.conv2d(frame, weight[-frame.shape[1] :]),)


class Double(nn.Module):
    """The place where the picture doubles; it has no parameters."""


class Squash(nn.Module):
    """Keeps outliers within −3…3."""

    def forward(self, frame: Tensor) -> Tensor:
        """Any shape."""
        return torch.tanh(frame / 3) * 3


class TinyDecoder(nn.Module):
    """See the module's text; `load_tiny_decoder` fills one with weights."""

    def __init__(self) -> None:
        super().__init__()
        stages: list[nn.Module] = []
        for width, grow, following in zip(WIDTHS, FRAMES_GROW, (*WIDTHS[1:], LAST_WIDTH), strict=True):
            stages += [MemoryBlock(width) for _ in range(3)]
            stages += [Double(), Grow(width, grow), nn.Conv2d(width, following, 3, padding=1, bias=False)]
        self.decoder = nn.Sequential(
            Squash(),
            nn.Conv2d(CHANNELS, WIDTHS[0], 3, padding=1),
            nn.ReLU(),
            *stages,
            nn.ReLU(),
            nn.Conv2d(LAST_WIDTH, 3, 3, padding=1),
        )

    @torch.no_grad()
    def stream(self, latents: Tensor, *, scale: int = 8, all_frames: bool = True) -> Iterator[Tensor]:
        """Decode frame by frame; memory does not grow with the length.

        Args:
            latents: `(1, 16, F, h, w)` standardised, of the network's dtype and device.
            scale: pixels per latent pixel, 1, 2, 4 or 8; below 8 the last stages leave out their doubling.
            all_frames: 4F − 3 frames as the video has; else F, one for each latent frame.

        Yields:
            `(1, 3, scale·h, scale·w)` about 0…1.

        Raises:
            ValueError: `scale` is none of the four.
        """
        if scale not in (1, 2, 4, 8):
            raise ValueError(f"a scale of {scale} cannot be decoded; it must be 1, 2, 4 or 8")
        frames: Iterator[Tensor] = iter(latents.unbind(dim=2))
        doublings = scale.bit_length() - 1
        for layer in self.decoder:
            if isinstance(layer, Double):
                doublings -= 1
            frames = _through(layer, frames, double=doublings >= 0, all_frames=all_frames)
        for number, frame in enumerate(frames):
            # The first latent frame stands for one frame of the video.
            if not all_frames or number >= 3:
                yield frame


def _through(layer: nn.Module, frames: Iterator[Tensor], *, double: bool, all_frames: bool) -> Iterator[Tensor]:
    """What `layer` makes of a sequence of frames `(1, C, h, w)`."""
    before = None
    for frame in frames:
        if isinstance(layer, MemoryBlock):
            yield layer(frame, torch.zeros_like(frame) if before is None else before)
            before = frame
        elif isinstance(layer, Grow):
            yield from layer(frame, all_frames=all_frames)
        elif isinstance(layer, Double):
            yield functional.interpolate(frame, scale_factor=2) if double else frame
        else:
            yield layer(frame)


def find_tiny_decoder() -> Path | None:
    """The weight file, or None: that of the environment variable, or one in the hub's cache; nothing is downloaded.

    Raises:
        MissingPartError: the variable `R2S2R_TAEW` names what is not there.
    """
    named = file_from_environment(WEIGHTS_VARIABLE, WEIGHTS_NAMES, hint="Without it, previews are simpler.")
    cached = (cached_file(repository, name) for repository in WEIGHTS_REPOSITORIES for name in WEIGHTS_NAMES)
    return named or next((path for path in cached if path is not None), None)


def load_tiny_decoder(path: Path, *, dtype: torch.dtype, device: torch.device | str = "cpu") -> TinyDecoder:
    """The decoder with the weights of `path`: the encoder in the same file is left out, everything else must fit.

    Raises:
        UserError: the file is damaged or holds something else.
    """
    tensors = {key: tensor for key, tensor in open_tensors(path).items() if not key.startswith("encoder.")}
    with without_memory():
        model = TinyDecoder()
    return fill(model, tensors, [path], dtype=dtype, device=device, what="the tiny decoder TAEW2.1")
