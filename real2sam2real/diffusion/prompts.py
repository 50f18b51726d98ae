"""Prompts as embeddings, and those kept on disk.

The text encoder is the largest file after the transformer, and its answers are small: an embedding is 2 to 4 MB,
UMT5-XXL is 11 GB. One file per prompt and encoder, named by a hash of both.
"""

from __future__ import annotations

import hashlib
import html
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from real2sam2real.errors import NoRoomError, require
from real2sam2real.files import replacing_file

TEXT_TOKENS = 512
NEGATIVE_PROMPT = "bad detailed"  # the official script's


@torch.no_grad()
def embed_text(text_encoder: Any, tokenizer: Any, prompt: str, device: torch.device) -> Tensor:
    """`(1, 512, text_dim)` text embeddings, zeros after the prompt's last token.

    Args:
        text_encoder: UMT5's encoder.
        tokenizer: its tokenizer.
        prompt: any text.
        device: where to compute.

    Raises:
        MissingPartError: ftfy is not installed.
    """
    tokens = tokenizer(
        [clean_prompt(prompt)],
        padding="max_length",
        max_length=TEXT_TOKENS,
        truncation=True,
        return_attention_mask=True,
        return_tensors="pt",
    ).to(device)
    embedded = text_encoder(tokens.input_ids, tokens.attention_mask).last_hidden_state
    result: Tensor = embedded * tokens.attention_mask[..., None]
    return result


def clean_prompt(prompt: str) -> str:
    """The prompt as Wan's text encoder was trained to see it: broken Unicode mended, HTML entities read, one space.

    Raises:
        MissingPartError: ftfy is not installed.
    """
    ftfy = require("ftfy", "reading prompts as the model was trained needs ftfy; pip install 'real2sam2real[full]'")
    return " ".join(html.unescape(html.unescape(ftfy.fix_text(prompt))).split())


def cache_folder() -> Path:
    """`R2S2R_CACHE`, else `real2sam2real` in the user's cache folder."""
    if named := os.environ.get("R2S2R_CACHE"):
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "real2sam2real"


def encoder_identity(path: Path) -> str:
    """What tells a text encoder from another without reading it: names, sizes and times of its files."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    stats = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files if file.is_file()]
    return hashlib.sha256(repr((str(path.resolve()), stats)).encode()).hexdigest()


def kept_tensor(path: Path, make: Callable[[], Tensor]) -> Tensor:
    """What `make` gives, on the CPU: from the file where an earlier call left it."""
    if path.is_file():
        try:
            return load_file(path)["embedding"]
        except (SafetensorError, KeyError):  # damaged: make it anew
            path.unlink()
    made = make().cpu().contiguous()
    with suppress(NoRoomError), replacing_file(path) as temporary:  # it only saves time
        save_file({"embedding": made}, temporary)
    return made


class PromptCache:
    """Embeddings of prompts by one text encoder.

    Args:
        identity: of the encoder; see `encoder_identity`.
        embed: makes `(1, 512, text_dim)` of a prompt; loads the encoder when it is first called.
        folder: where to keep them; None for `cache_folder()`.
    """

    def __init__(self, identity: str, embed: Callable[[str], Tensor], folder: Path | None = None) -> None:
        self._identity, self._embed = identity, embed
        self._folder = (folder or cache_folder()) / "prompts"

    def __call__(self, prompt: str) -> Tensor:
        """`(1, 512, text_dim)` of a prompt, from disk where it has been asked for before."""
        name = hashlib.sha256(f"{self._identity}\0{clean_prompt(prompt)}".encode()).hexdigest()
        return kept_tensor(self._folder / f"{name}.safetensors", lambda: self._embed(prompt))
