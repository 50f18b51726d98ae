"""Adapters written: under the official names, or in the forms that diffusers, ComfyUI and kohya's tools read."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from real2sam2real.diffusion.weights import keys
from real2sam2real.diffusion.weights.adapter_file import (
    COMFYUI_FILE,
    LORA_FILE,
    POSE_FILE,
    POSE_MODULE,
    SETTINGS_FILE,
    Adapter,
    LowRank,
    usual_and_others,
)
from real2sam2real.diffusion.weights.files import list_some
from real2sam2real.errors import UserError
from real2sam2real.files import replacing_file

Form = Literal["official", "diffusers", "comfyui"]
_FILES: dict[Form, str] = {"official": LORA_FILE, "diffusers": "pytorch_lora_weights.safetensors"}
_COMFYUI_MARK = "blocks.0.attn2.to_k"
_WITHIN = re.compile(r"^blocks\.\d+\.(?:\w+_attn\.|attn\d\.)?")
_DIFFERENCE_SUFFIX = {"weight": "diff", "bias": "diff_b", "modulation": "diff_m"}


def save_adapter(folder: str | Path, adapter: Adapter, *, form: Form = "official") -> Path:
    """Write an adapter; `read_adapter` reads every form back to the same.

    "official" writes `pose_patch_embedding.safetensors` and `lora_diffusion_pytorch_model.safetensors` with bare
    names, and `adapter_config.json`, peft's settings, which hold the alphas. "comfyui" writes all into
    `lora_comfyui.safetensors`; see `save_for_comfyui`. "diffusers" writes `pytorch_lora_weights.safetensors` for
    `load_lora_weights`, which knows low-rank pairs alone, and the patch embedding as "official" does. "official" and
    "comfyui" may go into one folder.

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
    if form == "comfyui":
        save_for_comfyui(folder / COMFYUI_FILE, adapter)
        return folder
    _check_not_empty(adapter, folder)
    if form == "diffusers" and (adapter.differences or not adapter.low_rank):
        raise UserError(
            f"diffusers' form holds low-rank pairs alone, and {adapter.name} changes parameters whole; use 'official'"
        )
    if adapter.replacements:
        _save(
            folder / POSE_FILE,
            {key.removeprefix(f"{POSE_MODULE}."): value for key, value in adapter.replacements.items()},
        )
    about: dict[str, str] = {}
    if form == "diffusers":  # it keeps the transformer's settings in the file, under its name
        settings = {f"transformer.{key}": value for key, value in _settings(adapter.low_rank, original=False).items()}
        about = {"lora_adapter_metadata": json.dumps(settings)}
    if tensors := _tensors(adapter, form):
        _save(folder / _FILES[form], tensors, about)
    if adapter.low_rank and form == "official":
        with replacing_file(folder / SETTINGS_FILE) as path:
            path.write_text(json.dumps(_settings(adapter.low_rank), indent=2), encoding="utf-8")
    return folder


def save_for_comfyui(path: Path, adapter: Adapter, about: Mapping[str, str] | None = None) -> None:
    """Write an adapter as one file that ComfyUI loads by its own `LoraLoaderModelOnly`, with no custom node.

    Pairs have kohya's names with an alpha beside each, whole differences end in `.diff` and `.diff_b`, and what
    replaces a parameter in `.set_weight`. ComfyUI knows kohya's names with one underscore. With two, as the method's
    own file has them and other tools want them, it knows them only beside a pair for `blocks.0.cross_attn.k`, so that
    pair decides.

    Args:
        path: replaced as a whole or not at all.
        adapter: in any dtype, which is kept but where a weight has a pair and a difference: ComfyUI would take the
            difference alone, so it gets one difference that is both, in float32.
        about: further metadata of the file.

    Raises:
        UserError: there is nothing to write, or it changes modulations, which ComfyUI reads and leaves as they are.
    """
    _check_not_empty(adapter, path)
    if left := [key for key in adapter.differences if key.endswith("scale_shift_table")]:
        raise UserError(
            f"the adapter {adapter.name} changes modulations ({list_some(left, 3)}), which ComfyUI does not apply; it "
            "would look other there than here. Keep it for r2s2r, or use the publisher's own file for ComfyUI."
        )
    marked = _COMFYUI_MARK in adapter.low_rank and f"{_COMFYUI_MARK}.weight" not in adapter.differences
    prefix = keys.KOHYA_PREFIX if marked else keys.KOHYA_PREFIX.removesuffix("_")

    def named(module: str) -> str:
        return prefix + keys.module_to_original(module).replace(".", "_")

    tensors: dict[str, Tensor] = {}
    differences = dict(adapter.differences)
    for module, pair in adapter.low_rank.items():
        if f"{module}.weight" in differences:
            differences[f"{module}.weight"] = differences[f"{module}.weight"].float() + pair.product()
            continue
        tensors |= {f"{named(module)}.lora_down.weight": pair.down, f"{named(module)}.lora_up.weight": pair.up}
        tensors[f"{named(module)}.alpha"] = torch.tensor(pair.alpha)
    for key, value in differences.items():
        module, _, leaf = key.rpartition(".")
        tensors[f"{named(module)}.{_DIFFERENCE_SUFFIX[leaf]}"] = value
    for key, value in adapter.replacements.items():  # a bias is set by its full name alone
        module, _, leaf = key.rpartition(".")
        tensors[f"{named(module) if leaf == 'weight' else f'diffusion_model.{keys.to_original(key)}'}.set_weight"] = (
            value
        )
    _save(path, tensors, about)


def _check_not_empty(adapter: Adapter, path: Path) -> None:
    if not (adapter.low_rank or adapter.differences or adapter.replacements):
        raise UserError(f"the adapter {adapter.name} is empty; there is nothing to write to {path}")


def _tensors(adapter: Adapter, form: Form) -> dict[str, Tensor]:
    """Pairs and differences by the names of the official or diffusers' form."""

    def named(module: str) -> str:
        return f"transformer.{module}" if form == "diffusers" else keys.module_to_original(module)

    tensors: dict[str, Tensor] = {}
    for module, pair in adapter.low_rank.items():
        tensors[f"{named(module)}.lora_A.weight"] = pair.down
        tensors[f"{named(module)}.lora_B.weight"] = pair.up
    for key, value in adapter.differences.items():
        owner, _, leaf = keys.to_original(key).rpartition(".")
        tensors[f"{owner}.{_DIFFERENCE_SUFFIX[leaf]}"] = value
    return tensors


def _settings(low_rank: Mapping[str, LowRank], *, original: bool = True) -> dict[str, Any]:
    """Settings as peft keeps them, with the commonest rank and alpha, and the layers that have others."""
    names = {module: keys.module_to_original(module) if original else module for module in low_rank}
    rank, other_ranks = usual_and_others({names[module]: pair.rank for module, pair in low_rank.items()})
    alpha, other_alphas = usual_and_others({names[module]: pair.alpha for module, pair in low_rank.items()})
    return {
        "peft_type": "LORA",
        "r": rank,
        "lora_alpha": alpha,
        "rank_pattern": other_ranks,
        "alpha_pattern": other_alphas,
        "target_modules": sorted({_WITHIN.sub("", name) for name in names.values()}),
    }


def _save(path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, str] | None = None) -> None:
    from safetensors.torch import save_file

    with replacing_file(path) as temporary:
        save_file(
            {key: value.to("cpu", copy=True).contiguous() for key, value in tensors.items()},
            temporary,
            {"format": "pt", **(about or {})},
        )
