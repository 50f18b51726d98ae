"""The configuration of a fine-tuning run, and its YAML file, in which an unknown key is an error."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, get_args

from real2sam2real.control.perturbation import PerturbationRanges
from real2sam2real.errors import UserError
from real2sam2real.files import read_text
from real2sam2real.lab.train.adapter.objective import LEVEL_FLOOR
from real2sam2real.lab.train.adapter.trainable import Injection, PoseStart
from real2sam2real.lab.train.options import Activations, BaseDtype, OptimizerName
from real2sam2real.lab.train.training import TrainingSettings, with_current_names

_CHOICES: Mapping[str, Any] = {
    "injection": Injection,
    "embedding": PoseStart,
    "optimizer": OptimizerName,
    "activations": Activations,
    "base_dtype": BaseDtype,
}
MINI_DEFAULTS: Mapping[str, Any] = {
    "embedding": "base",
    "rank": 16,
    "alpha": 8,
    "learning_rate": 1e-3,
    "warmup_steps": 20,
    "decay_fraction": 0.5,
    "steps": 200,
    "batch_size": 4,
    "accumulation": 1,
    "variants": 3,
    "shift": 2.0,
    "bf16": False,  # many a processor has no arithmetic for it: a step takes 20 times longer there
    "activations": "keep",
    "checkpoint_every": 50,
}
"""What a file leaves open where the base is `mini-base`: minutes on a laptop, in place of a night on a GPU."""
_WHOLE = {
    **dict.fromkeys(("rank", "steps", "batch_size", "accumulation", "checkpoint_every", "keep_last"), 1),
    **dict.fromkeys(("variants", "sample_every", "seed", "warmup_steps"), 0),
}
_NUMBERS = {
    **dict.fromkeys(("drop_text", "drop_image", "drop_normals", "decay_fraction"), (0.0, 1.0)),
    **dict.fromkeys(("alpha", "learning_rate", "shift"), (1e-12, 1e6)),
    "level_floor": (1e-3, 1.0),
}


@dataclass(frozen=True, kw_only=True)
class AdapterConfig(TrainingSettings):
    """What is trained, on what, and how; see `TrainingSettings` for what is not listed.

    Raises:
        UserError: a value makes no sense; the message names it.
    """

    base: str = "mini-base"  # `mini-base`, a pipeline's folder, or a base model as `find_base` takes it
    parts: str | None = None  # where autoencoder and encoders are, for a base that is a transformer alone
    # a folder that `r2s2r curate` wrote, or several; each has one size, and a batch never mixes two
    dataset: str | tuple[str, ...]
    cache: str | None = None  # folder of the encoded clips, which runs may share; None keeps them in the run's folder
    rank: int = 64  # of the low-rank adapters
    alpha: float = 32.0  # their scale is alpha / rank
    # "soft" adds embedded normals to the video's tokens and leaves the input's patch embedding frozen; "hard"
    # concatenates the normals' latents to the input's channels, whose patch embedding is trained whole
    injection: Injection = "soft"
    embedding: PoseStart = "zero"  # of the normals: "zero" starts anew, "base" goes on from what the base has
    perturb: bool = True  # distort each instance's normals
    ranges: PerturbationRanges = field(default_factory=PerturbationRanges)  # of the distortion
    variants: int = 4  # distorted versions of a clip encoded once and kept; 0 distorts and encodes anew in each step
    drop_text: float = 0.1  # share of clips trained without their text
    drop_image: float = 0.1  # share trained without image features
    drop_normals: float = 0.1  # share trained with empty normals
    learning_rate: float = 1e-4
    steps: int = 2000  # optimiser steps
    batch_size: int = 1  # clips per pass
    accumulation: int = 8  # passes per step, of all processes together
    bf16: bool = True  # frozen weights and arithmetic in bfloat16; what is trained stays float32
    # "keep" all; "recompute" each block's in the backward pass from what went into it; "offload" that to CPU memory too
    activations: Activations = "recompute"
    # frozen blocks' matrices: "plain" as `bf16` says, or rounded to "int8", "fp8" (torchao) or "nf4" (bitsandbytes)
    base_dtype: BaseDtype = "plain"
    optimizer: OptimizerName = "adamw"  # "adamw", or "adamw8bit" with its state in 8 bits (bitsandbytes)
    shift: float = 5.0  # timestep shift of the noise levels
    level_floor: float = LEVEL_FLOOR  # for bases that predict the sample: noise levels under it weigh like it
    checkpoint_every: int = 200  # steps between checkpoints
    keep_last: int = 3  # checkpoints kept
    sample_every: int = 0  # steps between evaluation samples; 0 makes none
    tensorboard: bool = True  # log for TensorBoard

    def __post_init__(self) -> None:
        for name, value, fits, wanted in self._checks():
            if not fits:
                raise UserError(f"{name} is {value!r}; it must be {wanted}")

    def _checks(self) -> Iterator[tuple[str, Any, bool, str]]:
        """Every setting's name and value, whether it makes sense, and what would."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        for name, least in _WHOLE.items():
            value = values[name]
            yield name, value, type(value) is int and least <= value < 2**63, f"a whole number, {least} to 2**63 - 1"
        for name, (low, high) in _NUMBERS.items():
            value = values[name]
            fits = type(value) in (int, float) and low <= value <= high
            yield name, value, fits, f"a number within {low:g}…{high:g} (write 1.0e-4, not 1e-4)"
        for name in ("perturb", "bf16", "tensorboard"):
            yield name, values[name], isinstance(values[name], bool), "true or false"
        for name, kind in _CHOICES.items():
            yield name, values[name], values[name] in get_args(kind), f"one of {', '.join(get_args(kind))}"
        for name, value in [("base", self.base), *(("dataset", folder) for folder in self.datasets)]:
            yield name, value, isinstance(value, str) and bool(value), "a name or a path"
        for name in ("parts", "cache"):
            yield name, values[name], isinstance(values[name], str | None) and values[name] != "", "a path"

    @property
    def datasets(self) -> tuple[str, ...]:
        """The data sets, of which there is at least one."""
        return self.dataset if isinstance(self.dataset, tuple) and self.dataset else (self.dataset,)  # type: ignore[return-value]

    @property
    def total_steps(self) -> int:
        """See `TrainingSettings`."""
        return self.steps


