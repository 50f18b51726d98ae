"""A base on the hub: which of a repository's files are fetched."""

from __future__ import annotations

import json
from pathlib import Path

from real2sam2real.diffusion.weights.shards import shard_names
from real2sam2real.pretrained.hub import fetch_folder

# The components beside the transformer, in diffusers' layout and in the original one.
COMPONENT_PATTERNS = (
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
    patterns = [*COMPONENT_PATTERNS, *(TRANSFORMER_PATTERNS if transformer else ())]
    unused: list[str] = []
    if transformer and not offline:
        unused = _face_shards(fetch_folder(repo, files=_INDEX_PATTERNS))
    return fetch_folder(repo, files=patterns, ignore=unused, offline=offline)


def _face_shards(folder: Path) -> list[str]:
    """Shards, as paths in the repository, that hold the face and motion branch alone."""
    unused: list[str] = []
    for index in folder.glob("**/diffusion_pytorch_model.safetensors.index.json"):
        if index.parent.name not in (folder.name, "transformer"):
            continue
        needed = {*shard_names(index)}
        every = {*json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()}
        where = index.parent.relative_to(folder)
        unused += [(where / name).as_posix() for name in sorted(every - needed)]
    return unused
