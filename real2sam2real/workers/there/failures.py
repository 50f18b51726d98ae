"""What goes wrong, told in kinds that the other side can explain."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

GATED = {"GatedRepoError"}
NOT_FETCHED = {
    "EntryNotFoundError",
    "HFValidationError",
    "HfHubHTTPError",
    "LocalEntryNotFoundError",
    "OfflineModeIsEnabled",
    "RepositoryNotFoundError",
}
BROKEN_CARD = ("cuda error", "device-side assert", "illegal memory access", "cudnn error")
NO_MEMORY = ("out of memory", "cublas_status_alloc_failed")
DISK_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}

HOPELESS = {"import", "code", "version", "weights", "gated", "device", "cuda", "disk"}
"""What fails for every entity alike. After "cuda" the card answers no more; the others lie in the environment."""


class WorkerError(Exception):
    """Something the user can be told about: what happened, and the package or the file that is missing.

    The kind is one of `HOPELESS`, "memory", "request", "cannot-lift" or "failed"; the other side adds "crash" and
    "timeout".
    """

    def __init__(self, kind: str, message: str, missing: str = "") -> None:
        super().__init__(message)
        self.kind, self.message, self.missing = kind, message, missing

    def as_json(self) -> dict[str, str]:
        """JSON values."""
        return {"kind": self.kind, "message": self.message, "missing": self.missing}


def failure_of(error: BaseException, *, while_loading: bool = False) -> WorkerError:
    """The failure that an exception stands for; a file that is missing while loading is one of the weights."""
    if isinstance(error, WorkerError):
        return error
    text, names = _said(error), {cls.__name__ for cls in type(error).__mro__}
    if isinstance(error, MemoryError) or "OutOfMemoryError" in names or _mentions(error, NO_MEMORY):
        return WorkerError("memory", _with_memory(text))
    if _mentions(error, BROKEN_CARD):
        return WorkerError("cuda", text)
    if names & GATED:
        return WorkerError("gated", text)
    if names & NOT_FETCHED:
        return WorkerError("weights", text)
    if isinstance(error, OSError) and error.errno in DISK_FULL:
        return WorkerError("disk", text)
    if while_loading and isinstance(error, FileNotFoundError):
        return WorkerError("weights", text, missing=str(error.filename or ""))
    if isinstance(error, ImportError):  # lifters import some of their packages at the first use alone
        return WorkerError("import", text, missing=_missing_module(error))
    return WorkerError("failed", text)


@contextmanager
def importing(what: str) -> Iterator[None]:
    """Tell anything that goes wrong while `what` is imported as an import that failed.

    A package that was built for another version of torch raises all kinds of errors, not only ImportError.
    """
    try:
        yield
    except WorkerError:
        raise
    except Exception as error:
        raise WorkerError("import", f"importing {what}: {_said(error)}", missing=_missing_module(error)) from error


def _missing_module(error: BaseException) -> str:
    return error.name or "" if isinstance(error, ModuleNotFoundError) else ""


def _said(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:600]}" if text else type(error).__name__


def _mentions(error: BaseException, phrases: tuple[str, ...]) -> bool:
    return isinstance(error, RuntimeError) and any(phrase in str(error).lower() for phrase in phrases)


def _with_memory(text: str) -> str:
    try:
        import torch

        free, total = torch.cuda.mem_get_info()
    except Exception:  # without a card that answers, the message stands by itself
        return text
    return f"{text} ({free / 2**30:.1f} of {total / 2**30:.1f} GiB are free)"
