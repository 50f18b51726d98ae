"""Where the components of the base model are: in which layout, in which files, on this machine or on the hub.

Finding opens configs and indices alone; `load` reads the weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from real2sam2real.diffusion.options import DEFAULT_BASE, DOWNLOADS, OFFICIAL_ADAPTER
from real2sam2real.diffusion.weights.adapter_file import LORA_FILE, POSE_FILE
from real2sam2real.diffusion.weights.config import ARCHITECTURES, read_json
from real2sam2real.diffusion.weights.files import component_files, list_some, shard_names, sharded
from real2sam2real.errors import MissingPartError, UserError
from real2sam2real.files import existing_file
from real2sam2real.pretrained.hub import download_command, fetch_file, fetch_folder, split_id

PIPELINE_FILE = "model_index.json"
OWN_PIPELINE = "Real2Sam2RealPipeline"
Layout = Literal["diffusers", "original", "single-file", "gguf"]

# What each component may be called in a folder, diffusers' layout first; of a sub-folder, the stem of its weight files.
_COMPONENTS: dict[str, tuple[str, ...]] = {
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
_ADAPTER_FILES = ("*.safetensors", "*.json")
_OFFICIAL_FILES = (POSE_FILE, LORA_FILE)
_ADAPTER_SUFFIXES = (".safetensors", ".bin", ".pt", ".pth")
# What is fetched of a repository: the components beside the transformer in either layout, and the transformer; the
# indices of the latter come first, so that shards of the face and motion branch alone are never fetched.
_COMPONENT_PATTERNS = (
    PIPELINE_FILE,
    *(f"{name}/*" for name in _COMPONENTS),
    "Wan2.1_VAE.*",
    "models_t5_*",
    "models_clip_*",
    "google/*",
)
_TRANSFORMER_PATTERNS = ("config.json", "transformer/*", "diffusion_pytorch_model*")
_INDEX_PATTERNS = ("model_index.json", "config.json", "transformer/*.json", "diffusion_pytorch_model*.json")
# Weight files that may lie beside a transformer's single file and are not it.
_NOT_TRANSFORMERS = ("wan2.1_vae", "wan_2.1_vae", "models_", "pose_patch_embedding", "lora", "taew")


@dataclass(frozen=True, kw_only=True)
class BaseSource:
    """Where each component of a base model is."""

    name: str  # as the user gave it
    layout: Layout  # how the transformer is stored
    transformer: tuple[Path, ...]  # its weight files
    # `config.json` of either layout, or None where the weights' shapes alone tell the architecture
    transformer_config: Path | None = None
    vae: Path | None = None  # a folder in diffusers' layout, or the original file
    text_encoder: Path | None = None  # likewise
    tokenizer: Path | None = None  # a folder
    image_encoder: Path | None = None  # a folder in diffusers' layout, or the original file
    image_processor: Path | None = None  # a folder, or None for CLIP's usual processing
    scheduler: Path | None = None  # a folder, or None for the flow-matching Euler scheduler with shift 5
    # whether it is a pipeline that this package has saved, from where components may be left out on purpose
    own: bool = False

    @property
    def files(self) -> tuple[Path, ...]:
        """Files and folders that decide what comes out."""
        components = (self.vae, self.text_encoder, self.image_encoder, self.scheduler)
        return (*self.transformer, *(path for path in components if path is not None))


def find_base(
    name: str | Path = DEFAULT_BASE, *, offline: bool = False, components: str | Path | None = None
) -> BaseSource:
    """Where the components of a base model are, all of them present.

    Args:
        name: a folder in diffusers' layout or the original one; a single weight file (safetensors or GGUF) of the
            transformer, or a folder with one; or any of these on the hub: `owner/name`, `owner/name/file.gguf`.
        offline: never reach for the network.
        components: where the VAE and the encoders are, for transformers that come alone: a folder or hub id in either
            layout. Without it, they must lie in the folder of `name`.

    Raises:
        MissingPartError: something is not on this machine; the message lists it and the command that gets it.
        UserError: there is something at `name`, but no base model.
    """
    source, repo = _find(str(name), offline=offline)
    if components is not None:
        companion = Path(str(components)).expanduser()
        if not companion.is_dir():
            companion = _fetch(str(components), offline=offline, transformer=False)
            repo = str(components)
        source = replace(source, **_find_components(companion))
    missing = missing_files(source)
    if missing:
        raise MissingPartError(_missing_message(source, missing, repo, offline, given=components is not None))
    return source


def find_adapter(name: str | Path, *, offline: bool = False) -> Path:
    """The file or folder of an adapter, here or on the hub.

    Args:
        name: a path, or on the hub `owner/name`, `owner/name/folder` or `owner/name/file.safetensors`.
        offline: never reach for the network.

    Returns:
        The file, or the folder that holds the files itself: the official ones lie one level down, in
        `checkpoint-infer/`.

    Raises:
        MissingPartError: it is not on this machine, or not whole, and cannot be fetched.
        UserError: there is nothing of that name, or several adapters are in it.
    """
    path = Path(str(name)).expanduser()
    if path.exists():
        return adapter_folder(path)
    identity = split_id(str(name))
    if identity is None:
        raise UserError(f"{name} does not exist; give an adapter's folder or file, or a name on the hub")
    repo, inner = identity
    if inner is not None and inner.endswith(_ADAPTER_SUFFIXES):
        return fetch_file(repo, inner, offline=offline)
    files = _ADAPTER_FILES if inner is None else tuple(f"{inner.strip('/')}/{pattern}" for pattern in _ADAPTER_FILES)
    fetched = fetch_folder(repo, files=files, offline=offline, hint=_download_size(repo))
    folder = adapter_folder(fetched if inner is None else fetched / inner)
    # Older versions of the hub's library take a download that broke off for whole while there is no network.
    if repo == OFFICIAL_ADAPTER and (gone := [file for file in _OFFICIAL_FILES if not (folder / file).is_file()]):
        raise MissingPartError(f"{name} is here in part only, without {gone[0]}. Get it with: {download_command(repo)}")
    return folder


def adapter_folder(path: Path) -> Path:
    """`path`, or the one folder in it with the official files where `path` holds no weights itself.

    Raises:
        UserError: several folders in it hold an adapter.
    """
    if not path.is_dir() or (path / PIPELINE_FILE).is_file() or any(path.glob("*.safetensors")):
        return path
    inner = sorted({file.parent for name in _OFFICIAL_FILES for file in path.glob(f"*/{name}")})
    if len(inner) > 1:
        raise UserError(
            f"{path} holds several adapters ({list_some([found.name for found in inner])}); name one of them"
        )
    return inner[0] if inner else path


def _download_size(repo: str) -> str:
    return f"It is a download of {DOWNLOADS[repo]}." if repo in DOWNLOADS else ""


def is_own_pipeline(folder: Path) -> bool:
    """Whether a folder holds a pipeline that this package has saved.

    Raises:
        UserError: its index is damaged.
    """
    return _class_name(folder / PIPELINE_FILE) == OWN_PIPELINE


def missing_files(source: BaseSource) -> list[str]:
    """What `source` names that is not on disk, and the components it does not name at all."""
    wanted = [*source.transformer, *([source.transformer_config] if source.transformer_config else [])]
    missing = [str(path) for path in wanted if not path.is_file()]
    absent = _left_out(source)
    for name in ("vae", "text_encoder", "tokenizer", "image_encoder"):
        if name not in absent:
            missing += _missing_of(name, getattr(source, name))
    return missing


def _left_out(source: BaseSource) -> set[str]:
    """The components that a pipeline of this package says it does not have."""
    if not source.own or source.transformer_config is None:
        return set()
    index = read_json(source.transformer_config.parents[1] / PIPELINE_FILE)
    return {name for name, entry in index.items() if entry == [None, None]}


def _missing_of(component: str, path: Path | None) -> Iterator[str]:
    if path is None:
        yield f"the {component.replace('_', ' ')} ({' or '.join(_COMPONENTS[component][:2])})"
    elif component == "tokenizer":
        if not any((path / name).is_file() for name in ("tokenizer.json", "spiece.model")):
            yield str(path / "tokenizer.json")
    elif path.is_dir():
        if not (path / "config.json").is_file():
            yield str(path / "config.json")
        yield from (str(file) for file in component_files(path, _STEMS[component]) if not file.is_file())


def _missing_message(source: BaseSource, missing: list[str], repo: str | None, offline: bool, given: bool) -> str:
    text = f"{source.name} is not complete. Missing: {list_some(missing, 8)}."
    if repo is not None:
        text += f" Get what is missing with: {download_command(repo)}"
        return text + (", or run once without --offline, which fetches only what is used" if offline else "")
    if source.layout in ("single-file", "gguf") and not given:
        return (
            f"{text} A transformer's file comes alone: put these beside it, or name a folder or a hub id that has them "
            f"(for example {DEFAULT_BASE}) as its components."
        )
    return f"{text} A complete base comes with: {download_command(DEFAULT_BASE)}"


def _find(name: str, *, offline: bool) -> tuple[BaseSource, str | None]:
    """The source, and its repository where it is from the hub."""
    path = Path(name).expanduser()
    if path.is_file():
        return _from_file(name, path), None
    if path.is_dir():
        return _from_folder(name, path), None
    identity = split_id(name)
    if identity is not None and identity[1] is not None:
        return _from_file(name, fetch_file(identity[0], identity[1], offline=offline)), None
    return _from_folder(name, _fetch(name, offline=offline, transformer=True)), name


def _fetch(name: str, *, offline: bool, transformer: bool) -> Path:
    identity = split_id(name)
    if identity is None or identity[1] is not None or name.endswith((".safetensors", ".gguf")):
        raise UserError(
            f"{name} does not exist; give a folder, a weight file, or a name on the hub such as {DEFAULT_BASE}"
        )
    repo, hint = identity[0], _download_size(identity[0])
    if not transformer:
        return fetch_folder(repo, files=_COMPONENT_PATTERNS, offline=offline)
    # Offline too: what was left out of the download is not missing.
    unused = _face_shards(fetch_folder(repo, files=_INDEX_PATTERNS, offline=offline, hint=hint))
    patterns = (*_COMPONENT_PATTERNS, *_TRANSFORMER_PATTERNS)
    return fetch_folder(repo, files=patterns, ignore=unused, offline=offline, hint=hint)


def _face_shards(folder: Path) -> list[str]:
    """Shards, as paths in the repository, that hold the face and motion branch alone."""
    unused: list[str] = []
    for index in folder.glob("**/diffusion_pytorch_model.safetensors.index.json"):
        if index.parent.name not in (folder.name, "transformer"):
            continue
        needed = {*shard_names(index)}
        every = {*read_json(index)["weight_map"].values()}
        where = index.parent.relative_to(folder)
        unused += [(where / name).as_posix() for name in sorted(every - needed)]
    return unused


def _from_file(name: str, path: Path) -> BaseSource:
    with existing_file(path).open("rb") as file:
        layout: Layout = "gguf" if file.read(4) == b"GGUF" else "single-file"
    return BaseSource(name=name, layout=layout, transformer=(path,), **_find_components(path.parent))


def _from_folder(name: str, folder: Path) -> BaseSource:
    inner = folder / "transformer"
    if inner.is_dir() or (folder / PIPELINE_FILE).is_file():
        return _in_diffusers_layout(name, folder, inner, component_files(inner))
    files = sharded(folder)
    if files and _class_name(folder / "config.json") in ARCHITECTURES:
        return _in_diffusers_layout(name, folder.parent, folder, files)
    if files:
        config = folder / "config.json"
        return BaseSource(
            name=name,
            layout="original",
            transformer=files,
            transformer_config=config if config.is_file() else None,
            **_find_components(folder),
        )
    return _from_file(name, _only_transformer(folder))


def _in_diffusers_layout(name: str, folder: Path, transformer: Path, files: tuple[Path, ...]) -> BaseSource:
    return BaseSource(
        name=name,
        layout="diffusers",
        transformer=files,
        transformer_config=transformer / "config.json",
        own=is_own_pipeline(folder),
        **_find_components(folder),
    )


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
    return read_json(config).get("_class_name") if config.is_file() else None


def _find_components(folder: Path) -> dict[str, Any]:
    """Each component's place in `folder`, by either layout's names; None where there is none."""

    def find(names: tuple[str, ...]) -> Path | None:
        return next((folder / name for name in names if (folder / name).exists()), None)

    return {name: find(names) for name, names in _COMPONENTS.items()}
