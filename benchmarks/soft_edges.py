"""Does a fringe of the old background move along? Objects of known outline, moved from one background to another.

    python benchmarks/soft_edges.py [--sheet FILE.png]

A textured object stands before the left half of a two-coloured background, its outline blurred by a Gaussian (0.5 is as
sharp as a photo gets), in the photo and in the truth. Lifted and moved to the right half, it is compared with the truth
within 3 pixels of its outline (the upper two thirds: a contact shadow lies around its foot, which the truth has not).
Printed are mean absolute differences in levels, with all outlines taken for sharp and as they are measured.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from unittest import mock

import cv2
import numpy as np

from real2sam2real import media
from real2sam2real.geometry import Intrinsics
from real2sam2real.lifting.edge_softness import edge_sigma
from real2sam2real.lifting.embedded import lift_photo
from real2sam2real.rendering.preview import preview_frames
from real2sam2real.scene import Motion

WIDTH, HEIGHT, SHIFT = 640, 360, 300
LENS = Intrinsics.from_fov(WIDTH, HEIGHT, horizontal_degrees=8)  # nearly parallel rays: nothing turns as it moves
BAND = 3


def texture(rng: np.random.Generator, color: tuple[int, int, int], coarse: float, depth: float) -> np.ndarray:
    noise = cv2.GaussianBlur(rng.standard_normal((HEIGHT, WIDTH)), (0, 0), coarse)
    return np.array(color) + depth * (noise / noise.std())[..., None]


def outline(center: float, shape: str) -> np.ndarray:
    """`(H, W)` float 0…1, anti-aliased, four samples a side."""
    y, x = np.mgrid[: 4 * HEIGHT, : 4 * WIDTH] / 4.0
    angle = np.arctan2(y - 200, x - center)
    radius = np.hypot(x - center, (y - 200) / 1.3)
    wave = {"smooth": 0.0, "lobed": 9.0}[shape]
    inside = (radius < 60 + wave * np.sin(7 * angle)).astype(np.float32)
    return cv2.resize(inside, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)


def composed(sigma: float, shape: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The photo, its mask, the truth, and the truth's outline."""
    rng = np.random.default_rng(7)
    left, right = texture(rng, (60, 90, 140), 6, 6), texture(rng, (200, 190, 120), 6, 6)
    background = np.where((np.arange(WIDTH) < 320)[None, :, None], left, right)
    surface = texture(rng, (170, 60, 50), 4, 10)
    moved = np.roll(surface, SHIFT, axis=1)
    pictures = []
    for center, colors in ((165.0, surface), (165.0 + SHIFT, moved)):
        alpha = cv2.GaussianBlur(outline(center, shape), (0, 0), sigma)[..., None]
        pictures.append((np.clip(np.rint(alpha * colors + (1 - alpha) * background), 0, 255).astype(np.uint8), alpha))
    (photo, alpha), (truth, there) = pictures
    return photo, alpha[..., 0] > 0.5, truth, there[..., 0] > 0.5


def drawn(photo: np.ndarray, mask: np.ndarray) -> np.ndarray:
    scene, _ = lift_photo(photo, {"thing": mask}, LENS, frames=2, pitch_degrees=3)
    (entity,) = scene.entities
    eye = scene.photo_world_from_camera
    depth = float((entity.rest_world_from_object[:3, 3] - eye[:3, 3]) @ -eye[:3, 2])
    moved = entity.rest_world_from_object.copy()
    moved[:3, 3] += eye[:3, 0] * SHIFT * depth / LENS.fx
    motion = Motion.from_matrices(np.stack([entity.rest_world_from_object, moved]))
    scene = replace(scene, entities=(replace(entity, motion=motion),))
    return next(iter(preview_frames(scene, width=WIDTH, height=HEIGHT, frames=[1])))


def band_error(picture: np.ndarray, truth: np.ndarray, outline: np.ndarray) -> float:
    inner, outer = (cv2.distanceTransform(each.astype(np.uint8), cv2.DIST_L2, 5) for each in (outline, ~outline))
    rows = np.flatnonzero(outline.any(axis=1))
    band = (inner + outer) <= BAND + 0.5
    band[rows[0] + 2 * len(rows) // 3 :] = False
    return float(np.abs(picture.astype(int) - truth)[band].mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sheet", type=Path)
    given = parser.parse_args()
    rows = []
    print("| outline | blur σ | measured σ | error, taken for sharp | error, as measured |\n|---|---|---|---|---|")
    for shape in ("smooth", "lobed"):
        for sigma in (0.5, 1.0, 1.5, 2.5, 4.0):
            photo, mask, truth, there = composed(sigma, shape)
            with (
                mock.patch("real2sam2real.lifting.texture.edge_sigma", return_value=0.0),
                mock.patch("real2sam2real.rendering.preview.edge_sigma", return_value=0.0),
            ):
                sharp = drawn(photo, mask)
            soft = drawn(photo, mask)
            errors = [band_error(each, truth, there) for each in (sharp, soft)]
            print(
                f"| {shape} | {sigma} | {edge_sigma(photo, mask):.2f} | {errors[0]:.2f} | {errors[1]:.2f} |", flush=True
            )
            window = (slice(90, 230), slice(380, 560))
            rows.append(np.hstack([each[window] for each in (truth, sharp, soft)]))
    if given.sheet:
        media.write_png(given.sheet, np.vstack(rows))


if __name__ == "__main__":
    main()
