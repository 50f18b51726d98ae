"""Procedural clips as files: videos with marks beside them, as `r2s2r curate` reads them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from real2sam2real import media
from real2sam2real.lab.synth.clip import SynthClip
from real2sam2real.lab.synth.world import sample_clip
from real2sam2real.workfolder.records import write_json

LEAST_PIXELS = 64
"""Instances that cover less of the first frame are not marked."""


def write_clips(
    folder: Path, seeds: range, *, width: int, height: int, frames: int, fps: float = 16.0
) -> Iterator[Path]:
    """Write one `clip-SEED.mkv` (lossless) per seed, `clip-SEED.instances.json` and the masks that it names.

    A clip that is there is not made again: its marks are written before it, so that it is only there when all is.

    Yields:
        The path of each video, once it is there.
    """
    for seed in seeds:
        path = folder / f"clip-{seed:010d}.mkv"
        if not path.exists():
            clip = sample_clip(seed, width=width, height=height, frames=frames)
            _write_marks(path, clip)
            media.write_lossless_video(path, clip.video, fps)
        yield path


def _write_marks(path: Path, clip: SynthClip) -> None:
    """The instances that the first frame shows, each with its mask there."""
    marks = []
    for number, entity in enumerate(clip.scene.entities, 1):
        mask = clip.ids[0] == number
        if np.count_nonzero(mask) < LEAST_PIXELS:
            continue
        file = path.with_name(f"{path.stem}.{entity.name}.png")
        media.write_png(file, mask.astype(np.uint8) * 255)
        marks.append({"label": entity.name, "frame": 0, "mask": file.name})
    write_json(path.with_suffix(".instances.json"), {"instances": marks}, indent=1)
