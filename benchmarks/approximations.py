"""What it costs a video to leave passes out or to round products: errors of the final latents against the plain run.

    python benchmarks/approximations.py guidance            # on the shipped `mini`, guided by its normals
    python benchmarks/approximations.py guidance --random   # on tiny random models of the 14 B model's layout
    python benchmarks/approximations.py rounding            # formats of the weights, and products in float8

*Error* is the norm of the difference by the norm of the plain run's latents. *Of guidance* is the norm of the
difference by that between the guided and the unguided run: 0 where leaving out changed nothing, 1 where it lost all
that guidance does. `mini` reads no text, so its guidance is by the normals, which its training withheld at times.
Random models predict no pictures: with them the code is the 14 B model's, and the figures say nothing of its videos.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from generate import TINY
from solvers import Scene, counted
from torch import Tensor

from real2sam2real.diffusion import conditioning, sampling
from real2sam2real.diffusion.loading import load_model, locate
from real2sam2real.diffusion.memory.formats import quantize
from real2sam2real.diffusion.memory.plans import WeightFormat
from real2sam2real.diffusion.options import ModelOptions
from real2sam2real.diffusion.pipeline import Guidance
from real2sam2real.diffusion.presets import PRESETS, Sampling
from real2sam2real.diffusion.sampling import make_scheduler
from real2sam2real.diffusion.transformer import Real2Sam2RealTransformer3DModel

SHIFT = 5.0
OFFICIAL = PRESETS["official"].passes(81)
FULL = PRESETS["quality"]
WAYS: tuple[tuple[str, Sampling], ...] = (
    ("all 25 steps", FULL),
    ("13, then every 2nd", replace(FULL, guided_steps=13, guidance_interval=2)),
    ("13, then every 3rd", replace(FULL, guided_steps=13, guidance_interval=3)),
    ("8, then every 2nd", replace(FULL, guided_steps=8, guidance_interval=2)),
    ("4, then every 2nd", replace(FULL, guided_steps=4, guidance_interval=2)),
    ("1, then every 2nd", replace(FULL, guided_steps=1, guidance_interval=2)),
    ("13, then none", replace(FULL, guided_steps=13)),
    ("none (guidance 1)", replace(FULL, guidance_scale=1.0)),
)
FORMATS: tuple[tuple[str, WeightFormat], ...] = (
    ("bfloat16", "bfloat16"),
    ("8-bit integer weights (`int8`)", "int8"),
    ("float8 weights (`fp8`)", "float8"),
    ("float8 weights and products (`fp8-dynamic`)", "float8-dynamic"),
    ("4-bit weights (`nf4`)", "nf4"),
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Denoised:
    """A model with all that it is given, to be denoised from one noise."""

    transformer: Any
    channels: Tensor  # `(1, 4 + z, F + 1, h, w)`
    noise: Tensor  # `(1, z, F + 1, h, w)`
    given: tuple[tuple[Any, ...], tuple[Any, ...]]  # what `precompute` takes, with and without the condition

    @torch.no_grad()
    def latents(self, chosen: Sampling) -> tuple[Tensor, int]:
        """The video's latents, and how many passes were computed."""
        model, guidance = self.transformer, Guidance(chosen)
        scheduler = make_scheduler(chosen.solver, SHIFT)
        sampling.set_steps(scheduler, chosen.steps, chosen.spacing, 1.0, self.noise.device)
        constants = [model.precompute(*given) for given in self.given]

        def predict(noisy: Tensor, timestep: Tensor, which: int) -> Tensor:
            together = torch.cat([noisy, self.channels], dim=1).to(model.dtype)
            made: Tensor = model(together, timestep, constants=constants[which])
            return made.float()

        def velocity(noisy: Tensor, timestep: Tensor, level: Tensor) -> Tensor:
            predicted = predict(noisy, timestep, 0)
            if chosen.guided:
                predicted = guidance(predicted, lambda: predict(noisy, timestep, 1))
            clean = model.config.prediction == "sample"
            return sampling.velocity_from_sample(noisy, predicted, level) if clean else predicted

        with counted(model) as passes:
            made = sampling.denoise(scheduler, velocity, self.noise)
        return made[:, :, 1:], len(passes)


