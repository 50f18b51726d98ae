"""What a camera that trucks to the right should see, against a photo that was taken there.

    python benchmarks/second_view.py [--sheet FILE.png]

Middlebury's motorcycle, as scikit-image hands it out (`skimage.data.stereo_motorcycle`, fetched at first use; its terms
are Middlebury's, and nothing of it is kept here): two photos 0.193 m apart, and the true depth of the left one. The
left photo and its depth become a scene, once with the motorcycle lifted as an object, once as background alone; the
preview from the right camera is compared with the right photo, with the background's relief and without it. Also
printed is how far the motorcycle's front is from the truth (by the median), with and without the depth.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from skimage import data

from real2sam2real import media
from real2sam2real.geometry import transforms
from real2sam2real.lifting.align.drawing import inverse_depth
from real2sam2real.lifting.options import LiftOptions
from real2sam2real.perceive.camera.options import ViewOptions
from real2sam2real.perceive.photo import Photo
from real2sam2real.perceive.segment.options import SegmentOptions
from real2sam2real.rendering.preview import preview_frames
from real2sam2real.run.lifting import lift
from real2sam2real.run.photo import find_masks, read_photo
from real2sam2real.scene import BackgroundRelief, Scene

FOCAL, BASELINE, OFFSET = 994.978, 0.193001, 31.086  # pixels, metres, pixels (the dataset's calibration, at this size)
BOX = "motorcycle=95,10,690,455"


def truck(scene: Scene) -> Scene:
    poses = np.repeat(scene.photo_world_from_camera[None], 2, axis=0)
    poses[1] = poses[1] @ transforms.compose([BASELINE, 0, 0], [1.0, 0, 0, 0])
    entities = tuple(replace(e, motion=type(e.motion).still(2, e.rest_world_from_object)) for e in scene.entities)
    return replace(scene, entities=entities, camera=replace(scene.camera, world_from_camera=poses, zoom=np.ones(2)))


def error(picture: np.ndarray, right: np.ndarray) -> tuple[float, float]:
    """Mean absolute difference in levels, and PSNR, over the columns that both photos show."""
    shift = np.float32([[1, 0, OFFSET], [0, 1, 0]])
    height, width = right.shape[:2]
    laid = cv2.warpAffine(picture, shift, (width, height))
    inner = (slice(4, -4), slice(40, width - 100))
    off = laid[inner].astype(float) - right[inner]
    return float(np.abs(off).mean()), float(10 * np.log10(255**2 / (off**2).mean()))


def front(scene: Scene) -> np.ndarray:
    """`(H, W)` depth of the motorcycle, NaN beside it."""
    (entity,) = scene.entities
    matrix = transforms.invert_rigid(scene.photo_world_from_camera) @ entity.rest_world_from_object
    drawn = inverse_depth(transforms.apply(matrix, entity.mesh.vertices), entity.mesh.faces, scene.camera.intrinsics)
    return np.where(drawn > 0, 1 / np.maximum(drawn, 1e-9), np.nan)


def front_error(scene: Scene, depth: np.ndarray, mask: np.ndarray) -> float:
    """Median absolute difference in centimetres, after one factor that brings the medians together.

    The mean would tell of the gaps between the spokes, which the mask takes in.
    """
    ratio = (front(scene) / depth)[mask]
    off = (front(scene) / np.nanmedian(ratio) - depth)[mask]
    return float(100 * np.nanmedian(np.abs(off)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sheet", type=Path)
    given = parser.parse_args()
    left, right, disparity = data.stereo_motorcycle()
    height, width = disparity.shape
    depth = np.where(np.isfinite(disparity), FOCAL * BASELINE / (disparity + OFFSET), np.nan)
    with tempfile.TemporaryDirectory() as place:
        file, photo = Path(place) / "depth.npy", Path(place) / "photo.png"
        np.save(file, depth.astype(np.float32))
        media.write_png(photo, left)
        masks, _ = find_masks(photo, read_photo(photo), SegmentOptions(box=(BOX,)))
        view = ViewOptions(focal=FOCAL, depth=str(file), depth_kind="metric")
        scene, notes = lift(Photo(pixels=left), masks, view=view, options=LiftOptions(billboards=False))
        blind, _ = lift(
            Photo(pixels=left),
            masks,
            view=ViewOptions(focal=FOCAL, pitch=15),
            options=LiftOptions(billboards=False),
        )
    print(*notes, sep="\n")
    mask = masks["motorcycle"]
    inverse = np.nan_to_num(1 / depth, nan=0.0)
    known = cv2.inpaint((255 * 1.5 * inverse).astype(np.uint8), (inverse == 0).astype(np.uint8), 3, cv2.INPAINT_NS)
    inverse = np.where(inverse > 0, inverse, known / (255 * 1.5))
    whole = BackgroundRelief(inverse_depth=inverse.astype(np.float32), source="truth")
    cases = {
        "the photo itself": None,
        "flat background": truck(replace(scene, background=None)),
        "relief": truck(scene),
        "all of it as relief": truck(replace(scene, entities=(), background=whole)),
    }
    sheet = [right]
    print("| seen from 0.193 m to the right | error, levels | PSNR |\n|---|---|---|")
    for name, case in cases.items():
        picture = left if case is None else list(preview_frames(case, width=width, height=height))[1]
        levels, psnr = error(picture, right)
        sheet.append(picture)
        print(f"| {name} | {levels:.1f} | {psnr:.1f} dB |", flush=True)
    for name, case in (("without", blind), ("with", scene)):
        print(f"front of the motorcycle {name} depth: {front_error(case, depth, mask):.1f} cm off")
    if given.sheet:
        media.write_png(given.sheet, np.vstack([np.hstack(sheet[:2]), np.hstack(sheet[2:4]), np.hstack(sheet[3:5])]))


if __name__ == "__main__":
    main()
