"""Checkpoint folders: where they are, what they were trained on, and how they are loaded.

A checkpoint is a pipeline folder in diffusers' layout, or an adapter folder: a normal patch embedding and a LoRA for a
base, under the official names. `checkpoint.json` in it holds what neither has a place for: the clip size it was
trained at, its normal convention, the settings it samples best with, and the pipeline that an adapter belongs on.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field, fields
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import torch

from real2sam2real.control.normal_convention import NormalConvention, with_current_names
from real2sam2real.diffusion.pipeline import Real2Sam2RealPipeline
from real2sam2real.diffusion.sampling import Spacing
from real2sam2real.diffusion.weights.adapter_file import read_adapter
from real2sam2real.diffusion.weights.adapters import apply_adapters
from real2sam2real.diffusion.weights.base import find_adapter
from real2sam2real.diffusion.weights.hub import split_id
from real2sam2real.errors import MissingPartError, UserError

Init = Literal["noise", "preview"]
SETTINGS_FILE = "checkpoint.json"
PIPELINE_FILE = "model_index.json"
SHIPPED = {"mini": "mini", "mini-base": "mini_base"}
"""Checkpoints in the package, and their folders there: an adapter, and the base that it was trained on."""
ADAPTER_FILES = ("pose_patch_embedding.safetensors", "lora_diffusion_pytorch_model.safetensors")


@dataclass(frozen=True, kw_only=True)
class CheckpointSettings:
    """What a checkpoint was trained at and how it samples best.

    Attributes:
        area: pixels per frame it works at, at any aspect.
        grid: frame sizes are multiples of this many pixels.
        max_frames: longest clip in one pass, 4k + 1.
        steps: denoising steps of a full run.
        guidance_scale: classifier-free guidance; 1 is none.
        init: start from "noise" or from the "preview".
        strength: noise level that the preview is brought to when it is the start, 0…1.
        spacing: of the noise levels; see `sampling.set_steps`.
        shift: of the noise levels towards noise, or None for what the checkpoint's own scheduler says.
        continues: whether it was trained to go on from given frames, so that longer shots can be made by segments.
        squash_photo: how CLIP was shown the photo; see `Real2Sam2RealPipeline`.
        normal_convention: how normals are coloured.
        base: of an adapter, the pipeline that it belongs on, a shipped one's name or a folder; None for the published
            base, which the user names.
    """

    area: int
    grid: int = 16
    max_frames: int
    steps: int = 25
    guidance_scale: float = 1.0
    init: Init = "noise"
    strength: float = 1.0
    spacing: Spacing = "even"
    shift: float | None = None
    continues: bool = False
    squash_photo: bool = False
    normal_convention: NormalConvention = field(default_factory=NormalConvention)
    base: str | None = None

    def to_json(self) -> str:
        """As the text of `checkpoint.json`."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "normal_convention"}
        return json.dumps({**values, "normal_convention": asdict(self.normal_convention)}, indent=2)

    @classmethod
    def from_json(cls, text: str) -> CheckpointSettings:
        """Inverse of `to_json`; unknown keys are an error."""
        values = with_current_names(json.loads(text))
        return cls(**{**values, "normal_convention": NormalConvention(**values["normal_convention"])})

    def fit(self, width: int, height: int) -> tuple[int, int]:
        """The size on the grid, of about `area` pixels, that comes closest to the aspect of `width × height`."""
        aspect = width / height
        rows = max(1, round(math.sqrt(self.area / aspect) / self.grid))
        columns = max(1, round(rows * aspect))
        return columns * self.grid, rows * self.grid


# What the published adapters for Wan2.2-Animate-14B are run with. Their normal convention is not documented.
OFFICIAL_SETTINGS = CheckpointSettings(
    area=960 * 960,
    max_frames=81,
    steps=25,
    guidance_scale=4.5,
    spacing="scheduler",
    shift=5.0,
    continues=True,
    squash_photo=True,
)


def find_checkpoint(name: str | Path, *, offline: bool = False) -> Path:
    """The folder of a checkpoint: one of the shipped ones, or else a path, or an adapter on the hub.

    Raises:
        MissingPartError: the shipped checkpoint is not in this installation, or the hub is out of reach.
        UserError: there is neither a pipeline nor an adapter.
    """
    if str(name) in SHIPPED:
        folder = Path(str(resources.files("real2sam2real") / "assets" / SHIPPED[str(name)]))
        if not (folder / SETTINGS_FILE).exists():
            raise MissingPartError(f"the checkpoint {name} is not in this installation; install the package again")
        return folder
    if not Path(name).exists() and split_id(str(name)) is None:
        raise UserError(
            f"{name} is not a checkpoint: there is no such folder. Give 'mini', a pipeline's folder, or an adapter's "
            "folder or name on the hub"
        )
    folder = find_adapter(name, offline=offline)
    if not (folder / PIPELINE_FILE).is_file() and not is_adapter(folder):
        raise UserError(
            f"{folder} is not a checkpoint: it has neither {PIPELINE_FILE} nor {' and '.join(ADAPTER_FILES)}. "
            "Give 'mini', a pipeline's folder, or an adapter's folder."
        )
    return folder


def is_adapter(folder: Path) -> bool:
    """Whether a checkpoint folder holds an adapter, which needs a base."""
    return any((folder / name).is_file() for name in ADAPTER_FILES)


def load_settings(folder: Path) -> CheckpointSettings:
    """The settings of a checkpoint folder; an adapter without any is taken for one of the published ones.

    Raises:
        UserError: `checkpoint.json` is missing or does not fit.
    """
    path = folder / SETTINGS_FILE
    if is_adapter(folder) and not path.exists():
        return OFFICIAL_SETTINGS
    try:
        return CheckpointSettings.from_json(path.read_text())
    except FileNotFoundError as error:
        raise UserError(
            f"{folder} has no {SETTINGS_FILE}, so its clip size and normal convention are unknown"
        ) from error
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} cannot be used: {error}") from error


def best_dtype() -> torch.dtype:
    """bfloat16 where the machine multiplies it natively, else float32."""
    if torch.cuda.is_available() or torch.cpu._is_avx512_bf16_supported():
        return torch.bfloat16
    return torch.float32


def load_pipeline(folder: Path) -> Real2Sam2RealPipeline:
    """The pipeline of a checkpoint folder, on the GPU where there is one; an adapter's is its base with it merged in.

    Raises:
        UserError: files are missing or damaged, or an adapter does not say which pipeline it belongs on.
    """
    if is_adapter(folder):
        base = load_settings(folder).base
        if base is None:
            raise UserError(f"{folder} is an adapter for a base model that must be named; load it with `load_model`")
        pipeline = load_pipeline(find_checkpoint(base))
        apply_adapters(pipeline.transformer, [(read_adapter(folder), 1.0)], merge=True)
        return pipeline
    return _load_whole(folder)


def _load_whole(folder: Path) -> Real2Sam2RealPipeline:
    try:
        pipeline: Any = Real2Sam2RealPipeline.from_pretrained(
            folder, dtype={"transformer": best_dtype(), "default": torch.float32}, local_files_only=True
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise UserError(f"the checkpoint {folder} cannot be loaded: {error}") from error
    pipeline.set_progress_bar_config(disable=True)
    loaded: Real2Sam2RealPipeline = pipeline.to("cuda" if torch.cuda.is_available() else "cpu")
    return loaded
