"""The clips of one stage on the training device, filled by a thread while batches are drawn."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from real2sam2real.errors import UserError
from real2sam2real.lab.train.clips import PixelClips
from real2sam2real.lab.train.renderers import ClipOrder, Renderers

log = logging.getLogger(__name__)

MOST_FAILED = 0.05
"""A larger share of clips that cannot be rendered is a fault, not bad luck."""
_POLL = 0.05  # seconds between looks for new files


class ClipPool:
    """Clips in the order of their indices: what is drawn depends on how many there are, not on who was faster."""

    def __init__(self, order: ClipOrder, stage: int, renderers: Renderers, device: torch.device) -> None:
        self._order, self._stage, self._renderers, self._device = order, stage, renderers, device
        shape = (order.count, order.videos, order.frames, order.height, order.width, 3)
        self._data = torch.empty(shape, dtype=torch.uint8, device=device)
        self._lifted: dict[int, bool | None] = {}  # by index, as they arrive; None for one that failed
        self._known = 0  # indices from 0 on that are there without a gap
        self._rows: tuple[Tensor, Tensor] | None = None  # ordinary and lifted ones among the first `_drawn_from`
        self._drawn_from = 0
        self._error: BaseException | None = None
        self._stop = threading.Event()
        renderers.begin(stage)
        self._thread = threading.Thread(target=self._fill, daemon=True)
        self._thread.start()

    def __len__(self) -> int:
        return self._known

    @property
    def failed(self) -> int:
        """How many clips could not be rendered."""
        return sum(lifted is None for lifted in tuple(self._lifted.values()))

    def wait(self, count: int) -> None:
        """Until the first `count` clips are there.

        Raises:
            UserError: the renderers stopped, or a file cannot be read.
        """
        while self._known < count:
            if self._error is not None:
                raise UserError(f"the pool of training clips cannot be filled: {self._error}") from self._error
            self._renderers.check()
            time.sleep(_POLL)

    def draw(self, batch: int, first: int, lifted: float, generator: torch.Generator) -> PixelClips:
        """`batch` of the first `first` clips, which must be there.

        Args:
            batch: B.
            first: see above.
            lifted: share of the batch that is drawn from the lifted clips, where there are any.
            generator: on the pool's device.
        """
        ordinary, others = self._among(first)
        chance = torch.rand(batch, generator=generator, device=self._device)
        place = torch.rand(batch, generator=generator, device=self._device)
        if not len(others):
            is_lifted = torch.zeros(batch, dtype=torch.bool, device=self._device)
        elif not len(ordinary):
            is_lifted = torch.ones(batch, dtype=torch.bool, device=self._device)
        else:
            is_lifted = chance < lifted
        rows = torch.where(is_lifted, _at(others, place), _at(ordinary, place))
        return PixelClips(videos=self._data[rows], lifted=is_lifted)

    def close(self) -> None:
        """Stop filling and let the memory go."""
        self._stop.set()
        self._thread.join()
        del self._data
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def _among(self, first: int) -> tuple[Tensor, Tensor]:
        """Rows of the ordinary and of the lifted clips among the first so many."""
        if self._rows is None or first != self._drawn_from:
            kinds = [self._lifted[index] for index in range(first)]
            pair = ([k for k, lifted in enumerate(kinds) if lifted is kind] for kind in (False, True))
            plain, lifted = (torch.tensor(rows, dtype=torch.long, device=self._device) for rows in pair)
            self._rows, self._drawn_from = (plain, lifted), first
        return self._rows

    def _fill(self) -> None:
        on_gpu = self._device.type == "cuda"
        stream = torch.cuda.Stream(self._device) if on_gpu else None  # type: ignore[no-untyped-call]
        try:
            with torch.cuda.stream(stream):  # copies do not wait for the network's work; nothing on a CPU
                while not self._stop.is_set() and len(self._lifted) < self._order.count:
                    for index, file in self._renderers.finished(self._stage):
                        self._take(index, file, stream)
                        if self._stop.is_set():
                            return
                    self._stop.wait(_POLL)
        except BaseException as error:  # told to whoever waits for clips
            self._error = error

    def _take(self, index: int, file: Path, stream: torch.cuda.Stream | None) -> None:
        if file.suffix == ".failed":
            self._lifted[index] = None
            log.warning("a training clip is left out, %s", file.read_text(encoding="utf-8"))
            if self.failed > max(3, MOST_FAILED * self._order.count):
                raise UserError(f"{self.failed} clips could not be rendered")
        else:
            clip = torch.from_numpy(np.load(file))
            if stream is not None:
                clip = clip.pin_memory()
            self._data[index, : len(clip)].copy_(clip, non_blocking=stream is not None)
            if stream is not None:
                stream.synchronize()
            self._lifted[index] = len(clip) > 2
        self._renderers.taken(file)
        while self._known in self._lifted:
            self._known += 1


def _at(rows: Tensor, place: Tensor) -> Tensor:
    """The rows at places `(B,)` in 0…1 of all; zeros where there are none."""
    if not len(rows):
        return torch.zeros(len(place), dtype=torch.long, device=place.device)
    return rows[(place * len(rows)).long().clamp(max=len(rows) - 1)]
