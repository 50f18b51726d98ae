"""Weight files: which ones make up a model, and opened without reading their tensors (safetensors, pickles, GGUF).

A file becomes a mapping from its keys to `LazyTensor`s. Opening reads the header alone; the tensors are memory-mapped,
so memory is taken when a tensor is read, converted or moved, one at a time.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from real2sam2real.diffusion.weights.gguf_file import GgufTensor, read_gguf
from real2sam2real.diffusion.weights.keys import is_left_out
from real2sam2real.errors import UserError, first_line, require
from real2sam2real.files import existing_file, refuse_if_system, refuse_pipe
from real2sam2real.workfolder.json_values import parse_json, read_json

_SHARD = re.compile(r"(.+)-(\d{5})-of-(\d{5})\.safetensors$")
FLOAT8 = (torch.float8_e4m3fn, torch.float8_e5m2)
_FLOATS = (torch.float32, torch.bfloat16, torch.float16)
_COMFYUI_FORMS = ("float8_e4m3fn", "float8_e5m2")
_MOST_FORM = 10_000  # bytes that say how a layer is stored
_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
    "U8": torch.uint8,
}
# In what PyTorch says of a pickle: the name of what it does not run, and its reason without advice to load it anyway.
_FOREIGN, _UNPICKLER = re.compile(r"GLOBAL (\S+)"), re.compile(r"WeightsUnpickler error: (.*)")
_SCALES = ("scale_weight", "weight_scale", "scale_input", "input_scale")


@dataclass(frozen=True, kw_only=True)
class LazyTensor:
    """A tensor of a file that is read when asked for."""

    file: Path  # where it is
    key: str  # its name in the file
    shape: tuple[int, ...]  # its shape once read; of a quantised tensor, the shape it stands for
    # gives the tensor, memory-mapped where the format allows. Changing it never changes the file.
    read: Callable[[], Tensor]
    quantised: bool = False  # read gives diffusers' `GGUFParameter` of packed blocks


Tensors = dict[str, LazyTensor]


def component_files(folder: Path, stem: str = "diffusion_pytorch_model") -> tuple[Path, ...]:
    """As `sharded`, with the name of the one file where there is no such model."""
    return sharded(folder, stem) or (folder / f"{stem}.safetensors",)


def sharded(folder: Path, stem: str = "diffusion_pytorch_model") -> tuple[Path, ...]:
    """The safetensors files of a model in `folder`: one file, the shards of its index, or shards without an index.

    Shards that are not on disk are among the answer, so that they are named when opened or counted as missing.

    Returns:
        Nothing where there is no such model.

    Raises:
        UserError: the index cannot be read, or numbered shards of several sets lie together.
    """
    single, index = folder / f"{stem}.safetensors", folder / f"{stem}.safetensors.index.json"
    if index.is_file():
        return tuple(folder / name for name in shard_names(index))
    if single.is_file():
        return (single,)
    found = [match for path in folder.glob(f"{stem}-*.safetensors") if (match := _SHARD.match(path.name))]
    if not found:
        return ()
    totals = {int(match[3]) for match in found}
    if len(totals) > 1:
        raise UserError(f"{folder} holds shards of several sets: of {', '.join(map(str, sorted(totals)))} files")
    total = totals.pop()
    return tuple(folder / f"{stem}-{number:05d}-of-{total:05d}.safetensors" for number in range(1, total + 1))


def shard_names(index: Path) -> list[str]:
    """The files of an index that hold anything but the face and motion branch, in order.

    Raises:
        UserError: the index cannot be read.
    """
    try:
        weight_map = read_json(index)["weight_map"]
        names = sorted({str(name) for key, name in weight_map.items() if not is_left_out(key)})
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        refuse_if_system(error, index)
        raise UserError(f"{index} is damaged or no index of weights: {error}") from error
    if any(Path(name).name != name for name in names):
        raise UserError(f"{index} names files outside its folder; it is damaged or not to be trusted")
    return names


def open_tensors(path: Path) -> Tensors:
    """The tensors of one weight file; its format is told by its first bytes, not by its name.

    Raises:
        MissingPartError: the file is GGUF and the package to read it is not installed.
        UserError: the file is missing, cut short, or no weight file.
    """
    try:
        with existing_file(path).open("rb") as file:
            head = file.read(32)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from error
    if head.startswith(b"version https://git-lfs"):
        raise UserError(f"{path} is a Git LFS pointer, not the weights themselves; get them with: git lfs pull")
    if head.startswith(b"GGUF"):
        return _open_gguf(path)
    # A safetensors file starts with the length of its JSON header, then the header.
    if head[8:9] == b"{":
        return _open_safetensors(path)
    if head.startswith(b"PK") or head[:1] == b"\x80":
        return _open_pickle(path)
    raise UserError(f"{path} is no weight file: it is neither safetensors, GGUF nor a PyTorch pickle, or it is damaged")


def open_all(paths: Iterable[Path]) -> Tensors:
    """The tensors of several files of one model.

    Raises:
        UserError: a file cannot be used, or two of them hold the same key.
    """
    tensors: Tensors = {}
    for path in paths:
        opened = open_tensors(path)
        for key in opened.keys() & tensors.keys():
            raise UserError(f"{path} and {tensors[key].file} both hold '{key}'; they are not shards of one model")
        tensors |= opened
    return tensors


def metadata(path: Path) -> dict[str, str]:
    """The free text that a safetensors file carries; empty for other formats."""
    from safetensors import SafetensorError, safe_open

    refuse_pipe(path)
    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError):
        return {}


def _open_safetensors(path: Path) -> Tensors:
    from safetensors import SafetensorError, safe_open

    try:
        file: Any = safe_open(path, framework="pt")
        shapes = {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118  not a mapping
    except (SafetensorError, OSError, ValueError) as error:
        refuse_if_system(error, path)
        raise UserError(f"{path} is damaged, cut short or no safetensors file: {error}") from error
    except RuntimeError:  # the file is larger than the memory that the system would promise to a mapping
        return _fold_scales(_mapped_singly(path))
    return _fold_scales(
        {
            key: LazyTensor(file=path, key=key, shape=shape, read=partial(file.get_tensor, key))
            for key, shape in shapes.items()
        }
    )


def _mapped_singly(path: Path) -> Tensors:
    """The tensors of a sound safetensors file, each in a mapping of its own once asked for.

    Systems refuse a private mapping larger than their memory, though it would take none; small ones they grant.
    """
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = parse_json(file.read(length))
    header.pop("__metadata__", None)

    def read(dtype: torch.dtype, shape: tuple[int, ...], start: int, stop: int) -> Tensor:
        if start == stop:
            return torch.empty(shape, dtype=dtype)
        stored = np.memmap(path, np.uint8, "c", offset=8 + length + start, shape=(stop - start,))
        return torch.from_numpy(stored).view(dtype).reshape(shape)

    tensors: Tensors = {}
    for key, entry in header.items():
        if entry["dtype"] not in _DTYPES:
            raise UserError(f"{path}: '{key}' is stored as {entry['dtype']}, which is not known here")
        shape = tuple(entry["shape"])
        reader = partial(read, _DTYPES[entry["dtype"]], shape, *entry["data_offsets"])
        tensors[key] = LazyTensor(file=path, key=key, shape=shape, read=reader)
    return tensors


def _open_pickle(path: Path) -> Tensors:
    """A PyTorch pickle of tensors and nothing else; `weights_only` runs no code of the file.

    Files of PyTorch before 1.6 are no zip archives and cannot be mapped; they are read as a whole.
    """
    try:
        loaded: Any = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except Exception as error:  # a damaged pickle can raise anything: it is a program for a machine of its own
        refuse_if_system(error, path)
        if foreign := _FOREIGN.search(str(error)):
            raise UserError(
                f"{path} is refused: it asks for '{foreign[1]}', which no set of tensors needs, and loading it could "
                "run foreign code. Get the file from its publisher again, or a safetensors version of it."
            ) from error
        said = _UNPICKLER.search(str(error))
        reason = said[1] if said else first_line(error)
        raise UserError(
            f"{path} is damaged or cut short: PyTorch cannot unpack it ({reason[:200]}). Get it from its publisher "
            "again."
        ) from error
    if isinstance(loaded, Mapping) and isinstance(loaded.get("state_dict"), Mapping):
        loaded = loaded["state_dict"]
    if not isinstance(loaded, Mapping) or not all(map(_is_named_tensor, loaded.items())):
        raise UserError(f"{path} is no set of named tensors: it holds {_described(loaded)}")
    size = path.stat().st_size
    for key, value in loaded.items():
        if value.numel() * value.element_size() > size:  # strides of zero can make a world of one number
            raise UserError(f"{path} is damaged: '{key[:80]}' would be {value.numel():,} values, in {size:,} bytes")
    return {
        key: LazyTensor(file=path, key=key, shape=tuple(value.shape), read=partial(loaded.__getitem__, key))
        for key, value in loaded.items()
    }


def _is_named_tensor(item: tuple[Any, Any]) -> bool:
    key, value = item
    plain = isinstance(value, Tensor) and value.layout == torch.strided and not value.is_quantized
    return isinstance(key, str) and plain and value.device.type == "cpu"


def _described(loaded: Any) -> str:
    """What a pickle holds instead of named tensors, in words."""
    if not isinstance(loaded, Mapping):
        return f"a {type(loaded).__name__}"
    key, value = next(item for item in loaded.items() if not _is_named_tensor(item))
    if not isinstance(key, str):
        return f"the key {str(key)[:80]}, which is no name"
    kind = f"{value.layout} tensor" if isinstance(value, Tensor) else type(value).__name__
    return f"a {kind} under {key[:80]!r}"


def _fold_scales(tensors: Tensors) -> Tensors:
    """Tensors with the scales of float8 files multiplied in as they are read.

    ComfyUI's scaled float8 files hold `X.scale_weight` (newer ones `X.weight_scale`) beside an `X.weight` in float8;
    the weight is their product. `X.scale_input` serves float8 arithmetic, which is not used here, `scaled_fp8` is an
    empty mark, and newer files name the form of each layer in `X.comfy_quant`, as JSON in bytes.
    """
    folded: Tensors = {}
    for key, tensor in tensors.items():
        owner, _, leaf = key.rpartition(".")
        if leaf == "comfy_quant":
            _check_form(tensor)
        if leaf in ("scaled_fp8", "comfy_quant") or (leaf in _SCALES and f"{owner}.weight" in tensors):
            continue
        scale = tensors.get(f"{owner}.scale_weight") or tensors.get(f"{owner}.weight_scale")
        folded[key] = _scaled(tensor, scale) if leaf == "weight" and scale is not None else tensor
    return folded


def _check_form(told: LazyTensor) -> None:
    """See that what ComfyUI calls a layer's form is one of the two of float8."""
    try:
        form = parse_json(bytes(told.read().flatten()[:_MOST_FORM].tolist())).get("format")
    except (ValueError, TypeError, AttributeError) as error:
        raise UserError(f"{told.file} is damaged: '{told.key}' does not say how its layer is stored") from error
    if form not in _COMFYUI_FORMS:
        raise UserError(
            f"{told.file}: '{told.key}' says that its layer is stored as {str(form)[:40]}, which is not read; use the "
            "model's bfloat16, float8 or GGUF file"
        )


