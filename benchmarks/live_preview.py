"""What a look at the latents costs: `python benchmarks/live_preview.py`. On the GPU where there is one.

Latents are random, and so are TAEW2.1's weights. Without a GPU, TAEW2.1 runs at a quarter of the width and height.
"""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch.utils.flop_counter import FlopCounterMode

from real2sam2real.diffusion.latent_preview import LinearPreview, TinyPreview, contact_strip
from real2sam2real.diffusion.tiny_decoder import TinyDecoder

FRAMES, HEIGHT, WIDTH = 21, 90, 160  # latent, of 81 frames at 1280×720


def measured(call: Callable[[], object], device: torch.device) -> tuple[float, float]:
    """Seconds, the best of three, and peak memory in GB above what was held before."""

    def held() -> float:
        if device.type == "cuda":
            return torch.cuda.max_memory_allocated() / 1e9
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6

    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    before, times = held(), []
    for _ in range(3):
        start = time.perf_counter()
        call()  # ends with pictures on the CPU, so nothing is left to wait for
        times.append(time.perf_counter() - start)
    return min(times), held() - before


@torch.no_grad()
def main() -> None:
    """Print one line per preview."""
    gpu = torch.cuda.is_available()
    device = torch.device("cuda" if gpu else "cpu")
    print(torch.cuda.get_device_name() if gpu else f"{torch.get_num_threads()} CPU threads")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "taew2_1.safetensors"
        save_file(TinyDecoder().state_dict(), path)
        shrink = 1 if gpu else 4
        for preview, factor in ((LinearPreview.of_wan(), 1), (TinyPreview(path), shrink)):
            latents = torch.randn(1, 16, FRAMES, HEIGHT // factor, WIDTH // factor, device=device)
            with FlopCounterMode(display=False) as counter:
                preview.frames(latents[:, :, :1])
            flops = counter.get_total_flops() * FRAMES * factor**2
            seconds, memory = measured(lambda: contact_strip(preview.frames(latents)), device)  # noqa: B023
            size = f"{8 * (WIDTH // factor)}×{8 * (HEIGHT // factor)}"
            print(
                f"{preview.name}: {seconds:.3f} s and {memory:.2f} GB for 81 frames of {size}; "
                f"{flops / 1e12:.3g} TFLOP at 1280×720"
            )


if __name__ == "__main__":
    main()
