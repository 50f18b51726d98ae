"""A linear video autoencoder, fitted in closed form, light enough for a CPU.

Frames are cut into 8×8 blocks and transformed by a Karhunen-Loève basis (PCA of such blocks); every four frames after
the first are transformed along time by a DCT whose constant term is the mean. A latent channel is one pair of a
temporal and a spatial basis function. The first frame keeps only the constant temporal terms, so a still video has
the same latent in every frame: copying the photo is the identity. Decoding is linear too, but each block is
predicted from the 3×3 blocks around it by least squares, which hides most of the block edges.

The interface and the layout on disk are those of diffusers' `AutoencoderKLWan`: 8× smaller in space, 4× in time,
`encode(video).latent_dist.mode()`, `decode(latents).sample`, `latents_mean` and `latents_std` in the config.

Shape letters: B batch, T = 4k + 1 frames, F = k + 1 latent frames, H × W pixels, h × w = H/8 × W/8, z channels.
"""

from __future__ import annotations

import real2sam2real.diffusion.lean_diffusers  # noqa: F401

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.autoencoders.vae import DecoderOutput
from diffusers.models.modeling_outputs import AutoencoderKLOutput
from diffusers.models.modeling_utils import ModelMixin
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

BLOCK = 8
GROUP = 4
BLOCK_VALUES = 3 * BLOCK * BLOCK


@dataclass(frozen=True, eq=False)
class DeterministicLatents:
    """A distribution that is one point, with the two methods that pipelines call on a VAE's posterior."""

    latents: Tensor  # `(B, z, F, h, w)`

    def mode(self) -> Tensor:
        """That point."""
        return self.latents

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """The same as `mode`: there is nothing random in a linear transform."""
        return self.latents


class BlockTransformAutoencoder(ModelMixin, ConfigMixin):
    """See the module's text. Build one with `fit_autoencoder`, or load it with `from_pretrained`.

    Args:
        z_dim: z, the number of channels.
        temporal_index: for each channel, which temporal basis function (0 = mean of four frames).
        spatial_index: for each channel, which spatial basis function.
        latents_mean: per channel, subtracted from latents before the transformer sees them.
        latents_std: per channel, what latents are then divided by.
    """

    @register_to_config
    def __init__(
        self,
        z_dim: int,
        temporal_index: list[int],
        spatial_index: list[int],
        latents_mean: list[float],
        latents_std: list[float],
        scale_factor_spatial: int = BLOCK,
        scale_factor_temporal: int = GROUP,
    ) -> None:
        super().__init__()
        z = z_dim
        if not z == len(temporal_index) == len(spatial_index) == len(latents_mean) == len(latents_std):
            raise ValueError(
                "temporal_index, spatial_index, latents_mean and latents_std must have one value a channel"
            )
        self.block_mean = nn.Parameter(torch.zeros(BLOCK_VALUES), requires_grad=False)
        self.block_basis = nn.Parameter(torch.eye(BLOCK_VALUES), requires_grad=False)
        self.decode_first = nn.Conv2d(z, BLOCK_VALUES, 3, padding=1, padding_mode="replicate", bias=False)
        self.decode_group = nn.Conv2d(z, GROUP * BLOCK_VALUES, 3, padding=1, padding_mode="replicate", bias=False)
        self.requires_grad_(False)

    def encode(self, video: Tensor) -> AutoencoderKLOutput:
        """Latents `(B, z, F, h, w)` of `(B, 3, T, H, W)` video in −1…1, as the mode of `latent_dist`.

        Raises:
            ValueError: T is not 4k + 1, or H or W is not a multiple of 8.
        """
        _, _, frames, height, width = video.shape
        if frames % GROUP != 1 or height % BLOCK or width % BLOCK:
            raise ValueError(f"a video of {frames} × {height}×{width} cannot be encoded: T = 4k+1, sizes 8n are needed")
        first, groups = temporal_terms(self._coefficients(video))
        temporal, spatial = self._channels()
        first = torch.where(temporal == 0, first[..., spatial], torch.zeros((), dtype=first.dtype, device=first.device))
        latents = torch.cat([first[:, None], groups[:, :, temporal, :, :, spatial].movedim(0, -1)], dim=1)
        return AutoencoderKLOutput(latent_dist=DeterministicLatents(rearrange(latents, "b f h w z -> b z f h w")))

    def decode(self, latents: Tensor, return_dict: bool = True) -> DecoderOutput | tuple[Tensor]:
        """Video `(B, 3, T, H, W)` in −1…1 of latents `(B, z, F, h, w)`."""
        batch = latents.shape[0]
        first = rearrange(self.decode_first(latents[:, :, 0]), "b v h w -> b 1 h w v")
        rest = self.decode_group(rearrange(latents[:, :, 1:], "b z f h w -> (b f) z h w"))
        rest = rearrange(rest, "(b f) (t v) h w -> b (f t) h w v", b=batch, t=GROUP)
        blocks = torch.cat([first, rest], dim=1) + self.block_mean
        video = rearrange(blocks, "b t h w (c y x) -> b c t (h y) (w x)", c=3, y=BLOCK, x=BLOCK).clamp(-1, 1)
        return DecoderOutput(sample=video) if return_dict else (video,)

    def _channels(self) -> tuple[Tensor, Tensor]:
        device = self.block_basis.device
        return (
            torch.tensor(self.config.temporal_index, device=device),
            torch.tensor(self.config.spatial_index, device=device),
        )

    def _coefficients(self, video: Tensor) -> Tensor:
        """`(B, T, h, w, 192)` coefficients of every frame's blocks in the spatial basis."""
        return (blocks_of(video).to(self.block_basis.dtype) - self.block_mean) @ self.block_basis