def _scaled(weight: LazyTensor, scale: LazyTensor) -> LazyTensor:
    def read() -> Tensor:
        stored, factor = weight.read(), scale.read()
        if stored.dtype not in FLOAT8:
            raise UserError(f"{weight.file}: '{weight.key}' has a scale but is {stored.dtype}, not float8")
        if factor.dtype not in _FLOATS or factor.numel() not in (1, stored.shape[0]):
            raise UserError(
                f"{scale.file}: '{scale.key}' is {tuple(factor.shape)} {factor.dtype}, where one scale, or one for "
                "each row, belongs; use the model's bfloat16, float8 or GGUF file"
            )
        return stored.float() * factor.float().reshape(-1, *(1,) * (stored.ndim - 1))

    return replace(weight, read=read)


def _open_gguf(path: Path) -> Tensors:
    """A GGUF file of the transformer, as ComfyUI users have them: quantised tensors stay packed.

    GGUF itself knows up to four dimensions. The patch embedding's five are stored either as they are, which the reader
    allows, or flattened with the true shape in `comfy.gguf.orig_shape.<key>`, as city96's converter does.
    """
    require("gguf", f"{path} is a GGUF file; to read it: pip install gguf")
    return {tensor.name: _gguf_tensor(path, tensor) for tensor in read_gguf(path)}


