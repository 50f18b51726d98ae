"""Where a lifter's weights are, and whether its output has what is read from it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from real2sam2real.workers.there.checks import require_files
from real2sam2real.workers.there.failures import WorkerError

from .inputs import Request


def require_keys(output: dict[str, Any], names: Iterable[str], what: str) -> None:
    """Check that a lifter's output has what is read from it."""
    missing = [name for name in names if name not in output]
    if missing:
        raise WorkerError(
            "version", f"the output of {what} has no {', '.join(missing)}; it has {', '.join(sorted(output))}"
        )


def find_weights(request: Request, on_hub: str, marker: str, beside: str = "") -> Path | str:
    """A folder that holds the file `marker`, or a name on the hub: as asked for, else in the clone, else `on_hub`."""
    given = request.path("weights")
    if given is None:
        folder = request.code / beside if request.code and beside else None
        return folder if folder is not None and folder.is_dir() else on_hub
    if given.is_dir():
        require_files([given / marker])
        return given
    if given.is_absolute() or len(given.parts) != 2:
        raise WorkerError("weights", f"{given} is missing", missing=str(given))
    return str(request.settings["weights"])
