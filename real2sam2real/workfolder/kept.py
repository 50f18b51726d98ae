"""Results that took long, each in a file named after all that it was made from: made again only where that changed."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from real2sam2real.files import replacing_file
from real2sam2real.options import as_json
from real2sam2real.workfolder.fingerprint import fingerprint

Arrays = Mapping[str, NDArray[Any]]


@dataclass(eq=False)
class KeptResults:
    """A folder of results; without one nothing is kept, and everything made anew."""

    folder: Path | None = None
    used: set[Path] = field(default_factory=set)  # files that this run asked for

    def get(self, code: tuple[str, ...], made_from: Any, make: Callable[[], Arrays]) -> Arrays:
        """What `make` gives, or gave before.

        Args:
            code: the package's folders and files that decide the result.
            made_from: everything else that does: arrays and JSON values, in lists.
            make: makes it, as arrays of numbers, of truth values or of text.
        """
        if self.folder is None:
            return make()
        path = self.folder / f"{fingerprint(code=code, settings=content_of(made_from), inputs=())}.npz"
        self.used.add(path)
        if path.is_file():
            with suppress(OSError, ValueError, zipfile.BadZipFile), np.load(path, allow_pickle=False) as file:
                return dict(file)  # where it is not damaged
        made = make()
        self.folder.mkdir(parents=True, exist_ok=True)
        with replacing_file(path) as fresh, fresh.open("wb") as file:
            np.savez_compressed(file, **made)  # type: ignore[arg-type]
        return made

    def sweep(self) -> None:
        """Delete what this run did not ask for."""
        for path in [] if self.folder is None else self.folder.glob("*.npz"):
            if path not in self.used:
                path.unlink(missing_ok=True)


def content_of(value: Any) -> Any:
    """JSON values in which arrays are hashes of their content."""
    if isinstance(value, np.ndarray):
        packed = np.packbits(value) if value.dtype == bool else np.ascontiguousarray(value)
        return [str(value.dtype), list(value.shape), hashlib.sha256(packed.tobytes()).hexdigest()]
    return [content_of(each) for each in value] if isinstance(value, (list, tuple)) else as_json(value)
