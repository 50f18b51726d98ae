"""Weights at a path of this machine or on the Hugging Face hub, with its progress bars, resumed downloads and cache.

Names are paths, or on the hub `owner/name` and, for one file of a repository, `owner/name/path/in/it`. Nothing here
tries the network where `offline` is set: then paths and the hub's cache are all there is.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from real2sam2real.errors import MissingPartError, first_line

# What transformers and diffusers read. Repositories also hold the original pickles; those are not fetched.
MODEL_FILES = ("*.json", "*.txt", "*.jinja", "*.model", "*.safetensors")
_PICKLES = ("*.pt",)
_ID = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)(?:/(?P<file>[^\s]+))?$")
_NO_ID = "no name on the hub either (those are owner/name)"


def find_folder(
    name: str | Path,
    *,
    files: Sequence[str] = MODEL_FILES,
    ignore: Sequence[str] = _PICKLES,
    offline: bool = False,
    hint: str = "",
) -> Path:
    """The folder that holds a model: the one that is named, or the hub's copy, downloaded where it is not cached.

    Args:
        name: a folder, or `owner/name`.
        files: patterns of what is fetched of a repository.
        ignore: patterns of what is not.
        offline: use paths and the hub's cache alone.
        hint: what else helps where it is missing, as sentences for the error.

    Raises:
        MissingPartError: it is not there; the message says why, and how to get it.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    identity = split_id(str(name))
    if identity is None or identity[1] is not None:
        raise MissingPartError(_with(f"there is no folder '{name}', and it is {_NO_ID}", hint))
    return fetch_folder(identity[0], files=files, ignore=ignore, offline=offline, hint=hint)


def find_file(name: str | Path, file: str, *, offline: bool = False, hint: str = "") -> Path:
    """A weight file: the one that is named, `file` in the folder that is named, or the hub's copy of it.

    Args:
        name: a file, a folder, `owner/name`, or `owner/name/path/in/it`.
        file: the file's name in a folder or repository.
        offline: use paths and the hub's cache alone.
        hint: what else helps where it is missing, as sentences for the error.

    Raises:
        MissingPartError: it is not there; the message says why, and how to get it.
    """
    for path in (Path(name).expanduser(), Path(name).expanduser() / file):
        if path.is_file():
            return path
    identity = split_id(str(name))
    if identity is None or Path(name).expanduser().is_dir():
        raise MissingPartError(_with(f"'{name}' is no file and holds no {file}, and it is {_NO_ID}", hint))
    return fetch_file(identity[0], identity[1] or file, offline=offline, hint=hint)


def file_from_environment(variable: str, names: Sequence[str], *, hint: str = "") -> Path | None:
    """The file that an environment variable names, itself or by its folder; None where the variable is not set.

    Args:
        variable: its name.
        names: what the file may be called in a folder.
        hint: what else helps where it is missing, as sentences for the error.

    Raises:
        MissingPartError: it is set, and there is no such file.
    """
    value = os.environ.get(variable)
    if not value:
        return None
    path = Path(value).expanduser()
    found = next((each for each in (path, *(path / name for name in names)) if each.is_file()), None)
    if found is None:
        wanted = " or ".join(names)
        message = (
            f"the variable {variable} names {value}, which is no file and no folder with {wanted}; correct the path"
        )
        raise MissingPartError(_with(message, hint))
    return found


def split_id(name: str) -> tuple[str, str | None] | None:
    """The repository and, where one is named, the file in it: `owner/name` or `owner/name/path/in/it.gguf`.

    Returns:
        None where `name` cannot be on the hub.
    """
    match = _ID.match(name)
    if not match or name.startswith((".", "/", "~")):
        return None
    return match["repo"], match["file"]


def fetch_folder(
    repo: str, *, files: Sequence[str], ignore: Sequence[str] = (), offline: bool = False, hint: str = ""
) -> Path:
    """The folder of a repository in the hub's cache, downloaded as far as it is not there yet; see `find_folder`.

    Raises:
        MissingPartError: nothing of it is in the cache, or the hub refuses it or cannot be reached.
    """
    from huggingface_hub import snapshot_download

    def fetch() -> str:
        return snapshot_download(
            repo, allow_patterns=list(files), ignore_patterns=list(ignore) or None, local_files_only=offline
        )

    command = " ".join([download_command(repo), *(f"--exclude '{pattern}'" for pattern in ignore)])
    return _reach(repo, command, offline, hint, fetch)


def fetch_file(repo: str, file: str, *, offline: bool = False, hint: str = "") -> Path:
    """One file of a repository, from the hub or its cache.

    Raises:
        MissingPartError: it is not in the cache, or the hub does not have it, refuses it or cannot be reached.
    """
    from huggingface_hub import hf_hub_download

    command = download_command(repo, [file])
    return _reach(
        f"{repo}/{file}", command, offline, hint, lambda: hf_hub_download(repo, file, local_files_only=offline)
    )


def cached_file(repo: str, file: str) -> Path | None:
    """One file of a repository where the hub's cache has it; nothing is downloaded."""
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(repo, file)
    return Path(cached) if isinstance(cached, str) else None


def download_command(repo: str, files: Sequence[str] = ()) -> str:
    """The command that fetches `files`, or everything, into the cache."""
    return " ".join(["hf download", repo, *files])


def _reach(wanted: str, command: str, offline: bool, hint: str, fetch: Callable[[], str]) -> Path:
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(fetch())
    except GatedRepoError as error:
        message = f"the hub refuses {wanted}: its owner grants access on request."
        raise MissingPartError(_with(message, hint)) from error
    except LocalEntryNotFoundError as error:
        why = "no download was allowed" if offline else "the hub cannot be reached"
        # Newer versions of the library notice a download that broke off, and name what it lacks.
        part = re.search(r"(\d+ file\(s\) are missing \(.*?\))\.", str(error))
        where = "is neither a path here nor in the cache of the hub"
        where = f"is in the cache of the hub in part only: {part[1]}" if part else where
        message = f"{wanted} {where}, and {why}. Where there is a network, get it with: {command}"
        raise MissingPartError(_with(message, hint)) from error
    except (HfHubHTTPError, OSError, ValueError) as error:
        message = f"{wanted} is not a path here, and fetching it from the hub failed: {first_line(error)}. "
        raise MissingPartError(_with(f"{message}To try it alone: {command}", hint)) from error


def _with(message: str, hint: str) -> str:
    return f"{message.removesuffix('.')}. {hint}" if hint else message
