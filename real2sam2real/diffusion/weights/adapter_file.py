"""Adapters as they are published: read into one form, whatever their names, and refused where a key is not understood.

A low-rank pair changes a layer's weight by `scale · up @ down`, where scale = alpha / rank. Where the alpha comes from:

1. an `.alpha` beside the pair (kohya and ComfyUI);
2. the caller;
3. the settings that peft or diffusers saved with it (`adapter_config.json` beside peft's file names, or metadata);
4. for the official adapter alone: 32, its training's alpha, which its files do not hold;
5. else the rank itself, so scale 1, as ComfyUI, diffusers and DiffSynth take it.

The official adapter has bare original names or ComfyUI's, and the official file name or what was trained: rank 64, and
of the attention and feed-forward layers `q, k, v, ffn.0, ffn.2` but not `o`.

Shape letters: O output features, I input features, R rank.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from real2sam2real.diffusion.weights import keys
from real2sam2real.diffusion.weights.files import Tensors, list_some, metadata, open_tensors
from real2sam2real.errors import UserError
from real2sam2real.files import read_text
from real2sam2real.workfolder.json_values import parse_json
from real2sam2real.workfolder.records import WRONG_VALUES

Number = TypeVar("Number", int, float)

POSE_FILE = "pose_patch_embedding.safetensors"
LORA_FILE = "lora_diffusion_pytorch_model.safetensors"
COMFYUI_FILE = "lora_comfyui.safetensors"
SETTINGS_FILE = "adapter_config.json"
OFFICIAL_ALPHA = 32.0
_OFFICIAL_RANK = 64
_OFFICIAL_LAYERS = {
    *(f"attn{number}.to_{name}" for number in (1, 2) for name in "qkv"),
    "ffn.net.0.proj",
    "ffn.net.2",
}
POSE_MODULE = "pose_patch_embedding"
_POSE_PARAMETERS = (f"{POSE_MODULE}.weight", f"{POSE_MODULE}.bias")

# Files that peft, or this project, keeps `adapter_config.json` for.
_FILES_WITH_SETTINGS = (LORA_FILE, "adapter_model.safetensors", "adapter_model.bin")
_MOST_SETTINGS = 10_000_000  # bytes
_DOWN, _UP, _UP_BIAS, _ALPHA = "down", "up", "up bias", "alpha"
_WEIGHT, _BIAS, _MODULATION, _NEW = "weight", "bias", "modulation", "new"
_SUFFIXES = (
    (re.compile(r"\.lora_A(?:\.[\w-]+)?\.weight$"), _DOWN),
    (re.compile(r"\.lora_B(?:\.[\w-]+)?\.weight$"), _UP),
    (re.compile(r"\.lora_B(?:\.[\w-]+)?\.bias$"), _UP_BIAS),
    (re.compile(r"\.(?:lora_down|lora\.down)\.weight$"), _DOWN),
    (re.compile(r"\.(?:lora_up|lora\.up)\.weight$"), _UP),
    (re.compile(r"\.alpha$"), _ALPHA),
    (re.compile(r"\.modulation\.diff$"), _MODULATION),
    (re.compile(r"\.diff$"), _WEIGHT),
    (re.compile(r"\.diff_b$"), _BIAS),
    (re.compile(r"\.diff_m$"), _MODULATION),
    (re.compile(r"\.set_weight$"), _NEW),
)
# Without an adapter's name (`.lora_A.default.`), which others' trainers leave in.
_OFFICIAL_NAME = re.compile(
    r"(?:blocks\.\d+\.(?:self|cross)_attn\.\w+\.lora_A|lora_unet__blocks_\d+_(?:self|cross)_attn_\w+\.lora_down)\.weight$"
)
_KOHYA = re.compile(r"lora_unet_{1,2}(?P<module>\w+)$")


@dataclass(frozen=True, kw_only=True)
class LowRank:
    """A low-rank change of one layer's weight."""

    down: Tensor  # `(R, I)`, or a convolution's `(R, I, …)`
    up: Tensor  # `(O, R)`, or a convolution's `(O, R, 1, …)`
    alpha: float  # the change is multiplied by alpha / R

    @property
    def rank(self) -> int:
        """R."""
        return int(self.down.shape[0])

    @property
    def scale(self) -> float:
        """What multiplies `up @ down`."""
        return self.alpha / self.rank

    def product(self, device: torch.device | str = "cpu") -> Tensor:
        """The change of the layer's weight, `(O, I, …)` float32."""
        up, down = (part.to(device, torch.float32) for part in (self.up, self.down))
        return (self.scale * (up.flatten(1) @ down.flatten(1))).reshape(up.shape[0], *down.shape[1:])


