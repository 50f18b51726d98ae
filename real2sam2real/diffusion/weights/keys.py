"""Names of the transformer's weights: the original Wan-Animate names, the diffusers names (ours), and kohya's.

Every rule is a row of a table. Both naming styles are recognised key by key, which is unambiguous: the one name that
both styles use for different things, a block's `norm3`, holds no weights in ours.

Source of the original names: Wan-Video/Wan2.2, wan/modules/animate/model_animate.py.
"""

from __future__ import annotations

import re

# Wrappers that savers put before the transformer's own names.
PREFIXES = ("model.diffusion_model.", "diffusion_model.", "base_model.model.", "transformer.", "pipe.dit.")
_PREFIXES = re.compile(f"(?:{'|'.join(map(re.escape, PREFIXES))})+")
KOHYA_PREFIX = "lora_unet__"
FACE_BRANCH = re.compile(r"(motion_encoder|face_encoder|face_adapter)([._]|$)")
# diffusers converted some I2V checkpoints with a normalisation that Wan never had; its own classes ignore it too.
UNUSED = re.compile(r"blocks\.\d+\.attn2\.norm_added_q\.weight$")

TOP_MODULES = {
    "patch_embedding": "patch_embedding",
    "pose_patch_embedding": "pose_patch_embedding",
    "text_embedding.0": "condition_embedder.text_embedder.linear_1",
    "text_embedding.2": "condition_embedder.text_embedder.linear_2",
    "time_embedding.0": "condition_embedder.time_embedder.linear_1",
    "time_embedding.2": "condition_embedder.time_embedder.linear_2",
    "time_projection.1": "condition_embedder.time_proj",
    "img_emb.proj.0": "condition_embedder.image_embedder.norm1",
    "img_emb.proj.1": "condition_embedder.image_embedder.ff.net.0.proj",
    "img_emb.proj.3": "condition_embedder.image_embedder.ff.net.2",
    "img_emb.proj.4": "condition_embedder.image_embedder.norm2",
    "head.head": "proj_out",
}
BLOCK_MODULES = {
    "self_attn.q": "attn1.to_q",
    "self_attn.k": "attn1.to_k",
    "self_attn.v": "attn1.to_v",
    "self_attn.o": "attn1.to_out.0",
    "self_attn.norm_q": "attn1.norm_q",
    "self_attn.norm_k": "attn1.norm_k",
    "cross_attn.q": "attn2.to_q",
    "cross_attn.k": "attn2.to_k",
    "cross_attn.v": "attn2.to_v",
    "cross_attn.o": "attn2.to_out.0",
    "cross_attn.norm_q": "attn2.norm_q",
    "cross_attn.norm_k": "attn2.norm_k",
    "cross_attn.k_img": "attn2.add_k_proj",
    "cross_attn.v_img": "attn2.add_v_proj",
    "cross_attn.norm_k_img": "attn2.norm_added_k",
    "norm3": "norm2",
    "ffn.0": "ffn.net.0.proj",
    "ffn.2": "ffn.net.2",
}

_BLOCK = re.compile(r"blocks\.(\d+)(?:\.(.+))?$")
_KOHYA_BLOCK = re.compile(r"blocks_(\d+)(?:_(.+))?$")
_TOP_OURS = {ours: original for original, ours in TOP_MODULES.items()}
_BLOCK_OURS = {ours: original for original, ours in BLOCK_MODULES.items()}


def _flat(names: dict[str, str]) -> dict[str, str]:
    return {name.replace(".", "_"): name for pair in names.items() for name in pair}


_FLAT_TOP = {**_flat(TOP_MODULES), "head": "head"}
_FLAT_BLOCK = _flat(BLOCK_MODULES)


def strip_prefix(key: str) -> str:
    """`key` without the wrappers that savers put before the transformer's own names."""
    wrapped = _PREFIXES.match(key)
    return key[wrapped.end() :] if wrapped else key


def is_face_branch(key: str) -> bool:
    """Whether a key, in any naming style, belongs to the face and motion branch, which is never loaded."""
    return FACE_BRANCH.match(strip_prefix(key)) is not None


def is_left_out(key: str) -> bool:
    """Whether a base's key is known and has no place in this model: the face branch, and an unused normalisation."""
    return is_face_branch(key) or UNUSED.match(strip_prefix(key)) is not None


def module_to_ours(name: str) -> str | None:
    """Our name of a module given in either style without prefix, or None where there is no such module."""
    block = _BLOCK.match(name)
    if block and block[2] is not None:
        inner = BLOCK_MODULES.get(block[2], block[2] if block[2] in _BLOCK_OURS else None)
        return None if inner is None else f"blocks.{block[1]}.{inner}"
    return TOP_MODULES.get(name, name if name in _TOP_OURS else None)


def module_to_original(name: str) -> str:
    """The original name of a module of ours.

    Raises:
        KeyError: there is no such module.
    """
    block = _BLOCK.match(name)
    if block and block[2] is not None:
        return f"blocks.{block[1]}.{_BLOCK_OURS[block[2]]}"
    return _TOP_OURS[name]


def modulation_to_ours(owner: str) -> str | None:
    """Our name of the modulation that belongs to `owner`: a block, or the head (`head`, or nothing in ours)."""
    block = _BLOCK.match(owner)
    if block and block[2] is None:
        return f"{owner}.scale_shift_table"
    return "scale_shift_table" if owner in ("", "head") else None


def to_ours(key: str) -> str | None:
    """Our name of a parameter given in either style, with any prefix; None where there is no such parameter."""
    owner, _, leaf = strip_prefix(key).rpartition(".")
    if leaf in ("modulation", "scale_shift_table"):
        return modulation_to_ours(owner)
    module = module_to_ours(owner) if leaf in ("weight", "bias") else None
    return None if module is None else f"{module}.{leaf}"


def to_original(key: str) -> str:
    """The original name of a parameter of ours; inverse of `to_ours`.

    Raises:
        KeyError: there is no such parameter.
    """
    owner, _, leaf = key.rpartition(".")
    if leaf == "scale_shift_table":
        return f"{owner or 'head'}.modulation"
    return f"{module_to_original(owner)}.{leaf}"


def module_from_kohya(flat: str) -> str | None:
    """The dotted name (in the style it was written in) of a module whose dots became underscores.

    Source: the names that ComfyUI and kohya's trainers write, `lora_unet_` or `lora_unet__` before them.
    """
    block = _KOHYA_BLOCK.match(flat)
    if not block:
        return _FLAT_TOP.get(flat)
    if block[2] is None:
        return f"blocks.{block[1]}"
    inner = _FLAT_BLOCK.get(block[2])
    return None if inner is None else f"blocks.{block[1]}.{inner}"
