"""The video transformer with soft spatial-aligned injection of normals.

Wan2.2-Animate's transformer (Cheng et al., 2025) without its face and motion branch, used as in Real2SAM2Real: the
latent of the reference photo stands before the video as latent frame 0, and the latents of the rendered normals are
embedded by a convolution of their own and added to the video tokens only. Parameter names are those of diffusers'
`WanAnimateTransformer3DModel`, so its checkpoints load here once the face branch is left out.

Shape letters: B batch, C = 2z + 4 input channels, z latent channels, F video latent frames, h × w latent size,
L = (F + 1)·(h/2)·(w/2) tokens, D model width.
"""

from __future__ import annotations

import real2sam2real.diffusion.lean_diffusers  # noqa: F401

import math
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import cast

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.loaders import FromOriginalModelMixin, PeftAdapterMixin
from diffusers.models._modeling_parallel import ContextParallelInput, ContextParallelOutput
from diffusers.models.attention import AttentionMixin
from diffusers.models.cache_utils import CacheMixin
from diffusers.models.modeling_utils import ModelMixin
from diffusers.models.normalization import FP32LayerNorm
from diffusers.models.transformers.transformer_wan_animate import (
    WanRotaryPosEmbed,
    WanTimeTextImageEmbedding,
)
from einops import rearrange
from torch import Tensor, nn
from torch.autograd.graph import save_on_cpu

from real2sam2real.diffusion.block import InjectionBlock, KeysValues


@dataclass(frozen=True, kw_only=True, eq=False)
class StepConstants:
    """What stays the same from step to step; see `Real2Sam2RealTransformer3DModel.precompute`."""

    text: Tensor  # `(B, N, D)` embedded text
    image: Tensor | None  # `(B, M, D)` embedded image features, or None
    normals: Tensor | None  # `(B, D, F, h/2, w/2)` embedded normals, or None
    # one per block for its cross-attention, or None to make them anew in each step
    keys_values: tuple[KeysValues, ...] | None


