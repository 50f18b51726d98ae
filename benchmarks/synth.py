"""Speed of the procedural world: `python benchmarks/synth.py [--clips N] [--varied] [--sheet PATH]`.

Every size is measured in processor seconds of one thread, over clips of consecutive training seeds, after as many warm
clips of one frame that fill the pool of base shapes. `--sheet` writes a contact sheet of the first clips instead: four
frames, and the normals of the last.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from real2sam2real.lab.synth import SynthClip, WorldConfig, changed_region, sample_clip, varied_world
from real2sam2real.media import write_png

SIZES = [(96, 64, 33), (256, 144, 33)]


def measure(width: int, height: int, frames: int, clips: int, config: WorldConfig) -> None:
    for seed in range(clips):
        sample_clip(seed, width=width, height=height, frames=1, config=config)
    times, changed, covered = [], [], []
    for seed in range(clips):
        started = time.process_time()
        clip = sample_clip(seed, width=width, height=height, frames=frames, config=config)
        times.append(time.process_time() - started)
        changed.append(changed_region(clip)[1:].mean())
        covered.append((clip.ids > 0).mean())
    low, middle, high = 1000 * np.percentile(times, [5, 50, 95])
    print(
        f"{width}×{height}×{frames}: median {middle:.0f} ms per clip (5 % {low:.0f}, 95 % {high:.0f}), mean "
        f"{1000 * np.mean(times):.0f} ms; objects cover {np.mean(covered):.1%}, {np.mean(changed):.1%} changes"
    )


def strip(clip: SynthClip) -> np.ndarray:
    """Four frames and the last normals side by side, `(H, 5 W, 3)`."""
    last = clip.frames - 1
    normals = np.round((clip.normals[last] + 1) * 127.5) * (clip.ids[last] > 0)[..., None]
    frames = [clip.video[t] for t in (0, last // 3, 2 * last // 3, last)]
    return np.concatenate([np.pad(f, ((1, 1), (1, 1), (0, 0))) for f in [*frames, normals.astype(np.uint8)]], axis=1)


def write_sheet(path: Path, config: WorldConfig, rows: int = 10, columns: int = 2) -> None:
    clips = (sample_clip(seed, width=96, height=64, frames=33, config=config) for seed in range(rows * columns))
    strips = [strip(clip) for clip in clips]
    write_png(path, np.concatenate([np.concatenate(strips[c * rows : (c + 1) * rows]) for c in range(columns)], axis=1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=100, help="clips per size")
    parser.add_argument("--varied", action="store_true", help="varied worlds in place of the default ones")
    parser.add_argument("--sheet", type=Path, help="write a contact sheet to this PNG and measure nothing")
    arguments = parser.parse_args()
    config = varied_world() if arguments.varied else WorldConfig()
    if arguments.sheet:
        write_sheet(arguments.sheet, config)
        return
    for size in SIZES:
        measure(*size, clips=arguments.clips, config=config)


if __name__ == "__main__":
    main()