@dataclass(frozen=True, kw_only=True)
class Adapter:
    """What an adapter changes of the transformer, by our names."""

    name: str  # of its file or folder
    files: tuple[Path, ...]  # where it was read from
    low_rank: Mapping[str, LowRank] = field(default_factory=dict)  # by module
    differences: Mapping[str, Tensor] = field(default_factory=dict)  # added to parameters as they are, by parameter
    # the new patch embedding of the normals, by parameter; empty where the adapter brings none
    replacements: Mapping[str, Tensor] = field(default_factory=dict)
    alpha_from: str = "no low-rank part"  # where the scales come from, in words
    face_keys: tuple[str, ...] = ()  # keys of the face and motion branch that were left out on request


def usual_and_others(values: Mapping[str, Number]) -> tuple[Number, dict[str, Number]]:
    """The commonest value, and those that differ from it by name: how peft's settings hold ranks and alphas."""
    usual = Counter(values.values()).most_common(1)[0][0]
    return usual, {name: value for name, value in values.items() if value != usual}


@dataclass(frozen=True, kw_only=True)
class _Entry:
    """What one key of a file says: which part of which module it holds."""

    module: str
    part: str


def read_adapter(path: str | Path, *, alpha: float | None = None, leave_out_face: bool = False) -> Adapter:
    """An adapter from its folder or file.

    Args:
        path: a folder with the official files (either of them, or both) or with one other safetensors file; or one
            file: official, peft's, diffusers', ComfyUI's or kohya's form, distillation LoRAs with whole differences
            (`.diff`, `.diff_b`, `.diff_m`) among them.
        alpha: of pairs that have no `.alpha` of their own, in place of the file's settings.
        leave_out_face: pass over keys of the face and motion branch, which this model does not have, where they would
            be refused otherwise. They have no effect here; the rest of the adapter was trained with them.

    Raises:
        UserError: it cannot be read, a key is not understood, a pair is not whole, or nothing is in it.
    """
    path = Path(path)
    files = _files(path)
    low_rank: dict[str, LowRank] = {}
    differences: dict[str, Tensor] = {}
    replacements: dict[str, Tensor] = {}
    face: list[str] = []
    alpha_from = "no low-rank part"
    for file in files:
        parts, new_face = _parse(file, open_tensors(file))
        face += new_face
        replacements |= parts.replacements
        differences |= parts.differences
        if parts.pairs:
            alphas = _Alphas.of(file, parts, alpha)
            pairs = {module: _pair(file, module, found, alphas) for module, found in parts.pairs.items()}
            differences |= _biases(parts, pairs)
            low_rank |= pairs
            alpha_from = "the file" if all(_ALPHA in found for found in parts.pairs.values()) else alphas.origin
    if face and not leave_out_face:
        raise UserError(
            f"{path} aims at the face and motion branch of Wan-Animate, which this model does not have: "
            f"{list_some(face)}. It is meant for another use; from Python, leave_out_face=True uses the rest of it."
        )
    if not (low_rank or differences or replacements):
        raise UserError(f"{path} holds nothing for this model")
    return Adapter(
        name=path.stem if path.is_file() else path.resolve().name,
        files=files,
        low_rank=low_rank,
        differences=differences,
        replacements=replacements,
        alpha_from=alpha_from,
        face_keys=tuple(face),
    )


def _files(path: Path) -> tuple[Path, ...]:
    if path.is_file():
        return (path,)
    if not path.is_dir():
        raise UserError(f"{path} does not exist; give an adapter's folder or file")
    official = tuple(path / name for name in (POSE_FILE, LORA_FILE) if (path / name).is_file())
    if path / LORA_FILE in official:
        return official
    others = sorted(file for file in path.glob("*.safetensors") if file.name != POSE_FILE)
    if len(others) > 1:
        raise UserError(f"{path} holds several adapters ({list_some([file.name for file in others])}); name a file")
    if not others and not official:
        raise UserError(
            f"{path} is no adapter: it has neither {LORA_FILE} nor {POSE_FILE} nor another safetensors file"
        )
    return (*official, *others)