class Real2Sam2RealTransformer3DModel(
    ModelMixin, ConfigMixin, PeftAdapterMixin, FromOriginalModelMixin, CacheMixin, AttentionMixin
):
    """A denoiser of video latents, conditioned on a photo, rendered normals and, where configured, text and image.

    Args:
        patch_size: tokens cover `(frames, rows, columns)` of the latent grid.
        num_attention_heads: heads per attention layer; D = heads × `attention_head_dim`.
        attention_head_dim: width of a head.
        latent_channels: z, the autoencoder's channels; the input has 2z + 4.
        text_dim: width of the text embeddings.
        freq_dim: width of the sinusoidal timestep features.
        ffn_dim: hidden width of the feed-forward layers.
        num_layers: number of blocks.
        cross_attn_norm: normalise before cross-attention.
        qk_norm: normalisation of queries and keys; Wan's is the only one diffusers implements.
        eps: of the normalisations.
        image_dim: width of the image encoder's features, or None for checkpoints without one.
        added_kv_proj_dim: width of the image keys and values in cross-attention (D), or None.
        rope_max_seq_len: largest grid extent along one axis.
        prediction: what the output is: the flow-matching "velocity" (noise − sample) or the clean "sample".

    Attributes:
        offload_activations: with gradient checkpointing, what goes into each block waits in pinned CPU memory for the
            backward pass.
    """

    _supports_gradient_checkpointing = True
    _skip_layerwise_casting_patterns = ("patch_embedding", "condition_embedder", "norm")
    _no_split_modules = ("InjectionBlock",)
    _keep_in_fp32_modules = ["time_embedder", "scale_shift_table", "norm1", "norm2", "norm3", "rope"]  # noqa: RUF012
    _keys_to_ignore_on_load_unexpected = ("norm_added_q",)
    _repeated_blocks = ("InjectionBlock",)
    # Each device works on its share of the tokens from the first block to the last projection.
    _cp_plan = {  # noqa: RUF012  diffusers' own declaration
        "rope": {
            0: ContextParallelInput(split_dim=1, expected_dims=4, split_output=True),
            1: ContextParallelInput(split_dim=1, expected_dims=4, split_output=True),
        },
        "blocks.0": {"hidden_states": ContextParallelInput(split_dim=1, expected_dims=3, split_output=False)},
        "proj_out": ContextParallelOutput(gather_dim=1, expected_dims=3),
    }

    @register_to_config
    def __init__(
        self,
        patch_size: tuple[int, int, int] = (1, 2, 2),
        num_attention_heads: int = 40,
        attention_head_dim: int = 128,
        latent_channels: int = 16,
        text_dim: int = 4096,
        freq_dim: int = 256,
        ffn_dim: int = 13824,
        num_layers: int = 40,
        cross_attn_norm: bool = True,
        qk_norm: str = "rms_norm_across_heads",
        eps: float = 1e-6,
        image_dim: int | None = 1280,
        added_kv_proj_dim: int | None = 5120,
        rope_max_seq_len: int = 1024,
        prediction: str = "velocity",
    ) -> None:
        super().__init__()
        if prediction not in ("velocity", "sample"):
            raise ValueError(f"prediction is '{prediction}'; it must be 'velocity' or 'sample'")
        width = num_attention_heads * attention_head_dim
        self.rope = WanRotaryPosEmbed(attention_head_dim, patch_size, rope_max_seq_len)
        self.patch_embedding = nn.Conv3d(2 * latent_channels + 4, width, patch_size, stride=patch_size)
        self.pose_patch_embedding = nn.Conv3d(latent_channels, width, patch_size, stride=patch_size)
        self.condition_embedder = WanTimeTextImageEmbedding(
            dim=width,
            time_freq_dim=freq_dim,
            time_proj_dim=width * 6,
            text_embed_dim=text_dim,
            image_embed_dim=image_dim,
        )
        self.blocks = nn.ModuleList(
            InjectionBlock(width, ffn_dim, num_attention_heads, qk_norm, cross_attn_norm, eps, added_kv_proj_dim)
            for _ in range(num_layers)
        )
        self.norm_out = FP32LayerNorm(width, eps, elementwise_affine=False)
        self.proj_out = nn.Linear(width, latent_channels * math.prod(patch_size))
        self.scale_shift_table = nn.Parameter(torch.randn(1, 2, width) / width**0.5)
        self.gradient_checkpointing = self.offload_activations = False

    @property
    def _injection_blocks(self) -> list[InjectionBlock]:
        return cast("list[InjectionBlock]", self.blocks)

    def set_token_chunks(self, chunks: int) -> None:
        """Let cross-attention and feed-forward see the tokens in `chunks` parts: less memory, same result."""
        for block in self._injection_blocks:
            block.token_chunks = chunks

    def precompute(
        self,
        encoder_hidden_states: Tensor,
        pose_hidden_states: Tensor | None = None,
        encoder_hidden_states_image: Tensor | None = None,
        *,
        keys_values: bool = True,
    ) -> StepConstants:
        """Do once what every step would repeat: embed text, image and normals, and cross-attention's keys and values.

        Args:
            encoder_hidden_states: as in `forward`.
            pose_hidden_states: as in `forward`.
            encoder_hidden_states_image: as in `forward`.
            keys_values: keep the keys and values of all blocks; 0.6 GB at 14 B in bfloat16.
        """
        text = self.condition_embedder.text_embedder(encoder_hidden_states)
        image = None
        if encoder_hidden_states_image is not None:
            image = self.condition_embedder.image_embedder(encoder_hidden_states_image)
        kept = tuple(block.keys_values(text, image) for block in self._injection_blocks) if keys_values else None
        normals = None if pose_hidden_states is None else self.pose_patch_embedding(pose_hidden_states)
        return StepConstants(text=text, image=image, normals=normals, keys_values=kept)

    def forward(
        self,
        hidden_states: Tensor,
        timestep: Tensor,
        encoder_hidden_states: Tensor | None = None,
        pose_hidden_states: Tensor | None = None,
        encoder_hidden_states_image: Tensor | None = None,
        constants: StepConstants | None = None,
    ) -> Tensor:
        """Predict the velocity or the clean sample, as the config says, for all F + 1 latent frames.

        Args:
            hidden_states: `(B, 2z + 4, F + 1, h, w)`: noisy latents, mask and condition latents along channels; latent
                frame 0 is the reference photo's.
            timestep: `(B,)` in 0…1000, the noise level times 1000.
            encoder_hidden_states: `(B, N, text_dim)` text embeddings.
            pose_hidden_states: `(B, z, F, h, w)` latents of the rendered normals, or None for none at all.
            encoder_hidden_states_image: `(B, 257, image_dim)` image features where the config has an image encoder.
            constants: what `precompute` made of the three above, in their place.

        Returns:
            `(B, z, F + 1, h, w)`. Frame 0 carries no meaning.

        Raises:
            ValueError: there is neither text nor `constants`, or the normals cover another number of latent frames
                than the video.
        """
        if constants is None:
            if encoder_hidden_states is None:
                raise ValueError("give encoder_hidden_states, or constants")
            constants = self.precompute(
                encoder_hidden_states, pose_hidden_states, encoder_hidden_states_image, keys_values=False
            )
        grid = tuple(size // patch for size, patch in zip(hidden_states.shape[2:], self.config.patch_size, strict=True))
        rotary = self.rope(hidden_states)
        tokens = self._embed(hidden_states, constants.normals)
        time = self._embed_time(timestep, constants.text)
        modulation = self.condition_embedder.time_proj(self.condition_embedder.act_fn(time)).unflatten(1, (6, -1))
        for index, block in enumerate(self.blocks):
            known = None if constants.keys_values is None else constants.keys_values[index]
            given = {"text": constants.text, "image": constants.image, "modulation": modulation, "rotary": rotary}
            work = partial(block, **given, keys_values=known)
            if torch.is_grad_enabled() and self.gradient_checkpointing:
                # The tokens alone are an argument: what all blocks share is not copied for each.
                with save_on_cpu(pin_memory=True) if self.offload_activations else nullcontext():
                    tokens = self._gradient_checkpointing_func(work, tokens)
            else:
                tokens = work(tokens)
        shift, scale = (self.scale_shift_table + time.unsqueeze(1)).chunk(2, dim=1)
        tokens = (self.norm_out(tokens.float()) * (1 + scale) + shift).type_as(tokens)
        return self._unpatchify(self.proj_out(tokens), grid)

    def _embed_time(self, timestep: Tensor, like: Tensor) -> Tensor:
        """`(B, D)` of timesteps `(B,)`, in the embedder's own precision, given back in that of `like`."""
        embedder = self.condition_embedder.time_embedder
        precision = embedder.linear_1.weight.dtype
        waves = self.condition_embedder.timesteps_proj(timestep)
        return embedder(waves.to(precision if precision.is_floating_point else like.dtype)).type_as(like)

    def _embed(self, latents: Tensor, normals: Tensor | None) -> Tensor:
        """Tokens `(B, L, D)`: embedded normals are added to the video's tokens, never to the reference's."""
        embedded = self.patch_embedding(latents)
        if normals is not None:
            if normals.shape[2] + 1 != latents.shape[2]:
                raise ValueError(
                    f"normals span {normals.shape[2]} latent frames; a video with its reference of "
                    f"{latents.shape[2]} needs {latents.shape[2] - 1}"
                )
            embedded = torch.cat([embedded[:, :, :1], embedded[:, :, 1:] + normals], dim=2)
        return rearrange(embedded, "b d f y x -> b (f y x) d").contiguous()

    def _unpatchify(self, tokens: Tensor, grid: tuple[int, ...]) -> Tensor:
        """Latents `(B, z, F + 1, h, w)` of projected tokens on a grid of frames × rows × columns."""
        frames, height, width = grid
        pf, ph, pw = self.config.patch_size
        return rearrange(
            tokens,
            "b (f y x) (pf ph pw z) -> b z (f pf) (y ph) (x pw)",
            f=frames,
            y=height,
            x=width,
            pf=pf,
            ph=ph,
            pw=pw,
        )
