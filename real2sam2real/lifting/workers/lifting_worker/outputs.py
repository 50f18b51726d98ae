"""Results on disk, whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from real2sam2real.workers.there.failures import WorkerError
from real2sam2real.workers.there.serving import write_json

from .inputs import RequestedEntity
from .protocol import ERROR, MESH, PROTOCOL, RESULT


@dataclass(frozen=True)
class Lifted:
    """What a lifter made of one entity."""

    vertices: NDArray[Any]  # `(V, 3)` as the lifter gives them
    faces: NDArray[Any]  # `(F, 3)` indices
    colors: NDArray[np.uint8] | None = None  # `(V, 3)` uint8 sRGB, or None
    # what the lifter says about where it stands, as it says it: JSON values
    pose: dict[str, Any] = field(default_factory=dict)
    keys: tuple[str, ...] = ()  # of the lifter's output, for whoever looks into it later

    def check(self) -> None:
        """Refuse what is no mesh, or stands nowhere: it is empty, or something is not finite."""
        if len(self.faces) < 4 or len(self.vertices) < 4:
            raise WorkerError("cannot-lift", f"the lifter made no body: {len(self.faces)} triangles")
        if not np.isfinite(self.vertices).all():
            raise WorkerError("cannot-lift", "the lifter's mesh has vertices that are not finite")
        for name, value in self.pose.items():
            if not np.isfinite(np.asarray(value, float)).all():
                raise WorkerError(
                    "cannot-lift", f"the lifter's {name} is not finite; is there any depth inside the mask?"
                )


def write_result(entity: RequestedEntity, lifted: Lifted, about: dict[str, Any]) -> None:
    """Write mesh and result; `about` are further JSON values."""
    arrays = {"vertices": lifted.vertices, "faces": np.asarray(lifted.faces, np.int32)}
    if lifted.colors is not None:
        arrays["colors"] = lifted.colors
    with _replacing(entity.folder) as folder:
        with (folder / MESH).open("wb") as file:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]  # names of arrays, none is allow_pickle
        write_json(folder / RESULT, {**_head(entity), "pose": lifted.pose, "keys": list(lifted.keys), **about})


def write_error(entity: RequestedEntity, failure: WorkerError) -> None:
    """Write why there is no result."""
    with _replacing(entity.folder) as folder:
        write_json(folder / ERROR, {**_head(entity), **failure.as_json()})


def _head(entity: RequestedEntity) -> dict[str, Any]:
    return {"protocol": PROTOCOL, "entity": entity.name, "digest": entity.digest}


@contextmanager
def _replacing(folder: Path) -> Iterator[Path]:
    """Fill a folder aside; it takes its place when it is whole."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = folder.with_name(f".{folder.name}-{os.getpid()}")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    try:
        yield aside
        if folder.exists():
            shutil.rmtree(folder)
        aside.replace(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
