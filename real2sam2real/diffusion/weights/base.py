"""Where the parts of the base model are: in which layout, in which files, on this machine or on the hub.

Finding opens configs and indices alone; `load` reads the weights.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from real2sam2real.diffusion.options import DEFAULT_BASE
from real2sam2real.diffusion.weights import hub
from real2sam2real.diffusion.weights.config import ARCHITECTURES
from real2sam2real.diffusion.weights.files import list_some, sharded
from real2sam2real.errors import MissingPartError, UserError

Layout = Literal["diffusers", "original", "single-file", "gguf"]

# What each part may be called in a folder, diffusers' layout first; of a sub-folder, the stem of its weight files.
_PARTS: dict[str, tuple[str, ...]] = {
    "vae": ("vae", "Wan2.1_VAE.pth", "Wan2.1_VAE.safetensors", "wan_2.1_vae.safetensors"),
    "text_encoder": (
        "text_encoder",
        "models_t5_umt5-xxl-enc-bf16.pth",
        "models_t5_umt5-xxl-enc-bf16.safetensors",
    ),
    "tokenizer": ("tokenizer", "google/umt5-xxl"),
    "image_encoder": (
        "image_encoder",
        "models_clip_open-clip-xlm-roberta-large-vit-huge-14.pth",
        "models_clip_open-clip-xlm-roberta-large-vit-huge-14.safetensors",
    ),
    "image_processor": ("image_processor",),
    "scheduler": ("scheduler",),
}
_STEMS = {"vae": "diffusion_pytorch_model", "text_encoder": "model", "image_encoder": "model"}
# Weight files that may lie beside a transformer's single file and are not it.
_NOT_TRANSFORMERS = ("wan2.1_vae", "wan_2.1_vae", "models_", "pose_patch_embedding", "lora", "taew")


@dataclass(frozen=True, kw_only=True)
class BaseSource:
    """Where each part of a base model is.

    Attributes:
        name: as the user gave it.
        layout: how the transformer is stored.
        transformer: its weight files.
        transformer_config: diffusers' `config.json`, or None where the weights' shapes tell the architecture.
        vae: a folder in diffusers' layout, or the original file.
        text_encoder: likewise.
        tokenizer: a folder.
        image_encoder: a folder in diffusers' layout, or the original file.
        image_processor: a folder, or None for CLIP's usual processing.
        scheduler: a folder, or None for the flow-matching Euler scheduler with shift 5.
    """

    name: str
    layout: Layout
    transformer: tuple[Path, ...]
    transformer_config: Path | None = None
    vae: Path | None = None
    text_encoder: Path | None = None
    tokenizer: Path | None = None
    image_encoder: Path | None = None
    image_processor: Path | None = None
    scheduler: Path | None = None


def find_base(name: str | Path = DEFAULT_BASE, *, offline: bool = False, parts: str | Path | None = None) -> BaseSource:
    """Where the parts of a base model are, all of them present.

    Args:
        name: a folder in diffusers' layout or the original one; a single weight file (safetensors or GGUF) of the
            transformer, or a folder with one; or any of these on the hub: `owner/name`, `owner/name/file.gguf`.
        offline: never reach for the network.
        parts: where the VAE and the encoders are, for transformers that come alone: a folder or hub id in either
            layout. Without it, they must lie in the folder of `name`.

    Raises:
        MissingPartError: something is not on this machine; the message lists it and the command that gets it.
        UserError: there is something at `name`, but no base model.
    """
    source, repo = _find(str(name), offline=offline)
    if parts is not None:
        companion = Path(str(parts)).expanduser()
        if not companion.is_dir():
            companion = _fetch(str(parts), offline=offline, transformer=False)
            repo = str(parts)
        found: dict[str, Any] = {**_find_parts(companion)}
        source = replace(source, **found)
    missing = missing_files(source)
    if missing:
        raise MissingPartError(_missing_message(source, missing, repo, offline, given_parts=parts is not None))
    return source


def find_adapter(name: str | Path, *, offline: bool = False) -> Path:
    """The file or folder of an adapter: a path here, or `owner/name` or `owner/name/file.safetensors` on the hub.

    Raises:
        MissingPartError: it is not on this machine and cannot be fetched.
    """
    path = Path(str(name)).expanduser()
    if path.exists():
        return path
    identity = hub.split_id(str(name))
    if identity is None:
        raise UserError(f"{name} does not exist; give an adapter's folder or file, or a name on the hub")
    repo, file = identity
    return hub.fetch_file(repo, file, offline=offline) if file else hub.fetch_adapter(repo, offline=offline)


def missing_files(source: BaseSource) -> list[str]:
    """What `source` names that is not on disk, and the parts it does not name at all."""
    wanted = [*source.transformer, *([source.transformer_config] if source.transformer_config else [])]
    missing = [str(path) for path in wanted if not path.is_file()]
    for part in ("vae", "text_encoder", "tokenizer", "image_encoder"):
        missing += _missing_of(part, getattr(source, part))
    return missing


def _missing_of(part: str, path: Path | None) -> Iterator[str]:
    if path is None:
        yield f"the {part.replace('_', ' ')} ({' or '.join(_PARTS[part][:2])})"
    elif part == "tokenizer":
        if not any((path / name).is_file() for name in ("tokenizer.json", "spiece.model")):
            yield str(path / "tokenizer.json")
    elif path.is_dir():
        if not (path / "config.json").is_file():
            yield str(path / "config.json")
        files = sharded(path, _STEMS[part]) or (path / f"{_STEMS[part]}.safetensors",)
        yield from (str(file) for file in files if not file.is_file())


def _missing_message(source: BaseSource, missing: list[str], repo: str | None, offline: bool, given_parts: bool) -> str:
    text = f"{source.name} is not complete. Missing: {list_some(missing, 8)}."
    if repo is not None:
        text += f" Get what is missing with: {hub.download_command(repo)}"
        return text + (", or run once without --offline, which fetches only what is used" if offline else "")
    if source.layout in ("single-file", "gguf") and not given_parts:
        return (
            f"{text} A transformer's file comes alone: put these beside it, or name a folder or a hub id that has them "
            f"(for example {DEFAULT_BASE}) as its parts."
        )
    return f"{text} A complete base comes with: {hub.download_command(DEFAULT_BASE)}"


def _find(name: str, *, offline: bool) -> tuple[BaseSource, str | None]:
    """The source, and its repository where it is from the hub."""
    path = Path(name).expanduser()
    if path.is_file():
        return _from_file(name, path), None
    if path.is_dir():
        return _from_folder(name, path), None
    identity = hub.split_id(name)
    if identity is not None and identity[1] is not None:
        return _from_file(name, hub.fetch_file(identity[0], identity[1], offline=offline)), None
    return _from_folder(name, _fetch(name, offline=offline, transformer=True)), name


def _fetch(name: str, *, offline: bool, transformer: bool) -> Path:
    identity = hub.split_id(name)
    if identity is None or identity[1] is not None or name.endswith((".safetensors", ".gguf")):
        raise UserError(
            f"{name} does not exist; give a folder, a weight file, or a name on the hub such as {DEFAULT_BASE}"
        )
    return hub.fetch_base(identity[0], offline=offline, transformer=transformer)


def _from_file(name: str, path: Path) -> BaseSource:
    with path.open("rb") as file:
        layout: Layout = "gguf" if file.read(4) == b"GGUF" else "single-file"
    return BaseSource(name=name, layout=layout, transformer=(path,), **_find_parts(path.parent))


def _from_folder(name: str, folder: Path) -> BaseSource:
    inner = folder / "transformer"
    if inner.is_dir() or (folder / "model_index.json").is_file():
        shards = sharded(inner) or (inner / "diffusion_pytorch_model.safetensors",)
        config = inner / "config.json"
        return BaseSource(
            name=name, layout="diffusers", transformer=shards, transformer_config=config, **_find_parts(folder)
        )
    files = sharded(folder)
    if files and _class_name(folder / "config.json") in ARCHITECTURES:
        config = folder / "config.json"
        return BaseSource(
            name=name, layout="diffusers", transformer=files, transformer_config=config, **_find_parts(folder.parent)
        )
    if files:
        return BaseSource(name=name, layout="original", transformer=files, **_find_parts(folder))
    return _from_file(name, _only_transformer(folder))


def _only_transformer(folder: Path) -> Path:
    files = sorted(
        path
        for path in folder.iterdir()
        if path.suffix in (".safetensors", ".gguf") and not path.name.lower().startswith(_NOT_TRANSFORMERS)
    )
    if len(files) > 1:
        names = [path.name for path in files]
        raise UserError(f"{folder} holds several weight files ({list_some(names)}); name the one to use")
    if not files:
        raise UserError(
            f"{folder} is no base model: it has neither model_index.json (diffusers' layout), nor "
            "diffusion_pytorch_model*.safetensors (the original layout), nor a single weight file"
        )
    return files[0]


def _class_name(config: Path) -> str | None:
    try:
        return str(json.loads(config.read_text(encoding="utf-8")).get("_class_name"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, AttributeError) as error:
        raise UserError(f"{config} is damaged: {error}") from error


def _find_parts(folder: Path) -> dict[str, Path | None]:
    """Each part's place in `folder`, by either layout's names; None where there is none."""

    def find(names: tuple[str, ...]) -> Path | None:
        return next((folder / name for name in names if (folder / name).exists()), None)

    return {part: find(names) for part, names in _PARTS.items()}
