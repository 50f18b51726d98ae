"""The training perturbation beside the same operators of kornia, in one run.

Run: python benchmarks/perturbation.py [--frames N] [--device cpu|cuda] [--threads N]      (needs kornia)
     python benchmarks/perturbation.py --sheet docs/images/perturbation.png                (the picture of its range)

Three instances move through frames of 1280×720. Both bend, dilate and blur each instance with the same strengths and
put them together again.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from real2sam2real import media
from real2sam2real.control.normal_convention import NormalConvention
from real2sam2real.control.perturbation import (
    Perturbation,
    PerturbationRanges,
    apply_perturbations,
    draw_perturbation,
    perturb,
)
from real2sam2real.lab.synth import sample_clip

HEIGHT, WIDTH = 720, 1280
BALLS = ((300, 350, 180), (800, 400, 220), (1050, 200, 120))
STRENGTH = PerturbationRanges(bend=(0.03, 0.03), bend_scale=(0.1, 0.1), grow=(0.03, 0.03), blur=(0.015, 0.015))
ROUNDS = 3

USUAL = PerturbationRanges()
NOTHING = {"bend": (0.0, 0.0), "grow": (0.0, 0.0), "blur": (0.0, 0.0)}
# The columns of the picture: nothing, the ends of each range by themselves, and three draws from all of them.
COLUMNS = (
    PerturbationRanges(**NOTHING),
    PerturbationRanges(**{**NOTHING, "bend": (USUAL.bend[1],) * 2, "bend_scale": (USUAL.bend_scale[0],) * 2}),
    PerturbationRanges(**{**NOTHING, "bend": (USUAL.bend[1],) * 2, "bend_scale": (USUAL.bend_scale[1],) * 2}),
    PerturbationRanges(**{**NOTHING, "grow": (USUAL.grow[0],) * 2}),
    PerturbationRanges(**{**NOTHING, "grow": (USUAL.grow[1],) * 2}),
    PerturbationRanges(**{**NOTHING, "blur": (USUAL.blur[1],) * 2}),
    USUAL,
    USUAL,
    USUAL,
)
SHEET_SEEDS = (17, 9)
SHEET_SIZE = (320, 192)


def clip(frames: int, device: str) -> tuple[Tensor, Tensor]:
    """Unit normals `(T, 3, H, W)` and ids `(T, H, W)` of three balls."""
    rows, columns = torch.meshgrid(torch.arange(HEIGHT) + 0.5, torch.arange(WIDTH) + 0.5, indexing="ij")
    normals, ids = torch.zeros(frames, 3, HEIGHT, WIDTH), torch.zeros(frames, HEIGHT, WIDTH, dtype=torch.uint8)
    for frame in range(frames):
        for number, (x, y, radius) in enumerate(BALLS, start=1):
            dx, dy = (columns - x - 8 * frame) / radius, (y - rows) / radius
            inside = dx**2 + dy**2 < 1
            ids[frame][inside] = number
            normals[frame][:, inside] = torch.stack([dx, dy, (1 - dx**2 - dy**2).clamp_min(0).sqrt()])[:, inside]
    return normals.to(device), ids.to(device)


def with_kornia(normals: Tensor, ids: Tensor) -> Tensor:
    """The same with kornia: whole frames, as its operators take them."""
    from kornia.filters import gaussian_blur2d
    from kornia.geometry.transform import elastic_transform2d
    from kornia.morphology import dilation

    result = torch.zeros_like(normals)
    for number, (_, _, radius) in enumerate(BALLS, start=1):
        size = 2 * radius
        own = (ids == number)[:, None].float()
        noise = torch.rand(1, 2, HEIGHT, WIDTH, device=normals.device).expand(len(ids), -1, -1, -1) * 2 - 1
        sigma = 0.1 * size
        kernel = 2 * round(1.5 * sigma) + 1
        bent = elastic_transform2d(
            torch.cat([normals * own, own], dim=1), noise, (kernel, kernel), (sigma, sigma), (0.5, 0.5)
        )
        reach = 2 * round(0.03 * size) + 1
        element = torch.ones(reach, reach, device=normals.device)
        mask = (dilation(bent[:, 3:], element) > 0.5).float()
        spread = 0.015 * size
        window = 2 * round(3 * spread) + 1
        blurred = gaussian_blur2d(bent[:, :3], (window, window), (spread, spread))
        unit = blurred / blurred.square().sum(dim=1, keepdim=True).sqrt().clamp_min(1e-6) * mask
        result = torch.where(mask > 0, unit, result)
    return result


def seconds(work: Callable[[], object], device: str) -> float:
    """The median of some rounds, after one that warms up."""
    times = []
    for _ in range(ROUNDS + 1):
        start = time.perf_counter()
        work()
        if device != "cpu":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def sheet() -> NDArray[np.uint8]:
    """Two clips of the procedural world, each at two moments (rows), under every column's perturbation."""
    width, height = SHEET_SIZE
    rows: list[NDArray[np.uint8]] = []
    for seed in SHEET_SEEDS:
        synthetic = sample_clip(seed, width=width, height=height, frames=17)
        normals = torch.from_numpy(synthetic.normals).permute(0, 3, 1, 2).contiguous()
        cells = [perturbed_pictures(normals, torch.from_numpy(synthetic.ids), k) for k in range(len(COLUMNS))]
        rows += [np.concatenate([cell[moment] for cell in cells], axis=1) for moment in (0, 12)]
    return np.concatenate(rows)


def perturbed_pictures(normals: Tensor, ids: Tensor, column: int) -> NDArray[np.uint8]:
    """`(T, H, W, 3)` encoded normals of a clip under a column's perturbation."""
    moved, where = perturb(normals, ids, COLUMNS[column], torch.Generator().manual_seed(column))
    return NormalConvention().encode(moved.permute(0, 2, 3, 1).numpy(), where.numpy())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=4)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--sheet", type=Path, help="write the picture and stop")
    arguments = parser.parse_args()
    if arguments.sheet is not None:
        media.write_png(arguments.sheet, sheet())
        return
    torch.set_num_threads(arguments.threads)
    normals, ids = clip(arguments.frames, arguments.device)
    generator = torch.Generator().manual_seed(0)
    drawn: dict[int, Perturbation] = {
        number: draw_perturbation(STRENGTH, arguments.frames, generator) for number in (1, 2, 3)
    }
    for name, work in (
        ("ours", lambda: apply_perturbations(normals, ids, drawn)),
        ("kornia", lambda: with_kornia(normals, ids)),
    ):
        taken = seconds(work, arguments.device)
        print(f"{name:7} {taken / arguments.frames * 1e3:8.0f} ms per frame, {arguments.frames / taken:6.2f} frames/s")


if __name__ == "__main__":
    main()