def _gguf_tensor(path: Path, tensor: GgufTensor) -> LazyTensor:
    from diffusers.quantizers.gguf.utils import SUPPORTED_GGUF_QUANT_TYPES, GGUFParameter, dequantize_gguf_tensor
    from gguf import GGMLQuantizationType as Kind

    plain = {Kind.F64, Kind.F32, Kind.F16, Kind.BF16}
    if tensor.kind not in plain and tensor.kind not in SUPPORTED_GGUF_QUANT_TYPES:
        raise UserError(f"{path}: '{tensor.name}' is stored as {tensor.kind.name}, which cannot be computed with")
    # A tensor whose rows were regrouped to fit the blocks cannot stay packed: unpack it as it is read.
    packed = tensor.kind not in plain and tensor.shape == tensor.stored

    def read() -> Tensor:
        values = torch.from_numpy(np.asarray(tensor.data))
        if tensor.kind == Kind.BF16:
            return values.view(torch.bfloat16).reshape(tensor.shape)
        if tensor.kind in plain:
            return values.reshape(tensor.shape)
        parameter = GGUFParameter(values, quant_type=tensor.kind)
        return parameter if packed else dequantize_gguf_tensor(parameter).reshape(tensor.shape)

    return LazyTensor(file=path, key=tensor.name, shape=tensor.shape, read=read, quantised=packed)


def list_some(items: Sequence[str], limit: int = 5) -> str:
    """The first items, and how many there are beyond."""
    rest = len(items) - limit
    return ", ".join(items[:limit]) + (f" and {rest} more" if rest > 0 else "")
