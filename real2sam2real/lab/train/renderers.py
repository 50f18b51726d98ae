"""Training clips as pixels: rendered by processes of their own, each clip a file that the trainer takes away.

Nothing here imports torch, so that a renderer starts in a second. Shape letters: T frames of H × W pixels.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import numpy as np

from real2sam2real.arrays import UInt8
from real2sam2real.control.normal_convention import NormalConvention
from real2sam2real.errors import NoRoomError, UserError, first_line
from real2sam2real.files import replacing_file, sweep

AHEAD_BYTES = 24 << 30
"""So much of what is rendered may wait on disk."""
_PATIENCE = 1.0  # seconds between looks at whether the trainer still lives
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
_STRIDES = (0.6180339887498949, 0.4142135623730951)  # irrational, so that shares are kept in every stretch of clips


@dataclass(frozen=True, kw_only=True)
class ClipOrder:
    """The clips of one stage of a training; clip k is made from seed `first_seed` + k."""

    width: int  # pixels
    height: int  # pixels
    frames: int  # T
    first_seed: int
    count: int  # how many clips
    varied: float = 0.0  # share from `synth.varied_world()`, the others from the default worlds
    lifted: float = 0.0  # share whose control and preview are made from lifted meshes

    @property
    def videos(self) -> int:
        """How many videos a clip has: itself, its normals, and in lifted ones the preview."""
        return 3 if self.lifted else 2

    @property
    def clip_bytes(self) -> int:
        """Of the largest clip."""
        return self.videos * self.frames * self.height * self.width * 3

    def is_varied(self, index: int) -> bool:
        """Whether a clip is of a varied world."""
        return (index * _STRIDES[0]) % 1 < self.varied

    def is_lifted(self, index: int) -> bool:
        """Whether a clip's control is to be made from lifted meshes."""
        return (index * _STRIDES[1]) % 1 < self.lifted


def render_clip(order: ClipOrder, index: int) -> UInt8:
    """Clip `index` of an order: video and encoded normals, and of a lifted one the preview: `(2 or 3, T, H, W, 3)`.

    A lifted clip's normals and preview are rendered from what the embedded lifter makes of the first frame, moved as
    the truth moves. A clip of which nothing can be lifted stays an ordinary one.
    """
    from real2sam2real.lab.synth import sample_clip, varied_world
    from real2sam2real.lab.synth.lifted import lifted_case

    world = varied_world() if order.is_varied(index) else None
    size = {"width": order.width, "height": order.height, "frames": order.frames}
    clip = sample_clip(order.first_seed + index, config=world, **size)
    case = lifted_case(clip) if order.is_lifted(index) else None
    encode = NormalConvention().encode
    if case is None:
        return np.stack([clip.video, encode(clip.normals, clip.ids)])
    return np.stack([clip.video, encode(case.normals, case.ids), case.preview()])


class Renderers:
    """Processes that render the orders one after the other into `folder`, as far ahead as there is room.

    FOLDER/S-KKKKKK.npy is clip K of order S, there as soon as it is whole; .failed in place of .npy holds the message
    of one that could not be made.
    """

    def __init__(self, orders: Sequence[ClipOrder], folder: Path, processes: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        sweep(folder)
        for file in folder.glob("?-*.*"):
            file.unlink()
        self._folder = folder
        context = multiprocessing.get_context("spawn")
        largest = max((order.clip_bytes for order in orders), default=1)
        self._room = context.Semaphore(max(2 * processes, AHEAD_BYTES // largest))
        self._current = context.Value("i", 0)
        self._given_out = context.Array("i", len(orders))
        arguments = (tuple(orders), folder, self._room, self._current, self._given_out)
        self._processes: list[SpawnProcess] = [
            context.Process(target=_render, args=arguments, daemon=True) for _ in range(processes)
        ]
        with one_thread_each():
            for process in self._processes:
                process.start()

    def begin(self, stage: int) -> None:
        """Leave out what is not rendered yet of the orders before `stage`."""
        self._current.value = stage

    def finished(self, stage: int) -> Iterator[tuple[int, Path]]:
        """Index and file of each clip of an order that is there; those of earlier orders are thrown away."""
        for file in sorted(self._folder.glob("?-*.*")):
            of, _, index = file.stem.partition("-")
            if int(of) < stage:
                self.taken(file)
            elif int(of) == stage:
                yield int(index), file

    def taken(self, file: Path) -> None:
        """Remove a file that is read, which makes room for another."""
        file.unlink()
        self._room.release()

    def check(self) -> None:
        """See that none has ended before its work was done.

        Raises:
            UserError: one has.
        """
        if any(process.exitcode not in (None, 0) for process in self._processes):
            raise UserError("a process that renders training clips stopped before its work was done; see its error")

    def close(self) -> None:
        """Stop rendering and remove what nobody took."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.join()
        sweep(self._folder)
        for file in self._folder.glob("?-*.*"):
            file.unlink()


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Let processes that are started inside compute with one thread: libraries read this when they are loaded."""
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _render(orders: Sequence[ClipOrder], folder: Path, room: Any, current: Any, given_out: Any) -> None:
    """One renderer, until nothing is left to do or the trainer is gone."""
    import cv2

    os.nice(5)
    cv2.setNumThreads(1)
    trainer = os.getppid()
    while os.getppid() == trainer:  # if it was killed, nobody else would stop an orphan
        if not room.acquire(timeout=_PATIENCE):
            continue
        task = _next_task(orders, current, given_out)
        if task is None:
            return
        stage, index = task
        path = folder / f"{stage}-{index:06d}.npy"
        try:
            clip = render_clip(orders[stage], index)
        except Exception as error:  # skipped, counted and named by the trainer: one world in thousands must not end it
            message = f"seed {orders[stage].first_seed + index}: {type(error).__name__}: {first_line(error)}"
            with replacing_file(path.with_suffix(".failed")) as temporary:
                temporary.write_text(message, encoding="utf-8")
            continue
        try:
            with replacing_file(path) as temporary, temporary.open("wb") as file:
                np.save(file, clip)
        except NoRoomError as error:
            sys.exit(f"error: {error}")
    sys.exit(0)


def _next_task(orders: Sequence[ClipOrder], current: Any, given_out: Any) -> tuple[int, int] | None:
    """Order and index of the next clip to render, or None when all are given out."""
    with given_out.get_lock():
        for stage in range(current.value, len(orders)):
            if given_out[stage] < orders[stage].count:
                given_out[stage] += 1
                return stage, given_out[stage] - 1
    return None
