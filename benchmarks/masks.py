"""Boxes to masks, against true masks: GrabCut before, the package's own networks after.

    python benchmarks/masks.py FOLDER

FOLDER holds `photos/NAME.*` and, for each, `masks/NAME/*.png`, one object each: white inside, black outside, and
grey (64 to 191) where nobody can say, which does not count. Each object's box is that of its mask, as a person draws:
its sides up to 4 % of its longer one outside, or 0.5 % inside, at random but always the same. Prints IoU and CPU
seconds per object, then the means; `--points` also how many points are obeyed that correct the box's mask: one on the
object, and one in the middle of the largest area that is wrong, either way.
"""

from __future__ import annotations

import argparse
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from real2sam2real.arrays import Mask, UInt8
from real2sam2real.errors import UserError
from real2sam2real.perceive.grabcut import mask_from_box
from real2sam2real.perceive.photo import load_photo
from real2sam2real.perceive.segment.options import SegmentOptions
from real2sam2real.perceive.segment.segmenter import OpenedPhoto, Segmenter

Box = tuple[float, float, float, float]


class Entry(NamedTuple):
    name: str
    pixels: UInt8
    opened: OpenedPhoto
    inside: Mask
    counts: Mask
    box: Box


def entries(folder: Path) -> Iterator[Entry]:
    segmenter = Segmenter(SegmentOptions())
    for file in sorted((folder / "photos").iterdir()):
        pixels = load_photo(file).pixels
        opened = segmenter.open(pixels)
        for drawn in sorted((folder / "masks" / file.stem).glob("*.png")):
            values = np.asarray(Image.open(drawn).convert("L"))
            name = f"{file.stem}/{drawn.stem}"
            inside = values > 191
            yield Entry(name, pixels, opened, inside, inside | (values < 64), drawn_box(inside, name))


def drawn_box(inside: Mask, name: str) -> Box:
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    left, top, right, bottom = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
    random = np.random.default_rng(zlib.crc32(name.encode()))
    by = random.uniform(-0.005, 0.04, 4) * max(right - left, bottom - top)
    height, width = inside.shape
    box = np.round([left - by[0], top - by[1], right + by[2], bottom + by[3]])
    return tuple(np.clip(box, 0, [width, height, width, height]).tolist())


def iou(found: Mask, entry: Entry) -> float:
    one, other = found & entry.counts, entry.inside & entry.counts
    return float((one & other).sum() / max(1, (one | other).sum()))


def measured(work: Callable[[], Mask], entry: Entry) -> tuple[float, float]:
    start = time.process_time()
    try:
        score = iou(work(), entry)
    except UserError:
        score = 0.0
    return score, time.process_time() - start


def obeyed(entry: Entry, box_mask: Mask, most: int = 2) -> tuple[int, int, float]:
    """How many points that correct the mask are obeyed, of how many, and the IoU with them."""
    points: list[list[tuple[float, float]]] = []
    for wrong in (entry.inside & ~box_mask, box_mask & ~entry.inside & entry.counts):
        points.append([deepest(wrong) for _ in range(1) if wrong.sum() > 0.01 * entry.inside.sum()][:most])
    first = deepest(entry.inside & box_mask) if (entry.inside & box_mask).any() else deepest(entry.inside)
    on, beside = [first, *points[0]], points[1]
    mask = entry.opened.from_points(on, beside, box_xyxy=entry.box)
    good = sum(mask[int(y), int(x)] for x, y in on) + sum(not mask[int(y), int(x)] for x, y in beside)
    return int(good), len(on) + len(beside), iou(mask, entry)


def deepest(area: Mask) -> tuple[float, float]:
    import cv2

    depth = cv2.distanceTransform(np.pad(area, 1).astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1]
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    return float(x) + 0.5, float(y) + 0.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--points", action="store_true")
    chosen = parser.parse_args()
    rows = []
    print(f"{'object':36} {'GrabCut':>8} {'s':>5} {'now':>8} {'s':>5}")
    for entry in entries(chosen.folder):
        before = measured(lambda entry=entry: mask_from_box(entry.pixels, entry.box), entry)
        masks: list[Mask] = []
        after = measured(
            lambda entry=entry, masks=masks: masks.append(entry.opened.from_box(entry.box)) or masks[0], entry
        )
        rows.append([*before, *after, 0, 0, 0])
        line = f"{entry.name:36} {before[0]:8.3f} {before[1]:5.1f} {after[0]:8.3f} {after[1]:5.1f}"
        if chosen.points and masks:
            rows[-1][4:] = obeyed(entry, masks[0])
            line += f"   points {rows[-1][4]} of {rows[-1][5]}, IoU {rows[-1][6]:.3f}"
        print(line, flush=True)
    means = np.mean(rows, axis=0)
    print(f"{f'mean of {len(rows)}':36} {means[0]:8.3f} {means[1]:5.1f} {means[2]:8.3f} {means[3]:5.1f}", end="")
    print(
        f"   points {sum(r[4] for r in rows)} of {sum(r[5] for r in rows)}, IoU {means[6]:.3f}" if chosen.points else ""
    )


if __name__ == "__main__":
    main()
