"""What a click costs while objects are marked: CPU and wall seconds, on a photo as the studio works on it.

    python benchmarks/marking.py [PHOTO --box X0,Y0,X1,Y1] [--width 1280]

Without a photo, the demo's. One row each for a box, further points in it, a first point without a box, and further
points. Points that the mask obeys already cost nothing. `OPENCV_FOR_THREADS_NUM=1` gives the seconds of one core.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

from real2sam2real.perceive.photo import load_photo
from real2sam2real.perceive.segment.options import SegmentOptions, parse_box
from real2sam2real.perceive.segment.segmenter import Segmenter
from real2sam2real.run.demo import demo_folder

DEMO_BOX = "72,14,484,392"


def row(what: str, work: Callable[[], object]) -> None:
    """Print what one step costs."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    print(f"{what:32} {time.process_time() - cpu:6.2f} s CPU {time.perf_counter() - wall:7.2f} s wall", flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo", nargs="?", type=Path, default=demo_folder() / "photo.jpg")
    parser.add_argument("--box", default=DEMO_BOX)
    parser.add_argument("--width", type=int, default=1280)
    asked = parser.parse_args()
    photo = load_photo(asked.photo)
    scale = asked.width / photo.width
    photo = photo.resized(asked.width, round(photo.height * scale))
    left, top, right, bottom = (value * scale for value in parse_box("--box", asked.box))
    box = (left, top, right, bottom)
    middle = ((left + right) / 2, (top + bottom) / 2)
    beside = [(left + share * (right - left), bottom - 0.1 * (bottom - top)) for share in (0.15, 0.2, 0.25)]
    opened = Segmenter(SegmentOptions()).open(photo.pixels)
    row("a box", lambda: opened.from_box(box))
    for count in (1, 2, 3):
        row(f"box, + and {count} further points", lambda n=count: opened.from_points([middle], beside[:n], box))
    row("a first point, no box", lambda: opened.from_points([middle]))
    for count in (1, 2):
        row(f"{count} further points, no box", lambda n=count: opened.from_points([middle], beside[:n]))


if __name__ == "__main__":
    main()