def config_from_dict(values: Mapping[str, Any]) -> AdapterConfig:
    """A configuration of plain values, also under the names of earlier versions; see `MINI_DEFAULTS`.

    Raises:
        UserError: a key is unknown or missing, or a value makes no sense.
    """
    given = with_current_names(dict(values))
    known = {f.name for f in fields(AdapterConfig)}
    unknown = sorted(str(key) for key in given if key not in known)
    if unknown:
        raise UserError(f"unknown settings: {', '.join(unknown)}; known are {', '.join(sorted(known))}")
    if "dataset" not in values:
        raise UserError("there is no 'dataset'; give a folder that r2s2r curate wrote")
    if "ranges" in given:
        given["ranges"] = _ranges(given["ranges"])
    if isinstance(given["dataset"], list):
        given["dataset"] = tuple(given["dataset"])
    is_mini = given.get("base", AdapterConfig.base) == AdapterConfig.base
    return AdapterConfig(**({**MINI_DEFAULTS, **given} if is_mini else given))


def _ranges(values: Any) -> PerturbationRanges:
    if not isinstance(values, Mapping):
        raise UserError(f"ranges is {values!r}; it must hold bend, bend_scale, grow, blur or flutter")
    try:
        pairs: dict[str, Any] = {key: value if key == "flutter" else tuple(value) for key, value in values.items()}
        return PerturbationRanges(**pairs)
    except (TypeError, ValueError) as error:
        raise UserError(f"ranges cannot be used: {error}") from error


def read_config(path: str | Path, **changes: Any) -> AdapterConfig:
    """The configuration in a YAML file, with `changes` in place of what it says; None changes nothing.

    Raises:
        UserError: there is no such file, it is no YAML mapping, or a setting is unknown or makes no sense.
    """
    from real2sam2real.workfolder.yaml_text import MAX_BYTES, parse_yaml_values

    path = Path(path)
    if not path.exists():
        raise UserError(f"there is no configuration {path}")
    values = parse_yaml_values(read_text(path, "configuration", most_bytes=MAX_BYTES), str(path), "configuration")
    if not isinstance(values, dict):
        raise UserError(f"{path} must hold settings, one 'name: value' a line")
    try:
        given = {name: value for name, value in changes.items() if value is not None}
        return config_from_dict({**with_current_names(values), **given})
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
