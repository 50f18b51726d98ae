"""A trained adapter on disk: official names, diffusers' form, ComfyUI's form."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from torch import Tensor

from real2sam2real import __version__
from real2sam2real.diffusion.checkpoints import METADATA_KEY, SETTINGS_FILE, CheckpointSettings
from real2sam2real.diffusion.weights.adapter_file import COMFYUI_FILE, POSE_MODULE, Adapter, LowRank
from real2sam2real.diffusion.weights.export import Form, save_adapter, save_for_comfyui
from real2sam2real.files import replacing_folder
from real2sam2real.lab.train.adapter.config import AdapterConfig
from real2sam2real.lab.train.adapter.trainable import INPUT_MODULE, NAME

FOLDERS: dict[Form, str] = {"official": "adapter", "diffusers": "adapter-diffusers", "comfyui": "adapter-comfyui"}
_PLACES = {"dataset", "cache", "parts"}  # paths, which say nothing elsewhere
_KINDS = {
    "soft": "a patch embedding of the normals and a LoRA",
    "hard": "a patch embedding of the normals, concatenated to the input's channels, the input's own patch embedding, "
    "changed as a whole (.diff), and a LoRA",
}


def adapter_from(tensors: Mapping[str, Tensor], frozen: Mapping[str, Tensor], config: AdapterConfig) -> Adapter:
    """The adapter that trained tensors are, named as `checkpoints.trained_tensors` gives them.

    `frozen` holds the base's input patch embedding and the normals' bias, by name, as they were at first.
    """
    down, up = f".lora_A.{NAME}.weight", f".lora_B.{NAME}.weight"
    modules = [name.removesuffix(down) for name in tensors if name.endswith(down)]
    pairs = {
        module: LowRank(down=tensors[module + down], up=tensors[module + up], alpha=float(config.alpha))
        for module in modules
    }
    embedding = [f"{POSE_MODULE}.{kind}" for kind in ("weight", "bias")]
    return Adapter(
        name="adapter",
        files=(),
        low_rank=pairs,
        differences={
            name: tensors[name].float() - value
            for name, value in frozen.items()
            if name.startswith(f"{INPUT_MODULE}.") and name in tensors
        },
        replacements={name: tensors[name] if name in tensors else frozen[name] for name in embedding},
        alpha_from="its training",
    )


def write_exports(
    run: Path, adapter: Adapter, config: AdapterConfig, settings: CheckpointSettings, step: int
) -> dict[Form, Path]:
    """Write every form the adapter has, each folder whole or not at all; diffusers' has no place for hard injection."""
    made = {name: value for name, value in asdict(config).items() if name not in _PLACES}
    about = {"holds": _KINDS[config.injection], "version": __version__, "reached_step": step, **made}
    written: dict[Form, Path] = {}
    for form, name in FOLDERS.items():
        if form == "diffusers" and adapter.differences:
            continue
        with replacing_folder(run / name) as temporary:
            if form == "comfyui":
                save_for_comfyui(temporary / COMFYUI_FILE, adapter, {METADATA_KEY: settings.to_json()})
            else:
                save_adapter(temporary, adapter, form=form)
            (temporary / "training.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
            (temporary / SETTINGS_FILE).write_text(settings.to_json(), encoding="utf-8")
        written[form] = run / name
    return written
