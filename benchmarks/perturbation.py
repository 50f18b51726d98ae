"""The training perturbation beside the same operators of kornia, in one run.

Run: python benchmarks/perturbation.py [--frames N] [--device cpu|cuda] [--threads N]      (needs kornia)

Three instances move through frames of 1280×720. Both bend, dilate and blur each instance with the same strengths and
put them together again.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from real2sam2real.control.perturbation import Perturbation, PerturbationRanges, apply_perturbations, draw_perturbation

HEIGHT, WIDTH = 720, 1280
BALLS = ((300, 350, 180), (800, 400, 220), (1050, 200, 120))
STRENGTH = PerturbationRanges(bend=(0.03, 0.03), bend_scale=(0.1, 0.1), grow=(0.03, 0.03), blur=(0.015, 0.015))
ROUNDS = 3


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=4)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
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