def blocks_of(video: Tensor) -> Tensor:
    """`(B, T, h, w, 192)` blocks of `(B, 3, T, H, W)` video."""
    return rearrange(video, "b c t (h y) (w x) -> b t h w (c y x)", y=BLOCK, x=BLOCK)


def temporal_terms(coefficients: Tensor) -> tuple[Tensor, Tensor]:
    """Split `(B, T, h, w, V)` into the first frame `(B, h, w, V)` and groups `(B, k, 4 terms, h, w, V)`."""
    groups = rearrange(coefficients[:, 1:], "b (f t) h w v -> b f t h w v", t=GROUP)
    dct = temporal_basis().to(coefficients)
    return coefficients[:, 0], torch.einsum("kt,bfthwv->bfkhwv", dct, groups)


def temporal_basis() -> Tensor:
    """`(4, 4)` DCT-II over four frames, scaled by 1/2 so that row 0 is the mean."""
    t = torch.arange(GROUP, dtype=torch.float64)
    rows = torch.cos(math.pi / GROUP * (t + 0.5)[None] * t[:, None]) * math.sqrt(2 / GROUP)
    rows[0] /= math.sqrt(2)
    return rows / math.sqrt(GROUP)


@dataclass
class _Regression:
    """Running sums of a least-squares problem: 3×3 neighbourhoods of latents → the block in the middle."""

    inputs: Tensor
    cross: Tensor
    count: int = 0

    @classmethod
    def zeros(cls, channels: int, outputs: int) -> _Regression:
        return cls(torch.zeros(channels, channels, dtype=torch.float64), torch.zeros(channels, outputs).double())

    def add(self, latents: Tensor, targets: Tensor) -> None:
        """Latents `(N, z, h, w)`, targets `(N, h, w, values)`."""
        padded = functional.pad(latents, (1, 1, 1, 1), mode="replicate")
        patches = rearrange(functional.unfold(padded, 3), "n v l -> (n l) v").double()
        wanted = rearrange(targets, "n h w v -> (n h w) v").double()
        self.inputs += patches.T @ patches
        self.cross += patches.T @ wanted
        self.count += len(patches)

    def solve(self, noise: Tensor) -> Tensor:
        """Weights `(values, z, 3, 3)` of the Wiener filter for latents with `noise` `(z,)` standard deviation."""
        ridge = torch.diag(self.count * noise.double().square().repeat_interleave(9))
        weights = torch.linalg.solve(self.inputs + ridge, self.cross)
        return rearrange(weights, "(z y x) v -> v z y x", y=3, x=3).float()


