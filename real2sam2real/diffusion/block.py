"""One block of the transformer: self-attention over the video, cross-attention to text and image, feed-forward.

The layers and their names are Wan's (`WanTransformerBlock`, Cheng et al., 2025). What differs is how they are called:
the keys and values of the cross-attention may be given, because they do not change from step to step, and everything
but the self-attention can work through the tokens in chunks, because only the self-attention mixes tokens.

Shape letters: B batch, L video tokens (of one device under context parallelism), D model width, H heads, E = D / H,
N text tokens, M image tokens.
"""

from __future__ import annotations

import real2sam2real.diffusion.lean_diffusers  # noqa: F401

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from diffusers.hooks._helpers import TransformerBlockMetadata, TransformerBlockRegistry
from diffusers.models.attention_dispatch import dispatch_attention_fn
from diffusers.models.transformers.transformer_wan_animate import WanTransformerBlock
from einops import rearrange
from torch import Tensor
from torch.utils.checkpoint import checkpoint


@dataclass(frozen=True, kw_only=True, eq=False)
class KeysValues:
    """What cross-attention looks up, as heads."""

    text_keys: Tensor  # `(B, N, H, E)`, normalised
    text_values: Tensor  # `(B, N, H, E)`
    image_keys: Tensor | None = None  # `(B, M, H, E)`, normalised, or None without an image encoder
    image_values: Tensor | None = None  # `(B, M, H, E)`, or None


class ContextAttention:
    """The attention processor of cross-attention; takes keys and values, not the context they come from."""

    # diffusers sets these two: the kernel to use, and context parallelism. The latter never applies here, since every
    # device holds the whole context.
    _attention_backend: Any = None
    _parallel_config: Any = None

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        rotary_emb: Any = None,
        *,
        keys_values: KeysValues,
    ) -> Tensor:
        """`(B, L, D)` of `(B, L, D)`; the arguments in between belong to diffusers' interface and stay None."""
        query = rearrange(attn.norm_q(attn.to_q(hidden_states)), "b l (h e) -> b l h e", h=attn.heads)
        found = self._attend(query, keys_values.text_keys, keys_values.text_values)
        if keys_values.image_keys is not None:
            found = found + self._attend(query, keys_values.image_keys, keys_values.image_values)
        project, dropout = attn.to_out
        return dropout(project(found))

    def _attend(self, query: Tensor, keys: Tensor, values: Tensor | None) -> Tensor:
        found = dispatch_attention_fn(query, keys, values, backend=self._attention_backend)
        return rearrange(found, "b l h e -> b l (h e)").type_as(query)


class InjectionBlock(WanTransformerBlock):
    """`WanTransformerBlock` that takes text and image apart, and their keys and values where they are known.

    Attributes:
        token_chunks: in how many parts cross-attention and feed-forward see the tokens; more parts, less memory. In
            training, what is between a part's input and output is computed again in the backward pass.
    """

    token_chunks = 1

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.attn2.set_processor(ContextAttention())

    def keys_values(self, text: Tensor, image: Tensor | None) -> KeysValues:
        """Keys and values of text `(B, N, D)` and image `(B, M, D)` for this block's cross-attention."""
        attn = self.attn2

        def heads(tensor: Tensor) -> Tensor:
            return rearrange(tensor, "b n (h e) -> b n h e", h=attn.heads)

        text_keys, text_values = heads(attn.norm_k(attn.to_k(text))), heads(attn.to_v(text))
        if image is None or attn.add_k_proj is None:
            return KeysValues(text_keys=text_keys, text_values=text_values)
        return KeysValues(
            text_keys=text_keys,
            text_values=text_values,
            image_keys=heads(attn.norm_added_k(attn.add_k_proj(image))),
            image_values=heads(attn.add_v_proj(image)),
        )

    def forward(
        self,
        hidden_states: Tensor,
        text: Tensor,
        image: Tensor | None,
        modulation: Tensor,
        rotary: tuple[Tensor, Tensor],
        keys_values: KeysValues | None = None,
    ) -> Tensor:
        """One block.

        Args:
            hidden_states: `(B, L, D)` video tokens.
            text: `(B, N, D)` embedded text.
            image: `(B, M, D)` embedded image features, or None.
            modulation: `(B, 6, D)`: shift, scale and gate of the self-attention, then of the feed-forward.
            rotary: cosines and sines of the rotary position embedding.
            keys_values: as `keys_values(text, image)` gives them, where the caller has kept them.
        """
        shift, scale, gate, *feed_forward = (self.scale_shift_table + modulation.float()).chunk(6, dim=1)
        normed = (self.norm1(hidden_states.float()) * (1 + scale) + shift).type_as(hidden_states)
        attended = self.attn1(normed, None, None, rotary)
        hidden_states = (hidden_states.float() + attended * gate).type_as(hidden_states)
        del normed, attended  # the rest of the block is where memory peaks
        known = keys_values or self.keys_values(text, image)
        if self.token_chunks == 1:
            return self._per_token(hidden_states, known, *feed_forward)
        part = self._per_token
        if torch.is_grad_enabled():  # else all parts' activations would be kept, as many as without parts
            part = partial(checkpoint, part, use_reentrant=False, preserve_rng_state=False)
        chunks = hidden_states.chunk(self.token_chunks, dim=1)
        return torch.cat([part(chunk, known, *feed_forward) for chunk in chunks], dim=1)

    def _per_token(
        self, hidden_states: Tensor, known: KeysValues, shift: Tensor, scale: Tensor, gate: Tensor
    ) -> Tensor:
        """Cross-attention and feed-forward of any part of the tokens `(B, l, D)`."""
        normed = self.norm2(hidden_states.float()).type_as(hidden_states)
        hidden_states = hidden_states + self.attn2(normed, keys_values=known)
        normed = (self.norm3(hidden_states.float()) * (1 + scale) + shift).type_as(hidden_states)
        return (hidden_states.float() + self.ffn(normed).float() * gate).type_as(hidden_states)


# diffusers' step caches (FirstBlockCache, MagCache, …) handle the blocks they know.
TransformerBlockRegistry.register(
    model_class=InjectionBlock,
    metadata=TransformerBlockMetadata(return_hidden_states_index=0, return_encoder_hidden_states_index=None),
)
