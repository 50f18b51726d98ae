"""Files of training clips, rendered ahead by a process of its own.

That process imports what this module imports and what its writer needs: nothing of diffusion for clips that stay
pictures.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable, Sequence
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Generic, TypeVar

from real2sam2real.errors import NoRoomError, UserError

Clips = TypeVar("Clips")


class ShardSource(Generic[Clips]):
    """Files of clips in a fixed order, rendered ahead by a process of its own; existing ones are used as they are.

    `make_writer` is called in that process; what it gives writes file `index` to a path, whole or not at all.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        make_writer: Callable[[], Callable[[Path, int], None]],
        read: Callable[[Path], Clips],
    ) -> None:
        self._paths, self._read = paths, read
        self._loaded: dict[int, Clips] = {}
        self._process: SpawnProcess | None = None
        if not all(path.exists() for path in paths):
            self._process = multiprocessing.get_context("spawn").Process(
                target=_render_shards, args=(paths, make_writer), daemon=True
            )
            self._process.start()

    def window(self, newest: int, size: int) -> list[Clips]:
        """Shard `newest` and those before it, `size` at most, once they are rendered.

        Raises:
            UserError: the rendering process ended without writing one.
        """
        numbers = range(max(0, newest - size + 1), newest + 1)
        self._loaded = {k: self._loaded[k] if k in self._loaded else self._read(self._rendered(k)) for k in numbers}
        return list(self._loaded.values())

    def _rendered(self, index: int) -> Path:
        path = self._paths[index]
        while not path.exists():
            if self._process is not None:
                self._process.join(timeout=0.2)
            if (self._process is None or not self._process.is_alive()) and not path.exists():
                raise UserError(f"the process that renders training clips stopped before {path}; see its error above")
        return path

    def close(self) -> None:
        """Stop rendering."""
        if self._process is not None:
            self._process.terminate()
            self._process.join()


def _render_shards(paths: Sequence[Path], make_writer: Callable[[], Callable[[Path, int], None]]) -> None:
    os.nice(5)
    import numba
    import torch

    torch.set_num_threads(1)
    numba.set_num_threads(1)
    write = make_writer()
    trainer = os.getppid()
    for index, path in enumerate(paths):
        if os.getppid() != trainer:  # the trainer was killed; nobody would stop an orphan
            return
        if not path.exists():
            try:
                write(path, index)
            except NoRoomError as error:
                sys.exit(f"error: {error}")
