"""Checkpoint folders: where they are, what they were trained on, and how they are loaded.

A checkpoint is a pipeline folder in diffusers' layout, or an adapter folder: a normal patch embedding and a LoRA for a
base, under the official names. `checkpoint.json` in it holds what neither has a place for: the clip size it was
trained at, its normal convention, the settings it samples best with, and the pipeline that an adapter belongs on.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from importlib import resources
from pathlib import Path

from real2sam2real.control.normal_convention import NormalConvention, with_current_names
from real2sam2real.diffusion.options import OFFICIAL_ADAPTER, Init
from real2sam2real.diffusion.sampling import Solver, Spacing
from real2sam2real.diffusion.weights.adapter_file import COMFYUI_FILE, LORA_FILE, POSE_FILE
from real2sam2real.diffusion.weights.base import PIPELINE_FILE, adapter_folder, find_adapter, is_own_pipeline
from real2sam2real.diffusion.weights.files import metadata
from real2sam2real.errors import MissingPartError, UserError
from real2sam2real.files import read_text
from real2sam2real.pretrained.hub import split_id
from real2sam2real.workfolder.json_values import parse_json, typed
from real2sam2real.workfolder.records import WRONG_VALUES, reason_of

SETTINGS_FILE = "checkpoint.json"
METADATA_KEY = "real2sam2real.checkpoint"
"""Under which an adapter of one file holds the text of its `checkpoint.json`."""
SHIPPED = {"mini": "mini_base", "mini-base": "mini_base"}
"""Checkpoints in the package, and their folders there; `mini` is what works best, today the base alone."""
ADAPTER_FILES = (POSE_FILE, LORA_FILE)


_OLD_KEYS = {"squash_photo": "resize_without_crop"}


@dataclass(frozen=True, kw_only=True)
class CheckpointSettings:
    """What a checkpoint was trained at and how it samples best."""

    area: int  # pixels per frame it works at, at any aspect
    grid: int = 16  # frame sizes are multiples of this many pixels
    max_frames: int  # longest clip in one pass, 4k + 1
    steps: int = 25  # denoising steps of a full run
    guidance_scale: float = 1.0  # classifier-free guidance; 1 is none
    init: Init = "noise"  # start from "noise" or from the "preview"
    strength: float = 1.0  # noise level that the preview is brought to when it is the start, 0…1
    solver: Solver = "euler"  # of the flow's differential equation; see `sampling.make_scheduler`
    spacing: Spacing = "even"  # of the noise levels; see `sampling.set_steps`
    # of the noise levels towards noise, or None for what the checkpoint's own scheduler says
    shift: float | None = None
    continues: bool = False  # whether it was trained to go on from given frames; see `Sampling.continues`
    # whether the video is enlarged to the preview's size and gets back the detail that coding loses; see `finishing`
    upscale: bool = False
    resize_without_crop: bool = False  # how CLIP was shown the photo; see `conditioning.pixels_for_clip`
    normal_convention: NormalConvention = field(default_factory=NormalConvention)  # how normals are coloured
    # of an adapter, the pipeline that it belongs on, a shipped one's name or a folder; None for the published base,
    # which the user names
    base: str | None = None

    def __post_init__(self) -> None:
        for name in ("area", "grid", "max_frames", "steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"'{name}' is {getattr(self, name)}, which must be at least 1")

    def to_json(self) -> str:
        """As the text of `checkpoint.json`."""
        return json.dumps(asdict(self), indent=2)

    @classmethod
    def from_json(cls, text: str) -> CheckpointSettings:
        """Inverse of `to_json`, which also knows the names that older versions wrote; unknown keys are an error."""
        values = with_current_names(typed(dict, parse_json(text, finite=True)))
        return typed(cls, {_OLD_KEYS.get(key, key): value for key, value in values.items()})

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
    resize_without_crop=True,
)

# What a pipeline's folder without settings is taken for; Python alone asks for that.
UNTOLD_SETTINGS = CheckpointSettings(area=1280 * 720, max_frames=81, spacing="scheduler", continues=True)


def find_checkpoint(name: str | Path, *, offline: bool = False) -> Path:
    """The folder of a checkpoint, or an adapter's file: one of the shipped ones, or else a path, or on the hub.

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
            "Give 'mini', a pipeline's folder, or an adapter's folder or file."
        )
    return folder


def is_checkpoint_name(name: str | Path) -> bool:
    """Whether a name is known to be a checkpoint's, without a look at the hub; otherwise it may be a base's.

    Raises:
        UserError: it is a folder with several adapters, or its index is damaged.
    """
    repo = split_id(str(name))
    if str(name) in SHIPPED or (repo is not None and repo[0] == OFFICIAL_ADAPTER):
        return True
    path = Path(name).expanduser()
    return path.is_dir() and (is_adapter(adapter_folder(path)) or is_own_pipeline(path))


def is_adapter(path: Path) -> bool:
    """Whether a checkpoint is an adapter's file, or a folder that holds one, which needs a base."""
    return path.is_file() or any((path / name).is_file() for name in (*ADAPTER_FILES, COMFYUI_FILE))


def told_settings(path: Path) -> str | None:
    """The text of a checkpoint's settings: of `checkpoint.json`, or in the metadata of a file; None without any."""
    if path.is_file():
        return metadata(path).get(METADATA_KEY)
    file = path / SETTINGS_FILE
    return read_text(file, "checkpoint's settings", most_bytes=1_000_000) if file.exists() else None


def load_settings(folder: Path, untold: CheckpointSettings | None = None) -> CheckpointSettings:
    """The settings of a checkpoint; an adapter without any is taken for one of the published ones.

    Args:
        folder: of the checkpoint, or an adapter's file.
        untold: those of a pipeline without any, which is an error otherwise.

    Raises:
        UserError: `checkpoint.json` is missing or does not fit.
    """
    default = OFFICIAL_SETTINGS if is_adapter(folder) else untold
    told = told_settings(folder)
    if told is None:
        if default is not None:
            return default
        raise UserError(f"{folder} has no {SETTINGS_FILE}, so its clip size and normal convention are unknown")
    try:
        return CheckpointSettings.from_json(told)
    except WRONG_VALUES as error:
        where = f"{METADATA_KEY} in {folder}" if folder.is_file() else folder / SETTINGS_FILE
        raise UserError(f"{where} cannot be used ({reason_of(error)}); restore it from where it came from") from error
