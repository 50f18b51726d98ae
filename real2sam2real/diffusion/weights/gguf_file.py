"""GGUF files of the transformer, as ComfyUI users have them: quantised tensors stay packed.

GGUF itself knows up to four dimensions. The patch embedding's five are stored either as they are, which the reader
allows, or flattened with the true shape in `comfy.gguf.orig_shape.<key>`, as city96's converter does.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from real2sam2real.diffusion.weights.files import LazyTensor, Tensors
from real2sam2real.errors import MissingPartError, UserError


def open_gguf(path: Path) -> Tensors:
    """The tensors of a GGUF file, memory-mapped.

    Raises:
        MissingPartError: the package `gguf` is not installed.
        UserError: the file is damaged or cut short, or holds a kind of quantisation that cannot be computed with.
    """
    try:
        import gguf
    except ImportError as error:
        raise MissingPartError(f"{path} is a GGUF file; to read it: pip install gguf") from error
    try:
        # "c": a private mapping, so that torch may take the memory as its own without a copy.
        reader = gguf.GGUFReader(path, "c")
    except (ValueError, IndexError, KeyError, OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is damaged, cut short or no GGUF file: {error}") from error
    return {tensor.name: _lazy(path, reader, tensor) for tensor in reader.tensors}


def _lazy(path: Path, reader: Any, tensor: Any) -> LazyTensor:
    from diffusers.quantizers.gguf.utils import SUPPORTED_GGUF_QUANT_TYPES
    from gguf import GGMLQuantizationType as Kind

    stored = tuple(int(size) for size in reversed(tensor.shape.tolist()))
    shape = _original_shape(reader, tensor.name) or stored
    if math.prod(shape) != math.prod(stored):
        raise UserError(f"{path}: '{tensor.name}' says its shape is {shape} but holds {math.prod(stored)} values")
    plain = {Kind.F64, Kind.F32, Kind.F16, Kind.BF16}
    if tensor.tensor_type not in plain and tensor.tensor_type not in SUPPORTED_GGUF_QUANT_TYPES:
        raise UserError(
            f"{path}: '{tensor.name}' is stored as {tensor.tensor_type.name}, which cannot be computed with"
        )
    # A tensor whose rows were regrouped to fit the blocks cannot stay packed: unpack it as it is read.
    quantised = tensor.tensor_type not in plain and shape == stored
    return LazyTensor(
        file=path,
        key=tensor.name,
        shape=shape,
        read=_reader(tensor, shape, packed=quantised),
        quantised=quantised,
    )


def _original_shape(reader: Any, key: str) -> tuple[int, ...] | None:
    field = reader.get_field(f"comfy.gguf.orig_shape.{key}")
    return None if field is None else tuple(int(field.parts[index][0]) for index in field.data)


def _reader(tensor: Any, shape: tuple[int, ...], *, packed: bool) -> Callable[[], Tensor]:
    from gguf import GGMLQuantizationType as Kind

    def read() -> Tensor:
        from diffusers.quantizers.gguf.utils import GGUFParameter, dequantize_gguf_tensor

        values = torch.from_numpy(np.asarray(tensor.data))
        if tensor.tensor_type == Kind.BF16:
            return values.view(torch.bfloat16).reshape(shape)
        if tensor.tensor_type in (Kind.F64, Kind.F32, Kind.F16):
            return values.reshape(shape)
        parameter = GGUFParameter(values, quant_type=tensor.tensor_type)
        return parameter if packed else dequantize_gguf_tensor(parameter).reshape(shape)

    return read
