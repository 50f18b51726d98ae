"""Adapters on a transformer: merged into its weights, or kept apart by peft so that they can be reweighted and removed.

Merged and apart give the same output within rounding; an adapter of zeros leaves the output as it is, to the bit.

Shape letters: O output features, I input features, R rank.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from real2sam2real.diffusion.weights.adapter_file import Adapter, LowRank, usual_and_others
from real2sam2real.diffusion.weights.files import list_some
from real2sam2real.errors import UserError, require

Weighted = tuple[Adapter, float]
_PLAIN = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


def apply_adapters(transformer: nn.Module, adapters: Sequence[Weighted], *, merge: bool) -> AppliedAdapters:
    """Put adapters, each with its weight, on a transformer. All are checked before anything changes.

    A weight multiplies an adapter's low-rank pairs and differences. A new patch embedding of the normals replaces the
    transformer's as it is, whatever the weight; only one adapter may bring one.

    Args:
        transformer: on any device; changed in place.
        adapters: with weights; 1 is as trained.
        merge: add `weight · scale · up @ down` to the weights, in float32, one layer at a time: no cost when sampling,
            but no way back, and impossible where weights are quantised. Otherwise pairs are kept apart by peft.

    Returns:
        A handle on what was applied.

    Raises:
        MissingPartError: to keep pairs apart, peft must be installed.
        UserError: an adapter does not fit the transformer (the first keys are named), several bring a patch embedding,
            or weights are quantised and cannot be merged into.
    """
    if merge:
        Merging(transformer, adapters).merge()
        return AppliedAdapters(transformer=transformer, merged=True)
    _check(transformer, [adapter for adapter, _ in adapters])
    applied = AppliedAdapters(transformer=transformer, merged=False)
    applied._attach(adapters)
    return applied


class Merging:
    """Adapters that become part of a transformer's weights, part by part while these are being loaded.

    Args:
        transformer: may be without memory still.
        adapters: with weights; all are checked before anything changes.

    Raises:
        UserError: as `apply_adapters`.
    """

    def __init__(self, transformer: nn.Module, adapters: Sequence[Weighted]) -> None:
        plain = [adapter for adapter, _ in adapters]
        _check(transformer, plain)
        _check_mergeable(transformer, plain)
        self._transformer, self._adapters = transformer, adapters
        changed = (key for adapter in plain for key in (*_added_to(adapter), *adapter.replacements))
        self._left = dict.fromkeys(changed)

    def merge(self, part: str = "") -> None:
        """Change the weights of the module called `part`, or all that have not been changed yet, one by one."""
        for key in [key for key in self._left if not part or key.startswith(f"{part}.")]:
            del self._left[key]
            parameter = _parameter(self._transformer, key)
            change = [w * delta for adapter, w in self._adapters for delta in _deltas(adapter, key, parameter.device)]
            new = [adapter.replacements[key] for adapter, _ in self._adapters if key in adapter.replacements]
            parameter.data = _sum(new[0] if new else parameter, change, parameter)


@dataclass(kw_only=True)
class AppliedAdapters:
    """A handle on adapters that were applied together."""

    transformer: nn.Module  # what they are on
    merged: bool  # they are part of the weights and stay there
    weights: dict[str, float] = field(default_factory=dict)  # by adapter name, of those that are kept apart
    _changes: dict[str, _Changes] = field(default_factory=dict)
    _originals: dict[str, nn.Parameter] = field(default_factory=dict)

    def set_weights(self, weights: Mapping[str, float]) -> None:
        """Change the weights of adapters that are kept apart; those not named keep theirs.

        Raises:
            UserError: the adapters are merged, or a name is not among them.
        """
        self._need_apart("be given another weight")
        unknown = [name for name in weights if name not in self.weights]
        if unknown:
            raise UserError(f"no adapter is called {list_some(unknown)}; applied are {list_some(sorted(self.weights))}")
        self.weights |= weights
        for module in _tuner_layers(self.transformer):
            for name, weight in weights.items():
                if name in module.scaling:
                    module.set_scale(name, weight)
        self._change_parameters()

    def remove(self) -> None:
        """Take adapters that are kept apart off again; the transformer is as it was before, to the bit.

        Where several were applied one after the other, the last comes off first: each keeps the parameters it found.

        Raises:
            UserError: the adapters are merged.
        """
        self._need_apart("be removed")
        _detach(self.transformer, set(self._changes))
        for name, original in self._originals.items():
            now = _parameter(self.transformer, name)  # the transformer may have moved meanwhile
            _set_parameter(
                self.transformer, name, nn.Parameter(original.to(now.device, now.dtype), requires_grad=False)
            )
        self.weights, self._changes, self._originals = {}, {}, {}

    def _need_apart(self, what: str) -> None:
        if self.merged:
            raise UserError(f"merged adapters cannot {what}; load the base again, or keep adapters apart (merge=False)")

    def _attach(self, adapters: Sequence[Weighted]) -> None:
        for adapter, weight in adapters:
            name = _free_name(adapter.name, {*self._changes, *_attached_names(self.transformer)})
            self._changes[name], self.weights[name] = _split(self.transformer, adapter), weight
        changed = [key for changes in self._changes.values() for key in (*changes.additions, *changes.replacements)]
        self._originals = {key: _parameter(self.transformer, key) for key in changed}
        for name, changes in self._changes.items():
            _attach_pairs(self.transformer, name, changes.pairs)
        self.set_weights(dict(self.weights))

    def _change_parameters(self) -> None:
        """Set every parameter that is changed as a whole to its original plus the weighted additions."""
        for key, original in self._originals.items():
            now = _parameter(self.transformer, key)
            change = [
                self.weights[name] * changes.additions[key].to(now.device)
                for name, changes in self._changes.items()
                if key in changes.additions
            ]
            new = [changes.replacements[key] for changes in self._changes.values() if key in changes.replacements]
            value = _sum(new[0] if new else original, change, now)
            _set_parameter(self.transformer, key, nn.Parameter(value, requires_grad=False))


@dataclass(frozen=True, kw_only=True)
class _Changes:
    """An adapter that is kept apart, by what its changes need."""

    pairs: Mapping[str, LowRank]  # of linear layers, for peft
    additions: Mapping[str, Tensor]  # float32, to parameters as a whole, times the adapter's weight
    replacements: Mapping[str, Tensor]  # of parameters, whatever the weight


def _split(transformer: nn.Module, adapter: Adapter) -> _Changes:
    """Sort an adapter's changes for keeping it apart.

    A convolution's pair becomes an addition, as its weights are few. A difference to a quantised weight, which nothing
    can be added to, becomes an exact pair.
    """
    pairs: dict[str, LowRank] = {}
    additions: dict[str, Tensor] = {}
    for module, pair in adapter.low_rank.items():
        if isinstance(_base_layer(transformer, module), nn.Linear):
            pairs[module] = pair
        else:
            additions[f"{module}.weight"] = pair.product(pair.up.device)
    for key, difference in adapter.differences.items():
        module = key.rpartition(".")[0]
        if _is_plain(_parameter(transformer, key)):
            additions[key] = additions[key] + difference.float() if key in additions else difference.float()
        else:
            pairs[module] = _joined(pairs.get(module), difference)
    return _Changes(pairs=pairs, additions=additions, replacements=adapter.replacements)


def _joined(pair: LowRank | None, difference: Tensor) -> LowRank:
    """One pair, of scale 1, that makes both changes: `pair`'s, and a whole difference `(O, I)`."""
    rows, columns = difference.shape
    if rows <= columns:
        up, down = torch.eye(rows), difference.float()
    else:
        up, down = difference.float(), torch.eye(columns)
    if pair is not None:
        up = torch.cat([pair.scale * pair.up.float(), up], dim=1)
        down = torch.cat([pair.down.float(), down], dim=0)
    return LowRank(down=down, up=up, alpha=float(down.shape[0]))


