"""A look at the video while it is denoised: small pictures of the estimated clean latents, at next to no cost.

With the weights of TAEW2.1 at hand (`diffusion.tiny_decoder`) they are nearly the video; else each latent pixel becomes
one pixel by a linear map from its channels to RGB, published for Wan 2.1 and fitted for any other autoencoder.

Of 81 frames at 1280×720, the linear map takes 5 ms on two CPU cores; TAEW2.1 takes 15 TFLOP, a five-hundredth of a pass
of 14 B, which is nothing for a GPU and over a minute for that CPU (`python benchmarks/live_preview.py`).

Shape letters: B batch, z channels, F latent frames, h × w latent size, H × W pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from einops import rearrange, reduce
from torch import Tensor
from torch.nn import functional

from real2sam2real import media
from real2sam2real.arrays import UInt8
from real2sam2real.diffusion import conditioning
from real2sam2real.diffusion.tiny_decoder import TinyDecoder, find_tiny_decoder, load_tiny_decoder

# Wan 2.1's channels to RGB in −1…1, and what is added; as published with ComfyUI (latent_formats, Wan21). They are for
# standardised latents: channels of unit variance then spread colours by 0.7 about the middle as pictures do, while the
# autoencoder's own scale would spread them by 1.8, beyond white and black.
WAN_FACTORS = (
    (-0.1299, -0.1692, 0.2932),
    (0.0671, 0.0406, 0.0442),
    (0.3568, 0.2548, 0.1747),
    (0.0372, 0.2344, 0.1420),
    (0.0313, 0.0189, -0.0328),
    (0.0296, -0.0956, -0.0665),
    (-0.3477, -0.4059, -0.2925),
    (0.0166, 0.1902, 0.1975),
    (-0.0412, 0.0267, -0.1364),
    (-0.1293, 0.0740, 0.1636),
    (0.0680, 0.3019, 0.1128),
    (0.0032, 0.0581, 0.0639),
    (-0.1251, 0.0927, 0.1699),
    (0.0060, -0.0633, 0.0005),
    (0.3477, 0.2275, 0.2950),
    (0.1984, 0.0913, 0.1861),
)
WAN_BIAS = (-0.1835, -0.0868, -0.3360)
# By these, Wan 2.1's latents are known.
WAN_MEAN = (
    *(-0.7571, -0.7089, -0.9113, 0.1075, -0.1745, 0.9653, -0.1517, 1.5508),
    *(0.4134, -0.0715, 0.5517, -0.3632, -0.1922, -0.9497, 0.2503, -0.2921),
)

FIT_SIZE = 128  # pixels, of the pictures that a projection is fitted to
FIT_PICTURES = 24


class LatentPreview(Protocol):
    """Makes small pictures of latents; `find_preview` chooses how."""

    def frames(self, latents: Tensor) -> UInt8:
        """Pictures `(F, height, width, 3)` uint8 of standardised latents `(1, z, F, h, w)` on any device."""


@dataclass(frozen=True, eq=False)
class LinearPreview:
    """One pixel per latent pixel, by a linear map."""

    name: ClassVar[str] = "linear projection"
    factors: Tensor  # `(z, 3)`, standardised channels to RGB in −1…1
    bias: Tensor  # `(3,)`

    @classmethod
    def of_wan(cls) -> LinearPreview:
        """The published map of Wan 2.1."""
        return cls(torch.tensor(WAN_FACTORS), torch.tensor(WAN_BIAS))

    @classmethod
    @torch.no_grad()
    def fitted(cls, autoencoder: Any) -> LinearPreview:
        """A map to the mean colour of the pixels behind each latent, for any autoencoder of Wan's interface.

        It is fitted by least squares to pictures of coloured noise with a natural spectrum, so it needs no data and
        always comes out the same. A fraction of a second for the shipped checkpoint.
        """
        device = next(autoencoder.parameters()).device
        rows, colors = [], []
        for picture in _natural_noise(FIT_PICTURES, FIT_SIZE):
            latents = conditioning.encode_latents(autoencoder, picture[None, :, None].to(device)).cpu()
            height, width = latents.shape[3:]
            rows.append(rearrange(latents, "1 z 1 h w -> (h w) z"))
            colors.append(reduce(picture, "c (h y) (w x) -> (h w) c", "mean", h=height, w=width))
        inputs = torch.cat(rows).double()
        inputs = torch.cat([inputs, torch.ones(len(inputs), 1, dtype=torch.float64)], dim=1)
        wanted = torch.cat(colors).double()
        # A little ridge: channels that still pictures never use must not get wild factors.
        ridge = 1e-4 * len(inputs) * torch.eye(inputs.shape[1], dtype=torch.float64)
        solution = torch.linalg.solve(inputs.T @ inputs + ridge, inputs.T @ wanted).float()
        return cls(solution[:-1], solution[-1])

    def frames(self, latents: Tensor) -> UInt8:
        """`(F, h, w, 3)` uint8."""
        factors, bias = self.factors.to(latents.device), self.bias.to(latents.device)
        colors = torch.einsum("zfhw,zc->fhwc", latents[0].float(), factors) + bias
        return _bytes((colors + 1) / 2)


class TinyPreview:
    """Decoded by TAEW2.1 to four pixels per latent pixel, half the video's size.

    Args:
        path: of the weights, which are loaded where the first latents are.
    """

    name: ClassVar[str] = "TAEW2.1"
    scale = 4

    def __init__(self, path: Path) -> None:
        self.path = path
        self._decoder: TinyDecoder | None = None

    def frames(self, latents: Tensor) -> UInt8:
        """`(F, 4h, 4w, 3)` uint8."""
        dtype = torch.float16 if latents.device.type == "cuda" else torch.float32
        if self._decoder is None:
            self._decoder = load_tiny_decoder(self.path, dtype=dtype, device=latents.device)
        pictures = self._decoder.stream(latents[:1].to(dtype), scale=self.scale, all_frames=False)
        return np.stack([_bytes(rearrange(picture[0], "c y x -> y x c")) for picture in pictures])


def find_preview(autoencoder: Any) -> LatentPreview:
    """The best preview that is at hand for an autoencoder of `AutoencoderKLWan`'s interface, on its device.

    Raises:
        MissingPartError: the weights that `find_tiny_decoder` looks for are named and not there.
    """
    if not is_wan(autoencoder):
        return LinearPreview.fitted(autoencoder)
    found = find_tiny_decoder()
    return LinearPreview.of_wan() if found is None else TinyPreview(found)


def is_wan(autoencoder: Any) -> bool:
    """Whether the latents are Wan 2.1's, by the mean of their channels."""
    mean = autoencoder.config.latents_mean
    return len(mean) == len(WAN_MEAN) and bool(np.allclose(mean, WAN_MEAN, atol=1e-3))


