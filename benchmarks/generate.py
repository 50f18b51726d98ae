"""What generating costs: counted for every preset and memory plan, and timed where there is a GPU.

    python benchmarks/generate.py table                  # passes, operations and memory at 81 frames of 1280×720
    python benchmarks/generate.py check                  # the same memory and operations, counted on the code itself
    python benchmarks/generate.py time -o times.json     # the 14 B architecture with random weights, on the GPU
    python benchmarks/generate.py time --tiny -o t.json  # the same code on any machine, in seconds

What `table` reckons, `check` counts by running the 14 B architecture on tensors without data, which takes minutes.
Timing writes its file after every measurement, the most important ones first, so that a run that is cut off is not
lost. A shot's seconds are those of its parts: encoding
and decoding as measured, a pass as the mean over `--steps` steps, times the passes of the preset.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKLWan
from torch import nn

from real2sam2real.diffusion.loading import Real2Sam2RealPipeline
from real2sam2real.diffusion.memory.apply import apply_plan
from real2sam2real.diffusion.memory.attention import use_backend
from real2sam2real.diffusion.memory.choose import gib
from real2sam2real.diffusion.memory.costs import Architecture, ClipSize
from real2sam2real.diffusion.memory.formats import quantize
from real2sam2real.diffusion.memory.machine import inspect_machine
from real2sam2real.diffusion.memory.needs import autoencoder_dtype, needs_of
from real2sam2real.diffusion.memory.plans import PLANS, Plan, find_plan
from real2sam2real.diffusion.presets import PRESETS, Preset, Sampling
from real2sam2real.diffusion.sampling import make_scheduler
from real2sam2real.diffusion.transformer import Real2Sam2RealTransformer3DModel
from real2sam2real.files import replacing_file

FRAMES, WIDTH, HEIGHT = 81, 1280, 720
TINY = {
    "num_attention_heads": 2, "attention_head_dim": 12, "latent_channels": 4, "text_dim": 16, "freq_dim": 16,
    "ffn_dim": 32, "num_layers": 2, "image_dim": 20, "added_kv_proj_dim": 24, "rope_max_seq_len": 64,
}  # fmt: skip
TINY_VAE = {
    "base_dim": 8, "z_dim": 4, "dim_mult": [1, 1, 1, 1], "num_res_blocks": 1, "latents_mean": [0.0] * 4,
    "latents_std": [1.0] * 4,
}  # fmt: skip


def table() -> None:
    """Print the tables of docs/memory.md."""
    architecture = Architecture()
    resident = find_plan("resident")
    print("| preset | segments | passes | PFLOP per pass (attention) | PFLOP per shot |\n|---|---|---|---|---|")
    for preset in PRESETS.values():
        segments = preset.plan(FRAMES)
        clip = ClipSize(frames=segments[0].frames, width=WIDTH, height=HEIGHT)
        cost = needs_of(resident, architecture, clip, guided=preset.guided).one_pass
        passes = preset.passes(FRAMES)
        lengths = f"{len(segments)} × {segments[0].frames} frames"
        one, attention, shot = (value / 1e15 for value in (cost.flops, cost.attention_flops, cost.flops * passes))
        print(f"| `{preset.name}` | {lengths} | {passes} | {one:.2f} ({attention:.2f}) | {shot:.0f} |")
    print("\n| plan | what | GPU, with guidance | GPU, without | CPU memory |\n|---|---|---|---|---|")
    clip = ClipSize(frames=FRAMES, width=WIDTH, height=HEIGHT)
    for plan in PLANS:
        packed = plan.weights == "gguf"
        both = [needs_of(plan, architecture, clip, guided=guided, packed=packed) for guided in (True, False)]
        device = [gib(needs.device) if plan.device == "cuda" else "-" for needs in both]
        print(f"| `{plan.name}` | {plan.purpose} | {device[0]} | {device[1]} | {gib(both[0].ram)} |")


def check() -> None:
    """Print the largest deviation of what is reckoned from what is counted, for several sizes and all formats."""
    import memory_measured as measured

    architecture = Architecture()
    for frames, width, height in ((81, WIDTH, HEIGHT), (49, 832, 480), (17, 640, 368)):
        clip = ClipSize(frames=frames, width=width, height=height)
        worst = max(measured.deviations(architecture, clip), key=lambda deviation: abs(deviation[1]))
        print(f"{clip}: {worst[0]} deviates by {worst[1]:+.2%}", flush=True)


@dataclass(frozen=True, kw_only=True)
class Case:
    """One thing to time."""

    plan: str
    preset: str
    compiled: bool = False


# The most important first: the four-step target, the default against the official schedule, then the other plans.
CASES = (
    Case(plan="resident", preset="fast"),
    Case(plan="resident", preset="quality"),
    Case(plan="resident", preset="official"),
    Case(plan="resident", preset="balanced"),
    Case(plan="resident", preset="fast", compiled=True),
    Case(plan="fp8", preset="fast"),
    Case(plan="int8", preset="fast"),
    Case(plan="nf4", preset="fast"),
    Case(plan="stream", preset="fast"),
    Case(plan="lean", preset="fast"),
)
TINY_CASES = (
    Case(plan="cpu", preset="fast"),
    Case(plan="cpu", preset="quality"),
    Case(plan="cpu", preset="official"),
    Case(plan="cpu", preset="balanced"),
)


def random_transformer(config: dict[str, Any], plan: Plan, device: torch.device, dtype: torch.dtype) -> Any:
    """The architecture with random weights, made block by block in the format that the plan stores them in."""
    with torch.device("meta"):
        model = Real2Sam2RealTransformer3DModel(**config)
    where = torch.device("cpu") if plan.blocks_streamed else device
    for block in model.blocks:
        fill(block, where, dtype)
        quantize(block, plan.weights, where)
    for name, child in model.named_children():
        if name not in ("blocks", "rope"):
            fill(child, device, dtype)
    model.scale_shift_table = nn.Parameter(torch.zeros(model.scale_shift_table.shape, device=device))
    whole = Real2Sam2RealTransformer3DModel(**{**config, "num_layers": 0})
    model.rope = whole.rope.to(device)  # its tables are made when it is built, not loaded
    return model.eval().requires_grad_(False)


def fill(module: nn.Module, device: torch.device, dtype: torch.dtype) -> None:
    """Small random parameters, float32 where the model keeps them so."""
    keep = Real2Sam2RealTransformer3DModel._keep_in_fp32_modules
    for name, parameter in list(module.named_parameters()):
        owner, _, leaf = name.rpartition(".")
        kind = torch.float32 if any(part in name for part in keep) else dtype
        value = torch.empty(parameter.shape, dtype=kind, device=device).normal_(std=0.02)
        setattr(module.get_submodule(owner), leaf, nn.Parameter(value, requires_grad=False))


def random_pipeline(plan: Plan, device: torch.device, *, tiny: bool) -> Real2Sam2RealPipeline:
    """A whole pipeline with random weights, placed as the plan says; the text encoder is left out."""
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    pipeline = Real2Sam2RealPipeline(
        vae=AutoencoderKLWan(**(TINY_VAE if tiny else {})).to(autoencoder_dtype(plan)).eval(),
        transformer=random_transformer(TINY if tiny else {}, plan, device, dtype),
        scheduler=make_scheduler("euler", 5.0),
    )
    apply_plan(pipeline, plan, device)
    use_backend(pipeline.transformer, inspect_machine(str(device)))
    return pipeline


def timed_segment(pipeline: Real2Sam2RealPipeline, preset: Preset, shape: tuple[int, int, int], steps: int) -> Any:
    """Seconds per pass and around the loop of one segment, the first step left out as warm-up."""
    frames, height, width = shape
    device = pipeline._execution_device
    photo = np.zeros((height, width, 3), np.uint8)
    normals = np.zeros((frames, height, width, 3), np.uint8)
    prompt = torch.zeros(1, 512, pipeline.transformer.config.text_dim)
    marks: list[float] = []

    def mark(*_: Any) -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        marks.append(time.perf_counter())

    mark()
    for _ in pipeline.stream(
        photo,
        normals,
        prompt_embeds=prompt,
        negative_prompt_embeds=prompt,
        sampling=Sampling(steps=steps, guidance_scale=preset.guidance_scale, segment_frames=frames, overlap=1),
        generator=torch.Generator().manual_seed(0),
        callback_on_step_end=mark,
    ):
        pass
    mark()
    start, *steps_done, end = marks
    per_step = (steps_done[-1] - steps_done[0]) / (len(steps_done) - 1)
    return per_step, (steps_done[0] - start - per_step) + (end - steps_done[-1])


def measure(case: Case, steps: int, *, tiny: bool, made: dict[Any, Real2Sam2RealPipeline]) -> dict[str, Any]:
    """Time one case; a model stays for the next case that takes the same one."""
    device = torch.device("cpu" if tiny else "cuda")
    plan, preset = find_plan(case.plan), PRESETS[case.preset]
    if (case.plan, case.compiled) not in made:
        made.clear()
        if device.type == "cuda":
            torch.cuda.empty_cache()
        made[case.plan, case.compiled] = random_pipeline(plan, device, tiny=tiny)
        if case.compiled:
            made[case.plan, case.compiled].transformer.compile_repeated_blocks()
    pipeline = made[case.plan, case.compiled]
    height, width, total = (32, 32, 13) if tiny else (HEIGHT, WIDTH, FRAMES)
    longest = 9 if tiny else preset.segment_frames
    segments = len(preset.plan(FRAMES))
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    per_step, around = timed_segment(pipeline, preset, (min(longest, total), height, width), steps)
    passes_per_step = 2 if preset.guided else 1
    passes = preset.passes(FRAMES)
    return {
        **asdict(case),
        "seconds_per_pass": per_step / passes_per_step,
        "seconds_around_the_loop_per_segment": around,
        "passes": passes,
        "seconds_per_shot": passes * per_step / passes_per_step + segments * around,
        "peak_gib": torch.cuda.max_memory_allocated() / 2**30 if device.type == "cuda" else None,
    }


def results(cases: tuple[Case, ...], steps: int, *, tiny: bool) -> Iterator[dict[str, Any]]:
    """Every case's measurement, or why there is none."""
    made: dict[Any, Real2Sam2RealPipeline] = {}
    for case in cases:
        try:
            yield measure(case, steps, tiny=tiny, made=made)
        except Exception as error:  # one plan that cannot run must not cost the others their time on a lent GPU
            made.clear()
            yield {**asdict(case), "failed": f"{type(error).__name__}: {error}"}


def run_times(out: Path, steps: int, *, tiny: bool) -> None:
    """Time all cases and write the file after each."""
    if not tiny and not torch.cuda.is_available():
        sys.exit("timing needs a GPU; --tiny runs the same code on a tiny model here")
    name = "CPU, tiny model" if tiny else torch.cuda.get_device_name()
    report: dict[str, Any] = {"device": name, "command": "python " + " ".join(sys.argv), "cases": []}
    for row in results(TINY_CASES if tiny else CASES, steps, tiny=tiny):
        report["cases"].append(row)
        print(json.dumps(row), flush=True)
        with replacing_file(out) as temporary:
            temporary.write_text(json.dumps(report, indent=2))


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("table")
    commands.add_parser("check")
    timing = commands.add_parser("time")
    timing.add_argument("-o", "--out", type=Path, required=True)
    timing.add_argument("--steps", type=int, default=3, help="steps timed per case, at least 2")
    timing.add_argument("--tiny", action="store_true")
    given = parser.parse_args()
    if given.command == "table":
        table()
    elif given.command == "check":
        check()
    else:
        run_times(given.out, max(2, given.steps), tiny=given.tiny)


if __name__ == "__main__":
    main()