def fit_autoencoder(
    clips: Iterable[Tensor], channels: int, *, whitening: float = 0.5, noise: float = 0.08
) -> BlockTransformAutoencoder:
    """Fit basis, channel choice and decoder to clips; two passes of sums, no training loop.

    Args:
        clips: `(3, T, H, W)` float32 videos in −1…1, T = 4k + 1; kept in memory.
        channels: z.
        whitening: 0 leaves the latents' natural scales (fine detail tiny beside brightness), 1 makes all channels
            equally strong; between, noise drowns fine detail first and a squared error still favours what is seen.
        noise: expected error of a latent channel, relative to its own spread, that the decoder is made robust to.

    Returns:
        The autoencoder, with latents standardised to a root mean square of 1 over all channels.
    """
    kept = [clip[None] for clip in clips]
    if not kept:
        raise ValueError("fitting an autoencoder needs at least one clip")
    mean, basis = _principal_blocks(kept)
    energies = torch.zeros(GROUP, BLOCK_VALUES, dtype=torch.float64)
    for clip in kept:
        _, groups = temporal_terms((blocks_of(clip).double() - mean) @ basis)
        energies += groups.square().mean(dim=(0, 1, 3, 4)) / len(kept)
    order = torch.argsort(energies.flatten(), descending=True)[:channels]
    spread = energies.flatten()[order].sqrt()
    scale = spread**whitening
    scale *= (spread / scale).square().mean().sqrt()
    model = BlockTransformAutoencoder(
        z_dim=channels,
        temporal_index=(order // BLOCK_VALUES).tolist(),
        spatial_index=(order % BLOCK_VALUES).tolist(),
        latents_mean=[0.0] * channels,
        latents_std=scale.tolist(),
    )
    model.block_mean.copy_(mean)
    model.block_basis.copy_(basis)
    _fit_decoder(model, kept, spread * noise)
    return model.eval()


def _principal_blocks(clips: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Mean `(192,)` and eigenvectors `(192, 192)` by falling eigenvalue of the clips' blocks, in float64."""
    total = torch.zeros(BLOCK_VALUES, dtype=torch.float64)
    products = torch.zeros(BLOCK_VALUES, BLOCK_VALUES, dtype=torch.float64)
    count = 0
    for clip in clips:
        blocks = blocks_of(clip).double().flatten(0, 3)
        total += blocks.sum(dim=0)
        products += blocks.T @ blocks
        count += len(blocks)
    mean = total / count
    basis = torch.linalg.eigh(products / count - torch.outer(mean, mean)).eigenvectors.flip(1)
    return mean, basis


def _fit_decoder(model: BlockTransformAutoencoder, clips: list[Tensor], noise: Tensor) -> None:
    z = model.config.z_dim
    first = _Regression.zeros(9 * z, BLOCK_VALUES)
    group = _Regression.zeros(9 * z, GROUP * BLOCK_VALUES)
    for clip in clips:
        latents = model.encode(clip).latent_dist.mode()
        targets = blocks_of(clip) - model.block_mean
        first.add(latents[:, :, 0], targets[:, 0])
        group.add(
            rearrange(latents[:, :, 1:], "b z f h w -> (b f) z h w"),
            rearrange(targets[:, 1:], "b (f t) h w v -> (b f) h w (t v)", t=GROUP),
        )
    for layer, sums in ((model.decode_first, first), (model.decode_group, group)):
        layer.weight.copy_(sums.solve(noise))
