"""How far solvers and step caches are from the exact path of the shipped checkpoint: `python benchmarks/solvers.py`.

On procedural scenes that training never sees, from pure noise. All runs pass the same noise levels, so that they can be
compared before the end of the path, too: at σ = 0.25, the latents' root mean square distance from UniPC with 100 steps.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from real2sam2real.diffusion import conditioning, sampling
from real2sam2real.diffusion.caches import FirstBlock, StepCache, TaylorSeer, step_cache
from real2sam2real.diffusion.loading import load_model, locate
from real2sam2real.diffusion.options import ModelOptions
from real2sam2real.diffusion.sampling import Solver
from real2sam2real.lab.synth import HELD_OUT_SEEDS, sample_clip

WIDTH, HEIGHT, FRAMES = 160, 96, 17
SHIFT = 3.0
REACHED = 0.9  # of the steps, at σ = 0.25


@dataclass(frozen=True, kw_only=True)
class Way:
    """A way to sample; `steps` is a multiple of ten."""

    solver: Solver
    steps: int
    cache: StepCache | None = None
    cache_name: str = "–"


REFERENCE = Way(solver="unipc", steps=100)
WAYS = [
    Way(solver="euler", steps=10),
    Way(solver="euler", steps=20),
    Way(solver="euler", steps=40),
    Way(solver="unipc", steps=10),
    Way(solver="unipc", steps=20),
    Way(solver="unipc", steps=40),
    Way(solver="euler", steps=20, cache=TaylorSeer(), cache_name="TaylorSeer, 4 + every 2nd"),
    Way(solver="unipc", steps=20, cache=TaylorSeer(), cache_name="TaylorSeer, 4 + every 2nd"),
    Way(solver="unipc", steps=20, cache=TaylorSeer(interval=3), cache_name="TaylorSeer, 4 + every 3rd + last"),
    Way(solver="unipc", steps=20, cache=TaylorSeer(order=0), cache_name="last output repeated, 4 + every 2nd"),
    Way(solver="unipc", steps=20, cache=FirstBlock(), cache_name="FirstBlockCache at 0.12"),
]


@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """Latents `(1, z, F + 1, h, w)` at σ = 0.25, the finished video in −1…1, and the passes that were computed."""

    reached: Tensor
    video: Tensor
    passes: int


class Scene:
    """A held-out scene, ready to be denoised."""

    def __init__(self, pipeline, settings, index: int) -> None:
        self.pipeline, self.transformer = pipeline, pipeline.transformer
        clip = sample_clip(HELD_OUT_SEEDS[index], width=WIDTH, height=HEIGHT, frames=FRAMES)
        photo, normals = (
            conditioning.encode_latents(pipeline.vae, conditioning.to_video_tensor(frames))
            for frames in (clip.video[:1], settings.normal_convention.encode(clip.normals, clip.ids))
        )
        empty = conditioning.empty_latents(pipeline.vae, FRAMES, HEIGHT, WIDTH)
        self.channels, self.normals = conditioning.condition_channels(photo, empty), normals
        self.constants = self.transformer.precompute(conditioning.null_prompt(self.transformer, 1), normals)
        shape = (1, *self.channels.shape[1:])
        self.noise = torch.randn(shape, generator=torch.Generator().manual_seed(index))[:, : photo.shape[1]]

    @torch.no_grad()
    def sample(self, way: Way) -> Sample:
        """Denoise from pure noise."""
        scheduler = sampling.make_scheduler(way.solver, SHIFT)
        if way.solver == "euler":  # at UniPC's noise levels
            scheduler.set_timesteps(sigmas=[1 - 0.999 * step / way.steps for step in range(way.steps)])
        else:
            scheduler.set_timesteps(way.steps)
        reached = []

        def on_step(step: sampling.Step) -> None:
            if step.number == round(REACHED * way.steps):
                reached.append(step.latents)

        def velocity(noisy: Tensor, _: Tensor, level: Tensor) -> Tensor:
            given = torch.cat([noisy, self.channels], dim=1)
            with self.transformer.cache_context("cond"):
                clean = self.transformer(given, level[None] * 1000, constants=self.constants)
            return sampling.velocity_from_sample(noisy, clean, level)

        with step_cache(self.transformer, way.cache, way.steps), counted(self.transformer) as passes:
            latents = sampling.denoise(scheduler, velocity, self.noise, on_step)
        video = conditioning.decode_latents(self.pipeline.vae, latents[:, :, 1:])
        return Sample(reached=reached[0], video=video, passes=len(passes))


@contextmanager
def counted(transformer) -> Iterator[list[None]]:
    """One entry for each time that the last block is really computed."""
    passes: list[None] = []
    hook = transformer.blocks[-1].attn1.register_forward_hook(lambda *_: passes.append(None))
    try:
        yield passes
    finally:
        hook.remove()


def distances(sample: Sample, exact: Sample) -> tuple[float, float, float]:
    """Root mean square at σ = 0.25, PSNR of the finished video in dB, passes."""
    error = (sample.reached - exact.reached).square().mean().sqrt().item()
    psnr = 10 * np.log10(4 / (sample.video - exact.video).square().mean().item())
    return error, float(psnr), sample.passes


def main() -> None:
    """Print a Markdown table, means over scenes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=4)
    count = parser.parse_args().scenes
    model = load_model(locate(ModelOptions(checkpoint="mini")))
    model.pipeline.transformer.float()
    found: dict[Way, list[tuple[float, float, float]]] = {way: [] for way in WAYS}
    for index in range(count):
        scene = Scene(model.pipeline, model.settings, index)
        exact = scene.sample(REFERENCE)
        for way in WAYS:
            found[way].append(distances(scene.sample(way), exact))
    columns = ["solver", "steps", "step cache", "passes", "distance at σ = 0.25", "finished video, dB"]
    print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
    for way, values in found.items():
        error, psnr, passes = np.mean(values, axis=0)
        print(f"| {way.solver} | {way.steps} | {way.cache_name} | {passes:.4g} | {error:.4f} | {psnr:.1f} |")


if __name__ == "__main__":
    main()
