"""Speed of the control room and of the preview: `python benchmarks/control.py`. Times are CPU seconds of one thread."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from real2sam2real import media
from real2sam2real.control import NormalConvention
from real2sam2real.rendering.inpaint import inpaint

WIDTH, HEIGHT = 1280, 720


def cpu_seconds(call: Callable[[], object], repeat: int = 5) -> float:
    """The fastest of some calls, after one that compiles."""
    call()
    times = []
    for _ in range(repeat):
        start = time.thread_time()
        call()
        times.append(time.thread_time() - start)
    return min(times)


def main() -> None:
    """Print one line per figure."""
    cv2.setNumThreads(1)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    distance = ((x - WIDTH / 2) ** 2 + (y - HEIGHT / 2) ** 2) / 300**2
    ids = (distance < 1).astype(np.uint8)
    towards = np.sqrt(np.maximum(1 - distance, 0))
    normals = np.stack([(x - WIDTH / 2) / 300, (HEIGHT / 2 - y) / 300, towards], axis=-1).astype(np.float32)
    convention = NormalConvention()
    colors = convention.encode(normals, ids)
    print(f"encode {WIDTH}×{HEIGHT}: {1 / cpu_seconds(lambda: convention.encode(normals, ids)):.0f} frames/s")
    print(f"decode {WIDTH}×{HEIGHT}: {1 / cpu_seconds(lambda: convention.decode(colors, ids)):.0f} frames/s")

    grain = np.random.default_rng(0).normal(0, 20, (HEIGHT, WIDTH, 3))
    photo = np.clip(120 + cv2.GaussianBlur(grain, (0, 0), 1.5) * 3, 0, 255).astype(np.uint8)
    hole = np.zeros((HEIGHT, WIDTH), bool)
    for column in range(5):
        for row in range(2):
            hole[80 + 300 * row : 280 + 300 * row, 40 + 250 * column : 220 + 250 * column] = True
    seconds = cpu_seconds(lambda: inpaint(photo, hole), repeat=1)
    print(f"fill ten holes, {hole.mean():.0%} of {WIDTH}×{HEIGHT}: {seconds:.1f} s")

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "normals.mkv"
        start = time.perf_counter()
        media.write_lossless_video(path, (colors for _ in range(81)), 16)
        print(f"write 81 frames without loss: {time.perf_counter() - start:.1f} s of wall clock")


if __name__ == "__main__":
    main()
