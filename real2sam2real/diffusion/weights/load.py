"""The components of a base model, loaded from wherever `find_base` found them.

Peak memory: weights that keep their dtype on the CPU stay mapped from their files; what is converted, moved, merged
into or stored otherwise is held once, plus one block. Nothing is downloaded here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from real2sam2real.diffusion.autoencoder import BlockTransformAutoencoder
from real2sam2real.diffusion.transformer import Real2Sam2RealTransformer3DModel
from real2sam2real.diffusion.weights import encoders, keys
from real2sam2real.diffusion.weights.adapters import Merging, Weighted
from real2sam2real.diffusion.weights.assign import fill, fill_on_call, without_memory
from real2sam2real.diffusion.weights.base import BaseSource
from real2sam2real.diffusion.weights.config import config_from_diffusers, config_from_shapes, read_json
from real2sam2real.diffusion.weights.files import LazyTensor, component_files, open_all, open_tensors
from real2sam2real.errors import MissingPartError, UserError, first_line, require

OFFICIAL_SHIFT = 5.0
_MOST_PARTS, _LARGEST = 10_000, 10_000_000  # layers, heads or steps; widths and vocabularies


def load_transformer(
    source: BaseSource,
    dtype: torch.dtype = torch.bfloat16,
    *,
    device: torch.device | str = "cpu",
    adapters: Sequence[Weighted] = (),
    store: Callable[[nn.Module], None] | None = None,
) -> Real2Sam2RealTransformer3DModel:
    """The transformer without its face and motion branch, whose tensors are never read.

    Args:
        source: from `find_base`.
        dtype: of the weights, but for those that stay float32 (`_keep_in_fp32_modules`); packed GGUF weights stay
            packed and compute in it.
        device: where the weights go, one tensor at a time.
        adapters: to be merged into each block as soon as its weights are there; not into packed ones.
        store: called with each block once all is merged, before the next one is read: to store its weights in another
            format, or to move it.

    Raises:
        UserError: a file is damaged, or holds another model; it is named with the first keys that do not fit. An
            adapter does not fit.
    """
    tensors = _transformer_tensors(source)
    config = transformer_config(source, tensors)
    model = _built(source.transformer_config or source.transformer[0], Real2Sam2RealTransformer3DModel, **config)
    return fill_transformer(model, tensors, source.transformer, dtype, device=device, adapters=adapters, store=store)


def fill_transformer(
    model: Real2Sam2RealTransformer3DModel,
    tensors: Mapping[str, LazyTensor],
    files: Sequence[Path],
    dtype: torch.dtype,
    *,
    device: torch.device | str = "cpu",
    adapters: Sequence[Weighted] = (),
    store: Callable[[nn.Module], None] | None = None,
) -> Real2Sam2RealTransformer3DModel:
    """As `load_transformer`, for a `model` without memory and `tensors` by its names; `files` are for messages."""
    merging = Merging(model, adapters)

    def finish(part: str) -> None:
        merging.merge(part)
        if store is not None and part.startswith("blocks."):
            store(model.get_submodule(part))

    return fill(
        model,
        tensors,
        files,
        dtype=dtype,
        device=device,
        keep_float32=model._keep_in_fp32_modules,
        what="the transformer of Wan-Animate",
        after=finish,
    )


def packed_weight_size(source: BaseSource) -> float | None:
    """Bytes that a weight of the blocks takes as a GGUF file packs it, on average; None for bases of other layouts.

    Raises:
        UserError: the file is damaged.
    """
    if source.layout != "gguf":
        return None
    packed = [tensor for tensor in _transformer_tensors(source).values() if tensor.quantised]
    values = sum(math.prod(tensor.shape) for tensor in packed)
    return sum(tensor.read().nbytes for tensor in packed) / values if values else None


def transformer_config(source: BaseSource, tensors: Mapping[str, LazyTensor] | None = None) -> dict[str, Any]:
    """The config of the transformer, for `Real2Sam2RealTransformer3DModel`; no tensor is read.

    Args:
        source: from `find_base`.
        tensors: of it by our names, where they are open already.

    Raises:
        UserError: the files are damaged, or hold another model.
    """
    told = source.transformer_config
    if told is not None and source.layout == "diffusers":
        return config_from_diffusers(told)
    opened = _transformer_tensors(source) if tensors is None else tensors
    return config_from_shapes({key: tensor.shape for key, tensor in opened.items()}, source.transformer[0], told)


def _transformer_tensors(source: BaseSource) -> dict[str, LazyTensor]:
    opened = open_all(source.transformer)
    tensors: dict[str, LazyTensor] = {}
    for key, tensor in opened.items():
        if keys.is_left_out(key):
            continue
        name = keys.to_ours(key) or key  # a key that no rule knows is reported as unexpected later
        if name in tensors:
            raise UserError(f"{tensor.file} holds one weight twice: '{tensors[name].key}' and '{key}'")
        tensors[name] = tensor
    return tensors


def load_vae(source: BaseSource, dtype: torch.dtype = torch.float32, *, device: torch.device | str = "cpu") -> Any:
    """Diffusers' `AutoencoderKLWan`, or the `BlockTransformAutoencoder` of the shipped base.

    Raises:
        MissingPartError: the source has no VAE.
        UserError: its files are damaged or hold another model.
    """
    from diffusers import AutoencoderKLWan

    path = _need(source, source.vae, "VAE")
    kinds: dict[Any, Any] = {kind.__name__: kind for kind in (AutoencoderKLWan, BlockTransformAutoencoder)}
    name = "AutoencoderKLWan"
    if path.is_dir():
        config = read_json(path / "config.json")
        name = str(config.get("_class_name"))
        if name not in kinds:
            raise UserError(f"{path / 'config.json'} describes a {name}; needed is a {' or a '.join(kinds)}")
        tensors = open_all(component_files(path, "diffusion_pytorch_model"))
    else:
        tensors = encoders.vae_tensors(open_tensors(path))
        config = encoders.vae_config(tensors, path)
    model = _built(path, kinds[name].from_config, config)
    return fill(model, tensors, (path,), dtype=dtype, device=device, what="the VAE")


def load_text_encoder(
    source: BaseSource,
    dtype: torch.dtype = torch.bfloat16,
    *,
    device: torch.device | str = "cpu",
    on_call: bool = False,
) -> tuple[Any, Any]:
    """The tokenizer and transformers' `UMT5EncoderModel`.

    Args:
        source: from `find_base`.
        dtype: of the weights.
        device: where they go.
        on_call: each layer's weights come from the files when it is called, and go again; see `assign.fill_on_call`.

    Raises:
        MissingPartError: the source has no text encoder or tokenizer, or transformers is not installed.
        UserError: their files are damaged or hold another model.
    """
    path = _need(source, source.text_encoder, "text encoder")
    transformers = _transformers("text encoder")
    tokenizer = _from_folder(transformers.AutoTokenizer, _need(source, source.tokenizer, "tokenizer"))
    if path.is_dir():
        config = _from_folder(transformers.UMT5Config, path)
        tensors = open_all(component_files(path, "model"))
    else:
        tensors = encoders.t5_tensors(open_tensors(path))
        config = encoders.t5_config(tensors, path)
    model = _built(path, transformers.UMT5EncoderModel, config)
    # One embedding stands under two names, of which files may hold either or both: fill one, then share it.
    model.encoder.embed_tokens = None
    tied = tensors.pop("encoder.embed_tokens.weight", None)
    if tied is not None:
        tensors.setdefault("shared.weight", tied)
    # transformers keeps this projection in float32 for float16 alone, where it would overflow.
    keep = ("wo",) if dtype == torch.float16 else ()
    put = fill_on_call if on_call else fill
    put(model, tensors, (path,), dtype=dtype, device=device, keep_float32=keep, what="the text encoder umT5")
    model.encoder.embed_tokens = model.shared
    return tokenizer, model


def load_image_encoder(
    source: BaseSource, dtype: torch.dtype = torch.float32, *, device: torch.device | str = "cpu", on_call: bool = False
) -> tuple[Any, Any]:
    """The image processor and transformers' `CLIPVisionModel`.

    Args:
        source: from `find_base`.
        dtype: of the weights.
        device: where they go.
        on_call: as in `load_text_encoder`.

    Raises:
        MissingPartError: the source has no image encoder, or transformers is not installed.
        UserError: its files are damaged or hold another model.
    """
    path = _need(source, source.image_encoder, "image encoder")
    transformers = _transformers("image encoder")
    if path.is_dir():
        config = _from_folder(transformers.CLIPVisionConfig, path)
        opened = open_all(component_files(path, "model"))
        tensors = {key.removeprefix("vision_model."): tensor for key, tensor in opened.items()}
        tensors.pop("embeddings.position_ids", None)  # counts up; older files hold it
    else:
        tensors = encoders.clip_tensors(open_tensors(path))
        config = encoders.clip_config(tensors, path)
    model = _built(path, transformers.CLIPVisionModel, config)
    # The tower stands below `vision_model` in some versions of transformers, and at the top in others.
    prefix = "vision_model." if any(key.startswith("vision_model.") for key in model.state_dict()) else ""
    tensors = {prefix + key: tensor for key, tensor in tensors.items()}
    put = fill_on_call if on_call else fill
    put(model, tensors, (path,), dtype=dtype, device=device, what="CLIP's visual tower")
    if source.image_processor is not None:
        return _from_folder(transformers.CLIPImageProcessor, source.image_processor), model
    # What the diffusers layout's `image_processor` does, for layouts without one.
    processor = transformers.CLIPImageProcessor(
        size={"shortest_edge": config.image_size},
        crop_size={"height": config.image_size, "width": config.image_size},
        image_mean=list(encoders.CLIP_MEAN),
        image_std=list(encoders.CLIP_STD),
    )
    return processor, model


def load_scheduler(source: BaseSource) -> Any:
    """The scheduler the base comes with, or flow-matching Euler with the official shift where it has none.

    Raises:
        UserError: its config is damaged, or names a class that diffusers does not have.
    """
    import diffusers

    if source.scheduler is None:
        return diffusers.FlowMatchEulerDiscreteScheduler(shift=OFFICIAL_SHIFT)
    file = source.scheduler / "scheduler_config.json"
    config = read_json(file)
    kind: Any = getattr(diffusers, str(config.get("_class_name")), None)
    if not isinstance(kind, type) or not issubclass(kind, diffusers.SchedulerMixin):
        raise UserError(f"{file} names no scheduler of diffusers: {config.get('_class_name')}")
    scheduler: Any = kind
    return _built(file, scheduler.from_config, config)


def _transformers(what: str) -> Any:
    return require("transformers", f"the {what} needs transformers: pip install transformers")


def _need(source: BaseSource, path: Path | None, what: str) -> Path:
    if path is None or not path.exists():
        raise MissingPartError(
            f"the base {source.name} has no {what}; name a folder or hub id that has one as its components"
        )
    return path


def _from_folder(kind: Any, folder: Path) -> Any:
    if (file := folder / "config.json").is_file():
        _check_sizes(file, read_json(file))
    try:
        return kind.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # these packages check next to nothing of what a config says, and anything may fail
        raise UserError(f"{folder} cannot be used: {first_line(error)[:200]}") from error


def _built(file: Path, make: Callable[..., Any], *config: Any, **fields: Any) -> Any:
    """A model without memory, or a scheduler, by a config that was read from `file`.

    Raises:
        UserError: there can be none of such sizes or settings.
    """
    for values in (*config, fields):
        if isinstance(values, Mapping):
            _check_sizes(file, values)
    try:
        with without_memory():
            return make(*config, **fields)
    except Exception as error:  # as above
        raise UserError(f"what {file} describes cannot be built: {first_line(error)[:200]}") from error


def _check_sizes(file: Path, config: Mapping[str, Any]) -> None:
    """Refuse counts and sizes that no model has and that would take for ever to build."""
    for key, value in config.items():
        for number in value if isinstance(value, list | tuple) else (value,):
            if isinstance(number, int) and abs(number) > (_MOST_PARTS if key.startswith("num_") else _LARGEST):
                raise UserError(f"{file} is damaged: {key[:80]} is {str(number)[:40]}")