@dataclass(frozen=True, kw_only=True)
class _Parts:
    """What a file holds, sorted; pairs by module, then by `down`, `up`, `up bias` and `alpha`."""

    pairs: dict[str, dict[str, Tensor]]
    differences: dict[str, Tensor]
    replacements: dict[str, Tensor]
    official_names: bool  # some keys are named as in the official files


def _parse(file: Path, tensors: Tensors) -> tuple[_Parts, list[str]]:
    pairs: dict[str, dict[str, Tensor]] = {}
    differences: dict[str, Tensor] = {}
    replacements: dict[str, Tensor] = {}
    face: list[str] = []
    unknown: list[str] = []
    seen: dict[_Entry, str] = {}
    for key, tensor in tensors.items():
        if keys.is_face_branch(_KOHYA.sub(r"\g<module>", key.split(".")[0]) if key.startswith("lora_unet_") else key):
            face.append(key)
            continue
        entry = _entry(key)
        if entry is None:
            unknown.append(key)
            continue
        if entry in seen:
            raise UserError(f"{file} holds one thing twice: '{seen[entry]}' and '{key}'; save each adapter by itself")
        seen[entry] = key
        value = _numbers(file, key, tensor.read(), whole=entry.part == _ALPHA)
        if entry.part in (_DOWN, _UP, _UP_BIAS, _ALPHA):
            pairs.setdefault(entry.module, {})[entry.part] = value
        elif entry.part == _NEW:
            replacements[entry.module] = value
        else:
            differences[entry.module] = value
    if unknown:
        raise UserError(f"{file} has keys that are not understood as an adapter of Wan-Animate: {list_some(unknown)}")
    named = any(_OFFICIAL_NAME.match(key) for key in tensors)
    return _Parts(pairs=pairs, differences=differences, replacements=replacements, official_names=named), face


def _numbers(file: Path, key: str, value: Tensor, *, whole: bool) -> Tensor:
    """A tensor that can be computed with: floating-point, or `whole` numbers where they will do, and all finite."""
    kind = str(value.dtype).removeprefix("torch.")
    if not (value.is_floating_point() or (whole and kind.startswith(("int", "uint")))):
        raise UserError(f"{file}: '{key}' holds {kind}, where floating-point numbers belong")
    if not torch.isfinite(value.float()).all():
        raise UserError(f"{file}: '{key}' holds numbers that are not finite (NaN or infinity), which spoil every frame")
    return value


def _entry(key: str) -> _Entry | None:
    """What a key is for: a part of a module's pair, a parameter's difference, or a parameter's new value."""
    # The official file of the patch embedding has these two alone.
    plain = f"{POSE_MODULE}.{key}" if key in ("weight", "bias") else keys.strip_prefix(key)
    if plain in _POSE_PARAMETERS:
        return _Entry(module=plain, part=_NEW)
    for suffix, part in _SUFFIXES:
        if match := suffix.search(plain):
            name = plain[: match.start()]
            kohya = _KOHYA.match(name)
            owner = keys.module_from_kohya(kohya["module"]) if kohya else name
            return None if owner is None else _entry_of(owner, part)
    return None


def _entry_of(owner: str, part: str) -> _Entry | None:
    if part == _NEW:  # whole, of a weight by its module's name: nothing but the embedding of the normals is replaced
        key = owner if owner.endswith(".bias") else f"{owner}.weight"
        return _Entry(module=key, part=_NEW) if key in _POSE_PARAMETERS else None
    module = keys.modulation_to_ours(owner) if part == _MODULATION else keys.module_to_ours(owner)
    if module is None:
        return None
    return _Entry(module=f"{module}.{part}" if part in (_WEIGHT, _BIAS) else module, part=part)


@dataclass(frozen=True, kw_only=True)
class _Alphas:
    """Alphas of pairs that bring none: by module, else one for all, else the pair's rank."""

    origin: str
    alpha: float | None = None
    by_module: Mapping[str, float] = field(default_factory=dict)

    def of_module(self, module: str, rank: int) -> float:
        alpha = self.by_module.get(module, self.alpha)
        return float(rank) if alpha is None else alpha

    @classmethod
    def of(cls, file: Path, parts: _Parts, given: float | None) -> _Alphas:
        if given is not None:
            return cls(origin="the caller", alpha=given)
        settings = _settings(file)
        if settings is not None:
            by_module = {_pattern_module(file, name): alpha for name, alpha in settings.alphas.items()}
            return cls(origin="its settings", alpha=settings.alpha, by_module=by_module)
        if _is_official(file, parts):
            return cls(origin=f"the official training (alpha {OFFICIAL_ALPHA:g})", alpha=OFFICIAL_ALPHA)
        return cls(origin="its rank (scale 1)")


