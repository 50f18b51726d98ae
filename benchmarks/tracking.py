"""How well the embedded tracker follows instances of procedural clips, and how long a frame takes.

    python benchmarks/tracking.py [--clips 10] [--frames 49]

An instance is marked on the first frame by its true box or its true mask; the mean IoU over all later frames in which
it can be seen (64 pixels or more) is compared with the truth.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from real2sam2real.lab.curate.instances.interface import InstancePrompt
from real2sam2real.lab.curate.instances.loading import load_tracker
from real2sam2real.lab.synth import sample_clip

LEAST = 64


def box_of(mask: np.ndarray) -> tuple[float, float, float, float]:
    rows, columns = np.nonzero(mask)
    return float(columns.min() - 2), float(rows.min() - 2), float(columns.max() + 3), float(rows.max() + 3)


def mean_iou(found: np.ndarray, truth: np.ndarray) -> float:
    seen = [k for k in range(1, len(truth)) if truth[k].sum() >= LEAST]
    return float(np.mean([(found[k] & truth[k]).sum() / (found[k] | truth[k]).sum() for k in seen]))


def measure(seed: int, kind: str, frames: int, width: int, height: int) -> tuple[float, float] | None:
    """Mean IoU over the instances of a clip, and seconds per frame; None where nothing can be marked."""
    clip = sample_clip(seed, width=width, height=height, frames=frames)
    numbers = [n for n in np.unique(clip.ids[clip.ids > 0]) if (clip.ids[0] == n).sum() >= LEAST]
    if not numbers:
        return None
    first = [clip.ids[0] == n for n in numbers]
    prompts = [
        InstancePrompt(label=f"object {n}", **({"mask": mask} if kind == "mask" else {"box": box_of(mask)}))
        for n, mask in zip(numbers, first, strict=True)
    ]
    start = time.perf_counter()
    ids = load_tracker("embedded").track(clip.video, prompts).ids
    seconds = (time.perf_counter() - start) / frames
    return float(np.mean([mean_iou(ids == k, clip.ids == n) for k, n in enumerate(numbers, 1)])), seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=10)
    parser.add_argument("--frames", type=int, default=49)
    parser.add_argument("--width", type=int, default=384)
    parser.add_argument("--height", type=int, default=216)
    given = parser.parse_args()
    for kind in ("mask", "box"):
        rows = [measure(seed, kind, given.frames, given.width, given.height) for seed in range(given.clips)]
        scores = np.array([row for row in rows if row is not None])
        each = " ".join(f"{score:.2f}" for score in scores[:, 0])
        print(f"{kind:4}  mean IoU {scores[:, 0].mean():.3f}  s/frame {scores[:, 1].mean():.2f}  [{each}]", flush=True)


if __name__ == "__main__":
    main()