def scenes(count: int) -> Iterator[Denoised]:
    """The shipped checkpoint on procedural scenes that its training never sees."""
    model = load_model(locate(ModelOptions(checkpoint="mini")))
    transformer = model.pipeline.transformer.float()
    prompt = conditioning.null_prompt(transformer, 1)
    for index in range(count):
        scene = Scene(model.pipeline, model.settings, index)
        given = (prompt, scene.normals), (prompt, torch.zeros_like(scene.normals))
        yield Denoised(transformer=transformer, channels=scene.channels, noise=scene.noise, given=given)


def random_models(count: int) -> Iterator[Denoised]:
    """Tiny random models of the 14 B model's layout, each with inputs of its own, guided by text."""
    for seed in range(count):
        generator = torch.Generator().manual_seed(seed)

        def noise(*shape: int, generator: torch.Generator = generator) -> Tensor:
            return torch.randn(*shape, generator=generator)

        torch.manual_seed(seed)
        model = Real2Sam2RealTransformer3DModel(**TINY).eval().requires_grad_(False)
        normals, image = noise(1, 4, 3, 8, 12), noise(1, 257, TINY["image_dim"])
        prompts = (noise(1, 512, TINY["text_dim"]) for _ in range(2))
        given = tuple((prompt, normals, image) for prompt in prompts)
        channels = noise(1, 8, 4, 8, 12)
        yield Denoised(transformer=model, channels=channels, noise=noise(1, 4, 4, 8, 12), given=(given[0], given[1]))


def guidance_table(models: Iterator[Denoised], scale: float) -> None:
    """Print what leaving out negative passes costs, means over models."""
    rows: dict[str, list[tuple[float, float, int]]] = {name: [] for name, _ in WAYS}
    for model in models:
        ways = [(name, replace(way, guidance_scale=min(way.guidance_scale, scale))) for name, way in WAYS]
        made = {name: model.latents(way) for name, way in ways}
        whole, none = made[WAYS[0][0]][0], made[WAYS[-1][0]][0]
        for name, (latents, passes) in made.items():
            lost = (latents - whole).norm()
            rows[name].append((float(lost / whole.norm()), float(lost / (none - whole).norm()), passes))
    print("| negative passes | passes | of `official`'s 100 | error | of guidance |\n|---|---|---|---|---|")
    for name, values in rows.items():
        error, share, passes = (sum(column) / len(values) for column in zip(*values, strict=True))
        print(f"| {name} | {passes:.0f} | {passes / OFFICIAL:.2f} | {error:.4f} | {share:.3f} |", flush=True)


def rounding_table(models: Callable[[], Iterator[Denoised]]) -> None:
    """Print what rounding costs a run of 25 steps and one of four, without guidance, means over models."""
    ways = (replace(FULL, guidance_scale=1.0), replace(PRESETS["fast"], spacing="even"))
    rows: dict[str, list[list[float]]] = {name: [] for name, _ in FORMATS}
    for model in models():
        plain = [model.latents(way)[0] for way in ways]
        for name, weights in FORMATS:
            rounded = copy.deepcopy(model.transformer).bfloat16()
            for block in rounded.blocks:
                quantize(block, weights)
            given = tuple(
                tuple(one if one is None else one.bfloat16() for one in condition) for condition in model.given
            )
            other = replace(model, transformer=rounded, given=(given[0], given[1]))
            errors = (other.latents(way)[0] - exact for way, exact in zip(ways, plain, strict=True))
            rows[name].append([float(e.norm() / exact.norm()) for e, exact in zip(errors, plain, strict=True)])
    print("| blocks' products | error after 25 steps | after 4 steps |\n|---|---|---|")
    for name, values in rows.items():
        print(
            f"| {name} | {' | '.join(f'{sum(c) / len(values):.4f}' for c in zip(*values, strict=True))} |", flush=True
        )


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=["guidance", "rounding"])
    parser.add_argument("--random", action="store_true", help="tiny random models in place of the shipped checkpoint")
    parser.add_argument("--models", type=int, default=4, help="scenes, or random models")
    parser.add_argument("--scale", type=float, default=4.5, help="of guidance")
    given = parser.parse_args()

    def models() -> Iterator[Denoised]:
        return random_models(given.models) if given.random else scenes(given.models)

    if given.table == "guidance":
        guidance_table(models(), given.scale)
    else:
        rounding_table(models)


if __name__ == "__main__":
    main()
