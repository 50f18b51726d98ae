"""Checkpoints of the masks' models: found in a folder or on the hub, loaded whole or refused."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from real2sam2real.errors import MissingPartError, UserError

if TYPE_CHECKING:
    import torch

# Repositories also hold the original pickles; they are never fetched.
_FILES = ("*.json", "*.txt", "*.jinja", "*.model", "*.safetensors")
_ID = re.compile(r"[\w.-]+/[\w.-]+")
_INSTALL = 'pip install "transformers>=5"'


def find_checkpoint(name: str, *, offline: bool, access: str = "") -> Path:
    """The folder of a checkpoint: the one that is named, or the hub's cached copy, downloaded where it is missing.

    Args:
        name: a folder, or a repository on the hub, `owner/name`.
        offline: use folders and the hub's cache alone.
        access: what to do where the repository is closed, in words.

    Raises:
        MissingPartError: it is not there, and why.
        UserError: the name is neither a folder nor one that the hub could know.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    if folder.is_absolute() or name.startswith((".", "~")) or not _ID.fullmatch(name):
        raise UserError(f"there is no folder '{name}', and it is no name on the hub either (those are owner/name)")
    return _fetch(name, offline, access)


def _fetch(repo: str, offline: bool, access: str) -> Path:
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError
    except ImportError:
        raise MissingPartError(f"models are loaded by transformers, which is not installed: {_INSTALL}") from None

    command = f"hf download {repo} --exclude '*.pt'"
    hint = f" {access}" if access else ""
    try:
        return Path(snapshot_download(repo, allow_patterns=list(_FILES), local_files_only=offline))
    except GatedRepoError as error:
        raise MissingPartError(f"the hub refuses {repo}: its owner grants access on request.{hint}") from error
    except LocalEntryNotFoundError as error:
        why = "no download was allowed" if offline else "the hub cannot be reached"
        raise MissingPartError(
            f"{repo} is neither a folder here nor in the cache of the hub, and {why}. Where there is a network, get it "
            f"with: {command}.{hint} Or name a folder that holds it."
        ) from error
    except (HfHubHTTPError, OSError, ValueError) as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise MissingPartError(f"fetching {repo} from the hub failed: {reason}. To try it alone: {command}") from error


def load_model(
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
        model, told = model_class.from_pretrained(
            folder,
            local_files_only=True,
            use_safetensors=True,
            dtype=dtype or torch.float32,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are refused below, by name
        )
    except ImportError as error:
        raise MissingPartError(f"{architecture} needs a further package: {_first_line(error)}") from error
    except Exception as error:  # safetensors and transformers raise a dozen kinds for damaged and foreign files
        raise UserError(f"'{folder}' cannot be loaded as {architecture}: {_first_line(error)}") from error
    missing = set(told["missing_keys"])
    if written := set(twins) - missing:
        _copy_twin(model, next(iter(written)), missing & set(twins))
        missing -= set(twins)
    if lacking := sorted(missing) or sorted(str(key) for key, *_ in told["mismatched_keys"]):
        raise UserError(
            f"'{folder}' lacks {len(lacking)} weights of {architecture}, such as {lacking[0]}; the checkpoint is "
            f"incomplete, or made for another version of transformers (to update: {_INSTALL})"
        )
    return model.to(device).eval()


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer that lies in a checkpoint's folder.

    Raises:
        MissingPartError: transformers or the tokenizer's files are missing.
    """
    tokenizers = transformers_class("AutoTokenizer")
    try:
        return tokenizers.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, TypeError, ImportError) as error:
        raise MissingPartError(
            f"'{folder}' holds no tokenizer that can be read ({_first_line(error)}); download the whole checkpoint"
        ) from error


def transformers_class(name: str) -> Any:
    """A class of transformers, by name.

    Raises:
        MissingPartError: transformers is not installed, or too old to know it.
    """
    try:
        import transformers
    except ImportError:
        raise MissingPartError(f"this needs transformers, which is not installed: {_INSTALL}") from None
    try:
        return getattr(transformers, name)
    except (AttributeError, ImportError):
        raise MissingPartError(
            f"transformers {transformers.__version__} does not know {name}; update it: {_INSTALL}"
        ) from None


def choose_device(name: str) -> torch.device:
    """The device that "auto", "cpu", "cuda" or "cuda:1" means.

    Raises:
        UserError: there is no such device.
    """
    try:
        import torch
    except ImportError:
        raise MissingPartError("this needs torch, which is not installed; see pytorch.org") from None

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


def _copy_twin(model: Any, source: str, targets: Collection[str]) -> None:
    tensors = model.state_dict()
    for target in targets:
        tensors[target].copy_(tensors[source])


def _check_kind(folder: Path, kinds: Collection[str] | None) -> None:
    config = folder / "config.json"
    if not config.is_file():
        raise MissingPartError(f"'{folder}' holds no config.json, so it is no checkpoint; download it whole")
    try:
        kind = json.loads(config.read_text(encoding="utf-8")).get("model_type")
    except (ValueError, AttributeError):
        raise UserError(f"'{config}' is no JSON of a model; it is damaged, download it again") from None
    if kinds is not None and kind not in kinds:
        raise UserError(f"'{folder}' holds a model of type {kind}; {' or '.join(sorted(kinds))} is needed here")


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
