"""The embedded estimator: our own small network, shipped with the package."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from real2sam2real.arrays import Float32, UInt8
from real2sam2real.control.normal_convention import NormalConvention
from real2sam2real.errors import MissingPartError
from real2sam2real.lab.curate.normals.axes import size_in_multiples, unit_normals
from real2sam2real.workfolder.json_values import typed
from real2sam2real.workfolder.records import read_record

if TYPE_CHECKING:
    from real2sam2real.lab.curate.normals.network import NormalNetwork


SHIPPED = Path(__file__).parents[3] / "assets" / "mini_normals"
_ROWS = 144  # the shorter side of what the network sees: the size of its training clips
_WINDOW = 48  # frames seen at a time
_OVERLAP = 8  # frames that neighbouring windows share; each keeps the half that lies further inside it


class MiniEstimator:
    """Normals by the `NormalNetwork` in a folder, `config.json` and `network.safetensors`; by default the shipped one.

    Raises:
        MissingPartError: there is no network.
    """

    def __init__(self, folder: Path = SHIPPED) -> None:
        self._network = _load(folder)
        self.name = "mini"

    def estimate(self, video: UInt8, ids: UInt8) -> Float32:
        """See `NormalEstimator.estimate`."""
        import torch

        from real2sam2real.lab.curate.normals.network import inputs

        frames, height, width = ids.shape
        size = size_in_multiples(width, height, _ROWS / min(width, height), self._network.multiple)
        small = np.stack([cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in video])
        small_ids = np.stack([cv2.resize(frame, size, interpolation=cv2.INTER_NEAREST) for frame in ids])
        colors = torch.from_numpy(small).permute(0, 3, 1, 2)[None].float() / 255
        normals = np.zeros((*ids.shape, 3), np.float32)
        # One thread: how many share a sum changes its last digits, and a data set is to be the same on every machine.
        with torch.inference_mode(), _one_thread():
            seen = inputs(colors, torch.from_numpy(small_ids)[None])
            for window, kept in _windows(frames):
                estimated = self._network(seen[:, window])[0].permute(0, 2, 3, 1).numpy()
                for index in kept:
                    normals[index] = cv2.resize(estimated[index - window.start], (width, height))
        return unit_normals(normals, ids, NormalConvention())


@dataclass(frozen=True, kw_only=True)
class _NetworkSize:
    """The `config.json` of a network: what `NormalNetwork` is made with."""

    channels: tuple[int, ...]
    blocks: int


@contextmanager
def _one_thread() -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _load(folder: Path) -> NormalNetwork:
    from safetensors.torch import load_file

    from real2sam2real.lab.curate.normals.network import NormalNetwork

    path = folder / "network.safetensors"
    if not path.is_file():
        raise MissingPartError(
            f"there is no normal network in {folder}; make one with: r2s2r train normals -o {folder}"
        )
    config = read_record(
        folder / "config.json", partial(typed, _NetworkSize), what="description of a network", remedy="train it again"
    )
    network = NormalNetwork(channels=config.channels, blocks=config.blocks)
    network.load_state_dict({name: values.float() for name, values in load_file(path).items()})
    return network.eval().requires_grad_(False)


def _windows(frames: int) -> Iterator[tuple[slice, range]]:
    """Overlapping windows of a clip, and which of their frames are kept."""
    step = _WINDOW - _OVERLAP
    starts = [0] if frames <= _WINDOW else list(range(0, frames - _OVERLAP, step))
    for start in starts:
        stop = min(start + _WINDOW, frames)
        first = start + _OVERLAP // 2 if start else 0
        last = stop - _OVERLAP // 2 if stop < frames else frames
        yield slice(start, stop), range(first, last)
