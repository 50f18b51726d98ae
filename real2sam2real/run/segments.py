"""Finished segments of a long shot, kept beside its video until that is whole, so that nothing is made twice."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from real2sam2real import media
from real2sam2real.arrays import UInt8
from real2sam2real.diffusion.conditioning import to_frames
from real2sam2real.diffusion.pipeline import Finished, SegmentVideo
from real2sam2real.errors import UserError
from real2sam2real.files import replacing_file, sweep

_IDENTITY = "identity.txt"


def segments_folder(video: Path) -> Path:
    """Where the segments of a video lie: a hidden folder beside it."""
    return video.with_name(f".{video.name}.segments")


class SegmentStore:
    """The segments of one video on disk: `0000.mkv` (its frames, lossless) and `0000.safetensors` (its tail).

    The identity is of everything that decides the video; segments of another identity are thrown away.
    """

    def __init__(self, folder: Path, *, identity: str, fps: float) -> None:
        self.folder = folder
        self._fps = fps
        known = self.folder / _IDENTITY
        if self.folder.is_dir() and (not known.is_file() or known.read_text() != identity):
            self.remove()
        self.folder.mkdir(parents=True, exist_ok=True)
        sweep(self.folder)
        if not known.is_file():
            with replacing_file(known) as temporary:
                temporary.write_text(identity)

    def finished(self) -> Finished:
        """The segments that are there, counted from the first."""
        count = 0
        while self._frames(count).is_file() and self._tail(count).is_file():
            count += 1
        while count:
            try:
                return Finished(segments=count, tail=load_file(self._tail(count - 1))["tail"])
            except (SafetensorError, KeyError):  # damaged by something else than us: make this segment again
                count -= 1
        return Finished()

    def add(self, segment: SegmentVideo) -> None:
        """Keep a segment; it counts as finished once both of its files are whole."""
        with replacing_file(self._tail(segment.index)) as temporary:
            save_file({"tail": segment.tail.cpu().contiguous()}, temporary)
        media.write_lossless_video(self._frames(segment.index), to_frames(segment.video), self._fps)

    def frames(self, segments: int) -> Iterator[UInt8]:
        """All frames of the video, `(H, W, 3)` uint8, one after another.

        Raises:
            UserError: a segment is missing or damaged.
        """
        for index in range(segments):
            if not self._frames(index).is_file():
                raise UserError(f"{self._frames(index)} is gone; run the same command again to make it anew")
            yield from media.iterate_video(self._frames(index))

    def remove(self) -> None:
        """Throw all segments away."""
        shutil.rmtree(self.folder)

    def _frames(self, index: int) -> Path:
        return self.folder / f"{index:04}.mkv"

    def _tail(self, index: int) -> Path:
        return self.folder / f"{index:04}.safetensors"