def _natural_noise(count: int, size: int) -> Tensor:
    """`(count, 3, size, size)` pictures in −1…1 whose amplitude falls with frequency as in photos."""
    generator = torch.Generator().manual_seed(0)
    pictures = torch.zeros(count, 3, size, size)
    cells = 1
    while cells <= size:
        coarse = torch.randn(count, 3, cells, cells, generator=generator)
        pictures += functional.interpolate(coarse, size=(size, size), mode="bilinear") / cells**0.5
        cells *= 2
    return torch.tanh(pictures / 2)


def contact_strip(frames: UInt8, columns: int = 6, height: int = 144) -> UInt8:
    """`(height, …, 3)` uint8: `columns` moments of `frames` `(F, h, w, 3)`, evenly spaced, side by side.

    A video with fewer frames gives all of them.
    """
    moments = np.linspace(0, len(frames) - 1, min(columns, len(frames))).round().astype(int)
    width = max(1, round(height * frames.shape[2] / frames.shape[1]))
    return np.concatenate([media.resized(frames[moment], width, height) for moment in moments], axis=1)


def write_preview_image(path: Path, preview: LatentPreview, estimate: Tensor) -> None:
    """Write a contact strip of the current estimate as a PNG file; whoever looks at it sees the old or the new one.

    Args:
        path: of the picture.
        preview: as `find_preview` gives it.
        estimate: `(1, z, F + 1, h, w)` clean latents as the current step expects them; the photo's, in front, are left
            out.
    """
    media.write_png(path, contact_strip(preview.frames(estimate[:, :, 1:])))


def _bytes(colors: Tensor) -> UInt8:
    """Uint8 of any shape of colours in 0…1."""
    result: UInt8 = (colors.float() * 255).round().clamp(0, 255).to(torch.uint8).cpu().numpy()
    return result
