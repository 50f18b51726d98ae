"""Masks that boxes and points cut out of a photo, kept beside the scene: a run that changes one cuts out that one."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image

from real2sam2real.arrays import Mask, UInt8
from real2sam2real.files import replacing_file
from real2sam2real.options import as_json
from real2sam2real.perceive.segment.detections import Detection
from real2sam2real.perceive.segment.options import SegmentOptions
from real2sam2real.perceive.segment.segmenter import OpenedPhoto
from real2sam2real.workfolder.fingerprint import fingerprint

_HOW = ("segmenter", "sam2", "detector", "sam3", "precision", "threshold", "overlap")  # options that decide a mask
_CODE = ("perceive",)


@dataclass(eq=False)
class KeptMasks:
    """A photo whose boxes and points are cut out once; its methods are those of `segmenter.OpenedPhoto`."""

    opened: OpenedPhoto
    pixels: UInt8  # of the photo
    options: SegmentOptions
    folder: Path
    used: set[Path] = field(default_factory=set)  # files that this run asked for

    def __post_init__(self) -> None:
        self._photo = hashlib.sha256(self.pixels.tobytes()).hexdigest()

    def from_points(self, inside: ArrayLike, outside: ArrayLike = (), box_xyxy: Sequence[float] | None = None) -> Mask:
        """The object that holds the points inside."""
        box = None if box_xyxy is None else list(box_xyxy)
        asked = [np.asarray(inside).tolist(), np.asarray(outside).tolist(), box]
        return self._kept(asked, lambda: self.opened.from_points(inside, outside, box_xyxy))

    def from_box(self, box_xyxy: Sequence[float]) -> Mask:
        """The object that fills a box."""
        return self._kept(list(box_xyxy), lambda: self.opened.from_box(box_xyxy))

    def from_text(self, words: Sequence[str]) -> list[Detection]:
        """Asked anew each time."""
        return self.opened.from_text(words)

    def propose(self) -> list[Detection]:
        """Asked anew each time."""
        return self.opened.propose()

    def sweep(self) -> None:
        """Delete what this run did not ask for."""
        for path in self.folder.glob("*.png"):
            if path not in self.used:
                path.unlink(missing_ok=True)

    def _kept(self, asked: object, cut_out: Callable[[], Mask]) -> Mask:
        how = [as_json(getattr(self.options, name)) for name in _HOW]
        path = self.folder / f"{fingerprint(code=_CODE, settings=[self._photo, how, asked], inputs=())}.png"
        self.used.add(path)
        if path.is_file():
            with Image.open(path) as image:
                return np.asarray(image.convert("L")) > 127
        mask = cut_out()
        self.folder.mkdir(parents=True, exist_ok=True)
        with replacing_file(path) as file:
            Image.fromarray(mask.astype(np.uint8) * 255).save(file, format="PNG")
        return mask