def _check(transformer: nn.Module, adapters: Sequence[Adapter]) -> None:
    """One new patch embedding at most; every pair, difference and replacement has its parameter, of its shape."""
    bringing = [adapter.name for adapter in adapters if adapter.replacements]
    if len(bringing) > 1:
        raise UserError(
            f"only one adapter may replace the patch embedding of the normals, but these do: {', '.join(bringing)}"
        )
    for adapter in adapters:
        if problems := [*_misfit_pairs(transformer, adapter), *_misfit_parameters(transformer, adapter)]:
            raise UserError(
                f"the adapter {adapter.name} does not fit this transformer: {list_some(problems)}. It was made for "
                "another model."
            )


def _misfit_pairs(transformer: nn.Module, adapter: Adapter) -> Iterator[str]:
    for module, pair in adapter.low_rank.items():
        shape = _weight_shape(transformer, module)
        given = (int(pair.up.shape[0]), *(int(size) for size in pair.down.shape[1:]))
        if shape is None:
            yield f"there is no {module}"
        elif shape != given or pair.up.flatten(1).shape[1] != pair.rank:
            yield f"{module} is {shape}, its LoRA is for {given}"


def _misfit_parameters(transformer: nn.Module, adapter: Adapter) -> Iterator[str]:
    for key, value in {**adapter.differences, **adapter.replacements}.items():
        owner, _, leaf = key.rpartition(".")
        try:
            shape = _weight_shape(transformer, owner) if leaf == "weight" else tuple(_parameter(transformer, key).shape)
        except AttributeError:
            shape = None
        if shape is None:
            yield f"there is no {key}"
        elif shape != tuple(value.shape):
            yield f"{key} is {shape}, the adapter's is {tuple(value.shape)}"


