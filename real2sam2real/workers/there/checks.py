"""Whether what is installed is what the worker was written for; a WorkerError of its kind where it is not."""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
import os
import platform
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from .failures import WorkerError


def require_parameters(function: Callable[..., Any], names: Iterable[str], what: str) -> None:
    """Check that a function can be called with these parameters."""
    parameters = inspect.signature(function).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return
    missing = [name for name in names if name not in parameters]
    if missing:
        taken = ", ".join(name for name in parameters if name != "self")
        raise WorkerError("version", f"{what} does not know {', '.join(missing)}; it takes ({taken})")


def require_attribute(module: ModuleType, name: str) -> Any:
    """The attribute of a module, which it must have."""
    if not hasattr(module, name):
        raise WorkerError("version", f"{module.__name__} ({module.__file__}) has no {name}")
    return getattr(module, name)


def require_files(paths: Iterable[Path]) -> None:
    """Check that weights are there."""
    for path in paths:
        if not path.is_file():
            raise WorkerError("weights", f"{path} is missing", missing=str(path))


def show_one_card(wanted: str) -> None:
    """Hide every other card from CUDA, before torch is imported: others compute on "cuda", whatever they are told.

    "cuda:N" counts among the cards that can be seen now; "cpu" hides them all; anything else hides none.
    """
    card = re.fullmatch(r"cuda:(\d+)", wanted)
    if card is None and wanted != "cpu":
        return
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if card is None:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    elif visible is None:
        os.environ["CUDA_VISIBLE_DEVICES"] = card[1]
    else:
        cards = [name.strip() for name in visible.split(",") if name.strip()]
        if int(card[1]) >= len(cards):
            raise WorkerError("device", f"there is no {wanted}: CUDA_VISIBLE_DEVICES is '{visible}'")
        os.environ["CUDA_VISIBLE_DEVICES"] = cards[int(card[1])]


def choose_device(wanted: str, *, cpu_will_do: bool) -> str:
    """The device to compute on, "cuda" or what is wanted; `show_one_card` has seen to which card that is.

    "auto" may be the CPU where that will do.
    """
    import torch

    if wanted not in ("auto", "cuda") and not wanted.startswith("cuda:"):
        return wanted
    if torch.cuda.is_available():
        return "cuda"
    if wanted == "auto" and cpu_will_do:
        return "cpu"
    raise WorkerError("device", f"torch {torch.__version__} sees no CUDA card")


def versions(code: Path | None, distributions: Iterable[str]) -> dict[str, str]:
    """What the result was made with: Python, the distributions that are installed, the commit of the clone."""
    found = {"python": platform.python_version()}
    for name in distributions:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    commit = _commit(code) if code else ""
    return {**found, "commit": commit} if commit else found


def _commit(code: Path) -> str:
    head = code / ".git" / "HEAD"
    if not head.is_file():
        return ""
    text = head.read_text(encoding="utf-8").strip()
    if not text.startswith("ref: "):
        return text
    branch = code / ".git" / text[len("ref: ") :]
    return branch.read_text(encoding="utf-8").strip() if branch.is_file() else ""
