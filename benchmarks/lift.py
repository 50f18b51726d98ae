"""Processor time of lifting, cutting out and closing. Run: python benchmarks/lift.py [PHOTO MASK…]

Without arguments it makes a street of ten boxes at 1280×720. Seconds are processor time on one thread.
"""

import sys
import time
from collections.abc import Callable
from typing import TypeVar

import cv2
import numpy as np

from real2sam2real.geometry import Intrinsics
from real2sam2real.lifting.embedded import lift_photo
from real2sam2real.lifting.ground import Ground
from real2sam2real.mesh import Mesh
from real2sam2real.mesh.repair import repair
from real2sam2real.perceive.grabcut import mask_from_box
from real2sam2real.perceive.intrinsics import estimate_intrinsics
from real2sam2real.perceive.masks import load_masks
from real2sam2real.perceive.photo import load_photo

T = TypeVar("T")


def timed(what: str, work: Callable[[], T]) -> T:
    start = time.process_time()
    result = work()
    print(f"{time.process_time() - start:7.2f} s  {what}", flush=True)
    return result


def street() -> tuple[np.ndarray, dict[str, np.ndarray], Intrinsics]:
    """Ten boxes on the ground, drawn as hulls of their projected corners."""
    intrinsics = Intrinsics.from_fov(1280, 720, horizontal_degrees=40)
    ground = Ground(intrinsics=intrinsics, pitch_radians=0.35, note="")
    corners = np.array(np.meshgrid([-0.1, 0.1], [0, 0.17], [-0.2, 0.2])).reshape(3, -1).T
    masks: dict[str, np.ndarray] = {}
    taken = np.zeros((720, 1280), np.uint8)
    for k in range(10):
        offset = np.array([0.55 * (k % 4) - 0.8 + 0.1 * (k // 4), -1, -2.1 - 0.75 * (k // 4)])
        pixels, _ = intrinsics.project((corners + offset) @ ground.world_from_camera[:3, :3])
        mask = cv2.fillConvexPoly(np.zeros_like(taken), cv2.convexHull(np.round(pixels).astype(np.int32)), 1)
        masks[f"box{k}"] = (mask & (1 - taken)).astype(bool)
        taken |= mask
    photo = np.random.default_rng(0).integers(0, 60, (720, 1280, 3)).astype(np.uint8)
    photo[taken > 0] += 150
    return photo, masks, intrinsics


def damaged_sphere(side: int) -> Mesh:
    """A sphere of about 2·side² triangles as a soup, a tenth of its faces turned and a fiftieth missing."""
    rng = np.random.default_rng(0)
    u, v = np.meshgrid(np.linspace(0, 2 * np.pi, side + 1), np.linspace(0, np.pi, side + 1))
    points = np.stack([np.sin(v) * np.cos(u), np.cos(v), np.sin(v) * np.sin(u)], axis=-1)
    a, b, c, d = points[:-1, :-1], points[:-1, 1:], points[1:, 1:], points[1:, :-1]
    triangles = np.concatenate([np.stack([a, b, c], axis=2), np.stack([a, c, d], axis=2)]).reshape(-1, 3, 3)
    chance = rng.random(len(triangles))
    triangles = np.where((chance < 0.1)[:, None, None], triangles[:, ::-1], triangles)[chance < 0.98]
    return Mesh(vertices=triangles.reshape(-1, 3), faces=np.arange(3 * len(triangles)).reshape(-1, 3))


def main() -> None:
    if len(sys.argv) > 2:
        photo = load_photo(sys.argv[1])
        masks = load_masks(sys.argv[2:], photo.width, photo.height)
        intrinsics, _ = estimate_intrinsics(photo, masks=masks)
        pixels = photo.pixels
    else:
        pixels, masks, intrinsics = street()
    height, width = pixels.shape[:2]
    timed(f"lift {len(masks)} objects of {width}×{height}", lambda: lift_photo(pixels, masks, intrinsics, frames=1))
    large = cv2.resize(pixels, (4000, 3000))
    rows, columns = np.nonzero(next(iter(masks.values())))
    fx, fy = 4000 / width, 3000 / height
    box = (columns.min() * fx - 60, rows.min() * fy - 60, columns.max() * fx + 60, rows.max() * fy + 60)
    timed("GrabCut from a box at 12 megapixels", lambda: mask_from_box(large, box))
    mesh = damaged_sphere(224)
    timed(f"close a broken sphere of {len(mesh.faces)} triangles", lambda: repair(mesh))


if __name__ == "__main__":
    main()
