"""How right the time left is that a run tells, against how long it then took.

    python benchmarks/time_left.py SCENE [--camera "truck right 25%"] [--frames 49]

The SCENE (`r2s2r lift`) is previewed, and made a video by `mini`. For each bar: what was said after the first tenth,
and the worst of all that was said from then on to the last but one tenth, over what was then true.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from real2sam2real.diffusion.options import GenerateOptions
from real2sam2real.perceive.segment.options import SegmentOptions
from real2sam2real.run.options import RunConfig, ShotOptions
from real2sam2real.run.pipeline import run
from real2sam2real.run.progress import Advance, Progress, TimeLeft


class RecordingProgress(Progress):
    """Keeps what each bar would say, and when."""

    def __init__(self) -> None:
        super().__init__()
        # per bar: share done, the moment, seconds left
        self.said: list[tuple[str, list[tuple[float, float, float]]]] = []

    @contextmanager
    def bar(self, label: str) -> Iterator[Advance]:
        """Yield `advance(done, total)`, as `Progress` does."""
        clock, rows = TimeLeft(), list[tuple[float, float, float]]()
        self.said.append((label, rows))
        yield lambda done, total: rows.append((done / total, time.monotonic(), clock.seconds(done, total)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scene", type=Path)
    parser.add_argument("--camera", default="truck right 25%")
    parser.add_argument("--frames", type=int, default=49)
    given = parser.parse_args()
    progress = RecordingProgress()
    shot = ShotOptions(camera=(given.camera,), frames=given.frames)
    with tempfile.TemporaryDirectory() as folder:
        config = RunConfig(photo=given.scene, objects=SegmentOptions(), shot=shot, generate=GenerateOptions())
        run(config, Path(folder) / "run", command=[], progress=progress)
    print("| bar | items | seconds | after the first tenth | worst from there to nine tenths |\n|---|---|---|---|---|")
    for label, rows in progress.said:
        end = rows[-1][1]
        off = [left / (end - moment) - 1 for share, moment, left in rows if 0.1 <= share <= 0.9]
        if off:
            worst = max(off, key=abs)
            print(f"| {label} | {len(rows)} | {end - rows[0][1]:.1f} | {off[0]:+.0%} | {worst:+.0%} |")


if __name__ == "__main__":
    main()
