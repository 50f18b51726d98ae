"""Files from the Hugging Face hub, with its progress bars and resumed downloads, or from its cache alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from real2sam2real.errors import MissingPartError

# The parts beside the transformer, in diffusers' layout and in the original one.
PART_PATTERNS = (
    "model_index.json",
    "vae/*",
    "text_encoder/*",
    "tokenizer/*",
    "image_encoder/*",
    "image_processor/*",
    "scheduler/*",
    "Wan2.1_VAE.*",
    "models_t5_*",
    "models_clip_*",
    "google/*",
)
TRANSFORMER_PATTERNS = ("config.json", "transformer/*", "diffusion_pytorch_model*")
_INDEX_PATTERNS = ("model_index.json", "config.json", "transformer/*.json", "diffusion_pytorch_model*.json")
_ID = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)(?:/(?P<file>[^\s]+))?$")


def split_id(name: str) -> tuple[str, str | None] | None:
    """The repository and, where one is named, the file in it: `owner/name` or `owner/name/path/in/it.gguf`.

    Returns:
        None where `name` cannot be on the hub.
    """
    match = _ID.match(name)
    if not match or name.startswith((".", "/", "~")):
        return None
    return match["repo"], match["file"]


def fetch_base(repo: str, *, offline: bool, transformer: bool = True) -> Path:
    """The folder of a base in the hub's cache, downloaded as far as it is not there yet.

    The index of the transformer comes first, so that shards of the face and motion branch alone are never fetched.

    Args:
        repo: `owner/name`.
        offline: use the cache alone.
        transformer: also the transformer, not its companions alone.

    Raises:
        MissingPartError: nothing of it is in the cache, or the hub cannot be reached.
    """
    patterns = [*PART_PATTERNS, *(TRANSFORMER_PATTERNS if transformer else ())]
    unused: list[str] = []
    if transformer and not offline:
        unused = _face_shards(_snapshot(repo, offline=False, allow=_INDEX_PATTERNS))
    return _snapshot(repo, offline=offline, allow=patterns, ignore=unused)


def fetch_adapter(repo: str, *, offline: bool) -> Path:
    """The folder of an adapter in the hub's cache: its weights and settings.

    Raises:
        MissingPartError: nothing of it is in the cache, or the hub cannot be reached.
    """
    return _snapshot(repo, offline=offline, allow=("*.safetensors", "*.json"))


def fetch_file(repo: str, file: str, *, offline: bool) -> Path:
    """One file of a repository, from the hub or its cache.

    Raises:
        MissingPartError: it is not in the cache, or the hub does not have it or cannot be reached.
    """
    from huggingface_hub import hf_hub_download

    return _reach(repo, file, offline, lambda: hf_hub_download(repo, file, local_files_only=offline))


def download_command(repo: str, files: Sequence[str] = ()) -> str:
    """The command that fetches `files`, or everything, into the cache."""
    return " ".join(["hf download", repo, *files])


def _snapshot(repo: str, *, offline: bool, allow: Sequence[str], ignore: Sequence[str] = ()) -> Path:
    from huggingface_hub import snapshot_download

    def fetch() -> str:
        return snapshot_download(
            repo, allow_patterns=list(allow), ignore_patterns=list(ignore) or None, local_files_only=offline
        )

    return _reach(repo, None, offline, fetch)


def _reach(repo: str, file: str | None, offline: bool, fetch: Callable[[], str]) -> Path:
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    wanted = f"{repo}/{file}" if file else repo
    command = download_command(repo, [file] if file else [])
    try:
        return Path(fetch())
    except LocalEntryNotFoundError as error:
        why = "no download was allowed" if offline else "the hub cannot be reached"
        raise MissingPartError(
            f"{wanted} is neither a path here nor in the cache of the hub, and {why}. Where there is a network, get it "
            f"with: {command}"
        ) from error
    except (HfHubHTTPError, OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise MissingPartError(
            f"{wanted} is not a path here, and fetching it from the hub failed: {reason}. To try it alone: {command}"
        ) from error


def _face_shards(folder: Path) -> list[str]:
    """Shards, as paths in the repository, that hold the face and motion branch alone."""
    import json

    from real2sam2real.diffusion.weights.files import shard_names

    unused: list[str] = []
    for index in folder.glob("**/diffusion_pytorch_model.safetensors.index.json"):
        if index.parent.name not in (folder.name, "transformer"):
            continue
        needed = {*shard_names(index)}
        every = {*json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()}
        where = index.parent.relative_to(folder)
        unused += [(where / name).as_posix() for name in sorted(every - needed)]
    return unused
