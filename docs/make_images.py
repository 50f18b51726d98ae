"""Make the README's picture from a finished run: photo, normals, preview and video, at four moments.

r2s2r demo && python docs/make_images.py runs/demo [docs/images/demo.jpg]
"""

import sys
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from real2sam2real.media import read_video
from real2sam2real.run.pictures import write_jpeg
from real2sam2real.scene.folder import load_scene

UInt8 = NDArray[np.uint8]

WIDTH, GAP = 320, 6
MOMENTS = (0.0, 0.33, 0.67, 1.0)
OUT = Path(__file__).parent / "images" / "demo.jpg"


def main(run: Path, out: Path) -> None:
    """Write the picture of a run folder."""
    photo = load_scene(run / "scene").photo
    assert photo is not None
    height = round(WIDTH * photo.shape[0] / photo.shape[1])
    rows = [row(read_video(run / f"{name}.mp4"), height) for name in ("normals", "preview", "generated")]
    strip = np.concatenate([part for line in rows for part in (line, gap(GAP, line.shape[1]))][:-1])
    # The photo, as high as the strip's middle row, stands left of it.
    column = np.full((strip.shape[0], WIDTH, 3), 255, np.uint8)
    top = (strip.shape[0] - height) // 2
    column[top : top + height] = fitted(photo, height)
    write_jpeg(out, np.concatenate([column, gap(strip.shape[0], 4 * GAP), strip], axis=1))
    print(out)


def row(video: UInt8, height: int) -> UInt8:
    """The moments of one video side by side."""
    pictures = [fitted(video[round(moment * (len(video) - 1))], height) for moment in MOMENTS]
    return np.concatenate([part for picture in pictures for part in (picture, gap(height, GAP))][:-1], axis=1)


def fitted(picture: UInt8, height: int) -> UInt8:
    """At the strip's size."""
    shrinks = picture.shape[1] > WIDTH
    resized = cv2.resize(picture, (WIDTH, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    return np.asarray(resized, np.uint8)


def gap(height: int, width: int) -> UInt8:
    """White space."""
    return np.full((height, width, 3), 255, np.uint8)


if __name__ == "__main__":
    given = [Path(argument) for argument in sys.argv[1:]]
    main(*[*given, *(Path("runs/demo"), OUT)[len(given) :]])
