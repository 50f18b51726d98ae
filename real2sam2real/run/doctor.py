"""What this machine can run, told before anything is loaded: devices, packages, weights, kernels, memory plans."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from real2sam2real.diffusion.checkpoints import OFFICIAL_SETTINGS, find_checkpoint
from real2sam2real.diffusion.loading import architecture_of
from real2sam2real.diffusion.memory.attention import BACKENDS, choose_backend, refusal
from real2sam2real.diffusion.memory.choose import MARGIN_IN_WORDS, choose_plan, gib
from real2sam2real.diffusion.memory.costs import Architecture, ClipSize
from real2sam2real.diffusion.memory.machine import PACKAGES, Machine, inspect_machine
from real2sam2real.diffusion.options import ModelOptions
from real2sam2real.diffusion.presets import PRESETS
from real2sam2real.diffusion.prompts import cache_folder
from real2sam2real.diffusion.weights.base import find_base
from real2sam2real.errors import UserError
from real2sam2real.lifting.options import LifterOptions
from real2sam2real.lifting.people.body_model import EXTRA, is_installed
from real2sam2real.lifting.people.lifter import LIFTER as PEOPLE
from real2sam2real.lifting.workers.catalogue import LIFTERS
from real2sam2real.lifting.workers.lifter import probe
from real2sam2real.options import parse_size

# What is worth telling of a package that is missing.
_PURPOSES = {
    "transformers": "text and image encoders of the 14 B model",
    "peft": "LoRAs kept apart from the weights",
    "torchao": "8-bit weights",
    "bitsandbytes": "4-bit weights",
    "gguf": "GGUF files",
    "flash-attn": "FlashAttention 2",
    "flash-attn-3": "FlashAttention 3",
    "sageattention": "SageAttention",
    "kernels": "attention kernels from the hub",
    "ray": "batches on many GPUs",
}


def examine(options: ModelOptions, lifter: LifterOptions, *, frames: int, size: str) -> Iterator[str]:
    """The lines of the report, for a shot of so many `frames` of a `size` "WIDTHxHEIGHT".

    Raises:
        UserError: the size is not understood, or the memory plan does not exist.
    """
    width, height = parse_size(size)
    machine = inspect_machine()
    yield from _machine(machine)
    yield from _packages(machine)
    yield from _weights(options)
    yield from _perception()
    yield from _lifters(lifter, offline=options.offline)
    yield from _attention(machine, options)
    clip = ClipSize(frames=min(frames, OFFICIAL_SETTINGS.max_frames), width=width, height=height)
    yield from _plans(machine, options, clip)
    yield "\npresets, transformer passes for this shot"
    for preset in PRESETS.values():
        yield f"  {preset.name:9} {preset.passes(frames):4}  {preset.purpose}"


def _machine(machine: Machine) -> Iterator[str]:
    yield "machine"
    if machine.device == "cpu":
        yield "  device    CPU (torch finds no GPU; mini runs well here, the 14 B model takes hours a shot)"
    else:
        yield f"  device    {machine.name}, {gib(machine.free_memory)} of {gib(machine.memory)} free"
    yield f"  memory    {gib(machine.free_ram)} of {gib(machine.ram)} free"
    cache = cache_folder()
    existing = next(folder for folder in (cache, *cache.parents) if folder.exists())
    yield f"  disk      {gib(shutil.disk_usage(existing).free)} free at {existing}"


def _packages(machine: Machine) -> Iterator[str]:
    yield "\ninstalled"
    here = [f"{name} {machine.packages[name]}" for name in PACKAGES if name in machine.packages]
    yield f"  {', '.join(here)}"
    for name in PACKAGES:
        if name not in machine.packages and name in _PURPOSES:
            yield f"  not installed: {name} ({_PURPOSES[name]}): pip install {name}"


def _weights(options: ModelOptions) -> Iterator[str]:
    yield "\nweights"
    finders: dict[str, Callable[[], Path]] = {
        "mini": lambda: find_checkpoint("mini"),
        "checkpoint": lambda: find_checkpoint(options.checkpoint, offline=True),
        "base": lambda: find_base(options.base, offline=True, components=options.components).transformer[0].parent,
    }
    for title, find in finders.items():
        try:
            yield f"  {title:10} found: {find()}"
        except UserError as error:
            yield f"  {title:10} {_indented(str(error))}"


def _perception() -> Iterator[str]:
    """What finds objects and depth in a photo."""
    yield "\nmasks and depth"
    yield "  U²-Net (boxes, points) and NanoDet (80 words) are always here"
    for package, what in (
        ("transformers", "SAM 2.1, SAM 3 and MM-Grounding-DINO (masks), Depth Pro"),
        ("moge", "MoGe-2 (depth, intrinsics, gravity)"),
    ):
        here = importlib.util.find_spec(package) is not None
        yield f"  {what}: {package} is {'here' if here else 'not installed'}"


def _lifters(options: LifterOptions, *, offline: bool) -> Iterator[str]:
    yield "\nlifters"
    yield "  embedded and meshes of your own are always here"
    people = "here" if is_installed() else f"not installed: pip install '{EXTRA}'"
    yield f"  people (bodies of persons, that can be posed): Anny is {people}"
    named = {value.rpartition("=")[2] for value in options.lifter} - {"embedded", PEOPLE}
    if not named:
        yield f"  {', '.join(LIFTERS)}: name one to ask its environment (--lifter NAME --lifter-python PATH)"
    for name in sorted(named):
        try:
            yield f"  {probe(name, options.environment_of(name, offline=offline))}"
        except UserError as error:
            yield f"  {name}: {_indented(str(error))}"


def _attention(machine: Machine, options: ModelOptions) -> Iterator[str]:
    try:
        title = choose_backend(machine, options.attention, offline=options.offline).title
    except UserError as error:
        title = _indented(str(error))
    yield f"\nattention kernel: {title}"
    for backend in BACKENDS:
        obstacle = refusal(backend, machine)
        if obstacle is None and (backend.hub or not backend.exact):
            why = "its code comes from the network" if backend.hub else "it changes the result"
            obstacle = f"when asked for alone, because {why}"
        yield f"  {backend.name:13} {backend.title}: {obstacle or 'can run'}"


def _plans(machine: Machine, options: ModelOptions, clip: ClipSize) -> Iterator[str]:
    architecture = _architecture(options)
    yield f"\nmemory plans for the 14 B model at {clip}, with guidance; {MARGIN_IN_WORDS}"
    how: dict[str, Any] = {"wanted": options.memory, "attention": options.attention}
    try:
        chosen = choose_plan(machine, architecture, clip, **how)
    except UserError as error:
        yield f"  {_indented(str(error))}"
        return
    yield f"  {'plan':11} {'GPU':>10} {'CPU memory':>11}"
    for row in chosen.rows:
        needs = row.needs
        gpu = "-" if needs is None or row.plan.device == "cpu" else gib(needs.device)
        ram = "-" if needs is None else gib(needs.ram)
        yield f"  {row.plan.name:11} {gpu:>10} {ram:>11}  {row.refusal or 'fits'}"
    yield f"  would run: {chosen.plan.name} ({chosen.plan.purpose}); {chosen.why}"
    for preset in PRESETS.values():
        if preset.plan_on_gpu is not None and machine.device == "cuda":
            own = choose_plan(machine, architecture, clip, guided=preset.guided, preferred=preset.plan_on_gpu, **how)
            yield f"  under the preset {preset.name}: {own.plan.name} ({own.plan.purpose}); {own.why}"


def _architecture(options: ModelOptions) -> Architecture:
    """Of the base where it is found, else of the published one."""
    try:
        return architecture_of(find_base(options.base, offline=True, components=options.components))
    except UserError:
        return Architecture()


def _indented(text: str) -> str:
    return text.replace("\n", "\n             ")