def _check_mergeable(transformer: nn.Module, adapters: Sequence[Adapter]) -> None:
    changed = [key for adapter in adapters for key in _added_to(adapter)]
    if packed := [key for key in changed if not _is_plain(_parameter(transformer, key))]:
        raise UserError(
            f"adapters cannot be merged into quantised weights ({list_some(packed, 3)}); keep them apart "
            "(merge=False), or merge before quantising"
        )


def _added_to(adapter: Adapter) -> list[str]:
    """The parameters that an adapter's pairs and differences are added to."""
    return [*(f"{module}.weight" for module in adapter.low_rank), *adapter.differences]


def _deltas(adapter: Adapter, key: str, device: torch.device) -> Iterator[Tensor]:
    """The float32 changes that the adapter makes to a parameter: by its pair, and by a difference."""
    module, _, leaf = key.rpartition(".")
    if leaf == "weight" and module in adapter.low_rank:
        yield adapter.low_rank[module].product(device)
    if key in adapter.differences:
        yield adapter.differences[key].to(device, torch.float32)


def _sum(start: Tensor, change: Sequence[Tensor], like: Tensor) -> Tensor:
    """`start` plus all changes in float32, rounded once to the dtype of `like`; a tensor of its own."""
    total = start.detach().to(like.device)
    for delta in change:
        total = total.float() + delta
    return total.to(like.dtype, copy=True)


# What is where in the transformer, with or without peft's wrappers around its layers.


def _base_layer(transformer: nn.Module, name: str) -> Any:
    module: Any = transformer.get_submodule(name)
    return module.get_base_layer() if hasattr(module, "get_base_layer") else module


def _parameter(transformer: nn.Module, key: str) -> nn.Parameter:
    owner, _, leaf = key.rpartition(".")
    parameter = _base_layer(transformer, owner)._parameters.get(leaf)
    if parameter is None:
        raise AttributeError(key)
    found: nn.Parameter = parameter
    return found


def _set_parameter(transformer: nn.Module, key: str, value: nn.Parameter) -> None:
    owner, _, leaf = key.rpartition(".")
    _base_layer(transformer, owner)._parameters[leaf] = value


def _weight_shape(transformer: nn.Module, name: str) -> tuple[int, ...] | None:
    """The shape a layer's weight stands for, packed or not; None where there is no such layer."""
    try:
        layer = _base_layer(transformer, name)
    except AttributeError:
        return None
    if isinstance(layer, nn.Linear):
        return layer.out_features, layer.in_features
    weight = layer._parameters.get("weight")
    return None if weight is None else tuple(weight.shape)