def _is_official(file: Path, parts: _Parts) -> bool:
    if not parts.official_names or file.name == LORA_FILE:
        return parts.official_names
    layers = {re.sub(r"^blocks\.\d+\.", "", module) for module in parts.pairs}
    ranks = {int(found[_DOWN].shape[0]) for found in parts.pairs.values() if _DOWN in found}
    return layers == _OFFICIAL_LAYERS and ranks == {_OFFICIAL_RANK}


def _pattern_module(file: Path, name: str) -> str:
    module = keys.module_to_ours(keys.strip_prefix(name))
    if module is None:
        raise UserError(f"the settings of {file} give an alpha for '{name}', which is no layer of this model")
    return module


@dataclass(frozen=True, kw_only=True)
class _Settings:
    """What peft or diffusers saved beside the weights."""

    alpha: float
    alphas: Mapping[str, float]  # by layer, where they differ


def _settings(file: Path) -> _Settings | None:
    """The settings beside the weights or in the file's metadata; None where there are none."""
    beside = file.parent / SETTINGS_FILE
    if file.name in _FILES_WITH_SETTINGS and beside.is_file():
        where, text = str(beside), read_text(beside, "adapter's settings", most_bytes=_MOST_SETTINGS)
    elif (text := metadata(file).get("lora_adapter_metadata", "")) != "":
        where = f"the metadata of {file}"
    else:
        return None
    try:
        # diffusers puts the name of the pipeline's part before each setting.
        values = {key.removeprefix("transformer."): value for key, value in parse_json(text).items()}
        patterns = values.get("alpha_pattern") or {}
        settings = _Settings(
            alpha=_finite(values["lora_alpha"]), alphas={name: _finite(alpha) for name, alpha in patterns.items()}
        )
    except WRONG_VALUES as error:
        raise UserError(f"{where} cannot be used: {error!r:.200}") from error
    unsupported = [name for name in ("use_dora", "use_rslora") if values.get(name)]
    if unsupported:
        raise UserError(f"{where} asks for {list_some(unsupported)}, which is not supported; give a plain LoRA")
    return settings


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"an alpha is {number}")
    return number


def _biases(parts: _Parts, pairs: Mapping[str, LowRank]) -> dict[str, Tensor]:
    """Differences of biases that stand beside pairs (`lora_B.bias`), which peft multiplies by the pair's scale.

    diffusers' conversion of lightx2v's files writes their `.diff_b` so.
    """
    found = {
        f"{module}.bias": (pairs[module].scale, part[_UP_BIAS])
        for module, part in parts.pairs.items()
        if _UP_BIAS in part
    }
    return {key: scale * bias + parts.differences.get(key, 0) for key, (scale, bias) in found.items()}


def _pair(file: Path, module: str, found: Mapping[str, Tensor], alphas: _Alphas) -> LowRank:
    if _DOWN not in found or _UP not in found:
        have, lack = (_DOWN, _UP) if _DOWN in found else (_UP, _DOWN)
        have = next(part for part in (have, _ALPHA, _UP_BIAS) if part in found)
        raise UserError(f"{file}: '{module}' has a LoRA's {have} part but not its {lack} part")
    down, up = found[_DOWN], found[_UP]
    if down.ndim < 2 or up.ndim < 2 or down.shape[0] != up.shape[1] or not down.shape[0]:
        raise UserError(
            f"{file}: the LoRA of '{module}' does not fit together: down {tuple(down.shape)}, up {tuple(up.shape)}"
        )
    own = found.get(_ALPHA)
    if own is not None and own.numel() != 1:
        raise UserError(f"{file}: the alpha of '{module}' is {own.numel()} numbers, not one")
    alpha = alphas.of_module(module, int(down.shape[0])) if own is None else float(own.item())
    return LowRank(down=down, up=up, alpha=alpha)
