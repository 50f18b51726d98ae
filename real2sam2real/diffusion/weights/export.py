"""Adapters written: under the official names, or in the forms that diffusers, ComfyUI and kohya's tools read."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from real2sam2real.diffusion.weights import keys
from real2sam2real.diffusion.weights.adapter_file import (
    LORA_FILE,
    POSE_FILE,
    POSE_MODULE,
    SETTINGS_FILE,
    Adapter,
    LowRank,
)
from real2sam2real.errors import UserError
from real2sam2real.files import replacing_file

Form = Literal["official", "diffusers", "comfyui"]
DIFFUSERS_FILE = "pytorch_lora_weights.safetensors"
COMFYUI_FILE = "lora_comfyui.safetensors"
_WITHIN = re.compile(r"^blocks\.\d+\.(?:\w+_attn\.|attn\d\.)?")
_DIFFERENCE_SUFFIX = {"weight": "diff", "bias": "diff_b", "modulation": "diff_m"}


def save_adapter(folder: str | Path, adapter: Adapter, *, form: Form = "official") -> Path:
    """Write an adapter; `read_adapter` reads every form back to the same.

    "official" writes `pose_patch_embedding.safetensors` and `lora_diffusion_pytorch_model.safetensors` with bare
    names, and `adapter_config.json`, peft's settings, which hold the alphas. "comfyui" writes
    `lora_comfyui.safetensors` with `lora_unet__…` names and an alpha beside each pair, and the same patch embedding.
    "diffusers" writes `pytorch_lora_weights.safetensors` for `load_lora_weights`, which knows low-rank pairs alone, and
    the same patch embedding. "official" and "comfyui" may go into one folder.

    Args:
        folder: made where it is not there; each file is written whole or not at all.
        adapter: in any dtype, which is kept.
        form: of the names.

    Returns:
        The folder.

    Raises:
        UserError: there is nothing to write, or diffusers' form has no place for it.
    """
    folder = Path(folder)
    if not (adapter.low_rank or adapter.differences or adapter.replacements):
        raise UserError(f"the adapter {adapter.name} is empty; there is nothing to write to {folder}")
    if form == "diffusers" and (adapter.differences or not adapter.low_rank):
        raise UserError(
            f"diffusers' form holds low-rank pairs alone, and {adapter.name} changes parameters whole; use 'official'"
        )
    if adapter.replacements:
        _save(
            folder / POSE_FILE,
            {key.removeprefix(f"{POSE_MODULE}."): value for key, value in adapter.replacements.items()},
        )
    if form == "comfyui":
        _save(folder / COMFYUI_FILE, _comfyui_tensors(adapter))
        return folder
    if form == "diffusers":
        _save(folder / DIFFUSERS_FILE, _diffusers_tensors(adapter), _diffusers_settings(adapter.low_rank))
        return folder
    if adapter.low_rank or adapter.differences:
        _save(folder / LORA_FILE, _official_tensors(adapter))
    if adapter.low_rank:
        with replacing_file(folder / SETTINGS_FILE) as path:
            path.write_text(json.dumps(_settings(adapter.low_rank), indent=2), encoding="utf-8")
    return folder


def adapter_of(transformer: nn.Module, name: str, *, with_pose_embedding: bool = True) -> Adapter:
    """What peft's adapter `name` holds on a transformer, and the patch embedding of its normals: one trained, to save.

    Raises:
        UserError: no adapter of that name is on the transformer.
    """
    from peft.tuners.lora import LoraLayer

    layers: dict[str, Any] = {
        path: module
        for path, module in transformer.named_modules()
        if isinstance(module, LoraLayer) and name in module.lora_A
    }
    pairs = {
        path: LowRank(
            down=layer.lora_A[name].weight.detach(),
            up=layer.lora_B[name].weight.detach(),
            alpha=float(layer.lora_alpha[name]),
        )
        for path, layer in layers.items()
    }
    if not pairs:
        raise UserError(f"there is no adapter called '{name}' on this transformer")
    embedding: Any = transformer.get_submodule(POSE_MODULE)
    new = {f"{POSE_MODULE}.{key}": value.detach() for key, value in embedding.named_parameters()}
    return Adapter(
        name=name, files=(), low_rank=pairs, replacements=new if with_pose_embedding else {}, alpha_from="its training"
    )


def _official_tensors(adapter: Adapter) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for module, pair in adapter.low_rank.items():
        original = keys.module_to_original(module)
        tensors[f"{original}.lora_A.weight"] = pair.down
        tensors[f"{original}.lora_B.weight"] = pair.up
    for key, value in adapter.differences.items():
        owner, _, leaf = keys.to_original(key).rpartition(".")
        tensors[f"{owner}.{_DIFFERENCE_SUFFIX[leaf]}"] = value
    return tensors


def _comfyui_tensors(adapter: Adapter) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for module, pair in adapter.low_rank.items():
        flat = keys.module_to_kohya(module)
        tensors[f"{flat}.lora_down.weight"] = pair.down
        tensors[f"{flat}.lora_up.weight"] = pair.up
        tensors[f"{flat}.alpha"] = torch.tensor(pair.alpha)
    for key, value in adapter.differences.items():
        owner, _, leaf = keys.to_original(key).rpartition(".")
        tensors[f"lora_unet__{owner.replace('.', '_')}.{_DIFFERENCE_SUFFIX[leaf]}"] = value
    return tensors


def _diffusers_tensors(adapter: Adapter) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for module, pair in adapter.low_rank.items():
        tensors[f"transformer.{module}.lora_A.weight"] = pair.down
        tensors[f"transformer.{module}.lora_B.weight"] = pair.up
    return tensors


def _diffusers_settings(low_rank: Mapping[str, LowRank]) -> dict[str, str]:
    """As diffusers keeps them in the file: the transformer's settings under its name, by its module names."""
    settings = _settings(low_rank, original=False)
    return {"lora_adapter_metadata": json.dumps({f"transformer.{key}": value for key, value in settings.items()})}


def _settings(low_rank: Mapping[str, LowRank], *, original: bool = True) -> dict[str, Any]:
    """Settings as peft keeps them, with the commonest rank and alpha, and the layers that have others."""
    names = {module: keys.module_to_original(module) if original else module for module in low_rank}
    rank = Counter(pair.rank for pair in low_rank.values()).most_common(1)[0][0]
    alpha = Counter(pair.alpha for pair in low_rank.values()).most_common(1)[0][0]
    return {
        "peft_type": "LORA",
        "r": rank,
        "lora_alpha": alpha,
        "rank_pattern": {names[module]: pair.rank for module, pair in low_rank.items() if pair.rank != rank},
        "alpha_pattern": {names[module]: pair.alpha for module, pair in low_rank.items() if pair.alpha != alpha},
        "target_modules": sorted(
            {re.sub(r"^blocks\.\d+\.(?:\w+_attn\.|attn\d\.)?", "", name) for name in names.values()}
        ),
    }


def _save(path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, str] | None = None) -> None:
    from safetensors.torch import save_file

    with replacing_file(path) as temporary:
        save_file(
            {key: value.to("cpu", copy=True).contiguous() for key, value in tensors.items()},
            temporary,
            {"format": "pt", **(about or {})},
        )
