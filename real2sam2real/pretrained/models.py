"""Models of transformers, loaded from a folder whole or refused, and the packages that some models need."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from real2sam2real.errors import MissingPartError, UserError, first_line, require
from real2sam2real.files import refuse_if_system
from real2sam2real.workfolder.json_values import read_json

if TYPE_CHECKING:
    import torch

_INSTALL_TRANSFORMERS = 'pip install "transformers>=5.4"'


def transformers_class(name: str) -> Any:
    """A class of transformers, by name.

    Raises:
        MissingPartError: transformers is not installed, or too old to know it.
    """
    transformers = require("transformers", f"this needs transformers, which is not installed: {_INSTALL_TRANSFORMERS}")
    try:
        return getattr(transformers, name)
    except (AttributeError, ImportError):
        raise MissingPartError(
            f"transformers {transformers.__version__} does not know {name}; update it: {_INSTALL_TRANSFORMERS}"
        ) from None


def load_pretrained(
    architecture: str,
    folder: Path,
    *,
    kinds: Collection[str] | None,
    device: torch.device,
    twins: Collection[str] = (),
    dtype: torch.dtype | None = None,
) -> Any:
    """A model of transformers, ready for inference.

    Every weight must come from the checkpoint. Transformers itself fills gaps with random numbers and goes on, which
    looks like a model that finds nothing.

    Args:
        architecture: the class's name.
        folder: holds config.json and safetensors.
        kinds: `model_type` values of config.json that this class can read; None leaves that to transformers.
        device: where it goes.
        twins: tensors that are one and the same; some versions of transformers write only one of them.
        dtype: of the weights; float32 unless given.

    Raises:
        MissingPartError: transformers is missing or too old, or the folder has no weights.
        UserError: it is another model's folder, or weights are missing or do not fit.
    """
    import torch

    model_class = transformers_class(architecture)
    _check_kind(folder, kinds)
    if not any(folder.glob("*.safetensors")):
        raise MissingPartError(f"'{folder}' holds no .safetensors file; download the whole checkpoint")
    try:
        model, report = model_class.from_pretrained(
            folder,
            local_files_only=True,
            use_safetensors=True,
            dtype=dtype or torch.float32,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are refused below, by name
        )
    except ImportError as error:
        raise MissingPartError(f"{architecture} needs a further package: {first_line(error)}") from error
    except Exception as error:  # safetensors and transformers raise a dozen kinds for damaged and foreign files
        refuse_if_system(error, Path(folder))
        raise UserError(f"'{folder}' cannot be loaded as {architecture}: {first_line(error)}") from error
    missing = set(report["missing_keys"])
    if written := set(twins) - missing:
        tensors = model.state_dict()
        for target in missing & set(twins):
            tensors[target].copy_(tensors[next(iter(written))])
        missing -= set(twins)
    if lacking := sorted(missing) or sorted(str(key) for key, *_ in report["mismatched_keys"]):
        raise UserError(
            f"'{folder}' lacks {len(lacking)} weights of {architecture}, such as {lacking[0]}; the checkpoint is "
            f"incomplete, or made for another version of transformers (to update: {_INSTALL_TRANSFORMERS})"
        )
    return model.to(device).eval()


def load_processing(architecture: str, folder: Path, what: str, *, hint: str = "") -> Any:
    """What prepares a model's inputs and lies in the same folder: a tokenizer or a processor of transformers.

    Args:
        architecture: the class's name, such as "AutoTokenizer".
        folder: of the checkpoint.
        what: how the error calls it.
        hint: what else helps where torchvision is missing, as a sentence for the error.

    Raises:
        MissingPartError: transformers, a package that it needs for this, or the files are missing.
    """
    processing = transformers_class(architecture)
    try:
        return processing.from_pretrained(folder, local_files_only=True)
    except ImportError as error:
        if "torchvision" in first_line(error).lower():
            raise MissingPartError(
                f"the {what} of '{folder}' works with torchvision: pip install torchvision (the release that goes with "
                f"the installed torch). {hint}".rstrip()
            ) from error
        raise MissingPartError(f"the {what} of '{folder}' needs a further package: {first_line(error)}") from error
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise MissingPartError(
            f"'{folder}' holds no {what} that can be read ({first_line(error)}); download the whole checkpoint"
        ) from error


def choose_device(name: str) -> torch.device:
    """The device that "auto", "cpu", "cuda" or "cuda:1" means.

    Raises:
        UserError: there is no such device.
    """
    torch = require("torch", "this needs torch, which is not installed; see pytorch.org")
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UserError(f"'{name}' is no device; choose auto, cpu or cuda") from None
    if device.type not in ("cpu", "cuda"):
        raise UserError(f"the device '{name}' is not supported; choose auto, cpu or cuda")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UserError(f"there is no device '{name}' here; choose auto or cpu")
    return device


def _check_kind(folder: Path, kinds: Collection[str] | None) -> None:
    config = folder / "config.json"
    if not config.is_file():
        raise MissingPartError(f"'{folder}' holds no config.json, so it is no checkpoint; download it whole")
    try:
        kind = read_json(config).get("model_type")
    except (ValueError, AttributeError):
        raise UserError(f"'{config}' is no JSON of a model; it is damaged, download it again") from None
    if kinds is not None and kind not in kinds:
        raise UserError(f"'{folder}' holds a model of type {kind}; {' or '.join(sorted(kinds))} is needed here")