def _is_plain(parameter: Tensor) -> bool:
    """Whether a parameter holds numbers that can be added to: not packed, and no tensor of a quantisation library."""
    kind = type(parameter.data)
    return kind is Tensor and parameter.dtype in _PLAIN and not hasattr(parameter, "quant_type")


# Pairs kept apart, as peft's layers.


def _tuner_layers(transformer: nn.Module) -> list[Any]:
    try:
        from peft.tuners.lora import LoraLayer
    except ImportError:
        return []
    return [module for module in transformer.modules() if isinstance(module, LoraLayer)]


def _attached_names(transformer: nn.Module) -> set[str]:
    return {name for layer in _tuner_layers(transformer) for name in layer.scaling}


def _free_name(name: str, taken: set[str]) -> str:
    """A name for peft, which becomes part of module names: no dots, and no other adapter's."""
    base = re.sub(r"\W+", "_", name) or "adapter"
    numbered = (f"{base}_{number}" for number in range(2, len(taken) + 3))
    return next(candidate for candidate in (base, *numbered) if candidate not in taken)


def _attach_pairs(transformer: nn.Module, name: str, pairs: Mapping[str, LowRank]) -> None:
    if not pairs:
        return
    peft = require("peft", "to keep adapters apart: pip install peft; or merge them")
    # peft's patterns are regular expressions that end a module's name.
    rank, ranks = usual_and_others({f"^{re.escape(module)}": pair.rank for module, pair in pairs.items()})
    alpha, alphas = usual_and_others({f"^{re.escape(module)}": pair.alpha for module, pair in pairs.items()})
    config = peft.LoraConfig(
        r=rank,
        lora_alpha=alpha,
        target_modules=list(pairs),
        rank_pattern=ranks,
        alpha_pattern=alphas,
        bias="none",
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Already found a `peft_config`")  # several adapters are meant to be
        # On the meta device: peft's random start is neither wanted nor worth its time.
        peft.inject_adapter_in_model(config, transformer, name, low_cpu_mem_usage=True)
    for module, pair in pairs.items():
        _fill_pair(transformer, module, name, pair)
    _register(transformer)


def _fill_pair(transformer: Any, module: str, name: str, pair: LowRank) -> None:
    layer: Any = transformer.get_submodule(module)
    base = layer.get_base_layer()
    dtype = base.weight.dtype
    if dtype not in _PLAIN:  # packed
        dtype = getattr(base, "compute_dtype", None) or transformer.dtype
    for matrices, value in ((layer.lora_A, pair.down), (layer.lora_B, pair.up)):
        moved = value.to(base.weight.device, dtype, copy=True)
        matrices[name].weight = nn.Parameter(moved, requires_grad=False)


def _register(transformer: Any) -> None:
    """All adapters in use at once, and known to diffusers, so that its own functions see them."""
    names = sorted(_attached_names(transformer))
    for layer in _tuner_layers(transformer):
        layer.set_adapter(names)
        layer.requires_grad_(False)
    transformer._hf_peft_config_loaded = bool(names)


def _detach(transformer: Any, names: set[str]) -> None:
    """Take peft's layers away: those of `names`, and the wrappers that hold nothing else."""
    layers = {id(layer) for layer in _tuner_layers(transformer)}
    for path, layer in [(path, module) for path, module in transformer.named_modules() if id(module) in layers]:
        for name in names & {*layer.scaling}:
            layer.delete_adapter(name)
        if not layer.scaling:
            parent, _, leaf = path.rpartition(".")
            setattr(transformer.get_submodule(parent), leaf, layer.get_base_layer())
    for name in names:
        getattr(transformer, "peft_config", {}).pop(name, None)
    if not _tuner_layers(transformer) and hasattr(transformer, "peft_config"):
        del transformer.peft_config
    transformer._hf_peft_config_loaded = bool(_tuner_layers(transformer))
